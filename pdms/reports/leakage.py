"""What a thief of the database alone learns from the look-up and search indexes, measured on the data held.

Guarantees: figures come from all rows, by grouping in the database or in eight bytes a member and pattern; nothing of a
member is in the report; the keys serve only to score the attack that a thief without them would try (buckets lined up
with public name frequencies). It does not judge what a thief of the keys learns: that is everything.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from pdms.audit.catalogue import EventKind
from pdms.db import fetch_here
from pdms.reports.name_frequencies import FREQUENT_PARTS
from pdms.reports.partitions import Partition, partition
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault.sealing import EXTERNAL_CODE, INDEX_BYTES
from pdms.vault.searches import Searches

PAGE: Final = 20_000
_OWN: Final = INDEX_BYTES + 1
_SIZES: Final = "SELECT size, count(*) FROM (SELECT count(*) AS size FROM {} GROUP BY {}) AS sized GROUP BY size"


@dataclass(frozen=True, slots=True)
class FrequencyAttack:
    """The thief lines the largest buckets up with the most frequent name parts, in this order, and reads names off."""

    tried: int
    right: int
    """Buckets that were given their true part."""
    among: int
    """Frequent parts that are somewhere among the largest buckets: what a better-informed thief starts from."""


@dataclass(frozen=True, slots=True)
class IndexLeakage:
    """One index."""

    name: str
    field: str
    form: str
    """`whole` (untruncated), or the form of a declared search."""
    bits: int
    sizes: Partition
    attack: FrequencyAttack | None
    risk: str
    """`low`, `moderate` or `high`."""
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class JointLeakage:
    """Several indexes of a member taken together: the pattern of all their buckets."""

    indexes: tuple[str, ...]
    sizes: Partition
    """`alone`: share of the members whose pattern nobody else has."""
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Leakage:
    """The report."""

    members: int
    indexes: tuple[IndexLeakage, ...]
    joint: tuple[JointLeakage, ...]


def leakage(uow: UnitOfWork) -> Leakage:
    """Measure the indexes held. Time grows with the members, memory by 24 bytes each."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    connection = uow.session.connection()
    members = int(fetch_here(connection, "SELECT count(*) FROM sealed_member")[0][0])
    indexes = [_whole("external", "external", _sizes(uow, "external_index", "digest"))]
    for definition in uow.policy.fields.values():
        if definition.index is not None:
            sizes = _sizes(uow, f"blind_index WHERE kind = {int(definition.code)}", "digest")
            indexes.append(_whole(definition.index, definition.name, sizes))
    searches = Searches(uow.keys, uow.policy)
    for name, search in searches.declared.items():
        sizes = _sizes(uow, f"search_index WHERE kind = {int(search.code)}", "bucket")
        attack = _attack(uow, searches, name) if search.form == "bigrams" else None
        indexes.append(_part(name, search.field, search.form, search.bits, sizes, attack))
    uow.record(EventKind.REPORT_READ, refs={"report": "leakage"}, numbers={"indexes": len(indexes)})
    return Leakage(members, tuple(indexes), tuple(_joint(uow, searches)))


def _sizes(uow: UnitOfWork, rows: str, by: str) -> Partition:
    found = fetch_here(uow.session.connection(), _SIZES.format(rows, by))
    return partition({int(size): int(count) for size, count in found})


def _attack(uow: UnitOfWork, searches: Searches, name: str) -> FrequencyAttack:
    code = int(searches.declared[name].code)
    sql = f"SELECT bucket FROM search_index WHERE kind = {code} GROUP BY bucket ORDER BY count(*) DESC, bucket LIMIT ?"
    largest = [int(row[0]) for row in fetch_here(uow.session.connection(), sql, (len(FREQUENT_PARTS),))]
    true = [searches.asked(name, part)[0] for part in FREQUENT_PARTS]
    right = sum(one == other for one, other in zip(largest, true, strict=False))
    return FrequencyAttack(len(largest), right, sum(bucket in set(largest) for bucket in true))


def _joint(uow: UnitOfWork, searches: Searches) -> Iterator[JointLeakage]:
    whole, parts, both = array("q"), array("q"), array("q")
    for digests, entries in _patterns(uow):
        first, second = _short(digests), _short(entries)
        whole.append(first)
        parts.append(second)
        both.append(_short(digests + b"|" + entries))
    names = tuple(d.index for d in uow.policy.fields.values() if d.index)
    yield _pattern(names, whole)
    if searches.declared:
        yield _pattern(tuple(searches.declared), parts)
        yield _pattern((*names, *searches.declared), both)


def _patterns(uow: UnitOfWork) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over each member's own index entries, page by page; the external id, which nobody shares, left out."""
    connection, last = uow.session.connection(), -1
    sql = (
        "SELECT s.row_no, s.digests, x.entries FROM sealed_member s LEFT JOIN member_search x ON x.row_no = s.row_no"
        " WHERE s.row_no > ? ORDER BY s.row_no LIMIT ?"
    )
    while rows := fetch_here(connection, sql, (last, PAGE)):
        for _, digests, entries in rows:
            own = bytes(digests)
            yield own[_OWN:] if own[:1] == bytes((EXTERNAL_CODE,)) else own, bytes(entries or b"")
        last = rows[-1][0]


def _short(pattern: bytes) -> int:
    """Return 64 bits by which equal patterns are told; two others meet once in ten million homes of a million."""
    return int.from_bytes(blake2b(pattern, digest_size=8).digest(), "big", signed=True)


def _pattern(names: tuple[str, ...], patterns: "array[int]") -> JointLeakage:
    import numpy as np

    _, counts = np.unique(np.frombuffer(patterns, np.int64) if patterns else np.empty(0, np.int64), return_counts=True)
    sizes: Mapping[int, int] = Counter(counts.tolist())
    found = partition(sizes)
    share = f"{found.alone:.1%}"
    return JointLeakage(
        names,
        found,
        zh=f"这些索引合在一起，{share} 的会员的组合与众不同：窃取者若另知其各项的桶，即可认出；"
        f"平均须猜 {found.expected_guesses:,.1f} 次。单凭数据库不知任何值。",
        en=f"Taken together, {share} of the members have a pattern of their own: a thief who knew its buckets from "
        f"elsewhere would recognise them; {found.expected_guesses:,.1f} guesses on average. "
        "The database alone gives no value.",
    )


def _whole(name: str, field: str, sizes: Partition) -> IndexLeakage:
    shared = 1 - sizes.alone if sizes.entries else 0.0
    if shared == 0:
        zh = "没有两名会员共用同一值：窃取者只知条目数，不知任何值。"
        en = "No two members share a value: a thief learns how many entries there are, and no value."
    else:
        zh = f"{shared:.2%} 的会员与他人共用同一值（最多 {sizes.largest:,} 人）：窃取者知其相同，不知其值。"
        en = (
            f"{shared:.2%} of the members share a value with somebody (at most {sizes.largest:,} one): "
            "a thief sees that it is the same, not what it is."
        )
    return IndexLeakage(name, field, "whole", 8 * INDEX_BYTES, sizes, None, "low", zh, en)


def _part(
    name: str, field: str, form: str, bits: int, sizes: Partition, attack: FrequencyAttack | None
) -> IndexLeakage:
    risk = _risk(sizes, attack)
    mean = sizes.entries / sizes.buckets if sizes.buckets else 0.0
    zh = (
        f"每桶平均 {mean:,.1f} 人；{sizes.alone:.1%} 的条目独占一桶。"
        f"知其桶者平均须猜 {sizes.expected_guesses:,.1f} 次；{sizes.legible:.1%} 的条目所在的桶大小突出，可供频率分析。"
    )
    en = (
        f"{mean:,.1f} members a bucket on average; {sizes.alone:.1%} of the entries are alone in theirs. "
        f"Whoever knows a bucket needs {sizes.expected_guesses:,.1f} guesses on average; {sizes.legible:.1%} of "
        "the entries lie in buckets of outstanding size, where frequency analysis begins."
    )
    if attack is not None:
        zh += f"按公开姓名频率对照前 {attack.tried} 个桶，猜中 {attack.right} 个；常见字组有 {attack.among} 个在其中。"
        en += (
            f" Lining the {attack.tried} largest buckets up with public name frequencies names {attack.right} of them; "
            f"{attack.among} frequent parts are among them."
        )
    advice = {
        "low": ("风险低。", " Risk: low."),
        "moderate": ("风险中：减少 bits 可降低。", " Risk: moderate; fewer bits lower it."),
        "high": ("风险高：请减少 bits 或停用此索引。", " Risk: high; use fewer bits, or do without this index."),
    }[risk]
    return IndexLeakage(name, field, form, bits, sizes, attack, risk, zh + advice[0], en + advice[1])


def _risk(sizes: Partition, attack: FrequencyAttack | None) -> str:
    """Grade an index: by how few share a bucket, and by how much of it can be read off by frequency."""
    if not sizes.entries:
        return "low"
    if sizes.alone > 0.05 or sizes.expected_guesses < 3 or (attack is not None and 5 * attack.right >= attack.tried):
        return "high"
    chance = attack.tried**2 / sizes.buckets if attack is not None else 0.0
    told = attack is not None and (attack.right > 1 or attack.among > 2 * chance + 2)
    return "moderate" if told or sizes.expected_guesses < 10 or sizes.legible > 0.1 else "low"
