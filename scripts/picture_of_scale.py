"""Draws docs/pictures/scale.svg from the JSON lines of `scripts/bench scale`: time, memory, tuples by members.

usage: picture_of_scale.py scale.json [OUT.svg]
"""

import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 64, 48, 48, 56
CURVES = (
    ("features", "features, s CPU 特征", "#1f6feb"),
    ("anonymise", "anonymise, s CPU 匿名化", "#d1242f"),
    ("memory", "peak memory, GB 内存峰值", "#1a7f37"),
    ("tuples", "1,000 distinct tuples 元组（千）", "#8250df"),
)
LOWEST, HIGHEST = -1, 3
"""Powers of ten on the vertical axis."""


def picture(rows: list[dict[str, object]]) -> str:
    """Return the SVG: both axes logarithmic."""
    sizes = sorted({int(str(row["members"])) for row in rows})
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def across(members: float) -> float:
        return LEFT + (math.log10(members) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        power = min(max(math.log10(value), LOWEST), HIGHEST)
        return HEIGHT - BOTTOM - (power - LOWEST) / (HIGHEST - LOWEST) * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="12">',
        "<title>A publication by number of members</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for power in range(LOWEST, HIGHEST + 1):
        y = up(10.0**power)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#d0d7de"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    low = HEIGHT - BOTTOM + 20
    out += [f'<text x="{across(size):.1f}" y="{low}" text-anchor="middle">{size:,}</text>' for size in sizes]
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">members 会员数</text>')
    for place, (name, label, colour) in enumerate(CURVES):
        found = {int(str(row["members"])): float(str(row["value"])) for row in rows if row["figure"] == name}
        scale = 1000 if name == "tuples" else 1
        points = [(across(size), up(found[size] / scale)) for size in sizes if size in found]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x = 16 + place * 168
        out.append(f'<rect x="{x}" y="14" width="10" height="10" fill="{colour}"/>')
        out.append(f'<text x="{x + 14}" y="23" font-size="10">{label}</text>')
    return "\n".join([*out, "</svg>", ""])


def main() -> int:
    """Read the lines, write the picture."""
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        return 2
    target = Path(sys.argv[2] if len(sys.argv) == 3 else Path(__file__).parents[1] / "docs" / "pictures" / "scale.svg")
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(picture([row for row in rows if row["bench"] == "scale"]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
