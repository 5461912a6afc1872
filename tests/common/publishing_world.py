"""A real home with members, consents and facts, for publishing.

Also a program, `-m common.publishing_world HOME VIEW [--kill-at N]`: it publishes VIEW in the home that is there,
and kills itself without warning before the N-th effect on disk (a file flushed, a folder entry flushed, or a database
committed), so that every point between two can be tried.
"""

import os
import random
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from common.policies import SHIPPED
from pdms.all_tables import create_all
from pdms.audit import service as audit
from pdms.clock import FixedClock
from pdms.consent import service as consent
from pdms.crypto import create_root
from pdms.db import begin
from pdms.db.parts import Databases, Part
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.gate import service as gate
from pdms.keystore import KeyStore
from pdms.policy.loader import load
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork, UnitOfWork
from pdms.vault import service as vault

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
ROOT = "env:PDMS_TEST_PUBLISHING_ROOT"
os.environ.setdefault("PDMS_TEST_PUBLISHING_ROOT", sha256(b"a root for tests only").hexdigest())
SYSTEM = Actor.system()
OFFICER = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE}), role="compliance")
MARKETER = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.MARKETING}), role="marketing")


@dataclass
class World:
    """One home and ways into it."""

    home: Home
    clock: FixedClock
    database: str | None = None
    """Connection string of a PostgreSQL database; None: files of the home."""

    def __post_init__(self) -> None:
        self.policy = load(SHIPPED)
        for folder in (self.home.root, self.home.facts, self.home.releases, self.home.spill):
            folder.mkdir(parents=True, exist_ok=True)
        parts = Databases(self.home, self.database)
        self.main, self.held = parts.open(Part.VAULT), parts.open(Part.HELD)
        self.anon, self.keys_db = parts.open(Part.ANON), parts.open(Part.KEYS)
        create_all(main=self.main, held=self.held, anon=self.anon)
        self.keys = KeyStore(self.keys_db, root=create_root(ROOT), clock=self.clock)
        self.keys.initialise()

    def close(self) -> None:
        for engine in (self.main, self.held, self.anon, self.keys_db):
            engine.dispose()

    def unit(self, actor: Actor = SYSTEM) -> UnitOfWork:
        return UnitOfWork(
            actor=actor, clock=self.clock, policy=self.policy, home=self.home, append_events=self.append_events,
            anon_engine=self.anon, main_engine=self.main, held_engine=self.held, keys=self.keys, origin="test/audit",
        )  # fmt: skip

    def anon_unit(self, actor: Actor = MARKETER) -> AnonUnitOfWork:
        return AnonUnitOfWork(
            actor=actor, clock=self.clock, policy=self.policy, home=self.home, append_events=self.append_events,
            anon_engine=self.anon,
        )  # fmt: skip

    def append_events(self, events) -> None:
        with begin(self.main) as session:
            audit.append(session, events)

    def sequence(self) -> None:
        with self.unit() as uow:
            audit.sequence(uow.session, signer=uow.log_signer, now=uow.now)

    def populate(self, members: int, *, seed: int = 1) -> None:
        """Put the policy in force; store adults with consents to `segment` and facts; one in ten never consents."""
        import pyarrow as pa

        from pdms.facts.schemas import SCHEMAS

        with self.unit() as uow:
            gate.activate(uow)
        rng = random.Random(seed)
        names = [f"M{number:05d}" for number in range(members)]
        with self.unit() as uow:
            batch = vault.MemberBatch(
                external_ids=names,
                fields={
                    "name": ["会员甲"] * members,
                    "email": [f"m{number}@example.com" for number in range(members)],
                    "birth_date": [f"19{70 + number % 30}-05-17" for number in range(members)],
                },
            )
            stored = vault.upsert_batch(uow, batch, system="shop")
        self.grant(stored.member_ids[: members * 9 // 10])
        rows: dict[FactTable, list[dict[str, object]]] = {FactTable.ORDERS: [], FactTable.ORDER_LINES: []}
        attributes = []
        for who in stored.pseudonyms:
            attributes.append(
                {
                    "pseudonym": who,
                    "age_band": rng.choice(["25-34", "35-44", "45-54", None]),
                    "gender": rng.choice(["female", "male", None]),
                    "city_tier": rng.choice(["tier-1", "tier-2", "tier-3"]),
                    "registered_on": date(2025 - rng.randrange(4), 1, 1),
                    "updated_at": NOW,
                }
            )
            for number in range(rng.choice([0, 1, 1, 2, 4, 8])):
                order = {
                    "pseudonym": who,
                    "order_id": f"o{number}",
                    "placed_at": NOW - timedelta(days=rng.randrange(400)),
                }
                amount = Decimal(rng.randrange(1000, 90000)) / 100
                rows[FactTable.ORDERS].append({**order, "amount": amount, "status": "completed", "invoiced": False})
                line = {"line": 1, "product": "p", "category": rng.choice(["grocery", "fresh", "unheard"])}
                rows[FactTable.ORDER_LINES].append({**order, **line, "quantity": Decimal(1), "amount": amount})
        rows[FactTable.SUBJECT_ATTRIBUTES] = attributes
        with self.unit() as uow:
            for table, found in rows.items():
                facts.append(uow, table, pa.Table.from_pylist(found, schema=SCHEMAS[table]), load_id="world", batch=0)
        facts.compact(self.home)
        self.sequence()

    def grant(
        self, member_ids, *, state: str = "given", at: datetime = NOW - timedelta(days=30), purpose: str = "segment"
    ) -> None:
        """Import a consent event for `purpose` of each."""
        notice = self.policy.purposes[purpose].notice
        rows = [
            consent.ImportRow(
                number, member, purpose, state, at, evidence=f"form-{number}-{state}", channel="web", notice=notice
            )
            for number, member in enumerate(member_ids)
        ]
        with self.unit() as uow:
            result = consent.import_records(uow, rows, evidence_store="archive")
        assert (result.rejected, result.accepted) == ((), len(rows))


def die_at(count: int) -> None:
    """Let this process be killed, without any clean-up, at the `count`-th effect on disk."""
    seen = 0

    def strike(*_args) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(handle) -> None:
        strike()
        real_fsync(handle)

    def replace(self, target):
        strike()
        return real_replace(self, target)

    os.fsync, Path.replace = fsync, replace
    event.listen(Engine, "commit", strike)


if __name__ == "__main__":
    from pdms.publish import service as publish

    world = World(Home(Path(sys.argv[1])), FixedClock(NOW))
    if len(sys.argv) > 3:
        die_at(int(sys.argv[4]))
    publish.publish(lambda: world.unit(OFFICER), view=sys.argv[2])
