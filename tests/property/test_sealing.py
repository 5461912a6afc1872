"""Sealing for any value, member, field and suite; and that what is moved, swapped or old does not open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.crypto import (
    BlindIndex,
    KeyWrapper,
    SealedValue,
    SuiteName,
    new_key,
    open_blob,
    open_field,
    open_fields,
    seal_blob,
    seal_fields,
    seal_rows,
    set_digest,
    suite_of,
)
from pdms.errors import IntegrityBroken, PdmsError

suites = st.sampled_from(SuiteName)
members = st.binary(min_size=16, max_size=16)
codes = st.binary(min_size=1, max_size=64)
values = st.binary(max_size=200)
versions = st.integers(1, 2**32 - 1)
writes = st.integers(0, 2**64 - 1)


def dek_for(suite):
    return suite_of(suite).new_dek()


@given(suites, members, st.lists(st.tuples(codes, values), max_size=8), versions, writes)
def test_round_trip(suite, member, fields, key_version, write_seq):
    dek = dek_for(suite)
    place = {"member": member, "key_version": key_version, "write_seq": write_seq}
    sealed = seal_fields(dek, fields=fields, suite=suite, **place)
    opened = open_fields(dek, fields=[(code, one) for (code, _), one in zip(fields, sealed, strict=True)], **place)
    assert opened == [value for _, value in fields]
    for (code, value), one in zip(fields, sealed, strict=True):
        assert open_field(one, dek=dek, field=code, **place) == value
        shown = SealedValue(one)
        assert (shown.suite, shown.key_version, shown.write_seq) == (suite, key_version, write_seq)
        assert len(one) == 42 + 16 * (len(value) // 16 + 1)


@given(suites, members, members, codes, codes, values)
def test_moved_value_does_not_open(suite, member, other_member, field, other_field, value):
    dek = dek_for(suite)
    [sealed] = seal_fields(dek, member=member, fields=[(field, value)], suite=suite)
    for to_member, to_field in ((other_member, field), (member, other_field), (other_member, other_field)):
        if (to_member, to_field) != (member, field):
            with pytest.raises(IntegrityBroken) as caught:
                open_field(sealed, dek=dek, member=to_member, field=to_field)
            assert caught.value.code == "NOT_AUTHENTIC"


@given(suites, members, codes, values, writes, writes)
def test_older_or_newer_value_does_not_open(suite, member, field, value, written, expected):
    dek = dek_for(suite)
    [sealed] = seal_fields(dek, member=member, fields=[(field, value)], suite=suite, write_seq=written)
    if written != expected:
        with pytest.raises(IntegrityBroken) as caught:
            open_field(sealed, dek=dek, member=member, field=field, write_seq=expected)
        assert caught.value.code == "WRONG_WRITE_SEQUENCE"
        forged = sealed[:6] + expected.to_bytes(8, "big") + sealed[14:]
        with pytest.raises(IntegrityBroken) as caught:
            open_field(forged, dek=dek, member=member, field=field, write_seq=expected)
        assert caught.value.code == "NOT_AUTHENTIC"


@given(suites, members, codes, values, st.data())
def test_any_flipped_bit_is_seen(suite, member, field, value, data):
    dek = dek_for(suite)
    [sealed] = seal_fields(dek, member=member, fields=[(field, value)], suite=suite)
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityBroken):
        open_field(bytes(flipped), dek=dek, member=member, field=field)


@given(suites, members, codes, values, st.data())
def test_any_cut_is_seen(suite, member, field, value, data):
    dek = dek_for(suite)
    [sealed] = seal_fields(dek, member=member, fields=[(field, value)], suite=suite)
    at = data.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(IntegrityBroken) as caught:
        open_field(sealed[:at], dek=dek, member=member, field=field)
    assert caught.value.code in {"TRUNCATED", "NOT_AUTHENTIC"}


@given(st.lists(members, min_size=1, max_size=20, unique=True), st.integers(1, 8))
def test_no_two_values_share_key_and_nonce(ids, width):
    fields = [(bytes((n + 1,)), b"same") for n in range(width)]
    seen = set()
    for member in ids:
        dek = dek_for(SuiteName.AES_256_GCM)
        for _ in range(2):  # written twice
            seen |= {(bytes(dek), one[14:26]) for one in seal_fields(dek, member=member, fields=fields)}
    assert len(seen) == 2 * width * len(ids)


class Plain:
    """A form that says how many values follow, and of each its field and its size."""

    def begin(self, count):
        return bytes((count,))

    def before(self, field, size):
        return bytes((len(field),)) + field + size.to_bytes(4, "big")

    def read(self, row):
        found, at = {}, 1
        for _ in range(row[0]):
            start = at + 1 + row[at]
            field, size = row[at + 1 : start], int.from_bytes(row[start : start + 4], "big")
            at = start + 4 + size
            found[field] = row[start + 4 : at]
        assert at == len(row)
        return found


@given(suites, st.lists(members, max_size=12, unique=True), st.lists(codes, max_size=8, unique=True), st.data())
def test_sealing_rows_is_sealing_fields_and_shares_no_key_and_nonce(suite, ids, fields, data):
    columns = [(field, data.draw(st.lists(values, min_size=len(ids), max_size=len(ids)))) for field in fields]
    deks = [dek_for(suite) for _ in ids]
    sealed = [Plain().read(row) for row in seal_rows(deks, members=ids, columns=columns, form=Plain(), suite=suite)]
    for at, (dek, member, found) in enumerate(zip(deks, ids, sealed, strict=True)):
        told = {field: column[at] for field, column in columns if column[at]}
        opened = open_fields(dek, member=member, fields=found.items())
        assert dict(zip(found, opened, strict=True)) == told
    nonces = [(bytes(dek), one[14:26]) for dek, found in zip(deks, sealed, strict=True) for one in found.values()]
    assert len(set(nonces)) == len(nonces)
    assert len({nonce for _, nonce in nonces}) == len(nonces)


def test_rows_beyond_those_sealed_at_a_time():
    count = 250  # two full handfuls and a part, the middle one with an empty value in it
    ids, deks = [bytes(12) + at.to_bytes(4, "big") for at in range(count)], [new_key() for _ in range(count)]
    columns = [
        (b"a", [str(at).encode() for at in range(count)]),
        (b"b", [b"" if at == 150 else b"x" for at in range(count)]),
    ]
    rows = seal_rows(deks, members=ids, columns=columns, form=Plain())
    for at, (dek, member, row) in enumerate(zip(deks, ids, rows, strict=True)):
        found = Plain().read(row)
        assert list(found) == ([b"a"] if at == 150 else [b"a", b"b"])
        assert open_fields(dek, member=member, fields=found.items())[0] == str(at).encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"members": [bytes(15)]}, "MEMBER_ID_LENGTH"),
        ({"deks": [bytes(31)]}, "KEY_LENGTH"),
        ({"columns": [(b"", [b"v"])]}, "FIELD_CODE_LENGTH"),
        ({"columns": [(bytes(65), [b"v"])]}, "FIELD_CODE_LENGTH"),
        ({"columns": [(b"f", [b"v", b"w"])]}, "UNLIKE_LENGTHS"),
        ({"deks": []}, "UNLIKE_LENGTHS"),
        ({"write_seq": -1}, "OUT_OF_RANGE"),
        ({"suite": "rot13"}, "UNKNOWN_SUITE"),
    ],
)
def test_rows_of_wrong_measure_are_refused(change, code):
    good = {"deks": [bytes(32)], "members": [bytes(16)], "columns": [(b"f", [b"v"])], "write_seq": 1, "form": Plain()}
    asked = good | change
    with pytest.raises(PdmsError) as caught:
        seal_rows(asked.pop("deks"), **asked)
    assert caught.value.code == code


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_named_errors(raw):
    dek = new_key()
    for attempt in (
        lambda: open_field(raw, dek=dek, member=bytes(16), field=b"f"),
        lambda: open_blob(dek, raw, context=b""),
        lambda: KeyWrapper(dek, label="wrap:member").unwrap(raw, context=b""),
    ):
        with pytest.raises(PdmsError):
            attempt()


@given(suites, st.binary(min_size=16, max_size=64), values, st.binary(max_size=40), st.binary(max_size=40))
def test_blob_opens_in_its_context_only(suite, material, plaintext, context, other):
    sealed = seal_blob(material, plaintext, context=context, suite=suite)
    assert open_blob(material, sealed, context=context) == plaintext
    assert seal_blob(material, plaintext, context=context, suite=suite) != sealed
    if other != context:
        with pytest.raises(IntegrityBroken):
            open_blob(material, sealed, context=other)


@given(suites, st.lists(st.binary(min_size=16, max_size=32), max_size=10))
def test_wrapping_in_bulk_is_wrapping(suite, keys):
    wrapper = KeyWrapper(new_key(), label="wrap:member", suite=suite)
    contexts = [bytes((n,)) for n in range(len(keys))]
    wrapped = wrapper.wrap_many(keys, contexts=contexts)
    assert [wrapper.unwrap(w, context=c) for w, c in zip(wrapped, contexts, strict=True)] == keys
    assert wrapper.unwrap(wrapper.wrap(bytes(16), context=b"one"), context=b"one") == bytes(16)


@given(suites, values, values)
def test_index_equality_is_value_equality(suite, a, b):
    index = BlindIndex(bytes(range(32)), suite=suite)
    assert (index.digest(a) == index.digest(b)) == (a == b)
    assert index.digest_many([a, b]) == [index.digest(a), index.digest(b)]


@given(st.lists(st.binary(max_size=20)), st.lists(st.binary(max_size=20)), st.randoms())
def test_set_digest_is_of_the_set(ids, others, random):
    key = bytes(range(32))
    shuffled = ids + ids[:3]
    random.shuffle(shuffled)
    assert set_digest(key, ids) == set_digest(key, shuffled)
    assert (set_digest(key, ids) == set_digest(key, others)) == (set(ids) == set(others))
