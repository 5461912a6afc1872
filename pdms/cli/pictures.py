"""A release drawn on a terminal: bars of class sizes, and how far each feature was generalised."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdms.cli.render import show

if TYPE_CHECKING:
    from pdms.views.pictures import FeaturePicture, ReleasePicture

BAR = 32
SHADES = "█▓▒░·"
"""Finest level first; the last stands for all further ones."""


def draw(found: "ReleasePicture") -> None:
    """Print the picture of a release."""
    from pdms.views.pictures import size_label

    risks, loss = found.risks, found.loss
    told = {
        "release": found.info.release_id,
        "rows": f"{found.info.rows:,} in {found.info.classes:,} classes",
        "k": f"{found.criteria['k']} (required {found.k_required})",
        "sensitive feature": found.criteria["sensitive"],
        "greatest risk of a row": f"{risks['prosecutor_max']:.3f} (threshold {risks['threshold']:.2f})",
        "average risk": f"{risks['prosecutor_average']:.3f}",
        "information loss": f"NCP {loss['ncp']:.2f}",
        "suppressed": ", ".join(f"{word} {count:,}" for word, count in found.suppressed.items()) or None,
        "expires": found.info.expires_at,
    }
    show(told, as_json=False, title=found.info.view)
    console = Console()
    sizes = Table(title="classes by size", title_justify="left")
    for name in ("members in a class", "classes", "rows", "share of rows"):
        sizes.add_column(name)
    for one in found.class_sizes:
        share = one.rows / max(found.info.rows, 1)
        bar = "█" * max(round(BAR * share), 1)
        sizes.add_row(size_label(one), f"{one.classes:,}", f"{one.rows:,}", Text(f"{bar} {share:.0%}"))
    console.print(sizes)
    levels = Table(title="features by level: █ as declared, · furthest generalised", title_justify="left")
    for name in ("feature", "名称", "share of cells at each level", "says nothing", "NCP"):
        levels.add_column(name)
    for feature in found.features:
        ncp = "–" if feature.ncp is None else f"{feature.ncp:.2f}"
        levels.add_row(feature.feature, feature.label_zh, Text(bar_of(feature)), f"{feature.said_nothing:.0%}", ncp)
    console.print(levels)


def bar_of(feature: "FeaturePicture") -> str:
    """Return one bar of `BAR` signs, a shade for each level."""
    bar, told = "", 0.0
    for level in feature.levels:
        told += level.share
        shade = "?" if level.level < 0 else SHADES[min(level.level, len(SHADES) - 1)]
        bar += shade * (round(BAR * told) - len(bar))
    return bar
