"""Backups on a real home: made, checked, spoilt, restored, killed; what members decided since comes back with them."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import inspect, text

from common.world import NOW, ROOT_VARIABLE, World, consents_of, orders_of, populated
from pdms.access import approvals
from pdms.access import service as access
from pdms.access.approvals import ApprovalState
from pdms.audit import service as audit
from pdms.backup import archive
from pdms.bootstrap import backups
from pdms.bootstrap.app import App
from pdms.bootstrap.backups import Restored
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.consent import replay as wishes
from pdms.consent import service as consent
from pdms.crypto import SealedReader, new_root_text
from pdms.db import begin
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, Denied, IntegrityBroken, InvalidInput, KeyUnavailable, NotFound, Unauthenticated
from pdms.facts import service as facts
from pdms.publish import service as publish
from pdms.reports import evidence
from pdms.rights import ledger, replay
from pdms.rights import service as rights
from pdms.rotation import service as rotation
from pdms.settings import Home, Settings
from pdms.taxonomy import ConsentState, GuardedAct, RequestState, RequestType, RestrictionKind
from pdms.unit_of_work import Actor
from pdms.vault import service as vault

MEMBERS = 120
VIEW = "member_value"
CHUNK = (1 << 18) + 16
SPARE: Any = None
"""Makes an empty PostgreSQL database, where the tests run on one; its connection string."""


def quiet(_stage: str) -> None:
    """No progress."""


def create(world: World, path: Path) -> Any:
    return backups.create(world.app, world.actor("admin"), path=path, progress=quiet)


def settings_of(world: World, role: str | None = "admin") -> Settings:
    return world.app.settings.model_copy(update={"token": SecretStr(world.tokens[role]) if role else None})


def restoring(world: World, role: str | None = "admin") -> Settings:
    """Settings of a restore: on PostgreSQL it goes into an empty database."""
    settings = settings_of(world, role)
    return settings if world.in_files else settings.model_copy(update={"database_url": SecretStr(SPARE())})


def restore(world: World, path: Path, to: Path, **more: Any) -> Restored:
    more.setdefault("ledger_path", world.app.home.rights_ledger)  # a test's home is a copy, and not where it was
    return backups.restore(more.pop("settings", None) or restoring(world), path=path, to=to, clock=world.clock, **more)


def url_of(settings: Settings) -> str | None:
    return settings.database_url.get_secret_value() if settings.database_url is not None else None


def opened(world: World, to: Path) -> App:
    return App.open(settings_of(world).model_copy(update={"home": to, "database_url": None}), clock=world.clock)


def actor_in(app: App, world: World, role: str) -> Actor:
    """The operator in a role of a restored home, by a key made anew."""
    admin = app.authenticate(world.tokens["admin"])
    (known,) = [one for one in app.run(admin, access.list_operators) if one.label == f"test-{role}"]
    return app.authenticate(app.run(admin, access.issue_key, operator_id=known.operator_id).text)


def world_in(app: App, world: World, folder: Path) -> World:
    """A restored home under test, each operator with a key made anew."""
    admin, tokens = app.authenticate(world.tokens["admin"]), {"admin": world.tokens["admin"]}
    for one in app.run(admin, access.list_operators):
        if one.label.startswith("test-"):
            tokens[one.role] = app.run(admin, access.issue_key, operator_id=one.operator_id).text
    return World(app, folder, world.clock, tokens, world.admin_token)


@dataclass(frozen=True, slots=True)
class Shop:
    """A populated home and a backup of it, made before anything that the tests do."""

    world: World
    members: list[dict[str, str]]
    path: Path


def make(folder: Path, database: str | None) -> Shop:
    world, members = populated(folder, count=MEMBERS, database=database)
    publish.publish(world.app.units(world.actor("compliance")), view=VIEW)
    path = folder / "first.sealed"
    create(world, path)
    return Shop(world, members, path)


@pytest.fixture(scope="module")
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None
) -> Iterator[Shop]:
    global SPARE
    if lasting_database is not None:
        SPARE = request.getfixturevalue("postgres_server").bare_for_good
    made = make(tmp_path_factory.mktemp("backup"), lasting_database)
    yield made
    made.world.close()


@pytest.fixture
def own(shop: Shop, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """The same home and backup, for a test that changes them."""
    for name in ("home", "home.root"):
        if (shop.world.folder / name).exists():
            shutil.copytree(shop.world.folder / name, tmp_path / name)
    path = tmp_path / "first.sealed"
    shutil.copy(shop.path, path)
    clock = FixedClock(shop.world.clock.instant)
    settings = shop.world.app.settings.model_copy(update={"home": tmp_path / "home"})
    with contextlib.ExitStack() as held:
        if not shop.world.in_files:
            shop.world.app.close()  # nobody has the database open while it is copied
            assert settings.database_url is not None
            server, url = request.getfixturevalue("postgres_server"), settings.database_url.get_secret_value()
            settings = settings.model_copy(update={"database_url": SecretStr(held.enter_context(server.copied(url)))})
        world = World(App.open(settings, clock=clock), tmp_path, clock, dict(shop.world.tokens), shop.world.admin_token)
        yield Shop(world, shop.members, path)
        world.close()


def rows_of(app: App) -> dict[str, int]:
    """Rows of every table that a restore itself does not write to."""
    own_work = {"audit_event", "audit_run", "audit_tile", "audit_checkpoint", "login_attempt"}
    counts = {}
    for name, engine in (("main", app.main), ("held", app.held), ("anon", app.anon), ("keys", app.keys.engine)):
        for table in inspect(engine).get_table_names():
            if table not in own_work:
                with engine.execution_options(pdms_begin="DEFERRED").connect() as connection:
                    counts[f"{name}.{table}"] = connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one()
    return counts


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def fields_of(app: App, support: Actor, number: str) -> dict[str, str]:
    with app.unit(support) as uow:
        member = vault.find_external(uow, system="shop", external_id=number)
        assert member is not None
    return app.run(
        support,
        rights.reveal,
        member_id=member,
        fields=("name", "phone", "email"),
        purpose="service",
        reason="CALL_BACK",
    )


def test_a_round_trip_gives_the_same_home(shop: Shop, tmp_path: Path) -> None:
    world, to = shop.world, tmp_path / "again"
    done = restore(world, shop.path, to)
    assert (done.replayed.lines, done.policy_differs) == (0, False)
    assert to.stat().st_mode & 0o777 == 0o700
    if world.in_files:
        assert (to / "home.yaml").read_text() == world.app.home.config.read_text()
    assert files_of(to / "facts") == files_of(world.app.home.facts)
    assert files_of(to / "releases") == files_of(world.app.home.releases)
    assert facts.counts(Home(to)) == facts.counts(world.app.home)
    with opened(world, to) as app:
        # who read the live release since the backup is unknown: both roles that can count as having a copy
        assert rows_of(app) == rows_of(world.app) | {"anon.release_copy": 2}
        support = actor_in(app, world, "support")
        for number in ("H00000", "H00057", "H00119"):
            fields = fields_of(app, support, number)
            assert fields["name"] == shop.members[int(number[1:])]["姓名"]
            assert fields == fields_of(world.app, world.actor("support"), number)
        officer = actor_in(app, world, "compliance")
        assert app.run(officer, evidence.verify).ok
        (event,) = app.run(officer, evidence.list_events, kinds=("backup.restored",)).items
        access_ended = {"keys": 4, "bindings": 0, "approvals": 0}
        assert event.numbers == {"erasures": 0, "lines": 0, "withdrawals": 0} | access_ended
    assert {path.name for path in tmp_path.iterdir()} == {"again"}


def test_what_a_backup_says_of_itself(shop: Shop) -> None:
    found = backups.verify(shop.world.app, shop.world.actor("admin"), path=shop.path)
    assert found.policy == shop.world.app.policy.digest
    assert found.files > 6
    assert found.size > 2 * CHUNK
    assert shop.path.stat().st_mode & 0o777 == 0o600
    assert not list(shop.path.parent.glob("*.part"))
    assert not list(shop.world.app.home.spill.glob("*-backup-*"))
    events = shop.world.run("compliance", evidence.list_events, kinds=("backup.created",)).items
    assert [event.outcome for event in events][-2:] == ["done", "intended"]


def test_it_overwrites_nothing_and_lies_outside_the_home(shop: Shop) -> None:
    before = shop.path.read_bytes()
    with pytest.raises(Conflict):
        create(shop.world, shop.path)
    for path in (shop.world.app.home.root / "b.sealed", shop.world.app.home.facts / "b.sealed"):
        with pytest.raises(InvalidInput):
            create(shop.world, path)
    with pytest.raises(InvalidInput):
        create(shop.world, shop.path.parent / "absent" / "b.sealed")
    assert shop.path.read_bytes() == before
    assert not (shop.world.app.home.root / "b.sealed").exists()


@pytest.mark.parametrize("role", ["compliance", "marketing", "support", "ingest"])
def test_only_an_administrator_makes_or_restores_one(shop: Shop, tmp_path: Path, role: str) -> None:
    with pytest.raises(Denied):
        backups.create(shop.world.app, shop.world.actor(role), path=tmp_path / "b.sealed", progress=quiet)
    with pytest.raises(Denied):
        backups.restore(restoring(shop.world, role), path=shop.path, to=tmp_path / "to", clock=shop.world.clock)
    assert list(tmp_path.iterdir()) == []


def test_nobody_restores_without_a_key_that_the_backup_knows(shop: Shop, tmp_path: Path) -> None:
    stranger = restoring(shop.world).model_copy(update={"token": SecretStr("pdms_key_" + "0" * 60)})
    for settings in (restoring(shop.world, None), stranger):
        with pytest.raises(Unauthenticated):
            backups.restore(settings, path=shop.path, to=tmp_path / "to", clock=shop.world.clock)
        if settings.database_url is not None:
            for part in Part:  # nor do the rows stay where they were to be restored
                engine = Databases(Home(tmp_path), url_of(settings)).open(part)
                assert inspect(engine).get_table_names() == []
                engine.dispose()
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_restored_to_a_server_nor_a_server_to_files(shop: Shop, tmp_path: Path, postgres: str) -> None:
    other = None if not shop.world.in_files else SecretStr(postgres)
    settings = settings_of(shop.world).model_copy(update={"database_url": other})
    if not shop.world.in_files:  # the address that it had is known, and is in use
        with pytest.raises(Conflict) as taken:
            restore(shop.world, shop.path, tmp_path / "to", settings=settings)
        assert taken.value.code == "RESTORE_NOT_EMPTY"
    else:
        with pytest.raises(InvalidInput) as refused:
            restore(shop.world, shop.path, tmp_path / "to", settings=settings)
        assert refused.value.code == "DATABASE_IS_FILES"
    assert list(tmp_path.iterdir()) == []


def spoilt(raw: bytes, how: str) -> bytes:
    head = len(raw) % CHUNK  # not the head alone: the last chunk is shorter
    if how == "flipped":
        at = len(raw) // 2
        return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
    if how == "cut in the middle":
        return raw[: len(raw) // 2]
    if how == "cut by a byte":
        return raw[:-1]
    if how == "lengthened":
        return raw + raw[-100:]
    assert head
    start = first_chunk(raw)
    chunks = [raw[at : at + CHUNK] for at in range(start, len(raw), CHUNK)]
    assert len(chunks) >= 3
    if how == "last chunk missing":
        chunks.pop()
    elif how == "reordered":
        chunks[0], chunks[1] = chunks[1], chunks[0]
    elif how == "one left out":
        del chunks[1]
    return raw[:start] + b"".join(chunks)


def first_chunk(raw: bytes) -> int:
    note = 16 + 2 + int.from_bytes(raw[16:18], "big")
    return note + 2 + int.from_bytes(raw[note : note + 2], "big")


@pytest.mark.parametrize(
    "how",
    ["flipped", "cut in the middle", "cut by a byte", "lengthened", "last chunk missing", "reordered", "one left out"],
)
def test_a_spoilt_backup_is_found_and_restores_nothing(shop: Shop, tmp_path: Path, how: str) -> None:
    path = tmp_path / "spoilt.sealed"
    path.write_bytes(spoilt(shop.path.read_bytes(), how))
    with pytest.raises(IntegrityBroken):
        backups.verify(shop.world.app, shop.world.actor("admin"), path=path)
    with pytest.raises(IntegrityBroken):
        restore(shop.world, path, tmp_path / "to")
    assert {entry.name for entry in tmp_path.iterdir()} == {"spoilt.sealed"}


def test_another_root_opens_nothing(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, new_root_text())
    with pytest.raises(KeyUnavailable) as error:
        restore(shop.world, shop.path, tmp_path / "to")
    assert error.value.code == "WRONG_ROOT"
    monkeypatch.delenv(ROOT_VARIABLE)
    with pytest.raises(KeyUnavailable):
        restore(shop.world, shop.path, tmp_path / "to")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_backup_is_refused(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"not a backup at all, and long enough to look like one")
    with pytest.raises(IntegrityBroken):
        restore(shop.world, path, tmp_path / "to")
    with pytest.raises(NotFound):
        restore(shop.world, tmp_path / "absent", tmp_path / "to")
    with pytest.raises(Conflict):
        restore(shop.world, shop.path, tmp_path)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "facts/../../x", "facts", "home.yaml", "rights.ledger", ""])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(IntegrityBroken):
        archive.checked_name(name)


def test_no_members_value_and_no_root_is_in_it(shop: Shop, canary: Any) -> None:
    needles = [value for row in shop.members[:15] for key, value in row.items() if key != "性别" and len(value) > 6]
    needles.append(os.environ[ROOT_VARIABLE])
    assert canary.search_bytes("backup", shop.path.read_bytes(), needles) == []
    # Unsealed, it holds what the home's own files hold: the sealed fields, and neither root nor rights ledger.
    root = shop.world.app.keys.root
    with shop.path.open("rb") as file:
        reader = SealedReader(file, unwrap=lambda key, bound: root.unwrap(key, context=archive.CONTEXT + bound))
        inside = reader.read()
    if shop.world.in_files:  # as COPY gives it, the label of the ledger's key ends so, too
        assert b"rights-ledger\0" not in inside
    assert b"rights.ledger\0" not in inside
    assert bytes.fromhex(os.environ[ROOT_VARIABLE]) not in inside
    identity = [
        row[key] for row in shop.members[:15] for key in ("姓名", "手机号", "身份证号", "收货地址") if len(row[key]) > 3
    ]
    assert [one for one in identity if one.encode() in inside] == []


# --- what members decided after the backup -------------------------------------------------------------------------


def decide(world: World, members: list[dict[str, str]]) -> None:
    """Everything that the ledger knows, after the backup."""
    world.pass_time(hours=1)
    support = world.app.units(world.actor("support"))
    rights.erase_member(support, member_id=world.id_of("H00002"), field="phone", value=members[2]["手机号"])
    world.run("support", rights.withdraw, member_id=world.id_of("H00003"), purpose="market_email", channel="phone")
    request = world.run(
        "support",
        rights.submit,
        member_id=world.id_of("H00004"),
        request_type=RequestType.CORRECTION,
        field="address",
        value="上海市示例路8号",
    )
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[4]["手机号"])
    rights.execute(support, request_id=request.request_id)
    five, six = world.id_of("H00005"), world.id_of("H00006")
    world.run("support", rights.restrict, member_id=five, kind=RestrictionKind.DO_NOT_CONTACT, channel="sms")
    world.run("support", rights.restrict, member_id=six, kind=RestrictionKind.OBJECTION, purpose="segment")
    world.run("support", rights.lift, member_id=six, kind=RestrictionKind.OBJECTION, purpose="segment")
    stopped = consents_of([members[7]], ("邮件营销",), state="撤回")
    stopped[0] |= {"时间": "2026-11-02 09:30:00", "证据编号": "EV-STOP-7"}
    report = world.ingest("shop-consents", stopped)
    assert report.rejected == 0, report.by_rule


def test_an_erasure_a_withdrawal_and_a_correction_survive_the_restore(own: Shop, tmp_path: Path) -> None:
    world, members, to = own.world, own.members, tmp_path / "again"
    two = world.id_of("H00002")
    with world.unit("support") as uow:
        pseudonym = vault.pseudonym_of(uow, two)
    decide(world, members)
    done = restore(world, own.path, to).replayed
    assert (done.erasures, done.withdrawals, done.corrections_restricted) == (1, 2, 1)
    assert (done.restrictions_set, done.restrictions_lifted, done.absent, done.skipped) == (2, 1, 0, 0)
    with opened(world, to) as app, app.unit(actor_in(app, world, "support")) as uow:
        with pytest.raises(NotFound):
            vault.state(uow, two)
        assert vault.find_external(uow, system="shop", external_id="H00002") is None
        assert uow.keys.deks([two]) == {}
        assert not any(facts.of_subject(app.home, pseudonym).values())
        with pytest.raises(Conflict):
            uow.keys.mint([two])
        requests = rights.list_requests(uow, member_id=two)
        assert [one.state in (RequestState.FULFILLED, RequestState.PARTIAL) for one in requests] == [True]
        assert requests[0].receipt is not None
        assert '"erasure-receipt"' in requests[0].receipt
        for number in ("H00003", "H00007"):
            there = vault.find_external(uow, system="shop", external_id=number)
            assert there is not None
            assert consent.state_of(uow, there, purpose="market_email").state is ConsentState.WITHDRAWN
            assert consent.state_of(uow, there, purpose="segment").state is ConsentState.GIVEN
        standing = {
            number: [
                (one.kind, one.purpose, one.channel) for one in consent.standing_restrictions(uow, world.id_of(number))
            ]
            for number in ("H00004", "H00005", "H00006")
        }
        assert standing == {
            "H00004": [(RestrictionKind.RESTRICTION, "", "")],
            "H00005": [(RestrictionKind.DO_NOT_CONTACT, "", "sms")],
            "H00006": [],
        }
        assert audit.verify(uow.session, key=audit.note_key(uow.log_signer)).ok


def test_an_invalidation_survives_the_restore(own: Shop, tmp_path: Path) -> None:
    world, to = own.world, tmp_path / "again"
    defect = consent.Defect("segment", channel="web")
    found = rights.invalidate(world.app.units(world.actor("compliance")), defect, ticket="LEGAL-12")
    assert found.consents > 0
    done = restore(world, own.path, to).replayed
    assert (done.invalidations, done.withdrawals, done.refusals) == (found.consents, 0, 0)
    with opened(world, to) as app, app.unit(actor_in(app, world, "compliance")) as uow:
        assert consent.standing_under(uow, defect) == 0
        there = vault.find_external(uow, system="shop", external_id="H00003")
        assert there is not None
        assert consent.state_of(uow, there, purpose="segment").state is ConsentState.INVALIDATED
        assert consent.state_of(uow, there, purpose="market_email").state is ConsentState.GIVEN


def test_who_lost_their_access_after_the_backup_does_not_have_it_again(own: Shop, tmp_path: Path) -> None:
    world, to, path = own.world, tmp_path / "again", tmp_path / "b.sealed"
    admin, member = world.actor("admin"), world.id_of("H00003")
    hold = {"hold": "held-" + "1" * 32, "ticket": "CASE-1"}
    world.approve("compliance", GuardedAct.HOLD_ACCESS, held_id=hold["hold"], ticket=hold["ticket"])
    token = world.run("support", access.issue_member_token, member_id=member).text
    world.tokens["further"] = world.app.run(admin, access.issue_key, operator_id=admin.id).text
    with world.unit("admin") as uow:  # as `link_operator` leaves it
        uow.session.connection().execute(
            text("UPDATE operator SET subject_digest = :d WHERE operator_id = :o"),
            {"d": b"d" * 32, "o": world.actor("marketing").id},
        )
    create(world, path)
    world.run("compliance", approvals.use, act=GuardedAct.HOLD_ACCESS, parameters=hold)
    world.app.run(admin, access.disable_operator, operator_id=world.actor("marketing").id)
    rotated = world.tokens["ingest"].split("_")[2]
    world.app.run(admin, access.rotate_key, key_id=rotated, overlap_hours=0)
    done = restore(world, path, to)
    assert (done.ended.keys, done.ended.bindings, done.ended.member_tokens, done.ended.approvals) == (6, 1, 1, 1)
    with opened(world, to) as app:
        for name in ("marketing", "ingest", "support", "second", "further"):
            with pytest.raises(Unauthenticated):
                app.authenticate(world.tokens[name])
        with pytest.raises(Unauthenticated):
            app.authenticate(token)
        officer = actor_in(app, world, "compliance")
        with pytest.raises(Denied):
            app.run(officer, approvals.use, act=GuardedAct.HOLD_ACCESS, parameters=hold)
        assert [one.state for one in app.run(officer, approvals.list_approvals)] == [ApprovalState.EXPIRED]
        assert not any(one.linked for one in app.run(officer, access.list_operators))
        revoked = app.run(officer, evidence.list_events, kinds=("operator.key_revoked",)).items
        assert len(revoked) == 6
        assert {event.actor for event in revoked} == {admin.id}


def test_the_erased_members_bytes_are_not_in_the_restored_home(own: Shop, tmp_path: Path, canary: Any) -> None:
    world, to = own.world, tmp_path / "again"
    two = world.id_of("H00002")
    with world.unit("support") as uow:
        pseudonym = vault.pseudonym_of(uow, two)
    decide(world, own.members)
    restore(world, own.path, to)
    needles = [pseudonym, *(own.members[2][name] for name in ("手机号", "身份证号", "收货地址", "登录名"))]
    assert canary.search(to, needles) == []


def test_an_import_of_who_was_erased_is_refused_after_the_restore(own: Shop, tmp_path: Path) -> None:
    world, to = own.world, tmp_path / "again"
    decide(world, own.members)
    restore(world, own.path, to)
    with opened(world, to) as app:
        again = world_in(app, world, tmp_path)
        report = again.ingest("shop-members", [own.members[2]])
        assert (report.created, report.updated) == (0, 0)
        orders, _ = orders_of([own.members[2]])
        assert again.ingest("shop-orders", orders).by_rule == {"UNKNOWN_MEMBER": len(orders)}
        late = {"会员编号": "H00002", "事件编号": "LATE", "时间": "2026-11-01 10:00:00", "行为": "浏览"}
        late |= {"商品编码": "P1", "类目": "grocery"}
        assert again.ingest("shop-events", [late]).by_rule == {"UNKNOWN_MEMBER": 1}


def test_the_restored_home_has_a_ledger_that_serves_the_next_restore(own: Shop, tmp_path: Path) -> None:
    world, to, then = own.world, tmp_path / "again", tmp_path / "then"
    decide(world, own.members)
    restore(world, own.path, to)
    with opened(world, to) as app:
        again = world_in(app, world, tmp_path)
        member = again.id_of("H00010")
        again.run("support", rights.withdraw, member_id=member, purpose="segment", channel="phone")
    done = restore(world, own.path, then, ledger_path=to / "rights.ledger").replayed
    assert done.erasures == 1
    with opened(world, then) as app, app.unit(actor_in(app, world, "support")) as uow:
        assert consent.state_of(uow, member, purpose="segment").state is ConsentState.WITHDRAWN
        assert vault.find_external(uow, system="shop", external_id="H00002") is None


def test_a_consent_given_after_a_withdrawal_that_the_backup_holds_stands(own: Shop, tmp_path: Path) -> None:
    """Replay puts a withdrawal where it happened, so that a later consent outweighs it."""
    world, to = own.world, tmp_path / "again"
    member = world.id_of("H00008")
    world.pass_time(hours=1)
    before = ledger_lines(world)
    world.run("support", rights.withdraw, member_id=member, purpose="market_email", channel="phone")
    world.pass_time(hours=1)
    given = consents_of([own.members[8]], ("邮件营销",))
    given[0] |= {"时间": "2026-11-02 10:30:00", "证据编号": "EV-AGAIN-8"}
    world.ingest("shop-consents", given)
    later = tmp_path / "later.sealed"
    create(world, later)
    done = restore(world, later, to)
    assert done.replayed.lines == 0
    with opened(world, to) as app:
        key = app.keys.system_key(ledger.LABEL)
        lines = [one for one in ledger.read(world.app.home.rights_ledger, key=key) if one.number > before]
        assert replay.replay(app.units(app.authenticate(world.tokens["admin"])), []).lines == 0
        with app.unit(world.app.authenticate(world.tokens["compliance"])) as uow:
            stop = next(one for one in lines if one.what is ledger.What.WITHDRAWAL)
            missing = wishes.stop_again(
                uow, wishes.Stop(0, member, stop.purpose, stop.recipient, ConsentState.WITHDRAWN, stop.at)
            )
            assert missing is False
            assert consent.state_of(uow, member, purpose="market_email").state is ConsentState.GIVEN


def ledger_lines(world: World) -> int:
    key = world.app.keys.system_key(ledger.LABEL)
    return sum(1 for _ in ledger.read(world.app.home.rights_ledger, key=key))


# --- the ledger ----------------------------------------------------------------------------------------------------


def test_no_ledger_or_an_old_or_a_foreign_one_is_refused(own: Shop, tmp_path: Path) -> None:
    world = own.world
    decide(world, own.members)
    create(world, tmp_path / "later.sealed")
    real = world.app.home.rights_ledger
    lines = real.read_bytes().splitlines(keepends=True)

    def refused(content: bytes, code: str, *, path: Path = own.path) -> None:
        file = tmp_path / "ledger"
        file.write_bytes(content)
        with pytest.raises((Conflict, IntegrityBroken)) as error:
            restore(world, path, tmp_path / "to", ledger_path=file)
        assert error.value.code == code
        assert not (tmp_path / "to").exists()
        assert not (tmp_path / "to.restoring").exists()

    refused(b"".join(lines[:2]), "LEDGER_STALE", path=tmp_path / "later.sealed")
    refused(b"", "LEDGER_STALE")
    refused(b"".join([*lines[:2], *lines[3:]]), "LEDGER_BROKEN")
    refused(b"".join([lines[1], lines[0], *lines[2:]]), "LEDGER_BROKEN")
    refused(lines[0] + lines[1].replace(b'"n":2', b'"n": 2') + b"".join(lines[2:]), "LEDGER_BROKEN")
    refused(lines[0] + lines[1].replace(b"erasure", b"opt-out") + b"".join(lines[2:]), "LEDGER_BROKEN")
    refused(b"no ledger\n", "LEDGER_BROKEN")
    with pytest.raises(Conflict) as error:
        restore(world, own.path, tmp_path / "to", ledger_path=tmp_path / "absent")
    assert error.value.code == "LEDGER_MISSING"


def test_a_ledger_older_than_a_checkpoint_kept_elsewhere_is_refused(own: Shop, tmp_path: Path) -> None:
    world = own.world
    old = tmp_path / "old.ledger"
    shutil.copy(world.app.home.rights_ledger, old)
    decide(world, own.members)
    world.app.sequence()
    kept = tmp_path / "kept.note"
    kept.write_text(world.run("compliance", evidence.head).note)
    # Without the checkpoint nobody can tell; with it, the old copy is found out.
    with pytest.raises(Conflict) as error:
        restore(world, own.path, tmp_path / "to", ledger_path=old, checkpoint=kept)
    assert error.value.code == "LEDGER_STALE"
    assert restore(world, own.path, tmp_path / "to", checkpoint=kept).replayed.erasures == 1


def test_a_line_is_there_before_the_answer_and_a_lost_or_torn_one_is_made_up(own: Shop) -> None:
    world = own.world
    path, key = world.app.home.rights_ledger, world.app.keys.system_key(ledger.LABEL)
    before = path.read_bytes()
    world.run("support", rights.withdraw, member_id=world.id_of("H00020"), purpose="segment", channel="phone")
    after = path.read_bytes()
    assert after.startswith(before)
    assert [one.what for one in ledger.read(path, key=key)][-1] is ledger.What.WITHDRAWAL
    for left in (before, after[:-40]):  # killed before the line, and within it
        path.write_bytes(left)
        with begin(world.app.main, read_only=True) as session:
            ledger.extend(session, path=path, key=key, now=NOW)
        assert path.read_bytes() == after
    path.unlink()
    world.app.extend_ledger()
    assert [one.what for one in ledger.read(path, key=key)][-1] is ledger.What.WITHDRAWAL


def test_a_spoilt_ledger_lets_no_right_be_acknowledged(own: Shop) -> None:
    path = own.world.app.home.rights_ledger
    spoilt_line = path.read_bytes().replace(b'"size":', b'"size":1')
    path.write_bytes(spoilt_line)
    with pytest.raises(IntegrityBroken) as error:
        own.world.run("support", rights.withdraw, member_id=own.world.id_of("H00021"), purpose="segment")
    assert error.value.code == "LEDGER_BROKEN"
    with opened(own.world, own.world.app.home.root) as app:  # what uses no right goes on
        app.sequence()
        with pytest.raises(IntegrityBroken):
            rights.sweep(app.units(Actor.system()))
    path.unlink()  # as the operations guide says: it is made anew, from the log
    own.world.run("support", rights.withdraw, member_id=own.world.id_of("H00022"), purpose="segment")
    key = own.world.app.keys.system_key(ledger.LABEL)
    there = {one.member_id for one in ledger.read(path, key=key) if one.what is ledger.What.WITHDRAWAL}
    assert there == {own.world.id_of("H00021"), own.world.id_of("H00022")}


def test_the_ledger_holds_ids_and_names_of_the_policy_only(own: Shop, canary: Any) -> None:
    decide(own.world, own.members)
    needles = [value for row in own.members[:10] for key, value in row.items() if key != "性别" and len(value) > 6]
    assert canary.search_bytes("ledger", own.world.app.home.rights_ledger.read_bytes(), needles) == []
    assert own.world.app.home.rights_ledger.stat().st_mode & 0o777 == 0o600


# --- while others write, and killed --------------------------------------------------------------------------------


def test_a_backup_made_while_others_write_is_a_state_that_opens(own: Shop, tmp_path: Path) -> None:
    world = own.world
    stop, failed, withdrawn = threading.Event(), [], []

    def write() -> None:
        try:
            for number in range(30, MEMBERS):
                if stop.is_set():
                    return
                member = world.id_of(f"H{number:05d}")
                world.run("support", rights.withdraw, member_id=member, purpose="segment", channel="phone")
                withdrawn.append(member)
        except Exception as error:
            failed.append(error)
            raise

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            create(world, tmp_path / f"{number}.sealed")
    finally:
        stop.set()
        writer.join()
    assert failed == []
    assert withdrawn
    restore(world, tmp_path / "2.sealed", tmp_path / "again")
    with opened(world, tmp_path / "again") as app, app.unit(actor_in(app, world, "support")) as uow:
        states = {consent.state_of(uow, member, purpose="segment").state for member in withdrawn}
        assert states == {ConsentState.WITHDRAWN}
        assert audit.verify(uow.session, key=audit.note_key(uow.log_signer)).ok


def test_an_erasure_that_wipes_the_copies_makes_the_backup_begin_anew(own: Shop, tmp_path: Path) -> None:
    wiped = []

    def wipe(stage: str) -> None:
        if stage == "anon" and not wiped:
            wiped.append(stage)
            shutil.rmtree(next(own.world.app.home.spill.glob("*-backup-*")))

    path = tmp_path / "b.sealed"
    backups.create(own.world.app, own.world.actor("admin"), path=path, progress=wipe)
    assert wiped
    assert backups.verify(own.world.app, own.world.actor("admin"), path=path).files > 6


DRIVER = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from pdms.bootstrap import backups
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.settings import Settings
work, home, path, to, at, now = sys.argv[1:]
clock = FixedClock(datetime.fromisoformat(now))
def progress(stage):
    if stage.startswith(at):
        os.kill(os.getpid(), signal.SIGKILL)
if at == "named":
    backups._appear = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
settings = Settings(home=Path(home))
if work == "create":
    with App.open(settings, clock=clock) as app:
        actor = app.authenticate(settings.token.get_secret_value())
        backups.create(app, actor, path=Path(path), progress=progress)
else:
    ledger = Path(home) / "rights.ledger"
    backups.restore(settings, path=Path(path), to=Path(to), clock=clock, ledger_path=ledger, progress=progress)
"""


def killed(world: World, work: str, path: Path, to: Path, at: str, database: str | None = None) -> None:
    environment = os.environ | {"PDMS_TOKEN": world.tokens["admin"]}
    if database is not None:
        environment["PDMS_DATABASE_URL"] = database
    arguments = [work, str(world.app.home.root), str(path), str(to), at, world.clock.instant.isoformat()]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments], check=False, capture_output=True, env=environment, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


@pytest.mark.parametrize("at", ["vault", "facts", "keys"])
def test_a_killed_backup_leaves_nothing_that_looks_like_one(own: Shop, tmp_path: Path, at: str) -> None:
    path = tmp_path / "b.sealed"
    killed(own.world, "create", path, tmp_path, at, url_of(settings_of(own.world)))
    assert not path.exists()
    create(own.world, path)
    assert backups.verify(own.world.app, own.world.actor("admin"), path=path).files > 6
    assert not path.with_name(path.name + ".part").exists()
    assert not list(own.world.app.home.spill.glob("*-backup-*"))


@pytest.mark.parametrize("at", ["unpack", "rights", "erasure", "sweep", "open", "named"])
def test_a_killed_restore_leaves_no_home(own: Shop, tmp_path: Path, at: str) -> None:
    world, to = own.world, tmp_path / "again"
    decide(world, own.members)
    settings = restoring(world)
    killed(world, "restore", own.path, to, at, url_of(settings))
    assert not to.exists()
    if at != "named":  # all was done then, but for giving it its name
        with pytest.raises(NotFound):
            opened(world, tmp_path / "again.restoring")
    assert restore(world, own.path, to, settings=settings).replayed.erasures == 1
    assert not (tmp_path / "again.restoring").exists()
    with opened(world, to) as app, app.unit(actor_in(app, world, "support")) as uow:
        assert vault.find_external(uow, system="shop", external_id="H00002") is None


def test_an_erasure_while_the_backup_is_made_is_in_it_or_done_again(own: Shop, tmp_path: Path) -> None:
    world, path, to = own.world, tmp_path / "b.sealed", tmp_path / "again"
    left = {"vault": "H00009", "facts": "H00010", "keys": "H00011"}

    def erase(stage: str) -> None:
        number = left.pop(stage, None)
        if number is not None:
            units, value = world.app.units(world.actor("support")), own.members[int(number[1:])]["手机号"]
            rights.erase_member(units, member_id=world.id_of(number), field="phone", value=value)

    with pytest.raises(Conflict) as error:
        backups.create(world.app, world.actor("admin"), path=path, progress=erase)
    assert error.value.code == "BACKUP_OVERTAKEN"
    assert not path.exists()
    left["anon"] = "H00012"
    backups.create(world.app, world.actor("admin"), path=path, progress=erase)
    restore(world, path, to)
    with opened(world, to) as app, app.unit(actor_in(app, world, "support")) as uow:
        for number in ("H00009", "H00010", "H00011", "H00012"):
            assert vault.find_external(uow, system="shop", external_id=number) is None


@pytest.mark.parametrize("before", [(), (ledger.What.RESTRICTION_SET,)])
def test_who_was_corrected_is_restricted_although_a_restriction_was_lifted_since(
    own: Shop, before: tuple[ledger.What, ...]
) -> None:
    """PIPL-46: accuracy disputed, restricted, corrected, lifted; the backup has the wrong value."""
    world, kind = own.world, RestrictionKind.RESTRICTION.value
    member = world.id_of("H00013")
    what = (*before, ledger.What.CORRECTION, ledger.What.RESTRICTION_LIFTED)
    lines = [
        ledger.Line(number, one, NOW, 0, 0, 0, 0, member, restriction="" if one is ledger.What.CORRECTION else kind)
        for number, one in enumerate(what, 1)
    ]
    if not before:
        world.run("support", rights.restrict, member_id=member, kind=RestrictionKind.RESTRICTION)
    done = replay.replay(world.app.units(Actor.system()), lines)
    assert (done.corrections_restricted, done.restrictions_lifted) == (1, 1)
    with world.unit("support") as uow:
        standing = [(one.kind, one.purpose) for one in consent.standing_restrictions(uow, member)]
    assert standing == [(RestrictionKind.RESTRICTION, "")]


def test_a_member_whose_key_is_gone_is_erased_again_all_the_same(own: Shop) -> None:
    world = own.world
    member = world.id_of("H00009")
    world.app.keys.fence([member])
    world.app.keys.destroy([member])
    line = ledger.Line(1, ledger.What.ERASURE, NOW, 0, 0, 0, 0, member)
    units = world.app.units(Actor.system())
    for expected in ((1, 1, 0), (0, 0, 1)):
        done = replay.replay(units, [line])
        assert (done.erasures, done.without_key, done.absent) == expected
    members = own.members[9:10]
    again = [members[0], {**members[0], "会员编号": "X00009"}]  # the old file, and the same telephone as somebody new
    for turn in range(3):  # what stops it was made of index digests: their key may be rotated, and its own
        with world.unit("support") as uow:
            before = vault.count(uow)
            assert vault.find_external(uow, system="shop", external_id="H00009") is None
            assert vault.suppressed_since(uow, system="shop", external_id="H00009") is not None
            assert vault.suppressed_since(uow, system="shop", external_id="H10009") is None
        world.ingest("shop-members", again)
        with world.unit("support") as uow:
            assert vault.count(uow) == before
        rotate = (rotation.rotate_index, rotation.rotate_suppression)[turn % 2]
        rotate(world.app.units(world.actor("admin")))


def test_on_the_command_line(own: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = own.world
    monkeypatch.setenv("PDMS_TOKEN", world.tokens["admin"])

    def pdms(*words: str, home: Path) -> tuple[int, str]:
        out = io.StringIO()
        monkeypatch.setattr("sys.stdout", out)
        code = run(["--home", str(home), "--json", *words], clock=FixedClock(world.clock.instant))
        return code, out.getvalue()

    path, to = tmp_path / "b.sealed", tmp_path / "again"
    assert pdms("backup", "create", str(path), home=world.app.home.root)[0] == 0
    code, told = pdms("backup", "verify", str(path), home=world.app.home.root)
    assert (code, json.loads(told)["files"]) == (0, json.loads(told)["files"])
    # No home is needed to restore: what `--home` names need not exist.
    empty = url_of(restoring(world))
    if empty is not None:
        monkeypatch.setenv("PDMS_DATABASE_URL", empty)
    code, told = pdms("backup", "restore", str(path), "--to", str(to), home=tmp_path / "none")
    monkeypatch.delenv("PDMS_DATABASE_URL", raising=False)  # the home knows
    assert (code, json.loads(told)["replayed"]["lines"]) == (0, 0)
    assert pdms("member", "show", "shop:H00001", home=to)[0] == 4  # an administrator sees no member
    assert pdms("keys", "show", home=to)[0] == 0
    path.write_bytes(path.read_bytes()[:-1])
    assert pdms("backup", "verify", str(path), home=to)[0] == 7
