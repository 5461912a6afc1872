"""Times Cedar and Casbin on questions with known answers, in the peers' own environment; prints µs of CPU a question.

usage: _gate_peers.py QUESTIONS. The file holds `rules` (role, purpose, operation, least strength of consent,
categories) and `questions` with the answer each must get. Cedar gets its policies and entities parsed beforehand; both
get what the question says as attributes, and each loads the same rules. They answer yes or no; pdms names its reasons.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import NamedTemporaryFile

MODEL = """
[request_definition]
r = role, purpose, operation, said
[policy_definition]
p = role, purpose, operation, strength
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.role == p.role && r.purpose == p.purpose && r.operation == p.operation && r.said.state == 'given' && \
r.said.strength >= int(p.strength) && r.said.age == 'adult' && r.said.status == 'active' && \
covers(r.said.categories, r.purpose)
"""
LEAST = 2.0
"""Seconds for which each is timed."""


def with_cedar(rules: list[dict], questions: list[dict]) -> float:
    """Cedar: one policy a rule, the consent in the context."""
    import cedarpy

    text = "".join(
        f'permit(principal == Role::"{r["role"]}", action == Action::"{r["operation"]}",'
        f' resource == Purpose::"{r["purpose"]}") when {{ context.state == "given"'
        f" && context.strength >= {r['strength']}"
        f' && context.age == "adult" && context.status == "active"'
        f" && context.categories.containsAll({json.dumps(r['categories'])}) }};\n"
        for r in rules
    )
    policies, entities = cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str("[]")
    asked = [
        (
            {
                "principal": {"type": "Role", "id": q["role"]},
                "action": {"type": "Action", "id": q["operation"]},
                "resource": {"type": "Purpose", "id": q["purpose"]},
                "context": {k: q[k] for k in ("state", "strength", "age", "status", "categories")},
            },
            q["permitted"],
        )
        for q in questions
    ]
    return timed(lambda request: cedarpy.is_authorized(request, policies, entities).allowed, asked)


class Said:
    """What Casbin reads attributes of."""

    def __init__(self, question: dict) -> None:
        self.__dict__.update(question)


def with_casbin(rules: list[dict], questions: list[dict]) -> float:
    """Casbin: one line a rule, the consent as an object with attributes."""
    import casbin

    needed = {r["purpose"]: set(r["categories"]) for r in rules}
    with NamedTemporaryFile("w", suffix=".conf") as model, NamedTemporaryFile("w", suffix=".csv") as lines:
        model.write(MODEL)
        lines.writelines(f"p, {r['role']}, {r['purpose']}, {r['operation']}, {r['strength']}\n" for r in rules)
        model.flush()
        lines.flush()
        enforcer = casbin.Enforcer(model.name, lines.name)
    enforcer.add_function("covers", lambda said, purpose: needed[purpose] <= set(said))
    enforcer.add_function("int", int)
    asked = [((q["role"], q["purpose"], q["operation"], Said(q)), q["permitted"]) for q in questions]
    return timed(lambda request: enforcer.enforce(*request), asked)


def timed(ask, asked: list) -> float:
    """Return µs of CPU a question; every answer must be right."""
    wrong = sum(bool(ask(request)) is not answer for request, answer in asked)
    if wrong:
        raise SystemExit(f"{wrong} of {len(asked)} answers differ")
    best, until = float("inf"), time.monotonic() + LEAST
    while time.monotonic() < until:
        begun = time.process_time()
        for request, _ in asked:
            ask(request)
        best = min(best, time.process_time() - begun)
    return best / len(asked) * 1e6


if __name__ == "__main__":
    held = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    found = {}
    for name, peer in (("cedar", with_cedar), ("casbin", with_casbin)):
        found[name] = peer(held["rules"], held["questions"])
    print(json.dumps(found))
