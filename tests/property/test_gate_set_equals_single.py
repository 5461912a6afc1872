"""The set decision is the single decision, member by member; the materialised state is the fold."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.world import World
from pdms.consent import service as consent
from pdms.consent import sets
from pdms.consent.notices import all_terms
from pdms.consent.reading import state_of
from pdms.consent.store import CURRENT, append, rebuild_current
from pdms.db import mark
from pdms.gate import service as gate
from pdms.gate.sets import decide_set
from pdms.policy.decide import Use
from pdms.policy.definitions import Policy
from pdms.taxonomy import (
    ConsentState,
    ConsentType,
    MemberId,
    MemberStatus,
    Operation,
    RestrictionKind,
    new_id_bytes,
)
from pdms.unit_of_work import Actor, UnitOfWork
from pdms.vault.tables import MemberTable

NOW = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
USES = (
    Use("segment", Operation.PROFILE),
    Use("segment", Operation.PROFILE, categories=("transaction",)),
    Use("market_email", Operation.SEND),
    Use("market_sms", Operation.SEND),
    Use("recommend", Operation.ADM),
    Use("order", Operation.USE),
    Use("service", Operation.STORE),
    Use("rights", Operation.USE),
    Use("hold", Operation.STORE),
    Use("security", Operation.USE),
    Use("partner", Operation.PROVIDE, recipient="partner-insurance"),
    Use("crossborder", Operation.EXPORT, recipient="overseas-seller"),
    Use("sensitive_use", Operation.USE),
    Use("analytics_prepare", Operation.AGGREGATE),
    Use("analytics", Operation.AGGREGATE),
)
turning = st.sampled_from([None, "1900-01-01", "2026-11-01", "2026-11-02", "2026-11-03", "2028-05-01", "2033-01-01"])
records = st.lists(
    st.fixed_dictionaries(
        {
            "use": st.sampled_from(USES),
            "state": st.sampled_from([s for s in ConsentState if s is not ConsentState.UNASKED]),
            "type": st.sampled_from([t for t in ConsentType if t is not ConsentType.NONE]),
            "hours": st.integers(0, 5),
            "notice": st.sampled_from(["member-notice", "child-notice", ""]),
            "whole": st.booleans(),
            "all_recipients": st.booleans(),
        }
    ),
    max_size=6,
)
members = st.fixed_dictionaries(
    {
        "status": st.sampled_from(list(MemberStatus)),
        "turns": st.tuples(turning, turning),
        "records": records,
        "served": st.sampled_from(["", "member-notice", "child-notice"]),
        "wishes": st.lists(
            st.tuples(
                st.sampled_from(list(RestrictionKind)),
                st.sampled_from(["", "segment", "order"]),
                st.sampled_from(["", "sms"]),
            ),
            max_size=2,
        ),
    }
)


class _Undo(Exception):
    pass


class Home:
    """A home whose units always roll back; its repr is short, since Hypothesis prints it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.policy = world.app.policy

    @contextmanager
    def undone(self, policy: Policy | None = None) -> Iterator[UnitOfWork]:
        with suppress(_Undo), self._world.app.unit(Actor.system()) as uow:
            uow.policy = policy or self.policy
            yield uow
            raise _Undo


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = World.make(tmp_path_factory.mktemp("gate"), now=NOW)
    yield Home(made)
    made.close()


def _member(uow: UnitOfWork, facts: dict[str, Any], number: int) -> MemberId:
    member = new_id_bytes()
    turns_14, turns_18 = sorted(facts["turns"], key=lambda t: t or "")
    table: Any = MemberTable.__table__  # type: ignore[attr-defined]
    row: dict[str, Any] = {
        "row_no": number + 1,
        "member_id": member,
        "pseudonym": new_id_bytes(),
        "system": "shop",
        "status": facts["status"].value,
        "region": "cn",
        "turns_14": turns_14 and date.fromisoformat(turns_14),
        "turns_18": turns_18 and date.fromisoformat(turns_18),
        "created_at": NOW,
        "updated_at": NOW,
    }
    uow.session.connection().execute(table.insert(), [{k: v for k, v in row.items() if k in table.c}])
    mark(uow.session.connection(), "member_change", [member])
    terms = {t.notice_id: t for t in all_terms(uow.session).values()}
    for record in facts["records"]:
        purpose = uow.policy.purposes[record["use"].purpose]
        notice = terms.get(record["notice"])
        recipient = record["use"].recipient or ""
        append(
            uow.session,
            [
                {
                    "record_id": new_id_bytes(),
                    "member_id": member,
                    "purpose": purpose.name,
                    "recipient": "" if record["all_recipients"] else recipient,
                    "state": record["state"].value,
                    "type": record["type"].value,
                    "occurred_at": NOW - timedelta(days=1) + timedelta(hours=record["hours"]),
                    "known_at": NOW,
                    "notice_no": notice.notice_no if notice else None,
                    "categories": ",".join(sorted(purpose.categories if record["whole"] else purpose.categories[:1])),
                    "channel": "web",
                    "source": "live",
                    "evidence": "",
                    "guardian": "",
                    "actor": "system",
                    "policy_digest": uow.policy.digest,
                    "import_key": None,
                }
            ],
        )
    if facts["served"]:
        consent.deliver_notices(uow, [MemberId(member)], notice=facts["served"], channel="web")
    for kind, purpose_name, channel in facts["wishes"]:
        by_channel = kind is RestrictionKind.DO_NOT_CONTACT
        consent.restrict(
            uow,
            MemberId(member),
            kind=kind,
            purpose="" if by_channel or kind is RestrictionKind.NO_KIN else purpose_name,
            channel=channel if by_channel else "",
        )
    return MemberId(member)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(everyone=st.lists(members, min_size=1, max_size=6), use=st.sampled_from(USES), days=st.none() | st.just(1))
def test_set_equals_single(home: Home, everyone: list[dict[str, Any]], use: Use, days: int | None) -> None:
    policy = home.policy
    limited = replace(policy.purposes[use.purpose], consent_days=days)
    changed = replace(policy, purposes=MappingProxyType({**policy.purposes, use.purpose: limited}))
    with home.undone(changed) as uow:
        ids = [_member(uow, facts, number) for number, facts in enumerate(everyone)]
        found = decide_set(uow, purpose=limited, use=use)
        eligible, counts, total = set(), Counter[str](), 0
        for member, facts in zip(ids, everyone, strict=True):
            if facts["status"] is MemberStatus.ERASED:
                continue
            total += 1
            decision = gate.decide_one(
                uow,
                member_id=member,
                purpose=use.purpose,
                operation=use.operation,
                categories=use.categories,
                recipient=use.recipient,
            )
            counts.update(decision.codes)
            if decision.permitted:
                eligible.add(member)
        assert set(found.eligible) == eligible
        assert found.total == total
        assert found.excluded == dict(counts)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(everyone=st.lists(members, min_size=1, max_size=4))
def test_materialised_state_is_the_fold(home: Home, everyone: list[dict[str, Any]]) -> None:
    with home.undone() as uow:
        ids = [_member(uow, facts, number) for number, facts in enumerate(everyone)]
        for member in ids:
            for purpose in uow.policy.purposes.values():
                recipient = purpose.recipients[0] if purpose.per_recipient else ""
                folded = state_of(uow, member, purpose=purpose.name, recipient=recipient)
                facts = sets.consent_facts(uow, member, purpose=purpose, recipient=recipient)
                assert (facts.state, facts.type) == (folded.state, folded.type)
        query = CURRENT.select().order_by(CURRENT.c.purpose, CURRENT.c.recipient, CURRENT.c.member_id)
        before = uow.session.connection().execute(query).all()
        rebuild_current(uow.session)
        assert uow.session.connection().execute(query).all() == before
