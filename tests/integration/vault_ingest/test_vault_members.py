from datetime import UTC, datetime, timedelta

import pytest

from pdms.errors import Conflict, Denied, IntegrityBroken, InvalidInput, KeyUnavailable, NotFound
from pdms.policy.permit import Permit
from pdms.taxonomy import MemberStatus, Operation, Scope, new_id
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault
from pdms.vault import upsert, writing
from pdms.vault.sealing import Indexes
from pdms.vault.service import MemberRow, Outcome

SUPPORT = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))
WANG = {
    "name": "王小明",
    "phone": "+8613800000001",
    "email": "wang@shop.example",
    "id_number": "",
    "birth_date": "1990-03-07",
    "gender": "male",
    "address": "北京市朝阳区示例路1号",
    "login": "wang",
}


def put(home, *rows, system="shop", actor=None):
    with home.unit(actor) as uow:
        return vault.upsert_members(uow, rows, system=system)


def row(external_id="m1", registered_at=None, **changes):
    return MemberRow(external_id, WANG | changes, registered_at)


def permit(home, member_id, *, fields=("phone",), actor=SUPPORT, operation=Operation.REVEAL, life=10, **more):
    parts = {
        "id": new_id("permit"), "event_id": "0" * 32, "purpose": "service", "operation": operation,
        "member_id": member_id, "categories": (), "fields": fields, "channel": None, "recipient": None, "view": None,
        "issued_at": home.clock.now(), "expires_at": home.clock.now() + timedelta(minutes=life), "actor": actor.id,
        "policy_digest": "0" * 64, "reason": "MEMBER_ASKED",
    } | more  # fmt: skip
    return Permit(**parts)


def everything(home, member_id, fields=("name", "phone", "email", "birth_date", "address", "login")):
    with home.unit(SUPPORT) as uow:
        return vault.reveal(uow, permit(home, member_id, fields=tuple(fields)), member_id=member_id, fields=fields)


def test_members_are_created_found_and_masked(small_home):
    result = put(small_home, row("m1"), row("m2", phone="+8613800000002", email="", login=""))
    assert (result.created, result.updated, result.unchanged) == (2, 0, 0)
    first, second = result.member_ids
    with small_home.unit(SUPPORT) as uow:
        assert vault.find(uow, index="phone", value="+8613800000001") == [first]
        assert vault.find(uow, index="phone", value="+8613800009999") == []
        assert set(vault.resolve(uow, system="shop", external_ids=["m1", "m2", "m3"])) == {"m1", "m2"}
        assert vault.find_external(uow, system="other", external_id="m1") is None
        shown = vault.masked(uow, first)
        assert shown["phone"] == "****0001"
        assert shown["name"] == "王**"
        assert "id_number" not in shown
        assert "email" not in vault.masked(uow, second)
        assert vault.state(uow, first).status is MemberStatus.ACTIVE
        assert vault.count(uow) == 2
        with pytest.raises(NotFound):
            vault.find(uow, index="shoe_size", value="44")


def test_whoever_the_first_question_of_a_batch_does_not_meet_is_known_all_the_same(small_home, monkeypatch):
    monkeypatch.setattr(upsert, "CHUNK", 1)  # it asks about one row, whose digest is the least
    monkeypatch.setattr(writing, "CHUNK", 2)
    names = [f"m{n}" for n in range(7)]
    with small_home.unit() as uow:
        digests = Indexes(uow.keys, uow.policy).external("shop", names)
    ordered = [name for _, name in sorted(zip(digests, names, strict=True))]
    known = dict(zip(ordered[3:], put(small_home, *map(row, ordered[3:])).member_ids, strict=True))
    result = put(small_home, *(row(name, login="changed" if name == ordered[5] else "wang") for name in names))
    expected = dict.fromkeys(ordered[:3], Outcome.CREATED) | dict.fromkeys(ordered[3:], Outcome.UNCHANGED)
    expected[ordered[5]] = Outcome.UPDATED
    assert dict(zip(names, result.outcomes, strict=True)) == expected
    assert {name: one for name, one in zip(names, result.member_ids, strict=True) if name in known} == known
    with small_home.unit() as uow:
        assert vault.count(uow) == len(names)


def test_an_index_entry_that_leads_to_nobody_stops_a_load(small_home):
    put(small_home, row("m1"))
    put(small_home, row("m2"))
    with small_home.unit() as uow:
        uow.session.connection().exec_driver_sql("DELETE FROM member WHERE row_no = 1")
    with pytest.raises(IntegrityBroken) as caught:
        put(small_home, row("m1"), row("m3"))
    assert caught.value.code == "INDEX_MOVED"


def test_one_external_id_in_two_systems_is_two_members(small_home):
    a = put(small_home, row("m1")).member_ids[0]
    b = put(small_home, row("m1"), system="app").member_ids[0]
    assert a != b


def test_the_same_rows_again_write_nothing(small_home):
    put(small_home, row("m1"), row("m2"))
    before = small_home.sql("SELECT * FROM sealed_member ORDER BY row_no")
    again = put(small_home, row("m1"), row("m2"))
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)
    assert small_home.sql("SELECT * FROM sealed_member ORDER BY row_no") == before


def test_a_changed_row_updates_its_fields_and_its_index(small_home):
    member = put(small_home, row()).member_ids[0]
    result = put(small_home, row(phone="+8613900000000", email=""))
    assert result.outcomes == [Outcome.UPDATED]
    assert result.member_ids == [member]
    assert result.merged[0]["phone"] == "+8613900000000"
    with small_home.unit(SUPPORT) as uow:
        assert vault.find(uow, index="phone", value="+8613800000001") == []
        assert vault.find(uow, index="phone", value="+8613900000000") == [member]
        assert vault.find(uow, index="email", value="wang@shop.example") == []
    assert everything(small_home, member) == {
        "name": "王小明", "phone": "+8613900000000", "birth_date": "1990-03-07",
        "address": "北京市朝阳区示例路1号", "login": "wang",
    }  # fmt: skip


def test_a_source_that_does_not_speak_of_a_field_keeps_it(small_home):
    member = put(small_home, row()).member_ids[0]
    put(small_home, MemberRow("m1", {"phone": "+8613900000000"}))
    assert everything(small_home, member)["email"] == "wang@shop.example"
    # and the first source, unchanged, takes its own value back
    assert put(small_home, row()).updated == 1
    assert everything(small_home, member)["phone"] == "+8613800000001"


def test_two_members_may_share_a_phone(small_home):
    result = put(small_home, row("m1"), row("m2"))
    with small_home.unit(SUPPORT) as uow:
        assert vault.find(uow, index="phone", value="+8613800000001") == sorted(result.member_ids)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row("m1"), row("m1")], "DUPLICATE_KEY"),
        ([row("")], "MISSING_KEY"),
        ([MemberRow("m1", {"shoe_size": "44"})], "UNKNOWN_FIELD"),
        ([MemberRow("m1", {"name": "x"}), MemberRow("m2", {"phone": "y"})], "MIXED_FIELDS"),
    ],
)
def test_wrong_batches_are_refused_whole(small_home, rows, code):
    with pytest.raises(InvalidInput) as caught:
        put(small_home, *rows)
    assert caught.value.code == code
    assert small_home.sql("SELECT count(*) FROM member") == [(0,)]


def test_storing_needs_the_ingest_scope(small_home):
    with pytest.raises(Denied):
        put(small_home, row(), actor=SUPPORT)
    assert small_home.sql("SELECT count(*) FROM member") == [(0,)]


def test_no_birth_date_can_be_read_from_plaintext_columns_of_an_adult(small_home):
    put(small_home, row("m1"), row("m2", birth_date="2011-05-17"), row("m3", birth_date=""))
    rows = small_home.sql("SELECT turns_14, turns_18 FROM member ORDER BY row_no")
    assert sorted(rows, key=str) == [("1900-01-01", "1900-01-01"), ("1900-01-01", "2029-06-01"), (None, None)]


def test_an_id_number_tells_the_age_where_no_birth_date_does(small_home):
    put(small_home, row("m1", birth_date="", id_number="110101201105171234"))
    assert small_home.sql("SELECT turns_18 FROM member") == [("2029-06-01",)]


def test_turning_dates_that_have_passed_are_forgotten(small_home):
    put(small_home, row("m1", birth_date="2008-12-17"), row("m2", birth_date="2013-01-02"))
    small_home.clock.instant = datetime(2027, 3, 1, tzinfo=UTC)
    with small_home.unit() as uow:
        assert vault.settle_ages(uow) == 2
    rows = small_home.sql("SELECT turns_14, turns_18 FROM member ORDER BY row_no")
    assert sorted(rows) == [("1900-01-01", "1900-01-01"), ("1900-01-01", "2031-02-01")]


def test_reveal_is_narrow(small_home):
    first, second = put(small_home, row("m1"), row("m2")).member_ids
    good = permit(small_home, first)

    def attempt(one, member_id=first, fields=("phone",), actor=SUPPORT):
        with small_home.unit(actor) as uow:
            return vault.reveal(uow, one, member_id=member_id, fields=fields)

    assert attempt(good) == {"phone": "+8613800000001"}
    for wrong in (
        lambda: attempt(good, member_id=second),
        lambda: attempt(good, fields=("phone", "email")),
        lambda: attempt(permit(small_home, first, actor=Actor.system())),
        lambda: attempt(permit(small_home, first, operation=Operation.PROFILE)),
        lambda: attempt(permit(small_home, first, life=0)),
    ):
        with pytest.raises(Denied) as caught:
            wrong()
        assert caught.value.reasons
    kinds = [kind for (kind,) in small_home.sql("SELECT kind FROM audit_event ORDER BY seq")]
    assert kinds.count("reveal") == 1
    assert kinds.count("denial") == 5


def test_reveals_of_one_operator_are_counted_by_the_hour(small_home):
    member = put(small_home, row()).member_ids[0]
    for _ in range(small_home.policy.reveal.per_hour):
        everything(small_home, member, ["phone"])
    with pytest.raises(Denied) as caught:
        everything(small_home, member, ["phone"])
    assert [reason.code for reason in caught.value.reasons] == ["REVEAL_RATE"]
    small_home.clock.instant += timedelta(hours=1)
    assert everything(small_home, member, ["phone"])


def test_a_member_sees_only_themself(small_home):
    first, second = put(small_home, row("m1"), row("m2")).member_ids
    me = Actor("member", ActorKind.MEMBER, frozenset({Scope.MEMBER}), member_id=first)
    with small_home.unit(me) as uow:
        assert vault.masked(uow, first)["name"] == "王**"
    for question in (vault.masked, vault.state, lambda u, m: vault.correct(u, m, field="name", value="x")):
        with pytest.raises(Denied), small_home.unit(me) as uow:
            question(uow, second)


def test_identity_is_checked_with_data_held(small_home):
    member = put(small_home, row()).member_ids[0]
    with small_home.unit(SUPPORT) as uow:
        assert vault.matches(uow, member, field="phone", value="+8613800000001")
        assert not vault.matches(uow, member, field="phone", value="+8613800000002")
        assert vault.matches(uow, member, field="name", value="王小明")
        assert not vault.matches(uow, member, field="id_number", value="")


def test_a_correction_outlives_the_old_file_but_not_a_new_value(small_home):
    member = put(small_home, row()).member_ids[0]
    with small_home.unit(SUPPORT) as uow:
        done = vault.correct(uow, member, field="phone", value="+8613911111111")
        assert done.changed
        assert done.fields["phone"] == "+8613911111111"
    assert put(small_home, row()).unchanged == 1
    assert put(small_home, row(name="王大明")).updated == 1  # another field changes, the phone is still the old one
    assert everything(small_home, member)["phone"] == "+8613911111111"
    assert everything(small_home, member)["name"] == "王大明"
    put(small_home, row(name="王大明", phone="+8613722222222"))
    assert everything(small_home, member)["phone"] == "+8613722222222"
    with small_home.unit(SUPPORT) as uow:
        assert vault.find(uow, index="phone", value="+8613722222222") == [member]
        assert vault.find(uow, index="phone", value="+8613911111111") == []
        assert not vault.correct(uow, member, field="phone", value="+8613722222222").changed


def test_disabled_members_are_not_brought_up_to_date(small_home):
    member = put(small_home, row()).member_ids[0]
    with small_home.unit(SUPPORT) as uow:
        vault.disable(uow, member)
    assert put(small_home, row(name="x y")).outcomes == [Outcome.DISABLED]


def shred(home, member):
    with home.unit() as uow:
        vault.suppress(uow, member)
    with home.unit() as uow:
        vault.destroy_key(uow, member)
    with home.unit() as uow:
        assert vault.forget(uow, member)
    with home.unit() as uow:
        vault.purge(uow)


def test_shredding_leaves_nothing_to_open_nothing_to_find_and_no_bytes(small_home):
    first, second = put(
        small_home, row("m1"), row("m2", phone="+8613800000002", email="li@shop.example", login="li")
    ).member_ids
    sealed = small_home.sql(
        "SELECT sealed, digests, pseudonym FROM sealed_member JOIN member USING (row_no) WHERE member_id = ?",
        first,
    )[0]
    shred(small_home, first)
    with small_home.unit(SUPPORT) as uow:
        assert vault.find(uow, index="phone", value="+8613800000001") == []
        assert vault.resolve(uow, system="shop", external_ids=["m1"]) == {}
        with pytest.raises(NotFound):
            vault.masked(uow, first)
        assert vault.masked(uow, second)
    assert small_home.sql("SELECT count(*) FROM blind_index") == [(3,)]
    raw = b"".join(path.read_bytes() for path in small_home.home.root.rglob("*") if path.is_file())
    import msgspec

    for value in msgspec.msgpack.decode(sealed[0], type=dict[bytes, bytes]).values():
        assert value not in raw
    digests = [sealed[1][at + 1 : at + 33] for at in range(0, len(sealed[1]), 33)]
    assert len(digests) == 4
    for digest in digests:
        assert digest not in raw
    assert sealed[2] not in raw


def test_every_step_of_shredding_may_be_repeated(small_home):
    member = put(small_home, row()).member_ids[0]
    for _ in range(2):
        with small_home.unit() as uow:
            vault.suppress(uow, member)
    with pytest.raises(Conflict), small_home.unit() as uow:
        vault.forget(uow, member)  # not before its key is gone
    for _ in range(2):
        with small_home.unit() as uow:
            vault.destroy_key(uow, member)
    with pytest.raises(KeyUnavailable), small_home.unit() as uow:
        vault.suppress(uow, member)  # too late: nothing opens any more
    with small_home.unit() as uow:
        assert vault.forget(uow, member)
    with small_home.unit() as uow:
        assert not vault.forget(uow, member)


def test_an_old_file_does_not_bring_an_erased_member_back_but_a_fresh_registration_does(small_home):
    member = put(small_home, row(registered_at=datetime(2025, 1, 1, tzinfo=UTC))).member_ids[0]
    with small_home.unit() as uow:
        vault.suppress(uow, member)
    assert put(small_home, row(phone="+8613899999999")).outcomes == [Outcome.SUPPRESSED]  # between the steps
    with pytest.raises(NotFound), small_home.unit(SUPPORT) as uow:
        vault.masked(uow, member)
    with small_home.unit() as uow:
        vault.destroy_key(uow, member)
    with small_home.unit() as uow:
        vault.forget(uow, member)
    old = datetime(2025, 1, 1, tzinfo=UTC)
    other = {"phone": "+8613866666666", "email": "", "login": ""}
    assert put(small_home, row()).outcomes == [Outcome.SUPPRESSED]
    assert put(small_home, row(registered_at=old, **other)).outcomes == [Outcome.SUPPRESSED]  # external id
    assert put(small_home, row("m9", registered_at=old)).outcomes == [Outcome.SUPPRESSED]  # phone, email, login
    assert put(small_home, row("m9", registered_at=old, **other)).outcomes == [Outcome.CREATED]
    small_home.clock.instant += timedelta(days=2)
    fresh = put(small_home, row(registered_at=small_home.clock.instant - timedelta(days=1)))
    assert fresh.outcomes == [Outcome.CREATED]
    assert fresh.member_ids != [member]


def test_both_ids_lead_to_each_other_inside(small_home):
    result = put(small_home, row("m1"), row("m2"))
    with small_home.unit(SUPPORT) as uow:
        links = vault.pseudonyms_of(uow, result.member_ids)
        assert len(links) == 2
        assert set(links.values()) == set(result.pseudonyms)
        assert vault.members_of(uow, result.pseudonyms) == {p: m for m, p in links.items()}
        assert vault.pseudonym_of(uow, result.member_ids[0]) == result.pseudonyms[0]
        rows = vault.state_rows(uow)
        assert {r[0] for r in rows} == set(result.member_ids)
        assert {r[1] for r in rows} == {"active"}


def test_events_hold_counts_and_digests_only(small_home):
    put(small_home, row("m1"), row("m2"))
    put(small_home, row("m1", name="王二"))
    kinds = [kind for (kind,) in small_home.sql("SELECT kind FROM audit_event ORDER BY seq")]
    assert kinds == ["member.created", "member.updated"]
    bodies = b"".join(bytes(body) for (body,) in small_home.sql("SELECT body FROM audit_event"))
    for secret in ("王", "wang", "13800000001", "m1"):
        assert secret.encode() not in bodies
