import msgspec
import pytest

from pdms.crypto import new_key
from pdms.errors import IntegrityBroken
from pdms.taxonomy import MemberId
from pdms.vault.sealing import SealedMember, open_member, seal_member

ALICE, BOB = MemberId(b"a" * 16), MemberId(b"b" * 16)
NAME, PHONE = (1).to_bytes(2, "big"), (2).to_bytes(2, "big")
FIELDS = {NAME: "张三", PHONE: "+8613800000000"}


@pytest.fixture
def dek():
    return new_key(32)


def stored(dek, *, member=ALICE, sequence=1, fields=FIELDS):
    return SealedMember(member, 1, sequence, seal_member(dek, member_id=member, fields=fields, write_seq=sequence))


def changed(one, values, **more):
    parts = {"member_id": one.member_id, "key_version": one.key_version, "write_seq": one.write_seq} | more
    return SealedMember(blob=msgspec.msgpack.encode(values), **parts)


def test_what_was_sealed_opens_whole_or_in_part(dek):
    one = stored(dek)
    assert open_member(dek, one) == FIELDS
    assert open_member(dek, one, codes=[PHONE]) == {PHONE: FIELDS[PHONE]}
    assert open_member(dek, one, codes=[b"\0\x09"]) == {}


def test_no_plaintext_lies_in_the_blob(dek):
    blob = stored(dek).blob
    assert "张三".encode() not in blob
    assert b"13800000000" not in blob


def test_empty_values_are_not_kept(dek):
    assert open_member(dek, stored(dek, fields={NAME: "张三", PHONE: ""})) == {NAME: "张三"}


def test_a_value_moved_to_another_field_does_not_open(dek):
    one = stored(dek)
    values = msgspec.msgpack.decode(one.blob, type=dict[bytes, bytes])
    swapped = changed(one, {NAME: values[PHONE], PHONE: values[NAME]})
    with pytest.raises(IntegrityBroken) as caught:
        open_member(dek, swapped)
    assert caught.value.code == "NOT_AUTHENTIC"


def test_a_blob_moved_to_another_member_does_not_open_even_under_one_key(dek):
    one = stored(dek)
    with pytest.raises(IntegrityBroken) as caught:
        open_member(dek, SealedMember(BOB, one.key_version, one.write_seq, one.blob))
    assert caught.value.code == "NOT_AUTHENTIC"


def test_an_older_value_put_back_does_not_open(dek):
    old = msgspec.msgpack.decode(stored(dek).blob, type=dict[bytes, bytes])
    new = stored(dek, sequence=2, fields=FIELDS | {PHONE: "+8613900000000"})
    values = msgspec.msgpack.decode(new.blob, type=dict[bytes, bytes])
    with pytest.raises(IntegrityBroken) as caught:
        open_member(dek, changed(new, values | {PHONE: old[PHONE]}))
    assert caught.value.code == "WRONG_WRITE_SEQUENCE"


def test_broken_bytes_are_named_as_such(dek):
    one = stored(dek)
    with pytest.raises(IntegrityBroken) as caught:
        open_member(dek, SealedMember(ALICE, 1, 1, one.blob[:-3]))
    assert caught.value.code == "SEALED_MAP"
