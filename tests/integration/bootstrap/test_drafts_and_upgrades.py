"""Documents and what is in force: an upgrade makes no draft of what nobody changed, and nobody acts by a draft."""

import hashlib
import json
import re
import shutil
from contextlib import contextmanager

import pytest

from common.world import POLICIES, World
from pdms.access import approvals
from pdms.access import service as access
from pdms.access.oidc import Identity
from pdms.bootstrap.app import App
from pdms.errors import Denied
from pdms.gate import service as gate
from pdms.policy.loader import load
from pdms.taxonomy import GuardedAct, Operation, Scope
from pdms.unit_of_work import Actor

SEGMENT = {"purpose": "segment", "operation": Operation.PROFILE}
LATER = ("denied_tags",)
"""Keys that a stored policy of an earlier release does not have."""


@pytest.fixture
def world(tmp_path):
    shutil.copytree(POLICIES, tmp_path / "policies")
    path = tmp_path / "policies" / "policy.yaml"
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"(?m)^tags:\n(?:[ \n].*\n?)*", "", text), "utf-8")  # what an earlier release did not know
    made = World.make(tmp_path, policies=tmp_path / "policies")
    yield made
    made.close()


def edit(world, before, after):
    path = world.folder / "policies" / "policy.yaml"
    text = path.read_text("utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), "utf-8")
    return load(path.parent)


def stored_earlier(world):
    """What is in force as an earlier release would have stored it; its digest."""
    ((content,),) = world.rows(world.app.main, "SELECT content FROM policy_version")
    said = json.loads(content)
    assert [said.pop(key) for key in LATER] == [[]]
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    with world.app.main.begin() as connection:
        connection.exec_driver_sql("UPDATE policy_version SET digest = ?, content = ?", (digest, text))
    return digest


@contextmanager
def opened(world, sign_in=None):
    """The home as the next command opens it."""
    with App.open(world.app.settings, clock=world.clock) as app:
        app.sign_in = sign_in
        yield app


def test_a_policy_of_an_earlier_release_stays_in_force_while_its_documents_say_the_same(world):
    digest = stored_earlier(world)
    assert digest != load(world.folder / "policies").digest
    with opened(world) as app:
        marketing, admin = (app.authenticate(world.tokens[role]) for role in ("marketing", "admin"))
        assert app.run(marketing, gate.eligible, **SEGMENT).policy_digest == digest
        assert app.documents.digest == digest
        done = app.run(admin, gate.activate_documents, folder=app.policies)
        assert (done.digest, done.changed, done.notices) == (digest, False, ())
        with app.unit(Actor.system()) as uow:
            assert [one.digest for one in gate.history(uow)] == [digest]
            assert gate.policy_at(uow, digest=digest).digest == digest


def test_documents_of_an_earlier_release_that_were_changed_are_a_draft(world):
    digest = stored_earlier(world)
    draft = edit(world, "contact: privacy@shop.example", "contact: office@shop.example")
    with opened(world) as app:
        assert (app.policy.digest, app.documents.digest) == (digest, draft.digest)
        with pytest.raises(Denied) as caught:
            app.run(app.authenticate(world.tokens["admin"]), gate.activate_documents, folder=app.policies)
    assert [one.code for one in caught.value.reasons] == ["APPROVAL_MISSING"]


def test_documents_of_an_earlier_release_that_were_reverted_give_way(world):
    stored_earlier(world)
    later = edit(world, "contact: privacy@shop.example", "contact: office@shop.example")
    with opened(world) as app:
        app.run(Actor.system(), gate.activate, policy=later)
    edit(world, "contact: office@shop.example", "contact: privacy@shop.example")
    with opened(world) as app:
        assert (app.policy.digest, app.documents.digest) == (later.digest, later.digest)


class SignIn:
    """A sign-in service that names the support operator."""

    issuer = "https://sign-in.example"

    def identify(self, text, *, now):
        return Identity(self.issuer, "s-1", frozenset({"support"}))


def test_PIPL_51_a_draft_gives_nobody_a_scope(world):
    support = world.actor("support")
    world.run("admin", access.link_operator, operator_id=support.id, subject="s-1", sign_in=SignIn())
    draft = edit(world, "scopes: [support]", "scopes: [support, admin, compliance]")
    with opened(world, SignIn()) as app:
        me = app.authenticate("eyJ.a.b")
        assert me.scopes == {Scope.SUPPORT}
        with pytest.raises(Denied):
            app.run(me, access.create_operator, label="mine", role="compliance")
        issued = app.run(app.authenticate(world.tokens["admin"]), access.issue_key, operator_id=support.id)
        assert issued.scopes == (Scope.SUPPORT,)
        app.run(Actor.system(), gate.activate, policy=draft)
    with opened(world, SignIn()) as app:
        assert app.authenticate("eyJ.a.b").scopes == {Scope.SUPPORT, Scope.ADMIN, Scope.COMPLIANCE}


def test_PIPL_51_approvers_are_judged_by_what_is_in_force_not_by_the_draft_they_approve(world):
    support = world.actor("support")
    world.run("admin", access.link_operator, operator_id=support.id, subject="s-1", sign_in=SignIn())
    edit(world, "scopes: [compliance]", "scopes: [marketing]")
    draft = edit(world, "scopes: [support]", "scopes: [support, compliance]")
    with opened(world, SignIn()) as app:
        admin, officer = (app.authenticate(world.tokens[role]) for role in ("admin", "compliance"))
        asked = {"act": GuardedAct.POLICY_ACTIVATION, "parameters": {"policy": draft.digest}}
        question = app.run(admin, approvals.ask, **asked).approval_id
        with pytest.raises(Denied):  # compliance by the draft alone
            app.run(app.authenticate("eyJ.a.b"), approvals.approve, approval_id=question)
        app.run(officer, approvals.approve, approval_id=question)
        assert app.run(admin, gate.activate_documents, folder=app.policies).digest == draft.digest
