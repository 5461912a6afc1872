"""Whatever rows come in whatever batches: the vault holds what was said last, and saying it again writes nothing."""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pdms.audit.tables
import pdms.vault.tables  # noqa: F401
from common.policies import SHIPPED
from pdms.audit import service as audit
from pdms.clock import FixedClock
from pdms.crypto import create_root, new_root_text, open_root
from pdms.db import begin, open_engine
from pdms.db.bases import MainTable
from pdms.keystore import KeyStore
from pdms.policy.loader import load
from pdms.settings import Home
from pdms.taxonomy import MemberId
from pdms.unit_of_work import Actor, UnitOfWork
from pdms.vault import service as vault
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, open_member
from pdms.vault.service import MemberBatch

POLICY = load(SHIPPED)
FIELDS = ("name", "phone", "email", "birth_date")
VALUES = {
    "name": st.sampled_from(["", "王", "李四"]),
    "phone": st.sampled_from(["", "+8613800000001", "+8613800000002"]),
    "email": st.sampled_from(["", "a@shop.example"]),
    "birth_date": st.sampled_from(["", "1990-01-01", "2015-06-07"]),
}


@st.composite
def batches(draw):
    """A batch: some fields, some members, each once."""
    names = draw(st.lists(st.sampled_from(FIELDS), unique=True))
    ids = draw(st.lists(st.sampled_from(["m1", "m2", "m3", "m4"]), min_size=1, unique=True))
    return MemberBatch(ids, {name: [draw(VALUES[name]) for _ in ids] for name in names})


@pytest.fixture(scope="module")
def make_units() -> Iterator[object]:
    os.environ["PDMS_PROPERTY_ROOT"] = new_root_text()
    create_root("env:PDMS_PROPERTY_ROOT")
    clock = FixedClock(datetime(2026, 11, 22, 4, 0, tzinfo=UTC))
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        keys = KeyStore(open_engine(home.keys_db), root=open_root("env:PDMS_PROPERTY_ROOT"), clock=clock)
        keys.initialise()
        main = open_engine(home.vault_db)
        MainTable.metadata.create_all(main)

        def append(events: object) -> None:
            with begin(main) as session:
                audit.append(session, events)

        def unit() -> UnitOfWork:
            return UnitOfWork(
                actor=Actor.system(), clock=clock, policy=POLICY, home=home, append_events=append, anon_engine=main,
                main_engine=main, held_engine=main, keys=keys, origin="pdms.test/audit",
            )  # fmt: skip

        yield unit
        main.dispose()
        keys.engine.dispose()


def held(uow: UnitOfWork, system: str) -> dict[str, dict[str, str]]:
    codes, found = FieldCodes(uow.policy), {}
    for external_id, keys in vault.resolve(uow, system=system, external_ids=["m1", "m2", "m3", "m4"]).items():
        stored = stored_member(uow, MemberId(keys.member_id))
        fields = codes.named(open_member(uow.keys.deks([keys.member_id])[keys.member_id], stored.sealed))
        assert fields.pop("external") == external_id
        for index, name in (("phone", "phone"), ("email", "email")):
            for value in ("+8613800000001", "+8613800000002", "a@shop.example"):
                assert (keys.member_id in vault.find(uow, index=index, value=value)) == (fields.get(name) == value)
        found[external_id] = fields
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(batches(), min_size=1, max_size=5), data=st.data())
def test_the_vault_holds_what_was_said_last(make_units, sequence, data):
    system = f"s{data.draw(st.integers(0, 10**9))}-{os.urandom(4).hex()}"
    expected: dict[str, dict[str, str]] = {}
    for batch in sequence:
        known = set(expected)
        with make_units() as uow:
            result = vault.upsert_batch(uow, batch, system=system)
        for at, external_id in enumerate(batch.external_ids):
            before = dict(expected.get(external_id, {}))
            told = {name: column[at] for name, column in batch.fields.items()}
            expected[external_id] = {name: value for name, value in (before | told).items() if value}
            outcome = result.outcomes[at]
            assert outcome == (
                "created" if external_id not in known
                else "unchanged" if expected[external_id] == before else "updated"
            )  # fmt: skip
    with make_units() as uow:
        assert held(uow, system) == expected
        again = vault.upsert_batch(uow, sequence[-1], system=system)
        assert again.unchanged == len(sequence[-1].external_ids)
        assert held(uow, system) == expected
