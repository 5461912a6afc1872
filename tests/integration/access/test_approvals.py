"""What none may do alone: asked, approved by another, used once. On both databases."""

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest

from common.world import TRAINED
from pdms.access import approvals
from pdms.access import service as access
from pdms.access.approvals import LASTS, LISTED, MOST_OPEN, ApprovalState
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.rights import service as rights
from pdms.taxonomy import GuardedAct, Scope
from pdms.unit_of_work import Actor

HOLD = {"hold": "held-" + "1" * 32, "ticket": "CASE-1"}
ACT = GuardedAct.HOLD_ACCESS


def ask(world, role="compliance", *, act=ACT, parameters=None):
    return world.run(role, approvals.ask, act=act, parameters=parameters or HOLD)


def another(world, label="second", role="compliance", trained=TRAINED):
    made = world.app.run(world.actor("admin"), access.create_operator, label=label, role=role, trained_until=trained)
    world.tokens[label] = made.text
    return made


def approve(world, question, by="second"):
    return world.run(by, approvals.approve, approval_id=question.approval_id)


def use(world, role="compliance", *, act=ACT, parameters=None):
    return world.run(role, approvals.use, act=act, parameters=parameters or HOLD)


def codes(caught):
    return [(r.code, r.article) for r in caught.value.reasons]


def events(world, kind):
    with world.unit() as uow:
        return audit.list_events(uow.session, kinds=(kind,)).items


def test_PIPL_10_one_operator_alone_is_denied_and_two_are_not(world):
    with pytest.raises(Denied) as caught:
        use(world)
    assert codes(caught) == [("APPROVAL_MISSING", "PIPL-51")]
    question = ask(world)
    assert (question.state, question.parameters) == (ApprovalState.WAITING, HOLD)
    with pytest.raises(Denied):
        use(world)
    another(world)
    assert approve(world, question).state is ApprovalState.APPROVED
    assert use(world).approval_id == question.approval_id
    with pytest.raises(Denied):
        use(world)
    (shown,) = world.run("compliance", approvals.list_approvals)
    assert shown.state is ApprovalState.USED
    for kind in (EventKind.APPROVAL_ASKED, EventKind.APPROVAL_GRANTED, EventKind.APPROVAL_USED):
        (one,) = events(world, kind)
        assert one.event.refs["approval"] == question.approval_id
    assert len([e for e in events(world, EventKind.DENIAL) if e.event.reasons == ("APPROVAL_MISSING",)]) == 3


def test_nobody_approves_themself_under_another_key_either(world):
    question = ask(world)
    me = world.actor("compliance")
    further = world.app.run(world.actor("admin"), access.issue_key, operator_id=me.id)
    world.tokens["same-person"] = further.text
    for by in ("compliance", "same-person"):
        with pytest.raises(Denied) as caught:
            approve(world, question, by=by)
        assert codes(caught) == [("SELF_APPROVAL", "PIPL-51")]
    (refused, _) = events(world, EventKind.DENIAL)
    assert refused.event.reasons == ("SELF_APPROVAL",)
    with pytest.raises(Denied):
        use(world, "same-person")


@pytest.mark.parametrize("name", sorted(HOLD))
def test_a_parameter_changed_after_the_approval_was_not_approved(world, name):
    another(world)
    approve(world, ask(world))
    with pytest.raises(Denied):
        use(world, parameters=HOLD | {name: HOLD[name][:-1] + "2"})
    with pytest.raises(Denied):
        use(world, parameters={n: v for n, v in HOLD.items() if n != name})
    assert use(world)


def test_an_approval_is_its_askers_alone_and_for_its_act_alone(world):
    another(world)
    another(world, "third")
    approve(world, ask(world))
    for role in ("second", "third"):
        with pytest.raises(Denied):
            use(world, role)
    with pytest.raises(Denied):
        use(world, act=GuardedAct.POLICY_ACTIVATION)
    with pytest.raises(Denied), world.app.unit(Actor.system()) as uow:
        approvals.use(uow, act=ACT, parameters=HOLD)


def test_an_approval_ends_after_a_day_and_so_does_a_question(world):
    another(world)
    approved, waiting = ask(world), ask(world, parameters=HOLD | {"ticket": "CASE-2"})
    approve(world, approved)
    world.pass_time(seconds=LASTS.total_seconds())
    with pytest.raises(Denied):
        use(world)
    with pytest.raises(Conflict, match="expired"):
        approve(world, waiting)
    assert {one.state for one in world.run("compliance", approvals.list_approvals)} == {ApprovalState.EXPIRED}


def test_a_question_is_decided_once(world):
    another(world)
    another(world, "third")
    question = ask(world)
    world.run("second", approvals.refuse, approval_id=question.approval_id)
    for decide in (approvals.approve, approvals.refuse):
        with pytest.raises(Conflict, match="decided"):
            world.run("third", decide, approval_id=question.approval_id)
    with pytest.raises(Denied):
        use(world)
    own = ask(world)
    world.run("compliance", approvals.refuse, approval_id=own.approval_id)
    with pytest.raises(Conflict):
        approve(world, own)


def test_who_may_ask_and_approve(world):
    for role in ("support", "ingest", "marketing", "admin"):
        with pytest.raises(Denied):
            ask(world, role)
    question = ask(world)
    for role in ("support", "ingest", "marketing", "admin"):
        with pytest.raises(Denied):
            approve(world, question, by=role)
    assert world.run("marketing", approvals.list_approvals) == ()
    assert len(world.run("admin", approvals.list_approvals, waiting=True)) == 1
    with pytest.raises(NotFound):
        world.run("compliance", approvals.approve, approval_id="apr-" + "0" * 32)


def test_PIPL_51_4_the_untrained_approve_no_opening(world):
    another(world, trained=world.clock.instant.date() - timedelta(days=1))
    another(world, "never-trained", trained=None)
    question = ask(world)
    for by in ("second", "never-trained"):
        with pytest.raises(Denied) as caught:
            approve(world, question, by=by)
        assert codes(caught) == [("TRAINING_LAPSED", "PIPL-51-4")]


def test_PIPL_51_4_the_untrained_open_no_held_record(world):
    another(world)
    approve(world, ask(world))
    world.run(
        "admin",
        access.record_training,
        operator_id=world.actor("compliance").id,
        until=world.clock.instant.date() - timedelta(days=1),
    )
    with pytest.raises(Denied) as caught:
        world.run("compliance", rights.open_held, held_id=HOLD["hold"], ticket=HOLD["ticket"])
    assert codes(caught) == [("TRAINING_LAPSED", "PIPL-51-4")]


def test_an_approver_who_may_no_longer_approve_has_approved_nothing(world):
    made = another(world)
    approve(world, ask(world))
    world.run("admin", access.disable_operator, operator_id=made.operator_id)
    with pytest.raises(Denied):
        use(world)


def test_a_failed_act_leaves_its_approval(world):
    """Used up and done in one transaction: what was rolled back was not used."""
    another(world)
    approve(world, ask(world))
    with pytest.raises(NotFound):
        world.run("compliance", rights.open_held, held_id=HOLD["hold"], ticket=HOLD["ticket"])
    assert use(world)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hold": HOLD["hold"]},
        HOLD | {"more": "x"},
        HOLD | {"ticket": "13800138000 王"},
        HOLD | {"ticket": ""},
        HOLD | {"ticket": "x" * 81},
        HOLD | {"ticket": "a b"},
    ],
)
def test_what_is_asked_is_ids_and_codes_only(world, parameters):
    with pytest.raises(InvalidInput):
        world.run("compliance", approvals.ask, act=ACT, parameters=parameters)


def test_the_same_question_waits_once_and_few_wait_at_all(world):
    assert ask(world).approval_id == ask(world).approval_id
    for number in range(MOST_OPEN - 1):
        ask(world, parameters=HOLD | {"ticket": f"CASE-{number + 10}"})
    with pytest.raises(Conflict, match="too many"):
        ask(world, parameters=HOLD | {"ticket": "CASE-9"})


def test_asking_and_taking_back_without_end_ends(world, monkeypatch):
    monkeypatch.setattr(approvals, "MOST_A_DAY", 4)
    for number in range(4):
        question = ask(world, parameters=HOLD | {"ticket": f"CASE-{number + 10}"})
        world.run("compliance", approvals.refuse, approval_id=question.approval_id)
    with pytest.raises(Conflict, match="within a day"):
        ask(world)
    another(world)
    assert ask(world, "second").state is ApprovalState.WAITING, "it is each operator's own bound"
    world.pass_time(seconds=LASTS.total_seconds())
    assert ask(world).state is ApprovalState.WAITING


MANY = """
    INSERT INTO approval (approval_id, act, asked, digest, asked_by, asked_at, expires_at)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
    SELECT 'apr-' || CAST(i AS TEXT), act, asked, digest, asked_by, asked_at, asked_at FROM approval CROSS JOIN n
"""
"""More than a statement of either engine may have parameters."""


def test_years_of_questions_are_listed_in_pages(world):
    another(world)
    used = ask(world)
    approve(world, used)
    use(world)
    with world.unit() as uow:
        uow.session.connection().exec_driver_sql(MANY)
    world.pass_time(hours=1)
    newest = ask(world, parameters=HOLD | {"ticket": "CASE-2"})
    listed = [one.approval_id for one in world.run("admin", approvals.list_approvals)]
    assert (len(listed), listed[0]) == (LISTED, newest.approval_id)
    seen, after = [], None
    for _ in range(3):
        page = world.run("admin", approvals.list_approvals, after=after, limit=2)
        after = (page[-1].asked_at, page[-1].approval_id)
        seen += [one.approval_id for one in page]
    assert seen == listed[:6]
    assert [one.approval_id for one in world.run("admin", approvals.list_approvals, waiting=True)] == [
        newest.approval_id
    ]
    assert world.run("marketing", approvals.list_approvals) == ()


def at_once(*works):
    gates, results = threading.Barrier(len(works)), []

    def one(work):
        gates.wait()
        try:
            results.append(work())
        except (Conflict, Denied) as error:
            results.append(error)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_who_decide_at_once_decide_once(world):
    for label in ("second", "third"):
        another(world, label)
    for round_ in range(5):
        question = ask(world, parameters=HOLD | {"ticket": f"CASE-{round_ + 1}"})
        identity = question.approval_id
        found = at_once(
            lambda i=identity: world.run("second", approvals.approve, approval_id=i),
            lambda i=identity: world.run("third", approvals.refuse, approval_id=i),
        )
        assert sorted(isinstance(one, Conflict) for one in found) == [False, True]
    decided = len(events(world, EventKind.APPROVAL_GRANTED)) + len(events(world, EventKind.APPROVAL_REFUSED))
    assert decided == 5


def test_an_approval_is_used_once_by_many_at_once(world):
    another(world)
    for round_ in range(5):
        parameters = HOLD | {"ticket": f"CASE-{round_ + 1}"}
        approve(world, ask(world, parameters=parameters))
        found = at_once(*[lambda p=parameters: use(world, parameters=p)] * 4)
        assert sorted(isinstance(one, Denied) for one in found) == [False, True, True, True]
    assert len(events(world, EventKind.APPROVAL_USED)) == 5


PROCESS = """
import sys
from datetime import datetime
from pdms.access import approvals
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.errors import Denied
from pdms.settings import Settings
from pdms.taxonomy import GuardedAct
home, token, at, hold, ticket = sys.argv[1:]
with App.open(Settings(home=home), clock=FixedClock(datetime.fromisoformat(at))) as app:
    actor = app.authenticate(token)
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        app.run(actor, approvals.use, act=GuardedAct.HOLD_ACCESS, parameters={"hold": hold, "ticket": ticket})
        print("used")
    except Denied:
        print("denied")
"""


def test_an_approval_is_used_once_by_two_processes(world):
    another(world)
    approve(world, ask(world))
    at = world.clock.instant.isoformat()
    arguments = (str(world.app.home.root), world.tokens["compliance"], at, HOLD["hold"], HOLD["ticket"])
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [one.stdout.readline() for one in both] == ["ready\n"] * 2
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert sorted(one.communicate(timeout=60)[0].strip() for one in both) == ["denied", "used"]
    assert all(one.returncode == 0 for one in both)


def test_PIPL_51_a_changed_policy_comes_into_force_when_another_has_approved_it(world):
    changed = replace(world.app.policy.controller, contact="privacy-2@shop.example")
    world.app.policy = replace(world.app.policy, controller=changed, digest="7" * 64)
    with pytest.raises(Denied) as caught:
        world.run("admin", gate.activate)
    assert codes(caught) == [("APPROVAL_MISSING", "PIPL-51")]
    world.approve("admin", GuardedAct.POLICY_ACTIVATION, policy="7" * 64)
    world.app.policy = replace(world.app.policy, digest="8" * 64)
    with pytest.raises(Denied):
        world.run("admin", gate.activate)
    world.app.policy = replace(world.app.policy, digest="7" * 64)
    with pytest.raises(Denied):
        world.run("second", gate.activate)
    assert world.run("admin", gate.activate).changed
    assert not world.run("admin", gate.activate).changed


def test_a_role_that_lost_its_scope_approves_no_more(world):
    another(world)
    approve(world, ask(world))
    roles = dict(world.app.policy.roles)
    me = world.actor("compliance")
    roles["compliance"] = replace(roles["compliance"], scopes=(Scope.SUPPORT,))
    world.app.policy = replace(world.app.policy, roles=MappingProxyType(roles))
    with pytest.raises(Denied), world.app.unit(me) as uow:
        approvals.use(uow, act=ACT, parameters=HOLD)
