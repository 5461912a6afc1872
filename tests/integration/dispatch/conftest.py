"""A shop with a real home: members in the vault, consents on record, orders in facts, one segment, one campaign."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import SecretStr

from common.policies import generous
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import ANONYMOUS, App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.consent import service as consent
from pdms.consent.service import ImportRow
from pdms.crypto import new_root_text
from pdms.db import begin
from pdms.dispatch import service as dispatch
from pdms.dispatch.channels import RecordingChannel
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.marketing import service as marketing
from pdms.segments import service as segments
from pdms.settings import Settings
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault
from pdms.vault.service import MemberRow

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
POLICIES = generous()
ROOT = "PDMS_TEST_DISPATCH_ROOT"

MARKETER = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.MARKETING}), role="marketing")
OFFICER = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE}), role="compliance")

SEGMENT = {
    "name": "buyers",
    "view": "member_value",
    "label": {"zh-CN": "买家", "en": "Buyers"},
    "rule": {"all": [{"feature": "recency_days", "below": 90}, {"feature": "orders", "at_least": 2}]},
}
CAMPAIGN = {
    "name": "spring",
    "segment": "buyers",
    "purpose": "market_email",
    "channel": "email",
    "min_size": 50,
    "frequency_cap": {"messages": 1, "days": 30},
    "template": {"language": "zh-CN", "subject": "春季新品", "body": "{name}您好！\n退订： {opt_out}\n"},
}


@dataclass
class Shop:
    """One home and what its members are called here."""

    app: App
    clock: FixedClock
    members: dict[str, MemberId] = field(default_factory=dict)
    marketer = MARKETER
    officer = OFFICER
    anybody = ANONYMOUS
    campaign = CAMPAIGN
    segment = SEGMENT
    url = "https://shop.example"

    def enrol(self, name: str, *, consents: tuple[str, ...] = ("segment", "market_email"), orders: int = 3, **changes):
        """Put one member into every store; `name` becomes the local part of the address."""
        self.enrol_all({name: {"consents": consents, "orders": orders, **changes}})

    def enrol_all(self, people: dict[str, dict]) -> None:
        rows, now = [], self.clock.now()
        for name, person in people.items():
            fields = {"name": f"王{name}", "email": f"{name}@member.example", "birth_date": "1990-05-05"}
            fields |= person.get("fields", {})
            rows.append(MemberRow(external_id=f"M-{name}", fields=fields))
        with self.app.unit(Actor.system()) as uow:
            done = vault.upsert_members(uow, rows, system="shop")
        order_rows: list[dict] = []
        imports: list[ImportRow] = []
        for (name, person), member, pseudonym in zip(people.items(), done.member_ids, done.pseudonyms, strict=True):
            self.members[name] = member
            imports += [
                ImportRow(
                    row=len(imports) + n,
                    member_id=member,
                    purpose=purpose,
                    state="given",
                    at=datetime(2026, 1, 10, 4, 0, tzinfo=UTC),
                    evidence=f"form-{purpose.replace('_', '-')}",
                    notice="member-notice",
                )
                for n, purpose in enumerate(person.get("consents", ("segment", "market_email")))
            ]
            order_rows += [
                {
                    "pseudonym": bytes(pseudonym),
                    "order_id": f"o-{name}-{n}",
                    "placed_at": now - timedelta(days=10 + n),
                    "amount": Decimal("120.00"),
                    "status": "completed",
                    "invoiced": False,
                }
                for n in range(person.get("orders", 3))
            ]
        with self.app.unit(Actor.system()) as uow:
            result = consent.import_records(uow, imports, evidence_store="archive")
            assert result.rejected == ()
            if order_rows:
                from pdms.facts.schemas import SCHEMAS

                schema = SCHEMAS[FactTable.ORDERS]
                for row in order_rows:
                    row.setdefault("completed_at", None)
                table = pa.Table.from_pylist(order_rows, schema=schema)
                facts.append(uow, FactTable.ORDERS, table, load_id=f"load-{len(self.members)}", batch=0)

    def withdraw(self, name: str, purpose: str = "market_email") -> None:
        with self.app.unit(Actor.system()) as uow:
            consent.withdraw(uow, self.members[name], purpose=purpose)

    def draft(self, **changes) -> None:
        """Save the segment and draft a campaign on it."""
        with self.app.anon_unit(MARKETER) as uow:
            segments.save(uow, document=SEGMENT)
        with self.app.anon_unit(MARKETER) as uow:
            marketing.create(uow, document={**CAMPAIGN, **changes})

    def draft_only(self, **changes) -> None:
        """Draft a further campaign on the saved segment."""
        with self.app.anon_unit(MARKETER) as uow:
            marketing.create(uow, document={**CAMPAIGN, **changes})

    def units(self, actor: Actor = MARKETER):
        return self.app.units(actor)

    def send(self, channel=None, *, campaign: str = "spring", actor: Actor = MARKETER):
        """Send, through a recorder unless told otherwise; return the report and who got a message."""
        channel = channel or RecordingChannel()
        report = dispatch.send(self.units(actor), campaign=campaign, channel=channel, public_url=self.url)
        return report, [one.recipient.partition("@")[0] for one in getattr(channel, "messages", ())]

    def counts(self, campaign: str = "spring") -> dict[str, int]:
        """Return the officer's exact counts."""
        return dict(self.app.run(OFFICER, dispatch.officer_counts, campaign=campaign).members)

    def events(self, *kinds: EventKind):
        """Return the events of these kinds, oldest first."""
        with begin(self.app.main) as session:
            page = audit.list_events(session, kinds=kinds, limit=5000, newest_first=False)
        return [stored.event for stored in page.items]


def open_app(home: Path, clock: FixedClock) -> App:
    return App.open(Settings(home=home, policies=POLICIES, root_key=f"env:{ROOT}"), clock=clock)


@pytest.fixture
def shop(tmp_path, monkeypatch, database) -> Iterator[Shop]:
    monkeypatch.setenv(ROOT, new_root_text())
    clock = FixedClock(NOW)
    settings = Settings(
        home=tmp_path / "home",
        policies=POLICIES,
        root_key=f"env:{ROOT}",
        database_url=None if database is None else SecretStr(database),
    )
    initialise(settings, clock=clock)
    app = App.open(settings, clock=clock)
    made = Shop(app=app, clock=clock)
    made.enrol_all({f"plain{n:02}": {} for n in range(60)})
    made.draft()
    yield made
    app.close()
    os.environ.pop(ROOT, None)
