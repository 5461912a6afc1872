"""Keys over their life, and operators who come with a token of the sign-in service. On both databases."""

import json
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from pdms.access import service as access
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.sign_in import sign_in_of
from pdms.errors import Conflict, Denied, InvalidInput, NotFound, Unauthenticated
from pdms.settings import Settings
from pdms.taxonomy import Scope

ISSUER = "https://id.example"
KEY = RSAKey.generate_key(2048, {"kid": "k1"}, auto_kid=False)


def operator(world, role):
    me = world.actor(role).id
    return next(o for o in world.run("admin", access.list_operators) if o.operator_id == me)


def failures(world):
    with world.unit() as uow:
        page = audit.list_events(uow.session, kinds=(EventKind.LOGIN_FAILED,))
    return [item.event for item in page.items]


def test_a_key_is_rotated_with_an_overlap(world):
    (old,) = operator(world, "marketing").keys
    issued = world.run("admin", access.rotate_key, key_id=old.key_id, overlap_hours=48)
    assert issued.scopes == old.scopes
    before, world.tokens["new"] = world.tokens["marketing"], issued.text
    world.pass_time(hours=47)
    assert world.app.authenticate(before).id == world.app.authenticate(issued.text).id
    world.pass_time(hours=1)
    with pytest.raises(Unauthenticated):
        world.app.authenticate(before)
    assert world.app.authenticate(issued.text).role == "marketing"
    keys = {key.key_id: key for key in operator(world, "new").keys}
    assert keys[old.key_id].expired
    assert not keys[issued.key_id].expired
    with pytest.raises(Conflict, match="ended"):
        world.run("admin", access.rotate_key, key_id=old.key_id)


def test_a_rotation_never_lengthens_the_old_key_and_may_end_it_at_once(world):
    (old,) = operator(world, "support").keys
    short = world.run("admin", access.issue_key, operator_id=world.actor("support").id, days=1)
    world.run("admin", access.rotate_key, key_id=short.key_id, overlap_hours=720)
    (found,) = [k for k in operator(world, "support").keys if k.key_id == short.key_id]
    assert found.expires_at == short.expires_at
    world.run("admin", access.rotate_key, key_id=old.key_id, overlap_hours=0)
    with pytest.raises(Unauthenticated):
        world.actor("support")
    for hours in (-1, 721):
        with pytest.raises(InvalidInput):
            world.run("admin", access.rotate_key, key_id=short.key_id, overlap_hours=hours)
    with pytest.raises(NotFound):
        world.run("admin", access.rotate_key, key_id="0" * 32)
    with pytest.raises(Denied):
        world.run("marketing", access.rotate_key, key_id=short.key_id)


def test_a_key_holds_fewer_scopes_than_its_role_never_more(world):
    me = world.actor("compliance").id
    with pytest.raises(InvalidInput, match="scopes"):
        world.run("admin", access.issue_key, operator_id=me, scopes=[Scope.ADMIN])
    with pytest.raises(InvalidInput, match="scopes"):
        world.run("admin", access.issue_key, operator_id=me, scopes=[])
    issued = world.run("admin", access.issue_key, operator_id=me, scopes=[Scope.COMPLIANCE])
    assert world.app.authenticate(issued.text).scopes == {Scope.COMPLIANCE}


def test_the_last_day_of_a_keys_use_is_shown_and_written_once_a_day(world):
    (key,) = operator(world, "ingest").keys
    assert key.last_used_on is not None
    first = key.last_used_on
    world.pass_time(days=2)
    writes = []
    for _ in range(3):
        found = world.app.recognise(world.tokens["ingest"])
        writes.append(found.key_to_note)
    assert [one is not None for one in writes] == [True, False, False]
    (key,) = operator(world, "ingest").keys
    assert key.last_used_on == first + timedelta(days=2)


def test_a_wrong_key_notes_no_use(world):
    (key,) = operator(world, "ingest").keys
    world.pass_time(days=2)
    wrong = world.tokens["ingest"][:-3] + "AAA"
    with pytest.raises(Unauthenticated):
        world.app.authenticate(wrong)
    listed = world.run("admin", access.list_operators)
    (after,) = [found for one in listed for found in one.keys if found.key_id == key.key_id]
    assert after.last_used_on == key.last_used_on


@pytest.fixture
def signed_in(world, tmp_path):
    """The world with a sign-in service, and its officer bound to the subject `f3a1c5`."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}), "utf-8")
    settings = Settings(
        oidc_issuer=ISSUER,
        oidc_audience="pdms",
        oidc_jwks=str(path),
        oidc_roles={"dpo": "compliance", "mkt": "marketing"},
        token=SecretStr("x"),
    )
    world.app.sign_in = sign_in_of(settings, world.app.policy)
    link(world, "compliance", "f3a1c5")
    return world


def link(world, role, subject):
    me = world.actor(role).id
    world.run("admin", access.link_operator, operator_id=me, subject=subject, sign_in=world.app.sign_in)


def token(world, **changes):
    at = int(world.clock.instant.timestamp())
    claims = {"iss": ISSUER, "aud": "pdms", "sub": "f3a1c5", "iat": at, "exp": at + 300, "roles": ["dpo"]} | changes
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, KEY)


def test_a_token_is_the_same_operator_as_their_key(signed_in):
    by_token = signed_in.app.authenticate(token(signed_in))
    assert by_token == signed_in.actor("compliance")


def test_a_token_takes_a_role_away_and_never_gives_one(signed_in):
    for roles in ([], ["mkt"], ["admin"], ["compliance"]):
        with pytest.raises(Unauthenticated):
            signed_in.app.authenticate(token(signed_in, roles=roles))
    assert failures(signed_in)[0].refs["cause"] == "oidc.role"
    assert signed_in.app.authenticate(token(signed_in, roles=["mkt", "dpo"])).role == "compliance"


def test_no_connection_is_held_while_the_issuer_is_asked(signed_in):
    keys, held = signed_in.app.sign_in.keys, []
    read = keys.read

    def counting():
        held.append(signed_in.app.main.pool.checkedout())
        return read()

    keys.read = counting
    assert signed_in.app.authenticate(token(signed_in)).role == "compliance"
    assert held == [0]


def test_who_is_not_bound_disabled_or_unbound_does_not_get_in(signed_in):
    with pytest.raises(Unauthenticated):
        signed_in.app.authenticate(token(signed_in, sub="somebody"))
    me = signed_in.actor("compliance").id
    with pytest.raises(Conflict):
        link(signed_in, "marketing", "f3a1c5")
    assert operator(signed_in, "compliance").linked
    link(signed_in, "compliance", None)
    with pytest.raises(Unauthenticated):
        signed_in.app.authenticate(token(signed_in))
    link(signed_in, "compliance", "f3a1c5")
    signed_in.run("admin", access.disable_operator, operator_id=me)
    with pytest.raises(Unauthenticated):
        signed_in.app.authenticate(token(signed_in))


def test_every_failure_is_told_alike_and_logged_without_a_byte_of_the_token(signed_in):
    wrong = {
        "oidc.expired": token(signed_in, exp=1, iat=0),
        "oidc.audience": token(signed_in, aud="x"),
        "oidc.issuer": token(signed_in, iss="x"),
        "oidc.operator": token(signed_in, sub="nobody-we-know"),
        "oidc.signature": token(signed_in)[:-4] + "AAAA",
        "oidc.form": "eyJ.eyJ.eyJ",
        "key": "pdms_key_" + "0" * 32 + "_" + "A" * 43,
        "form": "whatever",
        "nothing": "",
    }
    told = set()
    for text in wrong.values():
        with pytest.raises(Unauthenticated) as caught:
            signed_in.app.authenticate(text)
        told.add((str(caught.value), caught.value.code))
    assert len(told) == 1
    logged = failures(signed_in)
    assert [event.refs["cause"] for event in reversed(logged)] == list(wrong)
    bodies = b"".join(event.canonical() for event in logged)
    for text in wrong.values():
        for part in filter(None, text.split(".")):
            assert len(part) < 6 or part.encode() not in bodies or part == "whatever"
    assert b"nobody-we-know" not in bodies


def test_without_a_sign_in_service_a_token_is_nothing(world):
    with pytest.raises(Unauthenticated):
        world.app.authenticate(token(world))
    with pytest.raises(InvalidInput, match="PDMS_OIDC"):
        link(world, "compliance", "f3a1c5")


def test_a_subject_is_kept_as_a_keyed_digest_only(signed_in):
    assert signed_in.in_files is False or b"f3a1c5" not in signed_in.bytes_of(signed_in.app.main, "vault.db*")
    rows = signed_in.rows(signed_in.app.main, "SELECT subject_digest FROM operator WHERE subject_digest IS NOT NULL")
    assert [len(bytes(row[0])) for row in rows] == [32]


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": None},
        {"oidc_audience": None},
        {"oidc_jwks": None},
        {"oidc_roles": {}},
        {"oidc_roles": {"x": "no-role"}},
        {"oidc_jwks": "http://id.example/keys"},
    ],
)
def test_a_sign_in_service_set_up_by_half_is_refused(world, wrong):
    whole = {"oidc_issuer": "i", "oidc_audience": "a", "oidc_jwks": "k", "oidc_roles": {"x": "admin"}}
    assert sign_in_of(Settings(**whole), world.app.policy) is not None
    with pytest.raises(InvalidInput):
        sign_in_of(Settings(**(whole | wrong)), world.app.policy)
    assert sign_in_of(Settings(), world.app.policy) is None
