"""Promises of the journeys: what a withdrawal stops, what marketing can and cannot tell, what many at once may do."""

import contextlib
import email
import email.policy
import io
import json
import re
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from common.autumn import CAMPAIGN, SEGMENT
from common.bytes_of import bytes_of_member
from common.shell import Answer, Shell, program
from common.world import World, consents_of, orders_of, people
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.consent import service as consent
from pdms.facts import service as facts
from pdms.gate import service as gate
from pdms.rights import service as rights
from pdms.taxonomy import ConsentState, ConsentType, RestrictionKind


class Mailbox:
    """A mail server that keeps what it is given, and may do something at the n-th message."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.at: dict[int, Callable[[], None]] = {}

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.messages[-1]["X-To"] = envelope.rcpt_tos[0]
        then = self.at.pop(len(self.messages), None)
        if then is not None:
            worker = threading.Thread(target=then)
            worker.start()
            worker.join()
        return "250 OK"

    @property
    def recipients(self) -> list[str]:
        return [str(message["X-To"]) for message in self.messages]


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    mailbox = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, f"smtp://127.0.0.1:{port}"
    controller.stop()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    world = World.make(tmp_path)
    yield Shell(world)
    world.close()


def fill(shell: Shell, members: Sequence[dict[str, str]], purposes: tuple[str, ...] = ("分群分析", "邮件营销")) -> None:
    """Members with one to twelve orders each, all consenting to `purposes`."""
    orders, lines = orders_of(members)
    for source, rows in (
        ("shop-members", members),
        ("shop-orders", orders),
        ("shop-order-lines", lines),
        ("shop-consents", consents_of(members, purposes)),
    ):
        if not rows:
            continue
        report = shell.world.ingest(source, rows)
        assert report.rejected == 0, report.by_rule


def draft(shell: Shell, *, segment: bool = True, **changes: Any) -> None:
    documents = [("segment", "save", SEGMENT)] if segment else []
    for noun, verb, document in [*documents, ("campaign", "create", {**CAMPAIGN, **changes})]:
        path = shell.world.folder / f"{noun}.yaml"
        path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
        shell("marketing", noun, verb, str(path))


def send(shell: Shell, url: str, name: str = "autumn") -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDMS_SMTP_URL", url)
        return shell("marketing", "--json", "campaign", "send", name)


def consents(shell: Shell, number: str, purpose: str, state: ConsentState) -> None:
    shell.world.pass_time(seconds=1)
    shell.world.run(
        "support", gate.record_consent, shell.world.id_of(number), purpose=purpose, state=state,
        type=ConsentType.CONSENT, evidence="EV-LIVE",
    )  # fmt: skip


def withdraws(shell: Shell, number: str, purpose: str) -> rights.Withdrawal:
    shell.world.pass_time(seconds=1)
    return shell.world.run("support", rights.withdraw, member_id=shell.world.id_of(number), purpose=purpose)


# --- what reaches whom --------------------------------------------------------------------------------------------


def test_nobody_is_reached_who_did_not_agree_and_the_officer_knows_why(shell, mail):
    mailbox, url = mail
    everyone = people(90)
    names = [
        "withdraws", "never asked", "refused", "no segment", "minor", "child", "age unknown", "no address",
        "restricted", "not contacted", "erased", "withdrew before", "no decisions", "as all others",
    ]  # fmt: skip
    plain, odd = everyone[:76], dict(zip(names, everyone[76:], strict=True))
    odd["minor"] |= {"出生日期": "2010-01-05", "身份证号": ""}
    odd["child"] |= {"出生日期": "2015-01-05", "身份证号": ""}
    odd["age unknown"] |= {"出生日期": "", "身份证号": ""}
    odd["no address"] |= {"邮箱": ""}
    agreeing = [m for name, m in odd.items() if name not in ("never asked", "refused", "no segment")]
    fill(shell, everyone, ())
    world = shell.world
    world.ingest("shop-consents", consents_of([*plain, *agreeing]))
    world.ingest("shop-consents", consents_of([odd["never asked"], odd["refused"]], ("分群分析",)))
    world.ingest("shop-consents", consents_of([odd["no segment"]], ("邮件营销",)))
    number = {name: m["会员编号"] for name, m in odd.items()}
    consents(shell, number["refused"], "market_email", ConsentState.REFUSED)
    withdraws(shell, number["withdrew before"], "market_email")
    for name, kind in (
        ("restricted", RestrictionKind.RESTRICTION),
        ("not contacted", RestrictionKind.DO_NOT_CONTACT),
        ("no decisions", RestrictionKind.ADM_OPT_OUT),
    ):
        world.run("support", rights.restrict, member_id=world.id_of(number[name]), kind=kind)
    shell("support", "member", "erase", f"shop:{number['erased']}", typed=odd["erased"]["手机号"])

    draft(shell)
    shell("marketing", "campaign", "preview", "autumn")
    withdraws(shell, number["withdraws"], "market_email")
    send(shell, url)

    # Whoever is not held back has agreed to all of it, is of age, and can be reached.
    reached = set(mailbox.recipients)
    assert len(mailbox.recipients) == len(reached)
    assert reached == {m["邮箱"] for m in plain} | {odd["as all others"]["邮箱"]}
    counts = shell.json("compliance", "campaign", "officer-counts", "autumn")["members"]
    assert counts["handed_over"] == len(reached) == 77
    told = Counter[str]()
    for reason, members in counts.items():
        told[reason.removeprefix("excluded_")] += members
    assert {reason: told[reason] for reason in told if reason.isupper()} == {
        "CONSENT_WITHDRAWN": 2,
        "CONSENT_REFUSED": 1,
        "NO_CONSENT": 2,
        "MINOR": 2,
        "AGE_UNKNOWN": 1,
        "ADM_OPT_OUT": 1,
        "RESTRICTED": 1,
        "DO_NOT_CONTACT": 1,
        "NO_ADDRESS": 1,
    }
    # Marketing reads each count with noise and how wide it is, or only that it is too small: never as it was counted.
    seen = shell.json("marketing", "campaign", "counts", "autumn")["counts"]
    for count in seen.values():
        assert count["below"] == 50 if count["value"] is None else count["low"] < count["value"] < count["high"]


def test_who_withdraws_while_it_is_being_sent_gets_nothing_after_the_acknowledgement(shell, mail):
    mailbox, url = mail
    members = people(70)
    fill(shell, members)
    draft(shell)
    address = {m["邮箱"]: m["会员编号"] for m in members}
    withdrawn: list[tuple[int, str]] = []

    def half_of_the_rest_withdraw() -> None:
        rest = [one for one in address if one not in mailbox.recipients]
        for one in rest[::2]:
            assert not withdraws(shell, address[one], "market_email").in_flight
            withdrawn.append((len(mailbox.messages), one))

    mailbox.at[7] = half_of_the_rest_withdraw
    send(shell, url)
    assert len(withdrawn) >= 20
    for when, one in withdrawn:
        assert one not in mailbox.recipients[when:]
    assert len(mailbox.recipients) == len(set(mailbox.recipients)) == 70 - len(withdrawn)
    counts = shell.json("compliance", "campaign", "officer-counts", "autumn")["members"]
    assert counts["CONSENT_WITHDRAWN"] == len(withdrawn)


def test_every_message_names_its_sender_and_carries_a_way_out(shell, mail):
    mailbox, url = mail
    members = people(60)
    fill(shell, members)
    draft(shell)
    send(shell, url)
    links = set()
    for message in mailbox.messages:
        assert str(message["Subject"]).startswith("广告")
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        (link,) = re.findall(r"<(https?://[^>]+)>", str(message["List-Unsubscribe"]))
        links.add(link)
        body = message.get_body(("plain",)).get_content()
        assert link in body
        one = next(m for m in members if m["邮箱"] == message["X-To"])
        assert one["姓名"] in body
        whole = message.as_string()
        for column in ("会员编号", "手机号", "身份证号", "登录名", "收货地址"):
            assert one[column] not in whole
        for other in members:
            if other is not one:
                assert other["邮箱"] not in whole
        assert re.search(r"<img|src=|http-equiv", whole, re.IGNORECASE) is None
        for value in (one["邮箱"], one["姓名"], one["会员编号"]):
            assert value not in link
    assert len(links) == len(mailbox.messages) == 60


# --- what marketing can tell --------------------------------------------------------------------------------------


def numbers(value: Any, path: str = "") -> dict[str, str]:
    """Every number that an answer shows, by its place; `<50` for a small one."""
    found = {}
    if isinstance(value, dict) and {"value", "below"} <= set(value):
        found[path] = f"<{value['below']}" if value["value"] is None else str(value["value"])
    elif isinstance(value, dict):
        for key, inner in value.items():
            found |= numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            found |= numbers(inner, f"{path}[{place}]")
    elif isinstance(value, int) and not isinstance(value, bool):
        found[path] = str(value)
    return found


def told(shell: Shell) -> dict[str, str]:
    """Every number that marketing is told of a campaign to be sent, and of one that was."""
    answers = {
        "preview": shell.json("marketing", "campaign", "preview", "autumn"),
        "counts": shell.json("marketing", "campaign", "counts", "early"),
    }
    return numbers(answers)


def test_what_marketing_is_told_does_not_follow_single_members(shell, mail):
    """The same question has the same noised answer, whoever joins or leaves: asking again and again tells nothing."""
    _mailbox, url = mail
    members = people(67)
    fill(shell, members)
    draft(shell)
    draft(shell, segment=False, name="early")
    send(shell, url, "early")
    seen = [told(shell)]
    assert abs(int(seen[0][".preview.audience"]) - 67) < 15
    previewed = shell("marketing", "campaign", "preview", "autumn").out
    assert re.search(rf"audience\D*\b{seen[0]['.preview.audience']}\b", previewed)
    for member in members[:6]:
        withdraws(shell, member["会员编号"], "segment" if int(member["会员编号"][1:]) % 2 else "market_email")
        seen.append(told(shell))
    consents(shell, members[0]["会员编号"], "segment", ConsentState.GIVEN)
    consents(shell, members[0]["会员编号"], "market_email", ConsentState.GIVEN)
    seen.append(told(shell))
    assert all(one == seen[0] for one in seen)


def test_campaigns_that_differ_by_one_member_are_told_with_noise(shell, mail):
    _mailbox, url = mail
    members = people(58)
    fill(shell, members)
    draft(shell, name="first")
    names = ("first", "second", "third")
    told_counts = []
    for at, name in enumerate(names):
        if at:
            withdraws(shell, members[at]["会员编号"], "market_email")
            draft(shell, segment=False, name=name)
        report = send(shell, url, name).json
        assert report["counts"] == shell.json("marketing", "campaign", "counts", name)["counts"]
        told_counts.append(report["counts"]["handed_over"])
    exact = [shell.json("compliance", "campaign", "officer-counts", n)["members"]["handed_over"] for n in names]
    assert exact == [58, 57, 56]
    for count, number in zip(told_counts, exact, strict=True):
        # an interval wider than the one member that the campaigns differ by, or only "small"
        assert count["below"] == 50 or (count["high"] - count["low"] > 6 and abs(count["value"] - number) < 20)


class Screen(io.StringIO):
    """A terminal, as the command line sees it."""

    def isatty(self) -> bool:
        return True


def test_a_screen_does_not_tell_how_many_batches_an_audience_makes(shell, monkeypatch):
    """Per cent of 61 members by batches of 20 are 32, 65, 98: they tell 61 from 62 for certain, and at no cost."""
    fill(shell, people(61))
    draft(shell)
    monkeypatch.setenv("PDMS_TOKEN", shell.world.tokens["marketing"])
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    line = ["--home", str(shell.world.app.home.root), "campaign", "send", "autumn", "--record"]
    with contextlib.redirect_stderr(screen):
        assert run(line, clock=FixedClock(shell.world.clock.instant)) == 0
    assert "send autumn" in screen.getvalue()
    assert "%" not in screen.getvalue()


def test_too_few_are_not_sent_to(shell, mail):
    mailbox, url = mail
    fill(shell, people(40))
    draft(shell)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDMS_SMTP_URL", url)
        answer = shell("marketing", "campaign", "send", "autumn", expect=4)
    assert "BELOW_MIN_CELL" in answer.err
    assert re.findall(r"\b40\b", answer.text) == []
    assert mailbox.messages == []


@pytest.mark.parametrize(
    "template",
    [
        {"body": "看看 https://shop.example/?m={name}\n{opt_out}"},
        {"body": "看看 https://{name}.shop.example\n{opt_out}"},
        {"body": "看看 shop.example/{name}\n{opt_out}"},
        {"body": "看看 https://shop.example/#{sender}\n{opt_out}"},
        {"body": "您的电话 {phone}\n{opt_out}"},
        {"body": "您的编号 {member_id}\n{opt_out}"},
        {"body": "{name.__class__}\n{opt_out}"},
        {"body": "{name!r}\n{opt_out}"},
        {"body": "{0}\n{opt_out}"},
        {"body": "{{name}}\n{opt_out}"},
        {"body": "${name}\n{opt_out}\n{% include 'x' %}"},
        {"body": "没有退订"},
        {"body": "{opt_out}", "subject": "{email}"},
        {"body": "{opt_out}", "subject": "第一行\nBcc: all@example.com"},
        {"body": "{opt_out}", "subject": "广告 自己写的"},
        {"body": "{opt_out}", "html": "<img src='https://shop.example/p.gif'><a href=\"{opt_out}\">退订</a>"},
        {"body": "{opt_out}", "html": "<a href='https://shop.example/?n={name}'>x</a><a href=\"{opt_out}\">退订</a>"},
        {"body": "{opt_out}", "html": "<script>fetch('https://x.example')</script><a href=\"{opt_out}\">退订</a>"},
        {"body": "{opt_out}", "html": '<p style="background:url(https://x.example/{name})">x</p>{opt_out}'},
        {"body": "{opt_out}", "html": "<p onclick='x()'>x</p><a href=\"{opt_out}\">退订</a>"},
        {"body": "{opt_out}", "unknown": "x"},
    ],
    ids=str,
)
def test_a_template_that_could_carry_a_member_away_is_refused(template, tmp_path_factory, request):
    shell = shared(request, tmp_path_factory)
    path = shell.world.folder / "campaign.yaml"
    document = CAMPAIGN | {"template": CAMPAIGN["template"] | template}
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    answer = shell("marketing", "--json", "campaign", "create", str(path), expect=2)
    assert json.loads(answer.err)["code"] in ("TEMPLATE_REFUSED", "INVALID_INPUT", "UNKNOWN_KEY")
    shell("marketing", "campaign", "show", "autumn", expect=5)


def shared(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Shell:
    """One home for the cases above, which store nothing."""
    kept: dict[str, Shell] = request.config.__dict__.setdefault("_template_home", {})
    if "shell" not in kept:
        kept["shell"] = Shell(World.make(factory.mktemp("templates")))
        draft_segment = kept["shell"].world.folder / "segment.yaml"
        draft_segment.write_text(json.dumps(SEGMENT, ensure_ascii=False), "utf-8")
        kept["shell"]("marketing", "segment", "save", str(draft_segment))
        request.config.add_cleanup(kept["shell"].world.close)
    return kept["shell"]


# --- many at once -------------------------------------------------------------------------------------------------


def at_once(world: World, *lines: tuple[str, list[str], str]) -> list[Answer]:
    """Run command lines as programs of their own, at the same time: (role, words, typed)."""
    with ThreadPoolExecutor(len(lines)) as pool:
        running = [
            pool.submit(program, world.app.home.root, world.tokens[role], *words, typed=typed)
            for role, words, typed in lines
        ]
        return [one.result() for one in running]


def again(world: World, answer: Answer, role: str, typed: str = "") -> Answer:
    """What a person does who is told that somebody else is at it: try again."""
    if answer.code != 6:
        return answer
    return program(world.app.home.root, world.tokens[role], *answer.words, typed=typed)


def rows_of(home: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(home / "vault.db")) as database:
        return database.execute(statement).fetchall()


def test_two_take_the_same_file_in_at_once(shell):
    world, home = shell.world, shell.world.app.home.root
    members = people(400)
    path, other = str(world.file("one.csv", members)), str(world.file("two.csv", members[200:] + people(450)[400:]))
    line = ("ingest", ["ingest", "shop-members", path], "")
    answers = at_once(world, line, line, ("ingest", ["ingest", "shop-members", other], ""))
    assert {a.code for a in answers} <= {0, 6}, [a.text for a in answers]
    assert [again(world, a, "ingest").code for a in answers] == [0, 0, 0]
    assert rows_of(home, "SELECT count(*) FROM member") == [(450,)]
    assert rows_of(home, "SELECT count(*) FROM external_index") == [(450,)]
    with closing(sqlite3.connect(home / "keys.db")) as keys:
        assert keys.execute("SELECT count(*) FROM member_key").fetchone()[0] >= 450
    assert shell.json("ingest", "ingest", "shop-members", path)["unchanged"] == 400


def test_two_publish_the_same_view_at_once(shell):
    world = shell.world
    fill(shell, people(90))
    line = ("compliance", ["--json", "view", "build", "member_lifecycle"], "")
    answers = at_once(world, line, line)
    assert {a.code for a in answers} <= {0, 6}, [a.text for a in answers]
    assert 0 in {a.code for a in answers}
    releases = shell.json("marketing", "release", "list", "--view", "member_lifecycle")
    assert [r["state"] for r in releases].count("live") == 1
    assert len(list((world.app.home.releases / "member_lifecycle").rglob("data.parquet"))) == 1
    shell("compliance", "audit", "verify")


def test_two_erase_the_same_member_at_once(shell, canary):
    world, home = shell.world, shell.world.app.home.root
    members = people(60)
    fill(shell, members)
    stored = bytes_of_member(world, "H00007")
    phone = members[7]["手机号"] + "\n"
    line = ("support", ["member", "erase", "shop:H00007"], phone)
    answers = at_once(world, line, line)
    codes = sorted(a.code for a in answers)
    assert codes[0] in (0, 6), [a.text for a in answers]
    assert set(codes) <= {0, 5, 6}, [a.text for a in answers]
    if 0 not in codes:
        assert again(world, answers[0], "support", phone).code in (0, 5)
    shell("support", "member", "show", "shop:H00007", expect=5)
    assert rows_of(home, "SELECT count(*), count(receipt) FROM subject_request WHERE type = 'deletion'") == [(1, 1)]
    assert canary.search(home, stored) == []
    done = shell.json("compliance", "audit", "list", "--kind", "erase.done")
    assert len(done["items"]) == 1
    shell("compliance", "audit", "verify")


def test_all_at_once_and_nobody_comes_back(shell, canary):
    world, home = shell.world, shell.world.app.home.root
    members = people(150)
    fill(shell, members)
    gone = ["H00003", "H00140"]
    stored = [one for number in gone for one in bytes_of_member(world, number)]
    orders, _ = orders_of(members, seed=99)
    for order in orders:
        order["订单号"] = f"N{order['订单号']}"
    path = str(world.file("more.csv", orders))
    changed = str(world.file("changed.csv", [m | {"收货地址": "北京市朝阳区新址一号"} for m in members]))
    lines = [
        ("ingest", ["ingest", "shop-orders", path], ""),
        ("ingest", ["ingest", "shop-members", changed], ""),
        ("compliance", ["view", "build", "member_value"], ""),
        *(("support", ["member", "erase", f"shop:{n}"], members[int(n[1:])]["手机号"] + "\n") for n in gone),
        ("support", ["consent", "withdraw", "shop:H00050", "--purpose", "segment"], ""),
        ("compliance", ["audit", "verify"], ""),
    ]
    answers = at_once(world, *lines)
    assert {a.code for a in answers} <= {0, 6}, [a.text for a in answers if a.code not in (0, 6)]
    for answer, (role, _, typed) in zip(answers, lines, strict=True):
        assert again(world, answer, role, typed).code == 0
    for number in gone:
        shell("support", "member", "show", f"shop:{number}", expect=5)
    assert canary.search(home, stored) == []
    with world.unit("compliance") as uow:
        known = {row[0] for row in uow.session.connection().exec_driver_sql("SELECT pseudonym FROM member")}
    assert facts.pseudonyms(world.app.home) == known
    assert len(known) == 148
    states = [consent.state_of]  # the withdrawal stands, whatever else went on
    with world.unit("compliance") as uow:
        assert states[0](uow, world.id_of("H00050"), purpose="segment").state is ConsentState.WITHDRAWN
    report = shell.json("compliance", "audit", "verify")
    assert report["problems"] == []
    assert report["unsequenced"] == 0
