"""A dry run of a view: what would run where, how large it would be, and what it would need. Nothing is published.

Guarantees: sizes of facts come from the files' footers, the number of distinct tuples from a sample of the members that
are eligible now, under the same Permit as a publication, and is never more than declared edges and hierarchies allow or
than there are rows. Every figure is an estimate from above, but for the tuples, which are the most likely number.
Deliberately not here: times. They are the machine's; `docs/scale.md` has them for one machine.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pdms.errors import InvalidInput
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.features import service as features
from pdms.gate import service as gate
from pdms.settings import Engine
from pdms.taxonomy import Operation, Scope
from pdms.unit_of_work import UnitFactory
from pdms.vault import service as vault
from pdms.views.definitions import categories_of, measure_of, space_of, view_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 200_000
MOST_ROWS = 10**11
BASE_BYTES = 450 << 20
"""The process with its libraries and the compiled loops, before any member (measured: .41 GB)."""
SUBJECT_BYTES = 256
"""For each eligible member: id and pseudonym as Python values, the table that joins them, a column for the engine."""
SHUFFLED_ROW_BYTES = 64
"""Of a fact as Spark shuffles it: pseudonym, instant, amount, category or product, and their framing."""
PARQUET_RUN_BYTES = 6
"""Of a run of equal labels in a released column, compressed: at most."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a run over `rows` members would take; bytes where nothing else is said.

    `facts_rows`, `facts_bytes`: read from the fact tables that the view needs, compressed as they lie. `tuples`:
    distinct tuples expected; `tuples_most`: what the declared leaves, or the rows, allow. `subjects`: the eligible set
    in this process. `engine`: DuckDB's memory, or the heap of Spark's driver; beyond it they spill. `shuffle`: what
    Spark moves between its tasks, at most. `frequency`: what goes to the anonymisation core, `core`: its peak.
    `rows_in_memory`: the released rows as codes, written and read again for the re-check; `release`: the file, at most.
    """

    rows: int
    facts_rows: int
    facts_bytes: int
    tuples: int
    tuples_most: int
    subjects: int
    engine: int
    shuffle: int
    frequency: int
    core: int
    rows_in_memory: int
    release: int

    @property
    def process(self) -> int:
        """Peak memory of this process: steps follow each other, but the eligible set stays until the end."""
        return BASE_BYTES + self.subjects + max(self.engine + self.frequency, self.core, self.rows_in_memory)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: where it runs, what it does, how many bytes it holds there at most."""

    where: str = field(repr=False)
    what: str = field(repr=False)
    what_zh: str = field(repr=False)
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The dry run. `held`: members eligible now; `sampled`: of them looked at; `process`: bytes this process needs."""

    view: str
    engine: Engine
    held: int
    sampled: int
    sizes: Sizes
    process: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = field(repr=False)
    notes_zh: tuple[str, ...] = field(repr=False)


def plan(units: UnitFactory, *, view: str, rows: int | None = None, engine: Engine | None = None) -> Plan:
    """Plan a publication of `view` for `rows` members (default: as eligible now) on `engine` (default: the settings').

    :raises NotFound: no such view. :raises Denied: its purpose, the actor or the assessment does not allow a release.
    :raises InvalidInput: `rows` is out of range, or nobody is eligible to take a sample of.
    """
    if rows is not None and not 1 <= rows <= MOST_ROWS:
        raise InvalidInput(f"rows: must lie between 1 and {MOST_ROWS:,}")
    with units() as uow:
        uow.require(Scope.COMPLIANCE, Scope.ADMIN)
        definition = view_of(uow.policy, view)
        policy, home, now = uow.policy, uow.home, uow.now
        space = space_of(policy, view)
        gate.release_permit(uow, view=view)
        tables = sorted({measure_of(view, feature).fact for feature in definition.features})
        categories = categories_of(policy, definition)
        eligible = gate.eligible(uow, purpose=definition.purpose, operation=Operation.PROFILE, categories=categories)
        # pseudonyms are random: the first ones in their order are a sample of all
        pseudonyms = sorted(vault.pseudonyms_of(uow, eligible.member_ids).values())
    if not pseudonyms:
        raise InvalidInput("view: nobody is eligible, so that there is nothing to take a sample of")
    sample = pseudonyms[:SAMPLE]
    counts = features.compute_at(home, policy, view=definition, pseudonyms=sample, now=now).frequency.counts
    held = facts.sizes(home, [FactTable(table) for table in tables])
    most = math.prod(len(hierarchy.leaves) for hierarchy in space.values())
    chosen = engine or home.reading.engine
    found = sizes(
        rows=rows or len(pseudonyms),
        held=len(pseudonyms),
        counts=counts,
        most=most,
        features=len(space),
        k=definition.k,
        facts_rows=held.rows,
        facts_bytes=held.bytes,
        passes=len(tables),
        memory=home.reading.memory << 20,
        engine=chosen,
    )
    notes = _notes(found, chosen, len(pseudonyms), len(sample))
    return Plan(
        view=view,
        engine=chosen,
        held=len(pseudonyms),
        sampled=len(sample),
        sizes=found,
        process=found.process,
        steps=steps(found, chosen),
        notes=tuple(en for en, _ in notes),
        notes_zh=tuple(zh for _, zh in notes),
    )


def expected_tuples(counts: "NDArray[np.int64]", *, rows: int, most: int) -> int:
    """Return how many distinct tuples `rows` members hold, from the counts of a sample's tuples (int64 [tuples]).

    What half of the sample would have shown follows from its counts; the growth from half to all is carried on as a
    power (Heaps' law). Growth slows down, so that this errs upwards; below the sample's size it interpolates.
    """
    import numpy as np

    sampled, seen = int(counts.sum()), len(counts)
    if not seen:
        return 0
    if rows <= sampled:
        return min(most, rows, max(1, round(float(np.sum(1 - (1 - rows / sampled) ** counts)))))
    half = float(np.sum(1 - 0.5 ** counts.astype(np.float64)))
    grown = seen * (rows / sampled) ** math.log2(seen / half)
    return int(min(most, rows, math.ceil(grown)))


def sizes(
    *,
    rows: int,
    held: int,
    counts: "NDArray[np.int64]",
    most: int,
    features: int,
    k: int,
    facts_rows: int,
    facts_bytes: int,
    passes: int,
    memory: int,
    engine: Engine,
) -> Sizes:
    """Return the sizes of a run over `rows` members, where `held` members have `facts_rows` in `facts_bytes`.

    `counts`: of a sample's tuples; `most`: product of the leaves; `features`, `k`: of the view; `passes`: fact tables
    that it reads; `memory`: bytes that the engine may take.
    """
    share = rows / held
    tuples = expected_tuples(counts, rows=rows, most=most)
    classes = min(tuples, max(1, rows // k))
    read = math.ceil(facts_rows * share)
    return Sizes(
        rows=rows,
        facts_rows=read,
        facts_bytes=math.ceil(facts_bytes * share),
        tuples=tuples,
        tuples_most=min(most, rows),
        subjects=rows * SUBJECT_BYTES,
        engine=memory,
        shuffle=read * SHUFFLED_ROW_BYTES + rows * (passes + 1) * (16 + 8 * features) if engine is Engine.SPARK else 0,
        frequency=tuples * (4 * features + 8),
        core=tuples * (24 * features + 80),
        rows_in_memory=rows * (12 * features + 32),
        release=classes * features * PARQUET_RUN_BYTES + (64 << 10),
    )


def steps(found: Sizes, engine: Engine) -> tuple[Step, ...]:
    """Return what runs where, in order."""
    far = "Spark" if engine is Engine.SPARK else "DuckDB"
    run = (
        ("this process and database", "eligible members, decided by the gate", "由闸口判定合格会员", found.subjects),
        (far, "facts read from their bucketed Parquet files", "读取分桶的 Parquet 事实文件", found.facts_bytes),
        (far, "features computed, cut, counted by tuple", "计算特征、分箱、按元组计数", found.engine + found.shuffle),
        ("this process", "frequency table handed to the core", "频数表交给匿名化核心", found.frequency),
        ("this process", "classes formed on the distinct tuples", "在不同元组上形成等价类", found.core),
        (
            "this process",
            "rows written, read again, measured anew",
            "写出发布，重新读取并独立复核",
            found.rows_in_memory,
        ),
        ("releases/", "the release on disk", "磁盘上的发布文件", found.release),
    )
    return tuple(Step(*one) for one in run)


GIGABYTE = 1 << 30
ONE_MACHINE = 64 * GIGABYTE
LARGE_CORE = 4 * GIGABYTE


def _notes(found: Sizes, engine: Engine, held: int, sampled: int) -> list[tuple[str, str]]:
    notes = []
    if found.rows > held:
        notes.append(
            (
                f"{found.rows / held:,.0f} times the members held: sizes are scaled from these",
                f"为现有会员数的 {found.rows / held:,.0f} 倍：各项按现有数据放大",
            )
        )
    if found.rows > 100 * sampled:
        notes.append(
            (
                "more than a hundred times the sample: the tuples are an order of magnitude, tuples_most is the bound",
                "超过样本的一百倍：元组数仅为数量级估计，上限见 tuples_most",
            )
        )
    if engine is Engine.DUCKDB and found.facts_bytes > 100 * GIGABYTE:
        notes.append(
            ("more facts than one machine reads well: --engine spark", "事实数据超出单机适宜规模：请用 --engine spark")
        )
    if found.core > LARGE_CORE:
        notes.append(
            (
                "the core's memory follows the distinct tuples: coarser edges, or fewer features, bring it down",
                "核心内存随不同元组数增长：放宽分箱或减少特征可降低",
            )
        )
    if found.process > ONE_MACHINE:
        notes.append(
            (
                "this process needs more than 64 GB: publish by parts of the buckets, see docs/scale.md",
                "本进程所需内存超过 64 GB：须按桶分批发布，见 docs/scale.md",
            )
        )
    return notes
