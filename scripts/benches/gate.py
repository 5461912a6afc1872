"""The gate: all members at once, one member, over HTTP, and a withdrawal until it binds.

Figures are CPU time of this process unless the unit says wall. A home holds fictitious members with consents to the
starter policy, written straight into the tables; the packed state is then made by pdms itself and timed apart. Set
decisions are `decide_set`, each from a cold read of its pages, one for each of twelve purposes. One decision is
`decide`, pure, with all reasons, beside Cedar and Casbin on the same questions with the same answers. Over the API: a
decision beside an empty route of a bare FastAPI, both called in process (no socket, the strict form), and both of one
real server over a connection that is kept, by the server's own CPU time; in process a withdrawal and the decision after
it; and apart from them a Permit, whose event is durable before it is returned.
"""

import itertools
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from benches._disk import device
from benches._gate_http import DECISIONS, EMPTY, api_of, call, called, server_cpu, serving
from benches._gate_http import bare as empty_app
from pdms.access import service as access
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.consent.notices import all_terms
from pdms.db import mark
from pdms.gate import service as gate
from pdms.gate.pages import settle
from pdms.gate.sets import decide_set
from pdms.policy.decide import STRENGTH, ActorFacts, ConsentFacts, SubjectFacts, Use, decide
from pdms.policy.definitions import Policy
from pdms.settings import Settings
from pdms.taxonomy import AgeStage, ConsentState, ConsentType, MemberId, MemberStatus, Operation
from pdms.unit_of_work import Actor

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
POLICIES = Path(__file__).resolve().parents[2] / "policies"
USES = (
    Use("order", Operation.USE),
    Use("service", Operation.USE),
    Use("security", Operation.USE),
    Use("recommend", Operation.ADM),
    Use("market_email", Operation.SEND),
    Use("market_sms", Operation.SEND),
    Use("market_push", Operation.SEND),
    Use("segment", Operation.PROFILE),
    Use("analytics_prepare", Operation.AGGREGATE),
    Use("partner", Operation.PROVIDE, recipient="partner-insurance"),
    Use("crossborder", Operation.EXPORT, recipient="overseas-seller"),
    Use("sensitive_use", Operation.USE),
)
FEW = USES[:1] + USES[7:8]
"""For ten million members: one purpose that rests on a contract, one on consent."""
SHAPES = (("given", "consent", 60), ("given", "separate", 20), ("withdrawn", "consent", 8), ("refused", "consent", 12))
STEP = 100_000
PEERS = Path(tempfile.gettempdir()) / "pdms-bench-gate-peers"
ROUNDS = 5
SINGLE_GOAL, PEER_GOAL, HTTP_GOAL, WITHDRAWAL_GOAL = 10.0, 4.0, 2.0, 50.0


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one result a case. :param quick: 100,000 members at most. PDMS_BENCH_FULL=1: ten million besides."""
    yield from _single()
    with home(2_000) as app:
        yield from _http(app, 200 if quick else 2_000)
    sizes = (20_000, 100_000) if quick else (100_000, 1_000_000)
    for members in sizes:
        with home(members) as app:
            yield from _sets(app, members, USES)
    if os.environ.get("PDMS_BENCH_FULL"):
        with home(10_000_000, FEW) as app:
            yield from _sets(app, 10_000_000, FEW)


class home:  # noqa: N801 - reads as a verb
    """A home with members, for the length of a block."""

    def __init__(self, members: int, uses: tuple[Use, ...] = USES) -> None:
        self._members, self._uses = members, uses

    def __enter__(self) -> App:
        self._folder = tempfile.TemporaryDirectory(prefix="pdms-bench-")
        settings = Settings(home=Path(self._folder.name) / "home", policies=POLICIES)
        clock = FixedClock(NOW)
        initialise(settings, clock=clock)
        self._app = App.open(settings, clock=clock)
        fill(self._app, self._members, self._uses)
        return self._app

    def __exit__(self, *_: object) -> None:
        self._app.close()
        self._folder.cleanup()


def fill(app: App, members: int, uses: tuple[Use, ...]) -> None:
    """Write members and their consents: nine in ten adults, two in three asked for each purpose, few with wishes."""
    dice = np.random.default_rng(7)
    ids = np.sort(dice.integers(0, 2**63, (members, 2), np.int64).view("V16").ravel())
    ids = [bytes(one) for one in np.unique(ids.view(">u8").reshape(-1, 2), axis=0).view("V16").ravel().tolist()]
    with app.unit(Actor.system()) as uow:
        run = uow.session.connection().exec_driver_sql
        notice = next(n for n, t in all_terms(uow.session).items() if t.notice_id == "member-notice")
        turns = [("1900-01-01", "1900-01-01")] * 8 + [("1900-01-01", "2028-03-01"), (None, None)]
        for at in range(0, members, STEP):
            part = ids[at : at + STEP]
            age = dice.integers(0, len(turns), len(part)).tolist()
            run(
                "INSERT INTO member (row_no, member_id, pseudonym, system, status, region, turns_14, turns_18,"
                " created_at, updated_at) VALUES (?, ?, ?, 'shop', 'active', 'cn', ?, ?, '2026-01-01', '2026-01-01')",
                [(at + n + 1, one, one[::-1], *turns[age[n]]) for n, one in enumerate(part)],
            )
            run(
                "INSERT INTO notice_delivery VALUES (?, ?, '2026-01-01 00:00:00.000000', 'web', '', 1)",
                [(one, notice) for one in part if one[0] % 50],
            )
            run(
                "INSERT INTO restriction_current VALUES (?, 'adm_opt_out', '', '', '2026-01-01 00:00:00.000000')",
                [(one,) for one in part if one[1] % 40 == 0],
            )
        for use in uses:
            purpose = app.policy.purposes[use.purpose]
            if not purpose.rests_on_consent:
                continue
            numbers = []
            for state, kind, share in SHAPES:
                categories = ",".join(sorted(purpose.categories))
                run(
                    "INSERT INTO consent_shape (state, type, notice_no, categories) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (state, kind, notice, categories),
                )
                number = run(
                    "SELECT shape FROM consent_shape WHERE state = ? AND type = ? AND categories = ?",
                    (state, kind, categories),
                ).scalar_one()
                numbers += [number] * share
            for at in range(0, members, STEP):
                part = ids[at : at + STEP]
                asked, shapes = dice.integers(0, 3, len(part)).tolist(), dice.integers(0, 100, len(part)).tolist()
                run(
                    "INSERT INTO consent_current VALUES (?, ?, ?, ?, '2026-03-04 05:06:07.000000', 1, ?)",
                    [
                        (purpose.name, use.recipient or "", one, numbers[shapes[n]], at + n)
                        for n, one in enumerate(part)
                        if asked[n]
                    ],
                )
        mark(uow.session.connection(), "member_change", None)


def _sets(app: App, members: int, uses: tuple[Use, ...]) -> Iterator[dict[str, Any]]:
    with app.unit(Actor.system()) as uow:
        begun = time.process_time()
        settle(uow)
        making = time.process_time() - begun
    yield _row(f"packing {members:,} members", making / members * 1e6, "µs each", None, None)
    best = {use.purpose: 9e9 for use in uses}
    eligible = 0
    for _ in range(3):
        for use in uses:
            with app.unit(Actor.system(), read_only=True) as uow:
                begun = time.process_time()
                found = decide_set(uow, purpose=uow.policy.purposes[use.purpose], use=use)
                best[use.purpose] = min(best[use.purpose], time.process_time() - begun)
                assert found.total == members
                eligible += len(found.eligible)
    assert eligible
    goal = 1.0 * members / 1_000_000 * len(uses) / len(USES)
    yield _row(f"{members:,} members x {len(uses)} purposes", sum(best.values()), "s", None, goal)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield _row(f"{members:,} members: most memory of the process so far", peak, "MB", None, None)


def _single() -> Iterator[dict[str, Any]]:
    from pdms.policy.loader import load

    policy = load(POLICIES)
    rules, questions = _questions(policy)
    asked = [(_use(q), _facts(policy, q), _actor(policy, q["role"])) for q in questions]
    for question, (use, facts, actor) in zip(questions, asked, strict=True):
        question["permitted"] = decide(policy, use=use, subject=facts, actor=actor, now=NOW).permitted
    best = float("inf")
    for _ in range(30):
        begun = time.process_time()
        for use, facts, actor in asked:
            decide(policy, use=use, subject=facts, actor=actor, now=NOW)
        best = min(best, (time.process_time() - begun) / len(asked) * 1e6)
    share = sum(q["permitted"] for q in questions) / len(questions)
    yield _row(f"one decision with all reasons ({share:.0%} permitted)", best, "µs", None, SINGLE_GOAL)
    for name, taken in _peers(rules, questions).items():
        yield _row(f"one decision beside {name}: times faster", taken / best, "x", taken, PEER_GOAL, more=True) | {
            "ratio": taken / best
        }


def _questions(policy: Policy) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rules that all three can say, and questions about them; what only pdms judges is favourable in every question."""
    rules = [
        {
            "role": role.name,
            "purpose": purpose.name,
            "operation": operation.value,
            "strength": STRENGTH[purpose.consent],
            "categories": list(purpose.categories),
        }
        for role in policy.roles.values()
        for purpose in policy.purposes.values()
        if purpose.name in role.purposes and purpose.rests_on_consent and not purpose.per_recipient
        for operation in purpose.operations
        if operation is not Operation.REVEAL
    ]
    dice, questions = random.Random(5), []
    for _ in range(400):
        rule = dice.choice(rules)
        kind = dice.choice([ConsentType.CONSENT, ConsentType.SEPARATE, ConsentType.WRITTEN])
        whole = dice.random() < 0.9
        questions.append(
            {
                "role": rule["role"] if dice.random() < 0.9 else "support",
                "purpose": rule["purpose"],
                "operation": rule["operation"],
                "state": dice.choice(["given"] * 4 + ["withdrawn"]),
                "type": kind.value,
                "strength": STRENGTH[kind],
                "age": dice.choice(["adult"] * 9 + ["minor"]),
                "status": dice.choice(["active"] * 9 + ["disabled"]),
                "categories": rule["categories"] if whole else rule["categories"][1:],
            }
        )
    return rules, questions


def _use(question: dict[str, Any]) -> Use:
    return Use(question["purpose"], Operation(question["operation"]))


def _facts(policy: Policy, question: dict[str, Any]) -> SubjectFacts:
    return SubjectFacts(
        status=MemberStatus(question["status"]),
        age=AgeStage(question["age"]),
        consent=ConsentFacts(
            state=ConsentState(question["state"]),
            type=ConsentType(question["type"]),
            occurred_at=NOW,
            categories=tuple(question["categories"]),
            operations=policy.purposes[question["purpose"]].operations,
        ),
    )


def _actor(policy: Policy, role: str) -> ActorFacts:
    return ActorFacts(
        kind="operator", role=role, scopes=frozenset(policy.roles[role].scopes), trained_until=date(2030, 1, 1)
    )


def _peers(rules: list[dict[str, Any]], questions: list[dict[str, Any]]) -> dict[str, float]:
    """Return µs of CPU a question of each peer; nothing where they cannot be installed."""
    python = PEERS / "bin" / "python"
    if not python.is_file():
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        packages = ["cedarpy==4.12.2", "casbin==1.43.0"]
        for command in (
            [uv, "venv", "-q", str(PEERS)],
            [uv, "pip", "install", "-q", "--python", str(python), *packages],
        ):
            if subprocess.run(command, check=False, capture_output=True).returncode:
                shutil.rmtree(PEERS, ignore_errors=True)
                print("peers could not be installed; their rows are left out", file=sys.stderr)
                return {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"rules": rules, "questions": questions}, file)
        file.flush()
        script = Path(__file__).with_name("_gate_peers.py")
        done = subprocess.run([str(python), str(script), file.name], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _http(app: App, tries: int) -> Iterator[dict[str, Any]]:
    with app.unit(Actor.system()) as uow:
        keys = {
            role: access.create_operator(uow, label=f"bench-{role}", role=role, trained_until=date(2030, 1, 1)).text
            for role in ("compliance", "support")
        }
        members = [row[0] for row in uow.session.connection().exec_driver_sql("SELECT member_id FROM member").all()]
    api, bare, key = api_of(app), empty_app(), keys["compliance"]

    def question(member: bytes) -> dict[str, Any]:
        return {"member_id": member.hex(), "purpose": "market_email", "operation": "send"}

    places = itertools.cycle(members)
    ours, empty = called(
        lambda: call(api, DECISIONS, question(next(places)), key), lambda: call(bare, EMPTY, {}, key), tries=tries
    )
    mine, floor = statistics.median(ours) * 1e6, statistics.median(empty) * 1e6
    yield _row("decision over the API, in process", mine, "µs", floor, HTTP_GOAL * floor)
    with serving(app.home.root, POLICIES, NOW, key) as client:
        both: list[list[float]] = [[], []]
        for _ in range(ROUNDS + 1):  # alternating; the first warms up
            both[0].append(server_cpu(client, DECISIONS, [question(next(places)) for _ in range(tries // 2)]))
            both[1].append(server_cpu(client, EMPTY, [{}] * (tries // 2)))
    mine, floor = (statistics.median(one[1:]) * 1e6 for one in both)
    yield _row("decision over a socket, the server's CPU", mine, "µs", floor, HTTP_GOAL * floor)
    yield from _withdrawals(app, api, keys, tries)
    yield from _permits(app, keys["support"], members, tries)


def _withdrawals(app: App, api: FastAPI, keys: dict[str, str], tries: int) -> Iterator[dict[str, Any]]:
    with app.unit(Actor.system(), read_only=True) as uow:
        given = list(decide_set(uow, purpose=uow.policy.purposes["market_email"], use=USES[4]).eligible)[:tries]
    taken, cpu = [], time.process_time()
    for member in given:
        use = {"member_id": member.hex(), "purpose": "market_email"}
        begun = time.perf_counter()
        call(api, "/v1/consents/withdrawals", use, keys["support"])
        answer = call(api, DECISIONS, use | {"operation": "send"}, keys["compliance"])
        taken.append(time.perf_counter() - begun)
        assert json.loads(answer)["permitted"] is False
    cpu = (time.process_time() - cpu) / len(given) * 1e6
    with app.unit(Actor.system(), read_only=True) as uow:
        left = decide_set(uow, purpose=uow.policy.purposes["market_email"], use=USES[4]).eligible
    assert not set(left).intersection(given)
    taken.sort()
    yield _row("withdrawal over HTTP until denied", cpu, "µs", None, None)
    yield _row("withdrawal over HTTP until denied: median", taken[len(taken) // 2] * 1e3, "ms wall", None, None)
    yield _row("withdrawal until denied: p99", taken[len(taken) * 99 // 100] * 1e3, "ms wall", None, WITHDRAWAL_GOAL)


def _permits(app: App, key: str, members: list[bytes], tries: int) -> Iterator[dict[str, Any]]:
    actor = app.authenticate(key)
    walls, cpu = [], time.process_time()
    for member in members[: tries // 2]:
        begun = time.perf_counter()
        app.run(actor, gate.permit, member_id=MemberId(member), purpose="rights", operation=Operation.USE)
        walls.append(time.perf_counter() - begun)
    cpu = (time.process_time() - cpu) / len(walls) * 1e6
    yield _row("Permit with its event committed", cpu, "µs", None, None)
    name = f"Permit, event durable on {device(app.home.root)}: median"
    yield _row(name, statistics.median(walls) * 1e6, "µs wall", None, None)


def _row(
    case: str, value: float, unit: str, peer: float | None, goal: float | None, *, more: bool = False
) -> dict[str, Any]:
    met = None if goal is None else (value >= goal if more else value <= goal)
    ratio = None if peer is None else (value / peer if more else peer / value)
    return {
        "bench": "gate",
        "case": case,
        "value": value,
        "unit": unit,
        "peer": peer,
        "ratio": ratio,
        "goal": goal,
        "met": met,
    }
