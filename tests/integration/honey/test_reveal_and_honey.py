"""Seeing members: masked unless permitted, logged before it is shown, counted across processes; and honey members, who
look like any other to whoever meets them, raise an alarm, and count nowhere."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect

from common.policies import SHIPPED
from common.world import World, populated
from pdms.audit.catalogue import EventKind
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.dispatch import service as dispatch
from pdms.dispatch.channels import RecordingChannel
from pdms.errors import Conflict, Denied, IntegrityBroken, NotFound
from pdms.gate import service as gate
from pdms.marketing import service as marketing
from pdms.policy.loader import load
from pdms.publish import service as publish
from pdms.reports import consents, evidence
from pdms.rights import service as rights
from pdms.segments import service as segments
from pdms.taxonomy import MemberId, Operation
from pdms.vault import service as vault

MEMBERS = 300
WORKER = """
import sys
from datetime import datetime
from pathlib import Path
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.errors import Denied
from pdms.rights import service as rights
from pdms.settings import Settings

home, policies, token, member, tries, now = sys.argv[1:]
app = App.open(Settings(home=Path(home), policies=Path(policies)), clock=FixedClock(datetime.fromisoformat(now)))
actor, opened = app.authenticate(token), 0
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(tries)):
    try:
        app.run(actor, rights.reveal, member_id=bytes.fromhex(member), fields=("phone",), purpose="service",
                reason="CALL_BACK")
        opened += 1
    except Denied as denied:
        assert [r.code for r in denied.reasons] == ["REVEAL_RATE"]
print(opened, flush=True)
"""


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None
) -> Iterator[tuple[World, list[dict[str, str]]]]:
    made, members = populated(tmp_path_factory.mktemp("honey"), count=MEMBERS, database=lasting_database)
    yield made, members
    made.close()


@pytest.fixture(autouse=True)
def _fresh_hour(shop) -> None:
    shop[0].pass_time(hours=1)


@pytest.fixture
def decoy(shop) -> Iterator[MemberId]:
    """One member, marked for this test."""
    world, _ = shop
    world.run("compliance", rights.change_decoys, members=["shop:H00007"])
    yield world.id_of("H00007")
    world.run("compliance", rights.change_decoys, members=["shop:H00007"], drop=True)


def events(world: World, *kinds: EventKind, member: MemberId | None = None) -> list[evidence.LogEvent]:
    """Newest first."""
    found = world.run("compliance", evidence.list_events, kinds=[k.value for k in kinds], member_id=member, limit=1000)
    return list(found.items)


def reveal(world: World, member: MemberId, **more: object) -> dict[str, str]:
    use = {"fields": ("phone",), "purpose": "service", "reason": "CALL_BACK"} | more
    return world.run("support", rights.reveal, member_id=member, **use)


def line(world: World, *words: str, role: str = "support", typed: str = "", monkeypatch) -> tuple[int, str]:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    monkeypatch.setenv("PDMS_TOKEN", world.tokens[role])
    with redirect_stdout(out), redirect_stderr(out):
        code = run(["--home", str(world.app.home.root), *words], clock=FixedClock(world.clock.instant))
    return code, out.getvalue()


# --- masked by default, reveal by permit


def test_a_masked_view_and_a_look_up_leave_one_event_each_and_no_value(shop) -> None:
    world, members = shop
    before = len(events(world, EventKind.MEMBER_LOOKED_UP, EventKind.MEMBER_VIEWED))
    (found,) = world.run("support", rights.find_members, field="phone", value=members[3]["手机号"])
    world.run("support", vault.masked, found)
    told = events(world, EventKind.MEMBER_LOOKED_UP, EventKind.MEMBER_VIEWED)[: -before or None]
    assert [(e.kind, e.member_id, e.actor) for e in told] == [
        ("member.viewed", found.hex(), world.actor("support").id),
        ("member.looked_up", found.hex(), world.actor("support").id),
    ]
    assert told[1].numbers == {"found": 1, "by_phone": 1}
    assert not told[1].refs


def test_whoever_guesses_numbers_is_in_the_log(shop, monkeypatch) -> None:
    world, _ = shop
    code, _ = line(world, "member", "show", "shop:NOBODY", monkeypatch=monkeypatch)
    assert code == 5
    newest = events(world, EventKind.MEMBER_LOOKED_UP)[0]
    assert (newest.member_id, newest.numbers) == (None, {"found": 0, "by_external": 1})
    assert world.run("support", rights.find_members, field="phone", value="13900000000") == ()
    assert events(world, EventKind.MEMBER_LOOKED_UP)[0].numbers == {"found": 0, "by_phone": 1}


@pytest.mark.parametrize(
    ("reason", "codes"),
    [("CURIOUS", ["REASON_UNKNOWN"]), ("", ["REASON_MISSING"]), ("she is my neighbour", ["REASON_UNKNOWN"])],
)
def test_a_reason_is_a_code_that_the_policy_lists(shop, reason, codes) -> None:
    world, _ = shop
    member = world.id_of("H00004")
    with pytest.raises(Denied) as caught:
        reveal(world, member, reason=reason)
    assert [r.code for r in caught.value.reasons] == codes
    assert list(events(world, EventKind.DENIAL, member=member)[0].reasons) == codes


def test_a_ticket_stands_beside_the_reason_where_the_policy_wants_one(shop) -> None:
    world, _ = shop
    member, policy = world.id_of("H00004"), world.app.policy
    with world.unit("support") as uow:
        uow.policy = strict = replace(policy, reveal=replace(policy.reveal, ticket=True))
        use = gate.Use("service", Operation.REVEAL, fields=("phone",), reason="CALL_BACK")
        asked = gate.decide_one(
            uow, member_id=member, **{k: getattr(use, k) for k in ("purpose", "operation", "fields", "reason")}
        )
    assert list(asked.codes) == ["TICKET_MISSING"]
    assert strict.reveal.ticket
    assert reveal(world, member, ticket="CS-1024")
    with world.unit("compliance") as uow:
        from pdms.audit import service as audit

        page = audit.list_events(uow.session, kinds=[EventKind.REVEAL, EventKind.PERMIT], limit=2)
    assert [stored.event.ticket for stored in page.items] == ["CS-1024", "CS-1024"]


def test_a_permit_ends_when_the_policy_says(shop) -> None:
    world, _ = shop
    member = world.id_of("H00005")
    asked = {"purpose": "service", "operation": Operation.REVEAL, "fields": ("phone",), "reason": "CALL_BACK"}
    permit = world.run("support", gate.permit, member_id=member, **asked)
    assert permit.expires_at - permit.issued_at == timedelta(minutes=world.app.policy.reveal.permit_minutes)
    assert world.run("support", vault.reveal, permit, member_id=member, fields=("phone",))
    world.pass_time(minutes=world.app.policy.reveal.permit_minutes)
    with pytest.raises(Denied) as caught:
        world.run("support", vault.reveal, permit, member_id=member, fields=("phone",))
    assert [r.code for r in caught.value.reasons] == ["PERMIT_EXPIRED"]


def test_processes_side_by_side_reveal_no_more_than_one_would(shop) -> None:
    world, _ = shop
    member, limit = world.id_of("H00006"), world.app.policy.reveal.per_hour
    policies = SHIPPED
    words = [str(world.app.home.root), str(policies), world.tokens["support"], member.hex(), "40"]
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *words, world.clock.instant.isoformat()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for one in crew:
        assert one.stdout.readline() == "ready\n"
    for one in crew:
        one.stdin.write("go\n")
        one.stdin.flush()
    counts = [int(one.communicate(timeout=120)[0]) for one in crew]
    assert sum(counts) == limit
    told = [e for e in events(world, EventKind.REVEAL, member=member) if e.at == world.clock.instant]
    assert len(told) == limit


# --- honey members


def test_whoever_meets_a_decoy_raises_an_alarm_and_sees_a_member_like_any_other(shop, decoy, monkeypatch) -> None:
    world, members = shop
    before = len(events(world, EventKind.REVEAL_HONEY))
    plain, shown = (
        [
            line(world, "--json", *words, monkeypatch=monkeypatch, typed=f"{members[number]['手机号']}\n")
            for words in (
                ["member", "find", "phone"],
                ["member", "show", f"shop:H{number:05}"],
                ["member", "reveal", f"shop:H{number:05}", "--field", "phone", "--purpose", "service", "--reason",
                 "CALL_BACK"],
                ["member", "reveal", f"shop:H{number:05}", "--field", "email", "--purpose", "segment", "--reason", "X"],
            )
        ]
        for number in (8, 7)
    )  # fmt: skip
    assert [code for code, _ in shown] == [code for code, _ in plain] == [0, 0, 0, 4]
    assert json.loads(shown[1][1]).keys() == json.loads(plain[1][1]).keys()
    assert json.loads(shown[2][1]) == {"phone": f"+86{members[7]['手机号']}"}
    assert shown[3][1] == plain[3][1]
    alarms = events(world, EventKind.REVEAL_HONEY)[: -before or None]
    assert {e.member_id for e in alarms} == {decoy.hex()}
    assert {e.actor for e in alarms} == {world.actor("support").id}
    assert Counter(e.refs["act"] for e in alarms) == {"look-up": 4, "view": 1, "reveal": 1, "reveal-refused": 1}
    words = ["--json", "audit", "list", "--kind", "reveal.honey", "--limit", "1"]
    code, listed = line(world, *words, role="compliance", monkeypatch=monkeypatch)
    assert (code, json.loads(listed)["items"][0]["member_id"]) == (0, decoy.hex())


def test_only_officers_know_the_decoys(shop, decoy, monkeypatch) -> None:
    world, _ = shop
    assert world.run("admin", rights.list_decoys) == (decoy,)
    for role in ("support", "marketing", "ingest"):
        with pytest.raises(Denied):
            world.run(role, rights.list_decoys)
        with pytest.raises(Denied):
            world.run(role, rights.change_decoys, members=["shop:H00007"], drop=True)
    code, told = line(world, "--json", "member", "honey", role="compliance", monkeypatch=monkeypatch)
    assert (code, json.loads(told)) == (0, [decoy.hex()])
    for nobody in ("shop:NOBODY", "0" * 32):
        with pytest.raises(NotFound):
            world.run("compliance", rights.change_decoys, members=["shop:H00009", nobody])
    assert world.run("admin", rights.list_decoys) == (decoy,)


def test_the_database_alone_does_not_tell_decoys_apart(shop) -> None:
    world, _ = shop

    def stolen() -> dict[str, str]:
        """What a thief of vault.db holds, table by table; the log, and what an officer's work leaves anyway, aside."""
        with world.unit("admin") as uow:
            run = uow.session.connection().exec_driver_sql
            sizes = {}
            for name in inspect(uow.session.connection()).get_table_names():
                if not name.startswith("audit"):
                    sizes[name] = repr(sorted(map(repr, run(f"SELECT * FROM {name}").all())))
            return sizes

    numbers = [f"shop:H{n:05}" for n in range(20, 60)]
    one = world.id_of("H00020")
    world.run("compliance", rights.change_decoys, members=numbers[:1])
    first = stolen()
    world.run("compliance", rights.change_decoys, members=numbers[1:])
    second = stolen()
    assert {name for name in first if first[name] != second[name]} == {"decoy_list"}
    assert len(first["decoy_list"]) - len(second["decoy_list"]) in range(-400, 400)  # escapes in repr, no forty ids
    with world.unit("admin") as uow:
        (sealed,) = uow.session.connection().exec_driver_sql("SELECT sealed FROM decoy_list").one()
    assert one not in bytes(sealed)
    assert one.hex().encode() not in bytes(sealed)
    changes = events(world, EventKind.HONEY_CHANGED)
    assert changes
    assert all(e.member_id is None for e in changes)
    world.run("compliance", rights.change_decoys, members=numbers, drop=True)
    assert world.run("compliance", rights.list_decoys) == ()


def test_a_list_that_was_altered_is_found_and_opens_nothing(shop, decoy) -> None:
    world, _ = shop
    with world.unit("admin") as uow:
        run = uow.session.connection().exec_driver_sql
        kept = run("SELECT sealed FROM decoy_list").scalar_one()
        run("UPDATE decoy_list SET sealed = ?", (kept[:-1] + bytes((kept[-1] ^ 1,)),))
    try:
        with pytest.raises(IntegrityBroken):
            world.run("support", vault.masked, decoy)
    finally:
        with world.unit("admin") as uow:
            uow.session.connection().exec_driver_sql("UPDATE decoy_list SET sealed = ?", (kept,))


def test_a_list_changed_underneath_is_not_written_over(shop, decoy) -> None:
    world, _ = shop
    other = world.id_of("H00001")

    def raced(uow) -> None:
        vault.decoys(uow)
        uow.session.connection().exec_driver_sql("UPDATE decoy_list SET sealed = ?", (b"another process's",))
        vault.mark_decoys(uow, [other])

    with pytest.raises(Conflict):
        world.run("compliance", raced)
    assert world.run("compliance", rights.list_decoys) == (decoy,)


def test_decoys_count_in_no_release_no_send_and_no_report(shop, monkeypatch, tmp_path) -> None:
    world, members = shop
    eligible = {"purpose": "segment", "operation": Operation.PROFILE}
    plain = world.run("compliance", gate.eligible, **eligible)
    coverage = world.run("compliance", consents.coverage)
    after = _stricter(tmp_path)
    affected = world.run("compliance", gate.affected, after=after)
    assert affected["segment"] == MEMBERS
    numbers = [f"shop:H{n:05}" for n in range(100, 140)]
    ids = {world.id_of(number.partition(":")[2]) for number in numbers}
    world.run("compliance", rights.change_decoys, members=numbers)
    try:
        found = world.run("compliance", gate.eligible, **eligible)
        assert found.total == plain.total - 40
        assert not ids.intersection(found.member_ids)
        assert set(found.member_ids) | ids == set(plain.member_ids) | ids
        assert world.run("compliance", gate.affected, after=after)["segment"] == MEMBERS - 40
        fewer = world.run("compliance", consents.coverage)
        assert [(a.purpose, a.members - b.members) for a, b in zip(coverage, fewer, strict=True)] == [
            (row.purpose, 40) for row in coverage
        ]
        with world.unit("compliance") as uow:
            assert vault.count(uow) == MEMBERS - 40
        one = next(iter(ids))
        for operation, codes in ((Operation.PROFILE, ("MEMBER_UNKNOWN",)), (Operation.SEND, ("MEMBER_UNKNOWN",))):
            purpose = "segment" if operation is Operation.PROFILE else "market_email"
            with world.unit("marketing") as uow:
                asked = gate.decide_one(uow, member_id=one, purpose=purpose, operation=operation)
            assert asked.codes == codes
        _released_without(world, ids)
        _sent_without(world, members)
    finally:
        world.run("compliance", rights.change_decoys, members=numbers, drop=True)


def _released_without(world: World, ids: set[MemberId]) -> None:
    units = world.app.units(world.actor("compliance"))
    published = publish.publish(units, view="member_value")
    assert published.members == MEMBERS - len(ids)
    assert published.eligible == MEMBERS - len(ids)


def _sent_without(world: World, members: list[dict[str, str]]) -> None:
    rule = {"all": [{"feature": "orders", "at_least": 2}]}
    label = {"zh-CN": "买家", "en": "Buyers"}
    document = {"name": "all_buyers", "view": "member_value", "label": label, "rule": rule}
    world.run_anon("marketing", segments.save, document=document)
    campaign = {
        "name": "autumn", "segment": "all_buyers", "purpose": "market_email", "channel": "email", "min_size": 50,
        "frequency_cap": {"messages": 1, "days": 30},
        "template": {"language": "zh-CN", "subject": "秋季新品", "body": "{name}您好！\n退订： {opt_out}\n"},
    }  # fmt: skip
    world.run_anon("marketing", marketing.create, document=campaign)
    channel = RecordingChannel()
    units = world.app.units(world.actor("marketing"))
    dispatch.send(units, campaign="autumn", channel=channel, public_url="https://shop.example")
    written = {message.recipient for message in channel.messages}
    decoys = {members[n]["邮箱"] for n in range(100, 140)}
    assert len(written) > 100
    assert not written & decoys
    counts = world.run("compliance", dispatch.officer_counts, campaign="autumn").members
    assert counts["audience"] == len(written)


def _stricter(folder: Path):
    """The starter policy, its segment purpose reaching further: every consent to it must be asked for again."""
    import shutil

    shutil.copytree(SHIPPED, folder / "policies")
    path = folder / "policies" / "policy.yaml"
    text = path.read_text("utf-8")
    before = "operations: [collect, profile, deidentify]"
    assert text.count(before) == 1
    path.write_text(text.replace(before, "operations: [collect, profile, deidentify, adm]"), "utf-8")
    for notice in (folder / "policies" / "notices").rglob("*.yaml"):
        notice.write_text(
            notice.read_text("utf-8").replace("[collect, profile, deidentify]", "[collect, profile, deidentify, adm]"),
            "utf-8",
        )
    return load(folder / "policies")


def test_an_erased_decoy_leaves_the_list(shop) -> None:
    world, members = shop
    world.run("compliance", rights.change_decoys, members=["shop:H00200"])
    member = world.id_of("H00200")
    units = world.app.units(world.actor("support"))
    done = rights.erase_member(units, member_id=member, field="phone", value=members[200]["手机号"])
    assert done.receipt
    assert world.run("compliance", rights.list_decoys) == ()
