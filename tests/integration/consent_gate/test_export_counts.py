"""People whose data goes abroad are counted once a year each, and the count decides about the next."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from common.world import World, people
from pdms.errors import Denied
from pdms.gate import service as gate
from pdms.taxonomy import ConsentState, ConsentType, Operation
from pdms.unit_of_work import Actor

EXPORT: dict[str, Any] = {"purpose": "crossborder", "operation": Operation.EXPORT, "recipient": "overseas-seller"}


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    """Four adults who agreed to the overseas seller, who relies on the exemption."""
    made = World.make(tmp_path, database=database)
    made.ingest("shop-members", made.file("members.csv", people(4)))
    for number in range(4):
        made.run(
            "support", gate.record_consent, made.id_of(f"H0000{number}"), purpose="crossborder",
            state=ConsentState.GIVEN, type=ConsentType.SEPARATE, recipient="overseas-seller", evidence="form-7",
        )  # fmt: skip
    policy = made.app.policy
    seller = replace(policy.recipients["overseas-seller"], mechanism="exempt")
    changed = replace(policy, recipients=MappingProxyType({**policy.recipients, "overseas-seller": seller}))
    made.app.policy = replace(changed, digest="e" * 64)
    with made.app.unit(Actor.system()) as uow:
        gate.activate(uow)
    yield made
    made.close()


def permit(shop: World, number: str) -> None:
    shop.app.run(Actor.system(), gate.permit, member_id=shop.id_of(number), **EXPORT)


def counts(shop: World) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in shop.rows(shop.app.main, "SELECT * FROM export_count ORDER BY year")]


def test_XBF_7_who_would_be_the_hundred_thousandth_is_refused(shop: World) -> None:
    permit(shop, "H00000")
    permit(shop, "H00000")
    assert counts(shop) == [(2026, 1, 0)]
    with shop.app.unit(Actor.system()) as uow:
        uow.session.connection().exec_driver_sql("UPDATE export_count SET people = 99998")
    permit(shop, "H00001")
    permit(shop, "H00000")  # counted already
    with pytest.raises(Denied) as caught:
        permit(shop, "H00002")
    assert [one.code for one in caught.value.reasons] == ["EXPORT_THRESHOLD"]
    with pytest.raises(Denied):
        shop.app.run(Actor.system(), gate.eligible, **EXPORT)
    assert counts(shop) == [(2026, 99_999, 0)]
    shop.pass_time(days=70)  # a new year
    permit(shop, "H00002")
    assert counts(shop) == [(2026, 99_999, 0), (2027, 1, 0)]


def test_a_set_is_counted_with_its_decision(shop: World) -> None:
    permit(shop, "H00003")
    assert len(shop.app.run(Actor.system(), gate.eligible, **EXPORT).member_ids) == 4
    assert counts(shop) == [(2026, 4, 0)]
