"""Reading releases: who may, when, and what remains after one is withdrawn."""

import csv
import hashlib
import io
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from pdms.access.approvals import Approved
from pdms.audit.catalogue import EventKind
from pdms.errors import Denied, IntegrityBroken, InvalidInput, NotFound
from pdms.taxonomy import GuardedAct, ReleaseState, Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.views import service, store

LABELS = {"recency_days": ["<30", "*", "30-89"], "gender": ["male", "female", "*"]}
SIZES = np.array([3, 4, 5])
OFFICER = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE}), role="compliance")


def released(side, number=1, **changes):
    data = store.encode(store.release_table(LABELS, SIZES))
    release_id = f"rel-{number:032x}"
    info = service.ReleaseInfo(
        **{
            "release_id": release_id, "view": "value", "purpose": "segment", "state": ReleaseState.LIVE, "rows": 12,
            "classes": 3, "k": 3, "policy_digest": "0" * 64, "data_sha256": hashlib.sha256(data).hexdigest(),
            "created_at": side.clock.now() + timedelta(minutes=number),
            "expires_at": side.clock.now() + timedelta(days=30), "ended_at": None, "reason": "", **changes,
        }
    )  # fmt: skip
    store.write_release(side.home, view=info.view, release_id=release_id, data=data, manifest={"rows": 12})
    with side.unit(OFFICER) as uow:
        service.put_live(uow, info)
    side.events.clear()
    return info


def refused(side, actor=None, **asked):
    with pytest.raises(Denied) as error, side.unit(*([actor] if actor else [])) as uow:
        service.read(uow, **asked)
    return [reason.code for reason in error.value.reasons]


def test_a_consumer_reads_the_live_release_and_the_reading_is_recorded(side):
    info = released(side)
    with side.unit() as uow:
        rows = service.read(uow, view="value")
    assert rows.info == info
    assert rows.table.num_rows == 12
    assert rows.table.column_names == ["recency_days", "gender"]
    labels, counts = rows.classes()
    assert dict(zip(zip(*labels.values(), strict=True), counts.tolist(), strict=True)) == {
        ("<30", "male"): 3,
        ("*", "female"): 4,
        ("30-89", "*"): 5,
    }
    (event,) = side.events
    assert event.kind is EventKind.RELEASE_READ
    assert event.refs == {"release": info.release_id, "view": "value"}


def test_rows_stand_in_the_order_of_their_labels_whatever_the_order_of_the_classes():
    turned = {name: values[::-1] for name, values in LABELS.items()}
    assert store.release_table(LABELS, SIZES).to_pylist() == store.release_table(turned, SIZES[::-1]).to_pylist()
    assert store.encode(store.release_table(LABELS, SIZES)) == store.encode(store.release_table(turned, SIZES[::-1]))


@pytest.mark.parametrize(
    ("scopes", "role"),
    [({Scope.MARKETING}, "other"), ({Scope.MARKETING}, None), ({Scope.MARKETING}, "no-such-role")],
)
def test_a_role_that_the_view_does_not_name_is_refused(side, scopes, role):
    info = released(side)
    actor = Actor("op-" + "3" * 32, ActorKind.OPERATOR, frozenset(scopes), role=role)
    assert refused(side, actor, release_id=info.release_id) == ["VIEW_NOT_ALLOWED"]
    assert [event.reasons for event in side.events] == [("VIEW_NOT_ALLOWED",)]


@pytest.mark.parametrize("scope", sorted({*Scope} - {Scope.MARKETING, Scope.COMPLIANCE}))
def test_no_other_scope_reads(side, scope):
    info = released(side)
    actor = Actor("op-" + "3" * 32, ActorKind.OPERATOR, frozenset({scope}), role="marketing")
    assert refused(side, actor, release_id=info.release_id) == ["SCOPE_MISSING"]


def test_a_new_release_withdraws_the_one_before_and_its_rows_go(side):
    old, new = released(side, 1), released(side, 2)
    with side.unit() as uow:
        states = {one.release_id: (one.state, one.reason) for one in service.list_releases(uow, view="value")}
        assert [one.release_id for one in service.list_releases(uow)] == [new.release_id, old.release_id]
        assert [one.release_id for one in service.list_releases(uow, state=ReleaseState.LIVE)] == [new.release_id]
    assert states[old.release_id] == (ReleaseState.WITHDRAWN, "REPLACED")
    assert refused(side, release_id=old.release_id) == ["RELEASE_NOT_LIVE"]
    with side.unit() as uow:
        assert service.remove_data(uow) == 1
        assert service.remove_data(uow) == 0
        assert service.show(uow, release_id=old.release_id).manifest == {"rows": 12}
    folder = store.folder_of(side.home, "value", old.release_id)
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    with side.unit() as uow:
        assert service.read(uow, view="value").info.release_id == new.release_id


def test_stale_withdrawn_and_expired_releases_are_not_read(side):
    info = released(side)
    with side.unit(OFFICER) as uow:
        assert service.mark_stale(uow, purpose="other") == ()
        assert service.mark_stale(uow, purpose="segment") == (info.release_id,)
        assert service.mark_stale(uow, purpose="segment") == ()
    assert refused(side, view="value") == ["RELEASE_NOT_LIVE"]
    with side.unit(OFFICER) as uow:
        first = service.withdraw(uow, release_id=info.release_id)
        assert first.state is ReleaseState.WITHDRAWN
        assert service.withdraw(uow, release_id=info.release_id) == first
    assert refused(side, release_id=info.release_id) == ["RELEASE_NOT_LIVE"]
    with pytest.raises(NotFound), side.unit() as uow:
        service.read(uow, view="value")


def test_a_release_ends_on_its_day_even_before_anything_sweeps(side):
    info = released(side)
    side.clock.instant += timedelta(days=30)
    assert refused(side, release_id=info.release_id) == ["RELEASE_NOT_LIVE"]
    with side.unit(OFFICER) as uow:
        assert service.expire(uow) == (info.release_id,)
        assert service.expire(uow) == ()
        assert service.list_releases(uow)[0].state is ReleaseState.EXPIRED
        assert service.remove_data(uow) == 1


def test_marketing_cannot_withdraw(side):
    info = released(side)
    with pytest.raises(Denied), side.unit() as uow:
        service.withdraw(uow, release_id=info.release_id)
    with side.unit() as uow:
        assert service.read(uow, view="value").info.state is ReleaseState.LIVE


@pytest.mark.parametrize("harm", ["changed", "absent"])
def test_a_file_that_is_not_the_one_published_is_not_handed_out(side, harm):
    info = released(side)
    path = store.folder_of(side.home, "value", info.release_id) / "data.parquet"
    if harm == "absent":
        path.unlink()
    else:
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    with pytest.raises(IntegrityBroken), side.unit() as uow:
        service.read(uow, view="value")


def proof(uow, release_id, form):
    """What the identified side hands over once a second operator has approved."""
    parameters = {"release": release_id, "format": form}
    return Approved("apr-" + "0" * 32, GuardedAct.BULK_EXPORT, parameters, uow.actor.id, uow.now)


def test_exports_hold_the_rows_in_both_formats(side):
    info = released(side)
    with side.unit() as uow:
        parquet = service.export(
            uow, release_id=info.release_id, format="parquet", approved=proof(uow, info.release_id, "parquet")
        )
        text = service.export(
            uow, release_id=info.release_id, format="csv", approved=proof(uow, info.release_id, "csv")
        )
    table = pq.read_table(io.BytesIO(parquet.content))
    assert hashlib.sha256(parquet.content).hexdigest() == info.data_sha256
    assert list(csv.DictReader(io.StringIO(text.content.decode()))) == table.to_pylist()
    assert (text.rows, text.filename) == (12, f"value-{info.release_id}.csv")
    assert [event.kind for event in side.events] == [EventKind.RELEASE_EXPORTED] * 2
    with pytest.raises(InvalidInput), side.unit() as uow:
        service.export(uow, release_id=info.release_id, format="xlsx", approved=None)
    for wrong in (None, replace(proof(side.unit(), info.release_id, "csv"), actor="op-" + "9" * 32)):
        with pytest.raises(Denied) as caught, side.unit() as uow:
            service.export(uow, release_id=info.release_id, format="csv", approved=wrong)
        assert [r.code for r in caught.value.reasons] == ["APPROVAL_MISSING"]


@pytest.mark.parametrize("asked", [{}, {"view": "value", "release_id": "rel-1"}])
def test_one_release_is_asked_for_by_one_name(side, asked):
    with pytest.raises(InvalidInput), side.unit() as uow:
        service.read(uow, **asked)


@pytest.mark.parametrize(("view", "release_id"), [("../x", "rel-" + "0" * 32), ("value", "../../etc")])
def test_names_that_are_no_names_reach_no_file(side, view, release_id):
    with pytest.raises(InvalidInput):
        store.folder_of(side.home, view, release_id)


def test_only_one_process_publishes_a_view(side):
    with store.publishing(side.home, "value") as first, store.publishing(side.home, "value") as second:
        assert (first, second) == (True, False)
    with store.publishing(side.home, "value") as again:
        assert again
