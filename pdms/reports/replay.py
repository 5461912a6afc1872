"""Decision replay: what the gate decided in a period, decided again under the policy and the records of that instant.

Guarantee: each decision is judged by the policy text that its digest names (altered text is refused), by consent,
notice and wishes as the records tell them up to the running numbers in its event (or its instant, where an older
version wrote it), and by the asker's and member's facts in its event. A decision comes out the same, or it differs, or
pdms says why it cannot tell: an opening was shredded with its member, members of a set have changed or gone since,
others were writing at that moment (PostgreSQL). It changes nothing, and takes no lock that a writer would wait for.

For sets the whole is computed again: counts by reason and the keyed digest of who was eligible. Memory then grows with
the members (their consents to the one purpose).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome
from pdms.clock import SHANGHAI
from pdms.crypto import set_digest
from pdms.errors import IntegrityBroken, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.gate.as_of import Instant, Known, When, known, members_between
from pdms.gate.told import About, Told, read
from pdms.policy.decide import SubjectFacts, decide, required_categories, subject_codes, use_codes
from pdms.policy.definitions import Policy
from pdms.policy.reasons import REASONS
from pdms.taxonomy import MemberId, MemberStatus, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage
from pdms.vault.past import members_then

LISTED = 1000
"""Differences that are listed; more are counted."""
_PAGE = 500
WAIT = timedelta(seconds=60)
"""By how much the instants of two units may lie the other way round than they took effect: a lock is awaited for at
most 30 seconds, and the clocks of two hosts differ a little."""


class Unknown(StrEnum):
    """Why a decision cannot be told."""

    TOLD_TOO_LITTLE = "TOLD_TOO_LITTLE"
    """Its event was written by a version that recorded less."""
    NAMED_SET = "NAMED_SET"
    """It was about members named by the caller; the log does not name them."""
    MEMBERS_CHANGED = "MEMBERS_CHANGED"
    """Members were changed or erased since; the difference is no greater than their number."""
    WRITTEN_MEANWHILE = "WRITTEN_MEANWHILE"
    """Others were writing records of these members at that very moment: which of them were seen, nobody can tell; the
    difference is no greater than the number of members."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that would come out otherwise. Reasons are codes; `was` and `would_be` are outcomes."""

    event_id: str
    leaf_index: int | None
    at: datetime
    purpose: str | None
    why: str
    """DECISION, REASONS, COUNTS, MEMBERS (another set of the same size), POLICY_NOT_IN_FORCE, POLICY_MISSING or
    POLICY_ALTERED."""
    was: str
    would_be: str
    reasons_then: tuple[str, ...]
    reasons_now: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. `unknown`: reason → decisions that could not be told."""

    decisions: int
    same: int
    differing: int
    unknown: Mapping[str, int]
    sets: int
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """True when no decision differs."""
        return self.differing == 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a decision comes out: permitted with numbers and digest of its set, or denied with codes."""

    permitted: bool
    codes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    digest: str | None = None


def replay(
    units: UnitFactory,
    *,
    since: datetime,
    until: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> ReplayReport:
    """Decide again what was decided in `[since, until)`.

    :param progress: told (decisions done, 0) now and then. :raises InvalidInput: PERIOD_EMPTY.
    """
    if since >= until:
        raise InvalidInput("period: its end must lie after its beginning", code="PERIOD_EMPTY")
    unknown: Counter[str] = Counter()
    found: list[Difference] = []
    decisions = sets = differing = 0
    with units() as uow:
        uow.require(Scope.COMPLIANCE)
    with units() as uow:
        uow.read_only = True
        again = _Again(uow)
        for stored in _decisions(uow, since, until):
            if "policy" not in stored.event.refs:  # refused before it came to the gate: a scope, a foreign id
                continue
            decisions += 1
            told = read(stored.event)
            if told is None:
                unknown[Unknown.TOLD_TOO_LITTLE] += 1
                continue
            sets += told.about is About.SET
            verdict = again.judge(stored.event, told)
            if isinstance(verdict, Unknown):
                unknown[verdict] += 1
            elif verdict is not None:
                differing += 1
                if len(found) < LISTED:
                    found.append(_difference(stored, *verdict))
            if progress is not None and decisions % 100 == 0:
                progress(decisions, 0)
    same = decisions - differing - unknown.total()
    with units() as uow:
        numbers = {"decisions": decisions, "differing": differing, "unknown": unknown.total()}
        uow.record(EventKind.REPORT_READ, refs={"report": "replay"}, numbers=numbers)
    return ReplayReport(decisions, same, differing, dict(sorted(unknown.items())), sets, tuple(found))


def _decisions(uow: UnitOfWork, since: datetime, until: datetime) -> Iterator[audit.StoredEvent]:
    after: int | None = None
    while True:
        page = audit.list_events(
            uow.session,
            kinds=[EventKind.PERMIT, EventKind.DENIAL],
            since=since,
            until=until,
            after=after,
            limit=_PAGE,
            newest_first=False,
        )
        yield from page.items
        if page.next is None:
            return
        after = page.next


def _difference(stored: audit.StoredEvent, why: str, recorded: _Outcome, found: _Outcome | None) -> Difference:
    event = stored.event
    return Difference(
        event.event_id,
        stored.leaf_index,
        event.at,
        event.purpose,
        why,
        _word(recorded),
        "untold" if found is None else _word(found),
        recorded.codes,
        () if found is None else found.codes,
    )


def _word(outcome: _Outcome) -> str:
    return (Outcome.PERMITTED if outcome.permitted else Outcome.DENIED).value


class _Again:
    """Decides events again; keeps what several of them need."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._history = gate.history(uow)
        self._decoys = frozenset(vault.decoys(uow))
        self._key = uow.keys.system_key("audit-digest")

    def judge(self, event: Event, told: Told) -> "Unknown | tuple[str, _Outcome, _Outcome | None] | None":
        """Return None where it comes out the same, why it cannot be told, or how it differs."""
        recorded = _recorded(event, told)
        try:
            policy = gate.policy_at(self._uow, digest=told.policy)
        except NotFound:
            return "POLICY_MISSING", recorded, None
        except IntegrityBroken:
            return "POLICY_ALTERED", recorded, None
        if not self._in_force(told, event.at):
            return "POLICY_NOT_IN_FORCE", recorded, None
        if told.about is About.SET:
            return self._set(event, told, policy, recorded)
        for when in _readings(event, told):
            found = self._one(event, told, policy, when)
            if found == recorded:
                return None
        if event.member_id is not None and bytes.fromhex(event.member_id) in self._unsure(told):
            return Unknown.WRITTEN_MEANWHILE
        return ("REASONS" if found.permitted == recorded.permitted else "DECISION"), recorded, found

    def _in_force(self, told: Told, at: datetime) -> bool:
        """Tell whether the policy was in force: by the number of its activation, and by its time as far as a unit that
        waited for another may be late; by time alone where no number is told, two at the instant of an activation."""
        if told.seen is None:
            before = [one.digest for one in self._history if one.activated_at < at][-1:]
            return told.policy in {*before, *(one.digest for one in self._history if one.activated_at == at)}
        place = next((n for n, one in enumerate(self._history) if one.number == told.seen.policies), None)
        if place is None:
            return False
        if self._history[place].digest != told.policy:
            # On PostgreSQL an activation may commit after the decision saw which policy is in force, and before it
            # reads the number: then the one before counts, as long as both happened about then.
            previous = self._history[place - 1].digest if place else None
            return previous == told.policy and abs(at - self._history[place].activated_at) <= WAIT
        ends = [one.activated_at for one in self._history[place + 1 : place + 2]]
        return self._history[place].activated_at - WAIT <= at and all(at <= end + WAIT for end in ends)

    def _unsure(self, told: Told) -> frozenset[bytes]:
        """Return of whom others were writing records when it was decided."""
        if told.seen is None or told.seen.sure == told.seen.most:
            return frozenset()
        return members_between(self._uow, told.seen.sure, told.seen.most)

    def _one(self, event: Event, told: Told, policy: Policy, when: When) -> _Outcome:
        purpose = policy.purposes.get(told.use.purpose)
        if told.about is About.USE:
            if purpose is None:
                return _Outcome(permitted=False, codes=("NO_PURPOSE",))
            codes = use_codes(policy, purpose, use=told.use, actor=told.actor, now=event.at, exported=told.exported)
            return _Outcome(not codes, _ordered(codes))
        subject = SubjectFacts(status=None)
        if told.status is not None and event.member_id is not None and purpose is not None:
            member = MemberId(bytes.fromhex(event.member_id))
            facts = known(self._uow, policy=policy, purpose=purpose, use=told.use, when=when, member=member)
            subject = _subject(facts, member, told)
        decision = decide(policy, use=told.use, subject=subject, actor=told.actor, now=event.at, exported=told.exported)
        return _Outcome(decision.permitted, decision.codes)

    def _set(
        self, event: Event, told: Told, policy: Policy, recorded: _Outcome
    ) -> "Unknown | tuple[str, _Outcome, _Outcome | None] | None":
        if "named" in event.numbers:
            return Unknown.NAMED_SET
        purpose = policy.purposes.get(told.use.purpose)
        codes = (
            {"NO_PURPOSE"}
            if purpose is None
            else use_codes(policy, purpose, use=told.use, actor=told.actor, now=event.at, exported=told.exported)
        )
        if purpose is None or codes:
            return "DECISION", recorded, _Outcome(permitted=False, codes=_ordered(codes))
        for when in _readings(event, told):
            facts = known(self._uow, policy=policy, purpose=purpose, use=told.use, when=when)
            found, changed = self._members(told, policy, event.at, facts)
            if found == recorded:
                return None
        changed += self._gone_since(event.at)
        unsure = len(self._unsure(told))
        most = max(abs(recorded.counts.get(n, 0) - found.counts.get(n, 0)) for n in {*recorded.counts, *found.counts})
        if changed + unsure and most <= changed + unsure:
            return Unknown.WRITTEN_MEANWHILE if most <= unsure else Unknown.MEMBERS_CHANGED
        return ("MEMBERS" if found.counts == recorded.counts else "COUNTS"), recorded, found

    def _members(self, told: Told, policy: Policy, at: datetime, facts: Known) -> tuple[_Outcome, int]:
        """Return how the set comes out, and how many members have changed since."""
        purpose, use = policy.purposes[told.use.purpose], told.use
        required, today = required_categories(policy, use), at.astimezone(SHANGHAI).date()
        eligible: list[bytes] = []
        excluded: Counter[str] = Counter()
        total = changed = 0
        for row in members_then(self._uow):
            later = row.created_at > at if told.seen is None else row.row_no > told.seen.members
            if later or row.member_id in self._decoys:
                continue
            changed += row.updated_at > at
            if row.status is MemberStatus.ERASED:
                continue
            total += 1
            subject = SubjectFacts(
                status=row.status,
                age=age_stage(row.turns_14, row.turns_18, today),
                consent=facts.consent(row.member_id),
                served=row.member_id in facts.served,
                restrictions=facts.wishes.get(row.member_id, ()),
            )
            codes = subject_codes(purpose, use=use, required=required, subject=subject, now=at)
            excluded.update(codes)
            if not codes:
                eligible.append(row.member_id)
        counts = {"members": total, "eligible": len(eligible), **excluded}
        return _Outcome(permitted=True, counts=counts, digest=set_digest(self._key, eligible).hex()), changed

    def _gone_since(self, at: datetime) -> int:
        """Return how many members were erased, made decoys or ordinary again since, as far as the log tells."""
        gone = 0
        for kind in (EventKind.ERASE_DONE, EventKind.HONEY_CHANGED):
            after: int | None = None
            while True:
                page = audit.list_events(self._uow.session, kinds=[kind], since=at, after=after, limit=_PAGE)
                gone += sum(item.event.numbers.get("members", 1) for item in page.items)
                if page.next is None:
                    break
                after = page.next
        return gone


def _recorded(event: Event, told: Told) -> _Outcome:
    if event.kind is EventKind.DENIAL:
        return _Outcome(permitted=False, codes=tuple(event.reasons))
    if told.about is not About.SET:
        return _Outcome(permitted=True)
    counts = {name: n for name, n in event.numbers.items() if name in ("members", "eligible") or name in REASONS}
    return _Outcome(permitted=True, counts=counts, digest=event.digest)


def _readings(event: Event, told: Told) -> tuple[When, ...]:
    """Return by what it may be judged which records were there; the decision must come out by one of them."""
    if told.seen is None:
        # Of two things at the very same microsecond either may have come first.
        return Instant(event.at), Instant(event.at, strictly=True)
    return (told.seen.most,) if told.seen.sure == told.seen.most else (told.seen.most, told.seen.sure)


def _subject(facts: Known, member: MemberId, told: Told) -> SubjectFacts:
    return SubjectFacts(
        status=told.status,
        age=told.age,
        consent=facts.consent(member),
        served=member in facts.served,
        restrictions=facts.wishes.get(member, ()),
    )


def _ordered(codes: set[str]) -> tuple[str, ...]:
    return tuple(code for code in REASONS if code in codes)
