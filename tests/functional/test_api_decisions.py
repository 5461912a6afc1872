"""Asking the gate over HTTP: the short way and the route say the same, and no key decides once more than it may."""

import asyncio
import hashlib
import json
import secrets
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pdms.access import service as access
from pdms.api.at_once import PATH, AtOnce
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.db import Glances, on_postgres
from pdms.policy.definitions import Policy
from pdms.policy.stored import content_of
from pdms.taxonomy import MemberId, Operation, Scope
from pdms.vault import service as vault

BY_THE_ROUTE = {"Content-Type": "application/json; charset=utf-8"}
"""Means the same, and is left to the route."""


def ask(api: Any, body: Any, *, role: Any = "compliance", route: bool = False, **options: Any) -> Any:
    headers = BY_THE_ROUTE if route else {"Content-Type": "application/json"}
    content = body if isinstance(body, bytes) else json.dumps(body)
    return api.call(role, "POST", PATH, content=content, headers=headers, **options)


def short_way(api: Any, body: Any, key: str) -> bytes | None:
    """What is answered without the route; None where it was passed on, untouched."""
    passed: list[bytes] = []
    sent: list[Any] = []
    data = json.dumps(body).encode()
    parts = [data[:7], data[7:]]

    async def route(_scope: Any, receive: Any, _send: Any) -> None:
        more = True
        while more:
            message = await receive()
            passed.append(message["body"])
            more = message["more_body"]

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {key}".encode())]
    headers.append((b"content-length", str(len(data)).encode()))
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers}
    asyncio.run(AtOnce(route, pdms=api.world.app)(scope, receive, send))
    assert sent or b"".join(passed) == data
    return b"".join(message.get("body", b"") for message in sent) if sent else None


def question(api: Any, number: str = "H00003", **more: Any) -> dict[str, Any]:
    return {"member_id": api.id_of(number), "purpose": "market_email", "operation": "send", **more}


def fresh_key(api: Any) -> str:
    role = "compliance"
    world = api.world
    made = world.app.run(world.actor("admin"), access.create_operator, label=f"asks-{secrets.token_hex(4)}", role=role)
    assert api.get({"Authorization": f"Bearer {made.text}"}, "/v1/policies/current").status_code == 200  # its first use
    return str(made.text)


def test_every_question_is_answered_as_the_route_answers_it(shop: Any) -> None:
    shop.post("support", "/v1/consents/withdrawals", {"member_id": shop.id_of("H00004"), "purpose": "market_email"})
    policy = shop.world.app.policy
    questions = [
        question(shop, number, purpose=purpose, operation=operation.value)
        for number in ("H00003", "H00004")
        for purpose in (*policy.purposes, "no_such_purpose")
        for operation in (Operation.SEND, Operation.REVEAL, Operation.PROFILE, Operation.EXPORT)
    ]
    questions += [
        question(shop, member_id="0" * 32),
        question(shop, channel="email", fields=["email"], categories=["basic"], recipient="partner-insurance"),
    ]
    answers = []
    for one in questions:
        quick, slow = ask(shop, one), ask(shop, one, route=True)
        assert (quick.status_code, quick.content) == (200, slow.content), one
        assert dict(quick.headers) == dict(slow.headers)
        answers.append(quick.json())
    assert {one["permitted"] for one in answers} == {True, False}
    assert len({reason["code"] for one in answers for reason in one["reasons"]}) > 5


def test_a_question_with_a_query_is_refused_as_the_route_refuses_it(shop: Any) -> None:
    wanted, key = {"as_of": "2020-01-01"}, {"Authorization": f"Bearer {fresh_key(shop)}"}
    quick, slow = (ask(shop, question(shop), role=key, route=route, params=wanted) for route in (False, True))
    assert (quick.status_code, quick.json()["detail"]) == (422, "query: extra_forbidden")
    assert quick.content == slow.content


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"\xff", b"null", {}, {"member_id": "zz"}, {"more": 1}, {"purpose": "x" * 500}, {"operation": "eat"}],
)
def test_what_is_out_of_form_is_refused_as_the_route_refuses_it(shop: Any, body: Any) -> None:
    if isinstance(body, dict) and body:
        body = question(shop) | body
    quick, slow = ask(shop, body), ask(shop, body, route=True)
    assert quick.status_code in (400, 422)
    assert (quick.status_code, quick.content) == (slow.status_code, slow.content)


def test_whoever_may_not_ask_is_refused_on_record(shop: Any) -> None:
    member = shop.session_of("H00005")
    forged = {"Authorization": f"Bearer {shop.world.tokens['compliance'][:-4]}AAAA"}
    for caller, status in (("support", 403), ("marketing", 403), (member, 403), (forged, 401), (None, 401)):
        with shop.world.unit() as uow:
            kinds = [EventKind.DENIAL, EventKind.LOGIN_FAILED]
            before = audit.count_by_kind(uow.session)
        assert ask(shop, question(shop), role=caller).status_code == status
        with shop.world.unit() as uow:
            after = audit.count_by_kind(uow.session)
        assert sum(after.get(k, 0) for k in kinds) == sum(before.get(k, 0) for k in kinds) + 1


def test_a_key_that_ended_decides_nothing_more(shop: Any) -> None:
    """Revoked, its operator disabled, or run out between two questions, of which the first went the short way."""
    world = shop.world
    ends: dict[str, Any] = {
        "revoked": lambda key: world.run("admin", access.revoke_key, key_id=key.split("_")[2]),
        "disabled": lambda key: world.run("admin", access.disable_operator, operator_id=world.app.authenticate(key).id),
        "expired": lambda _: world.pass_time(days=400),
    }
    instant, asked = world.clock.instant, question(shop)
    for name, end in ends.items():
        key = fresh_key(shop)
        caller = {"Authorization": f"Bearer {key}"}
        assert short_way(shop, asked, key) is not None, name
        end(key)
        assert short_way(shop, asked, key) is None, name
        assert ask(shop, asked, role=caller).status_code == 401, name
        world.clock.instant = instant


def test_a_withdrawal_binds_from_the_next_question_on(shop: Any) -> None:
    key = fresh_key(shop)
    before = short_way(shop, question(shop, "H00006"), key)
    shop.post("support", "/v1/consents/withdrawals", {"member_id": shop.id_of("H00006"), "purpose": "market_email"})
    after = short_way(shop, question(shop, "H00006"), key)
    assert before is not None
    assert after is not None
    assert (json.loads(before)["permitted"], json.loads(after)["permitted"]) == (True, False)


def test_only_a_staff_key_goes_the_short_way_and_the_first_use_of_a_day_does_not(shop: Any) -> None:
    world = shop.world
    key = fresh_key(shop)
    assert short_way(shop, question(shop), key) is not None
    assert short_way(shop, question(shop, operation="export", recipient="overseas-seller"), key) is None
    for other in (world.tokens["support"], key[:-4] + "AAAA", key.replace("pdms_key", "pdms_mem"), "eyJ.e30.x", ""):
        assert short_way(shop, question(shop), other) is None
    unused = world.app.run(world.actor("admin"), access.create_operator, label="unused", role="compliance").text
    assert short_way(shop, question(shop), unused) is None
    ask(shop, question(shop), role={"Authorization": f"Bearer {unused}"})  # the route notes the day
    assert short_way(shop, question(shop), unused) is not None


def test_a_look_writes_nothing_and_ends_with_its_unit(shop: Any) -> None:
    app = shop.world.app
    assert not on_postgres(app.main)
    with app.glance() as uow:
        held = uow.session.connection().exec_driver_sql("SELECT count(*) FROM member").scalar()
    assert held
    with app.glance() as uow, pytest.raises(Exception, match="database"):
        uow.session.connection().exec_driver_sql("DELETE FROM member")
    with app.glance() as uow:
        assert uow.session.connection().exec_driver_sql("SELECT count(*) FROM member").scalar() == held

    def kept() -> dict[str, Any]:
        with app.glance() as uow:
            return uow.session.info

    assert any(kept() is kept() for _ in range(50))  # the log is sequenced meanwhile, which is a commit too
    before = kept()
    member = MemberId(bytes.fromhex(shop.id_of("H00007")))
    shop.world.run("support", access.issue_member_token, member_id=member)
    assert kept() is not before


def by_another_process(api: Any, statement: str, *values: str) -> None:
    """Let another process change the database of members and commit; values are hex text."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30);"
        "d = c.execute(sys.argv[2], [bytes.fromhex(one) for one in sys.stdin.read().split()]); c.commit();"
        "assert d.rowcount"
    )
    path = api.world.app.home.root / "vault.db"
    command = [sys.executable, "-S", "-c", program, str(path), statement]
    subprocess.run(command, input=" ".join(values), text=True, check=True)


def test_what_another_process_commits_counts_from_the_next_question_on(shop: Any) -> None:
    key, asked = fresh_key(shop), question(shop, "H00023")

    def answer() -> Any:
        given = short_way(shop, asked, key)
        assert given == short_way(shop, asked, key)  # by what is remembered
        return None if given is None else json.loads(given)

    def reasons() -> set[str]:
        return {reason["code"] for reason in answer()["reasons"]}

    member, operator = asked["member_id"], shop.world.app.authenticate(key).id
    assert answer()["permitted"]
    by_another_process(shop, "DELETE FROM consent_current WHERE member_id = ?", member)
    assert reasons() == {"NO_CONSENT"}
    wish = "INSERT INTO restriction_current VALUES (?, 'do_not_contact', '', '', '2026-01-01 00:00:00.000000')"
    by_another_process(shop, wish, member)
    assert reasons() == {"NO_CONSENT", "DO_NOT_CONTACT"}
    by_another_process(shop, "UPDATE member SET status = 'erased' WHERE member_id = ?", member)
    assert "MEMBER_ERASED" in reasons()
    by_another_process(shop, f"UPDATE operator SET role = 'marketing' WHERE operator_id = '{operator}'")
    assert answer() is None  # the scopes of a role that has not the key's
    by_another_process(shop, f"UPDATE operator SET role = 'compliance' WHERE operator_id = '{operator}'")
    assert answer() is not None
    ended = "UPDATE api_key SET revoked_at = '2026-01-01 00:00:00.000000' WHERE operator_id = "
    by_another_process(shop, f"{ended}'{operator}'")
    assert answer() is None
    assert ask(shop, asked, role={"Authorization": f"Bearer {key}"}).status_code == 401


def test_a_policy_that_another_process_puts_in_force_decides_the_next_question(shop: Any) -> None:
    key, asked, before = fresh_key(shop), question(shop, "H00011"), shop.world.app.policy

    def activate(policy: Policy) -> str:
        content = content_of(policy).encode()
        digest = hashlib.sha256(content).hexdigest()
        statement = (
            "INSERT INTO policy_version (digest, content, activated_at, actor)"
            " VALUES (CAST(? AS TEXT), CAST(? AS TEXT), '2026-11-02 01:00:00.000000', 'system')"
        )
        by_another_process(shop, statement, digest.encode().hex(), content.hex())
        return digest

    def with_role(**changes: Any) -> Policy:
        role = replace(before.roles["compliance"], **changes)
        return replace(before, roles={**before.roles, "compliance": role})

    def answer() -> Any:
        given = short_way(shop, asked, key)
        assert given == short_way(shop, asked, key)  # by what is remembered
        return None if given is None else json.loads(given)

    assert (answer()["policy_digest"], answer()["permitted"]) == (before.digest, True)
    narrower = activate(with_role(purposes=("rights",)))
    assert narrower != before.digest
    assert answer()["policy_digest"] == narrower
    assert [reason["code"] for reason in answer()["reasons"]] == ["ROLE_NOT_ALLOWED"]
    activate(with_role(scopes=(Scope.INGEST,)))
    assert answer() is None  # the key's scopes are none of the role's any more
    assert ask(shop, asked, role={"Authorization": f"Bearer {key}"}).status_code == 403
    assert activate(before) == before.digest
    assert answer()["permitted"]


def test_a_key_is_remembered_for_its_day_and_no_longer_than_it_lasts(shop: Any) -> None:
    world, asked = shop.world, question(shop, "H00012")
    instant = world.clock.instant
    made = world.app.run(
        world.actor("admin"), access.create_operator, label="asks-for-a-day", role="compliance", days=1
    )
    caller = {"Authorization": f"Bearer {made.text}"}

    def at(moment: datetime) -> tuple[bool, int]:
        """Whether the short way answers, and then the status that all ways give."""
        world.clock.instant = moment
        quick = short_way(shop, asked, made.text) is not None
        return quick, ask(shop, asked, role=caller).status_code

    try:
        assert at(instant) == (False, 200)
        assert at(instant) == (True, 200)
        assert at(instant - timedelta(days=1)) == (False, 200)  # of another day: the route's
        last = made.expires_at - timedelta(seconds=1)
        assert at(last) == (False, 200)  # the first use of a new day, which the route notes
        assert at(last) == (True, 200)
        assert at(made.expires_at) == (False, 401)
    finally:
        world.clock.instant = instant


def test_a_secret_that_is_not_the_keys_gains_nothing_from_its_being_remembered(shop: Any) -> None:
    key, asked = fresh_key(shop), question(shop, "H00013")
    head, secret = key[:42], key[42:]
    others = [head + "A" * 43, head + secret[:-1], key + "A", head.upper() + secret, key[9:], head, "", " " + key]
    for other in others:
        assert short_way(shop, asked, key) is not None
        assert short_way(shop, asked, other) is None or other.strip() == key, other
    unkeyed = hashlib.sha256(key.encode()).hexdigest()  # what is remembered of it opens nothing
    assert short_way(shop, asked, head + unkeyed[:43]) is None


def test_a_honey_member_is_nobody_from_the_next_question_on(shop: Any) -> None:
    key, asked = fresh_key(shop), question(shop, "H00014")
    member = [MemberId(bytes.fromhex(asked["member_id"]))]

    def reasons() -> list[str]:
        quick, slow = ask(shop, asked), ask(shop, asked, route=True)
        assert quick.content == slow.content
        assert short_way(shop, asked, key) == slow.content
        return [reason["code"] for reason in quick.json()["reasons"]]

    assert reasons() == []
    shop.world.run("compliance", vault.mark_decoys, member)
    assert reasons() == ["MEMBER_UNKNOWN"]
    shop.world.run("compliance", vault.mark_decoys, member, drop=True)
    assert reasons() == []


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"member_id":"%s","purpose":"market_email","operation":"send"}',
        b'{"member_id":"0","member_id":"%s","purpose":"market_email","operation":"send"}',
        b'{"member_id":"%s","member_id":"0","purpose":"market_email","operation":"send"}',
        b'{"member_id":"%s","purpose":"market_email","operation":"send","fields":null}',
        b'{"member_id":"%s","purpose":"market_email","operation":"send","channel":NaN}',
        b'{"member_id":"%s","purpose":"market_email","operation":"send","fields":["\\ud800"]}',
        b'{"member_id":"%s","purpose":"market_email","operation":"send","categories":{"basic":1}}',
        b' {"member_id":"%s"\n,"purpose":"market\\u005femail","operation":"send"}\t',
        b'{"member_id":"%s","purpose":"market_email","operation":"send"}{}',
        b'{"member_id":"%s","purpose":"market_email","operation":"send",}',
        b"{'member_id':'%s','purpose':'market_email','operation':'send'}",
    ],
)
def test_odd_json_means_the_same_on_both_ways(shop: Any, body: bytes) -> None:
    whole = body.replace(b"%s", shop.id_of("H00003").encode())
    quick, slow = ask(shop, whole), ask(shop, whole, route=True)
    assert (quick.status_code, quick.content) == (slow.status_code, slow.content)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("body", [b"[" * 10_000, b"[" * 200_000, b"[1," * 1_500_000])
def test_a_body_that_no_parser_likes_is_answered_alike_on_both_ways(shop: Any, body: bytes, known: bool) -> None:
    key = fresh_key(shop) if known else "pdms_key_x"
    if known:
        assert ask(shop, question(shop), role={"Authorization": f"Bearer {key}"}).status_code == 200
    for chunked in (False, True):
        told = []
        for kind in ("application/json", BY_THE_ROUTE["Content-Type"]):
            headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
            content = iter([body]) if chunked else body
            answer = shop.http.request("POST", PATH, headers=headers, content=content)
            told.append((answer.status_code, answer.json()["code"]))
        assert told[0] == told[1]
        assert told[0][0] in ((400, 413, 422) if known else (401, 413))


def test_a_look_that_failed_once_is_none_of_the_next(shop: Any) -> None:
    """A hiccup of the disk between BEGIN and ROLLBACK: the connection is given up, not kept in its transaction."""
    glances = Glances(shop.world.app.main)

    class Hiccup:
        def __init__(self, raw: Any, at: str) -> None:
            self.raw, self.at = raw, at

        def execute(self, statement: str, *values: Any) -> Any:
            if statement.startswith(self.at):
                raise sqlite3.OperationalError("disk I/O error")
            return self.raw.execute(statement, *values)

        def close(self) -> None:
            self.raw.close()

    glances.begin().close()
    for at in ("PRAGMA", "ROLLBACK"):
        glances._mine.raw = Hiccup(glances._mine.raw, at)
        with pytest.raises(sqlite3.OperationalError):
            glances.begin().close()
        glances.begin().close()
