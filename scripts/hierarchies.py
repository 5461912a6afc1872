# ruff: noqa: E501  (headings are lines of the files that they head)
"""Make the hierarchies of public standards anew, in `policies/` and `pdms/policy/standards/`; `--check` compares.

Facts come from the GB/T 2260 list that python-stdnum 2.2 carries (`stdnum/cn/loc.dat`, gathered by its authors from the
Chinese Wikipedia's 中华人民共和国行政区划代码), from GB/T 6565-2015 (occupations), from the Regulations and laws cited in the
heading of each file, and from the calendar. What is our own choice says so in its heading. The same input gives the same
bytes. Deliberately not here: `category.csv` and `gender.csv`, which are lists of the shop's own.
"""

import re
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REGIONS = {
    "华北": "11 12 13 14 15",
    "东北": "21 22 23",
    "华东": "31 32 33 34 35 36 37",
    "华中": "41 42 43",
    "华南": "44 45 46",
    "西南": "50 51 52 53 54",
    "西北": "61 62 63 64 65",
}
"""The common seven, by province code; a convention of geography and trade, not part of GB/T 2260."""
MUNICIPALITIES = frozenset({"11", "12", "31", "50"})
UNITED = frozenset(
    {
        "市辖区",
        "县",
        "市",
        "林区",
        "省直辖县级行政单位",
        "省直辖县级行政区划",
        "自治区直辖县级行政单位",
        "省直辖行政单位",
    }
)
"""Codes that gather others and are no place."""
_PROVINCE = re.compile(r'^(\d{2}) province="([^"]+)"')
_PLACE = re.compile(r'^\s+(\d{4}) county="([^"]+)"')
_SPAN = re.compile(r"^\[(\d*)-(\d*)\]")
UNKNOWN = "unknown"

Rows = list[tuple[str, ...]]


def current(names: str) -> str | None:
    """Return the name in force of an entry such as `[-1991]东郊区,[1992-]东丽区`; None where it was abolished."""
    for name in names.split(","):
        span = _SPAN.match(name)
        if span is None or not span[2]:
            return name[span.end() :] if span else name
    return None


def places() -> tuple[dict[str, str], dict[str, str]]:
    """Return provinces by two digits, and prefectures and counties in force by six."""
    provinces: dict[str, str] = {}
    found: dict[str, str] = {}
    under = ""
    for line in (resources.files("stdnum") / "cn" / "loc.dat").read_text(encoding="utf-8").splitlines():
        if head := _PROVINCE.match(line):
            under = head[1]
            provinces[under] = head[2]
        elif (place := _PLACE.match(line)) and (name := current(place[2])) is not None:
            found[under + place[1]] = name
    return provinces, found


def region_of(code: str) -> str | None:
    """Return the region of a province code; None for those of which the list has no prefectures."""
    return next((region for region, codes in REGIONS.items() if code[:2] in codes.split()), None)


def tier_of(name: str) -> str:
    """Return the tier of a city by its name."""
    return next((tier for tier, cities in TIERS.items() if name.removesuffix("市") in cities.split()), "tier-3")


def prefectures() -> Rows:
    """Return code, name, province, region and city tier of every unit of prefecture level."""
    provinces, found = places()
    rows = []
    for code, name in sorted(found.items()):
        region = region_of(code)
        if not code.endswith("00") or code.endswith("0000") or region is None:
            continue
        if code[:2] in MUNICIPALITIES:
            if not code.endswith("0100"):
                continue
            rows.append((code, provinces[code[:2]], provinces[code[:2]], region, tier_of(provinces[code[:2]])))
        elif name not in UNITED:
            rows.append((code, name, provinces[code[:2]], region, tier_of(name)))
    return rows


def counties() -> Rows:
    """Return county, prefecture, province, region and root; a county's label begins with what it belongs to."""
    provinces, found = places()
    above = {code[:4]: name for code, name, *_ in prefectures()}
    rows = []
    for code, name in sorted(found.items()):
        region = region_of(code)
        if code.endswith("00") or region is None or name in UNITED:
            continue
        province = provinces[code[:2]]
        if code[:2] in MUNICIPALITIES:
            rows.append((f"{province}{name}", province, province, region, "*"))
        elif code[:4] in above:
            rows.append((f"{above[code[:4]]}{name}", above[code[:4]], province, region, "*"))
        else:  # administered by the province itself: its own prefecture
            rows.append((f"{province}{name}", name, province, region, "*"))
    # a place that two codes name stands once
    return [*dict.fromkeys(rows), (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "*")]


def days(first: int, last: int) -> Rows:
    """Return day, month, quarter, year and root of each day of the years `first` to `last`."""
    rows: Rows = []
    day = date(first, 1, 1)
    while day.year <= last:
        rows.append((f"{day}", f"{day:%Y-%m}", f"{day.year}-Q{(day.month + 2) // 3}", f"{day.year}", "*"))
        day += timedelta(days=1)
    return [*rows, (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "*")]


TIERS = {
    "tier-1": "北京 上海 广州 深圳",
    "tier-new-1": ("天津 南京 无锡 苏州 杭州 宁波 合肥 青岛 郑州 武汉 长沙 东莞 重庆 成都 西安"),
    "tier-2": (
        "石家庄 太原 沈阳 大连 长春 哈尔滨 徐州 常州 南通 温州 嘉兴 绍兴 金华 台州 福州 厦门 泉州 南昌 "
        "济南 烟台 潍坊 临沂 珠海 佛山 惠州 中山 南宁 贵阳 昆明 兰州"
    ),
}
"""As commonly used in trade, after a commercial ranking; no official statistic. Whatever is not listed is tier 3."""
AGES: Rows = [
    ("<14", "<18", "*"),
    ("14-17", "<18", "*"),
    ("18-24", "18-34", "*"),
    ("25-34", "18-34", "*"),
    ("35-44", "35-54", "*"),
    ("45-54", "35-54", "*"),
    ("55-64", "55+", "*"),
    ("65+", "55+", "*"),
    (UNKNOWN, UNKNOWN, "*"),
]
CITY_TIERS: Rows = [
    ("tier-1", "large", "*"),
    ("tier-new-1", "large", "*"),
    ("tier-2", "medium", "*"),
    ("tier-3", "other", "*"),
    (UNKNOWN, UNKNOWN, "*"),
]
OCCUPATIONS: Rows = [
    ("党的机关、国家机关、群众团体和社会组织、企事业单位负责人", "管理与专业", "*"),
    ("专业技术人员", "管理与专业", "*"),
    ("办事人员和有关人员", "办事与服务", "*"),
    ("社会生产服务和生活服务人员", "办事与服务", "*"),
    ("农、林、牧、渔业生产及辅助人员", "生产", "*"),
    ("生产制造及有关人员", "生产", "*"),
    ("军人", "其他", "*"),
    ("不便分类的其他从业人员", "其他", "*"),
    (UNKNOWN, UNKNOWN, "*"),
]
INCOME_GROUPS: Rows = [
    ("低收入组", "中低", "*"),
    ("中间偏下收入组", "中低", "*"),
    ("中间收入组", "中间", "*"),
    ("中间偏上收入组", "中高", "*"),
    ("高收入组", "中高", "*"),
    (UNKNOWN, UNKNOWN, "*"),
]
INCOMES = (24_000, 48_000, 72_000, 96_000, 144_000, 240_000, 480_000)
INCOMES_COARSER = (48_000, 96_000, 240_000)
STAGES: Rows = [
    ("new", "present", "*"),
    ("active", "present", "*"),
    ("lapsing", "leaving", "*"),
    ("lapsed", "leaving", "*"),
    ("never", "never", "*"),
    (UNKNOWN, UNKNOWN, "*"),
]


def incomes() -> Rows:
    """Return bins over a yearly income in yuan by declared edges, and coarser ones."""

    def bins(edges: tuple[int, ...]) -> list[tuple[int, str]]:
        inner = [f"{low}-{high - 1}" for low, high in pairwise(edges)]
        return list(zip((0, *edges), (f"<{edges[0]}", *inner, f">={edges[-1]}"), strict=True))

    coarse = bins(INCOMES_COARSER)
    rows = [(label, [name for start, name in coarse if start <= low][-1], "*") for low, label in bins(INCOMES)]
    return [*rows, (UNKNOWN, UNKNOWN, "*")]


def text(heading: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Return a file: comment lines that say where it comes from, then one row a line."""
    lines = [f"# {line}" for line in heading.strip().splitlines()]
    return "\n".join([*lines, *(";".join(row) for row in rows)]) + "\n"


def files() -> dict[str, str]:
    """Return the text of every file that is made here, by its place in the repository."""
    units = prefectures()
    regions = [(name, province, region, "*") for _, name, province, region, _ in units]
    sizes = {leaf: size for leaf, size, _ in CITY_TIERS}
    cities = [(name, tier, sizes[tier], "*") for _, name, _, _, tier in units]
    return {
        "policies/lookups/prefecture.csv": text(HEADINGS["prefecture"], units),
        "policies/hierarchies/region.csv": text(HEADINGS["region"], [*regions, (UNKNOWN, UNKNOWN, UNKNOWN, "*")]),
        "pdms/policy/standards/county.csv": text(HEADINGS["county"], counties()),
        "pdms/policy/standards/city.csv": text(HEADINGS["city"], [*cities, (UNKNOWN, UNKNOWN, UNKNOWN, "*")]),
        "policies/hierarchies/city_tier.csv": text(HEADINGS["city_tier"], CITY_TIERS),
        "policies/hierarchies/age_band.csv": text(HEADINGS["age_band"], AGES),
        "pdms/policy/standards/occupation.csv": text(HEADINGS["occupation"], OCCUPATIONS),
        "pdms/policy/standards/income_group.csv": text(HEADINGS["income_group"], INCOME_GROUPS),
        "pdms/policy/standards/income.csv": text(HEADINGS["income"], incomes()),
        "policies/hierarchies/lifecycle_stage.csv": text(HEADINGS["lifecycle_stage"], STAGES),
        "pdms/policy/standards/date.csv": text(HEADINGS["date"], days(2025, 2026)),
    }


HEADINGS = {
    "prefecture": """
地级行政区：GB/T 2260 代码与名称（2020 年后口径，直辖市按一个单位计；省直辖县级行政单位不列）；大区为常用七分法；
级别见 hierarchies/city_tier.csv。Prefecture-level units: code, name, province (GB/T 2260, as listed by python-stdnum 2.2),
region (the common seven), city tier. code;prefecture;province;region;city_tier
""",
    "region": """
地级市 → 省 → 大区，名称取自 GB/T 2260（见 lookups/prefecture.csv）· prefecture; province; region; *
""",
    "county": """
区县 → 地级市 → 省 → 大区：GB/T 2260 现行名称（python-stdnum 2.2 所载），区县名前加所属地级市以免重名；直辖市按一个单位计，
省直辖县级单位自成一级；大区为常用七分法。由 scripts/hierarchies.py 生成。
County; prefecture; province; region; *. Names in force of GB/T 2260 as listed by python-stdnum 2.2, each with its
prefecture in front, since names repeat across prefectures. Regions: the common seven. Made by scripts/hierarchies.py.
""",
    "city": """
地级市 → 城市级别 → 规模：名称取自 GB/T 2260（见 lookups/prefecture.csv）；级别为商业排名的常用分法，并非官方统计。
Prefecture; city tier; size; *. Names of GB/T 2260, tiers as commonly used in trade. Made by scripts/hierarchies.py.
""",
    "city_tier": """
城市级别：商业媒体“新一线城市”排名的常用分法，并非官方统计，可替换（lookups/prefecture.csv 给出各地级市的级别）。
City tiers as commonly used in trade (a commercial ranking, not an official statistic); replace at will.
""",
    "age_band": """
年龄段：14 岁 (PIPL-31) 与 18 岁 (MIN-24-3) 为法定边界，其余为产品默认。
Age bands; 14 and 18 are borders of the law, the others are product defaults. Leaf;coarser;…;*
""",
    "occupation": """
职业：GB/T 6565-2015《职业分类与代码》八个大类；第二级为本项目自拟。
Occupation: the eight major groups of GB/T 6565-2015; the grouping above them is our own. Made by scripts/hierarchies.py.
""",
    "income_group": """
收入组：国家统计局“全国居民五等份收入分组”的名称；分组界值不公布，只能由本人自述；第二级为本项目自拟。
Income groups: names of the five equal groups of the National Bureau of Statistics' household survey; their borders are
not published, so a member states the group. The grouping above is our own. Made by scripts/hierarchies.py.
""",
    "income": """
年收入（元）：声明的固定边界，为产品默认，并非统计分位数，可替换。
Yearly income in yuan by declared edges: product defaults, no quantiles of anybody; replace.
Made by scripts/hierarchies.py.
""",
    "lifecycle_stage": """
会员生命周期阶段，本项目自拟。
Stages of a membership as the measure lifecycle_stage gives them; the grouping is our own.
""",
    "date": """
日 → 月 → 季度 → 年（公历）。发布的行不得含具体日期：视图检查 (pdms view lint) 会拒绝把“日”作为最细一级。
Day; month; quarter; year; *, 2025 and 2026. A release holds no exact date: start a view at the
month, the linter asks it. Made by scripts/hierarchies.py.
""",
}


def main() -> int:
    """Write the files, or with `--check` tell which differ."""
    differ = []
    for name, content in files().items():
        path = ROOT / name
        if "--check" in sys.argv[1:]:
            if not path.is_file() or path.read_text("utf-8") != content:
                differ.append(name)
        else:
            path.write_text(content, "utf-8")
    for name in differ:
        print(f"{name}: not what scripts/hierarchies.py makes")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
