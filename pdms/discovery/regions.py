# ruff: noqa: E501, SIM905  (word lists are read as units)
"""Names of China's provinces, prefectures and counties, from the GB/T 2260 list that python-stdnum carries.

Guarantee: read once, from the installed package, never from a network. Names are kept in full and, for provinces and
prefectures, in the short form that people write (四川 for 四川省). It deliberately keeps abolished names: members still
write them.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_LINE = re.compile(r'^\s+(\d{4}) county="([^"]+)"')
_PROVINCE = re.compile(r'^(\d{2}) province="([^"]+)"')
_YEARS = re.compile(r"\[[0-9]*-[0-9]*\]")
_LONG_TAIL = re.compile(
    r"(?:特别行政区|特別行政區|壮族自治区|回族自治区|维吾尔自治区|自治区|省|市|地区|盟|林区"
    r"|(?:(?:哈尼族|彝族|藏族|羌族|土家族|苗族|布依族|侗族|壮族|傣族|景颇族|白族|傈僳族|回族|蒙古族|蒙古|朝鲜族|柯尔克孜|哈萨克)+)自治州)$"
)
_COUNTY_TAIL = re.compile(r"(?:县|区|市|旗)$")
_CATCH_ALL = frozenset(
    {"市辖区", "县", "省直辖县级行政单位", "省直辖县级行政区划", "自治区直辖县级行政单位", "自治区直辖县级行政区划"}
)
_COMMON_WORDS = frozenset(
    "朝阳 和平 新城 城关 南山 东方 大通 永安 安定 平安 新华 新兴 长安 建设 桥东 桥西 河东 河西 河北 城中 东山 西山 南海 北海 通道 延长 "
    "中原 中山 中江 金山 银海 汉中 文成 武功 安康 宁海 新民 万年 丰收 英德 三水 高明 大方 集美 大足 大理 吉安 长治 保安 华容 丰台 和顺 "
    "清水 玉屏 甘泉 文水 方正 明光 昌盛 云龙 安居 双城 城口 沙湾 白云 赤水 三台 平顺 长春 同心 大同 公安 兴国 开发 高新 新区 矿区 郊区 城区".split()
)


@dataclass(frozen=True, slots=True)
class Regions:
    """`full` and `short` names of any level; `first` holds the characters that a name may begin with."""

    full: frozenset[str]
    short: frozenset[str]
    counties: frozenset[str]
    first: frozenset[str]
    longest: int

    def at(self, text: str, place: int) -> int:
        """Return the length of the longest full or short name of a province or prefecture, or full county, at `place`; 0 if none."""
        if text[place] not in self.first:
            return 0
        for length in range(min(self.longest, len(text) - place), 1, -1):
            name = text[place : place + length]
            if name in self.full or name in self.short:
                return length
        return 0


@cache
def regions() -> Regions:
    """Return the lists, read on first use (20 ms)."""
    text = (resources.files("stdnum") / "cn" / "loc.dat").read_text(encoding="utf-8")
    full: set[str] = set()
    short: set[str] = set()
    counties: set[str] = set()
    for line in text.splitlines():
        if found := _PROVINCE.match(line):
            full.add(found[2])
            short.add(_LONG_TAIL.sub("", found[2]))
        elif found := _LINE.match(line):
            for raw in _YEARS.sub("", found[2]).split(","):
                name = raw.strip()
                if len(name) < 2:
                    continue
                full.add(name)
                if found[1].endswith("00") and name not in _CATCH_ALL:
                    short.add(_LONG_TAIL.sub("", name))
                elif len(name) > 2 and name not in _CATCH_ALL:
                    counties.add(_COUNTY_TAIL.sub("", name))
    short = {name for name in short if len(name) > 1} | {
        "内蒙",
        "香港",
        "澳门",
        "台湾",
        "黑龙江",
        "内蒙古",
        "新疆",
        "广西",
        "宁夏",
        "西藏",
    }
    full |= {"香港特别行政区", "澳门特别行政区", "台湾省", "省直辖县级行政区划", "自治区直辖县级行政区划"}
    counties = {name for name in counties if len(name) > 1}
    everything = full | short | counties
    return Regions(
        frozenset(full), frozenset(short), frozenset(counties),
        frozenset(name[0] for name in everything), max(map(len, everything)),
    )  # fmt: skip


def is_common_word(name: str) -> bool:
    """Whether a short county name is also an everyday word or a street's name."""
    return name in _COMMON_WORDS
