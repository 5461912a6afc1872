"""The same decision for all members at once: one call of `policy.decide` for each class of members alike.

Guarantees: the rules are `policy.decide.subject_codes` and nothing else. Members are sorted into classes of equal facts
(status, stage of life, wishes that bite, notice shown, consent and whether it has run out) by arithmetic on columns,
and each class is decided once; property tests hold the result against `decide`, member by member. Age and expiry go by
the unit's instant. Memory: one group of members (`pages.GROUP`, about 30 bytes each) and sixteen bytes for each who
is eligible; cost is linear in members.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np

from pdms.clock import SHANGHAI
from pdms.consent import sets as consents
from pdms.consent.state import RANK
from pdms.gate.columns import STATUS, Array, Columns, consent_column, instant, order_of, places, read_tables
from pdms.gate.member_ids import MemberIds
from pdms.gate.names import Names
from pdms.gate.pages import Pair, groups_of
from pdms.policy.decide import (
    RestrictionFact,
    SubjectFacts,
    Use,
    required_categories,
    restriction_code,
    subject_codes,
)
from pdms.policy.definitions import Purpose
from pdms.policy.reasons import ordered
from pdms.taxonomy import AgeStage, ConsentState, MemberId, RestrictionKind
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

STAGES: Final = (AgeStage.UNKNOWN, AgeStage.CHILD, AgeStage.MINOR, AgeStage.ADULT)
_DENSE: Final = 1 << 20
"""Classes up to which counting by place is cheaper than sorting."""


@dataclass(frozen=True, slots=True)
class SetDecision:
    """Who may be touched, and why the others may not."""

    eligible: MemberIds
    """In the order of their ids, which are random."""
    total: int
    """Members decided on; erased ones are nobody, honey members neither."""
    excluded: dict[str, int]
    """Reason code → members it applies to, in the order of rank; a member may have several."""
    left_out: dict[str, int]
    """Reason code → members, each once, under their reason of highest rank."""


def decide_set(uow: UnitOfWork, *, purpose: Purpose, use: Use, among: Sequence[MemberId] | None = None) -> SetDecision:
    """Decide `use` on every living member as of `uow.now`. The use itself must have been judged before.

    :param among: decide on these members only. Honey members are among them: a decoy left out would be told apart.
    """
    names = Names(uow.session.connection())
    classes = _Classes(uow, purpose, use, names)
    decoys = vault.decoys(uow) if among is None else frozenset[MemberId]()
    refused: Counter[frozenset[str]] = Counter()
    eligible: list[Array] = []
    total = 0
    for columns in _groups(uow, classes, names, among):
        sound = _without(columns, decoys)
        total += len(sound)
        kept = classes.decide(sound, refused)
        if len(kept):
            eligible.append(kept)
    return SetDecision(_packed(eligible), total, _by_code(refused), _by_first(refused))


def count_given(uow: UnitOfWork, *, purpose: Purpose) -> int:
    """Return how many living members have a consent to `purpose` that stands, to any recipient where they are asked
    for each, whatever else would keep them out."""
    names, operation = Names(uow.session.connection()), purpose.operations[0]
    recipients = purpose.recipients if purpose.per_recipient else ("",)
    each = [_Classes(uow, purpose, Use(purpose.name, operation, recipient=one), names) for one in recipients]
    if not each:
        return 0
    pairs = sorted({pair for classes in each for pair in classes.pairs})
    decoys = vault.decoys(uow)
    found = 0
    for columns in groups_of(uow, pairs, each[0].kinds, names=names):
        living = _without(columns, decoys)
        given = np.zeros(len(living), bool)
        for classes in each:
            codes = [code for code, facts in classes.facts.items() if facts.state is ConsentState.GIVEN]
            given |= np.isin(classes.consents(living), codes)
        found += int(given.sum())
    return found


def _groups(uow: UnitOfWork, classes: "_Classes", names: Names, among: Sequence[MemberId] | None) -> Iterator[Columns]:
    if among is None:
        return groups_of(uow, classes.pairs, classes.kinds, names=names)
    return iter([read_tables(uow, tuple(sorted(set(among))), names=names, pairs=classes.pairs)])


def _without(columns: Columns, decoys: frozenset[MemberId]) -> Columns:
    gone = places(columns.ids, decoys)
    if not len(gone):
        return columns
    kept = np.ones(len(columns), bool)
    kept[gone] = False
    return columns.where(kept)


def _packed(parts: list[Array]) -> MemberIds:
    if not parts:
        return MemberIds(b"")
    ids = np.concatenate(parts)
    if len(parts) > 1:  # the last group, of those changed of late, lies among the others
        last = parts[-1]
        ids = ids[order_of(ids)] if len(last) and bytes(last[0]) < bytes(parts[-2][-1]) else ids
    return MemberIds(ids.tobytes())


class _Classes:
    """Sorts members into classes of equal facts for one use, and decides each class once."""

    def __init__(self, uow: UnitOfWork, purpose: Purpose, use: Use, names: Names) -> None:
        self._uow, self._purpose, self._use, self._names = uow, purpose, use, names
        self._required = required_categories(uow.policy, use)
        self._today = uow.now.astimezone(SHANGHAI).date().toordinal()
        asks = purpose.rests_on_consent or purpose.minors == "guardian"
        self.pairs: list[Pair] = []
        if asks:
            self.pairs = [(purpose.name, one) for one in consents.recipients_of(purpose, use.recipient or "")]
        several = len(self.pairs) > 1
        dated = purpose.consent_days is not None or several
        self.kinds = ("shape", *(["at"] if dated else []), *(["seq"] if several else []))
        self._read_shapes()
        self._tells = purpose.notice is not None and not purpose.rests_on_consent
        self._telling: frozenset[int] = frozenset()
        if self._tells:
            self._telling = consents.telling_numbers(
                uow, purpose=purpose, required=self._required, operation=use.operation
            )
        self._verdicts: dict[tuple[int, int, int, bool, tuple[RestrictionFact, ...]], frozenset[str]] = {}

    def _read_shapes(self) -> None:
        self.facts = {0: consents.NO_CONSENT, 1: consents.NO_CONSENT}
        if self.pairs:
            self.facts |= consents.shape_facts(self._uow, purpose=self._purpose)
        size = max(self.facts) // 2 + 1
        self._given = np.zeros(size, bool)
        self._rank = np.full(size, -1, np.int64)
        for code, facts in self.facts.items():
            if code > 1 and not code % 2:
                self._given[code // 2] = facts.state is ConsentState.GIVEN
                self._rank[code // 2] = RANK[facts.state]

    def decide(self, columns: Columns, refused: Counter[frozenset[str]]) -> Array:
        """Return the ids of the members who may be touched; add the others to `refused` by their reasons."""
        if not len(columns):
            return columns.ids
        wishes, biting = self._wishes(columns)
        parts = (  # each with the number of its values
            (self.consents(columns), len(self._rank) * 2),
            (self._stages(columns), len(STAGES)),
            (columns.column("status"), len(STATUS)),
            (self._told(columns), 2),
            (wishes, len(biting)),
        )
        keys = np.zeros(len(columns), np.int64)
        sizes = 1
        for values, size in parts:
            keys = keys * size + values
            sizes *= size
        if sizes <= _DENSE:
            counts = np.bincount(keys, minlength=sizes)
            present = np.flatnonzero(counts)
            verdict_of = np.zeros(sizes, bool)
        else:
            present, keys, counts = np.unique(keys, return_inverse=True, return_counts=True)
            verdict_of = np.zeros(len(present), bool)
        for at, key in enumerate(present.tolist()):
            place = key if sizes <= _DENSE else at
            verdict = self._verdict(key, [size for _, size in parts], biting)
            verdict_of[place] = not verdict
            if verdict:
                refused[verdict] += int(counts[place])
        return columns.ids[verdict_of[keys]]

    def _verdict(self, key: int, sizes: Sequence[int], biting: Sequence[tuple[RestrictionFact, ...]]) -> frozenset[str]:
        values = []
        for size in reversed(sizes):
            key, value = divmod(key, size)
            values.append(value)
        wishes, told, status, stage, consent = values
        known = (consent, stage, status, bool(told), biting[wishes])
        found = self._verdicts.get(known)
        if found is None:
            facts = SubjectFacts(
                status=STATUS[status],
                age=STAGES[stage],
                consent=self.facts[consent],
                served=bool(told),
                restrictions=biting[wishes],
            )
            found = self._verdicts[known] = frozenset(
                subject_codes(self._purpose, use=self._use, required=self._required, subject=facts, now=self._uow.now)
            )
        return found

    def _stages(self, columns: Columns) -> Array:
        """Return each member's place in `STAGES` today (`vault.age.age_stage`, for columns)."""
        turns_14, turns_18 = columns.column("turns_14"), columns.column("turns_18")
        stages = np.full(len(columns), 3, np.int64)
        stages[self._today < turns_18] = 2
        stages[self._today < turns_14] = 1
        stages[(turns_14 == 0) | (turns_18 == 0)] = 0
        return stages

    def consents(self, columns: Columns) -> Array:
        """Return the code of each member's consent: shape * 2, plus one where a given one has run out."""
        if not self.pairs:
            return np.zeros(len(columns), np.int64)
        shapes, instants, _ = self._heaviest(columns)
        codes = shapes * 2
        if self._purpose.consent_days is not None:
            over = instant(self._uow.now - timedelta(days=self._purpose.consent_days))
            codes += self._given[shapes] & (instants <= over)
        return codes

    def _heaviest(self, columns: Columns) -> tuple[Array, Array, Array]:
        """Return shape, instant and number of the record that counts, of each recipient's (`consent.state.weight`)."""
        best = None
        for pair in self.pairs:
            shapes, instants, seqs = (
                columns.column(consent_column(kind, *pair)).astype(np.int64) for kind in ("shape", "at", "seq")
            )
            if len(shapes) and int(shapes.max()) >= len(self._rank):  # another process met a new shape meanwhile
                self._read_shapes()
            if best is None:
                best = shapes, instants, seqs
                continue
            ranks, others = self._rank[shapes], self._rank[best[0]]
            heavier = _greater(
                [
                    (np.minimum(ranks, 1), np.minimum(others, 1)),  # none, a mere request, a decision
                    (instants, best[1]),
                    (ranks, others),
                    (seqs, best[2]),
                ]
            )
            best = (
                np.where(heavier, shapes, best[0]),
                np.where(heavier, instants, best[1]),
                np.where(heavier, seqs, best[2]),
            )
        if best is None:
            raise ValueError("nobody is asked for this purpose")
        return best

    def _told(self, columns: Columns) -> Array:
        if not self._tells or not self._telling:
            return np.zeros(len(columns), np.int64)
        shown = columns.column("told")
        served = self._look_up("told", shown, lambda numbers: bool(self._telling.intersection(numbers)))
        return served.astype(np.int64)

    def _wishes(self, columns: Columns) -> tuple[Array, list[tuple[RestrictionFact, ...]]]:
        """Return for each member the place of the wishes that bite on this use, and those wishes, by place."""
        biting: list[tuple[RestrictionFact, ...]] = [()]

        def place(stored: Sequence[Sequence[str]]) -> int:
            facts = tuple(RestrictionFact(RestrictionKind(kind), one, channel) for kind, one, channel in stored)
            bite = tuple(
                fact
                for fact in facts
                if restriction_code(fact, purpose=self._purpose, operation=self._use.operation) is not None
            )
            if bite not in biting:
                biting.append(bite)
            return biting.index(bite)

        return self._look_up("wishes", columns.column("wishes"), place), biting

    def _look_up(self, kind: str, numbers: Array, meaning: Any) -> Array:
        """Return what the numbers of a column mean: `meaning` is asked once for each that occurs, 0 is 0."""
        if not numbers.any():
            return np.zeros(len(numbers), np.int64)
        if int(numbers.max()) < _DENSE:
            present, where = np.flatnonzero(np.bincount(numbers)), None
        else:
            present, where = np.unique(numbers, return_inverse=True)
        meanings: Mapping[int, Any] = self._names.meanings(kind)
        if not set(present.tolist()) <= {0, *meanings}:
            self._names.refresh()
            meanings = self._names.meanings(kind)
        told = [0 if number == 0 else int(meaning(meanings[number])) for number in present.tolist()]
        if where is not None:
            return np.array(told, np.int64)[where]
        table = np.zeros(int(present[-1]) + 1, np.int64)
        table[present] = told
        return table[numbers]


def _greater(pairs: Sequence[tuple[Array, Array]]) -> Array:
    """Return where the first of each pair, compared in turn, are the greater."""
    greater = np.zeros(len(pairs[0][0]), bool)
    for one, other in reversed(pairs):
        greater = (one > other) | ((one == other) & greater)
    return greater


def _by_code(refused: Counter[frozenset[str]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for codes, members in refused.items():
        for code in codes:
            counts[code] += members
    return {code: counts[code] for code in ordered(set(counts))}


def _by_first(refused: Counter[frozenset[str]]) -> dict[str, int]:
    """Count each member once, under the first of their reasons."""
    counted: Counter[str] = Counter()
    for codes, members in refused.items():
        counted[ordered(codes)[0]] += members
    return dict(counted)
