"""A packed set of ids behaves as the sequence of its ids."""

import secrets

import pytest

from pdms.crypto import packed_set_digest, set_digest
from pdms.gate.member_ids import MemberIds


def some(count: int) -> list[bytes]:
    return [secrets.token_bytes(16) for _ in range(count)]


def test_it_is_the_sorted_sequence_of_distinct_ids():
    ids = some(100)
    packed = MemberIds.of([*ids, ids[0]])
    assert list(packed) == sorted(ids) == packed == MemberIds(b"".join(sorted(ids)))
    assert len(packed) == 100
    assert packed[0] == min(ids)
    assert packed[-1] == max(ids)
    assert packed[3:7] == sorted(ids)[3:7]
    assert all(one in packed for one in ids)
    assert not any(one in packed for one in (*some(20), ids[0][:15], "text", None))
    with pytest.raises(IndexError):
        packed[100]
    assert packed != MemberIds.of(ids[1:])
    assert MemberIds(b"") == []


def test_its_repr_names_nobody():
    ids = some(3)
    assert not any(one.hex() in repr(MemberIds.of(ids)) for one in ids)


@pytest.mark.parametrize("count", [0, 1, 5, 65_536, 65_537])
@pytest.mark.parametrize("suite", ["aes-256-gcm", "sm4-gcm"])
def test_its_digest_is_that_of_the_set(count, suite):
    ids = sorted({(n * 2654435761 % 2**64).to_bytes(16, "big") for n in range(count)})
    key = secrets.token_bytes(32)
    assert packed_set_digest(key, b"".join(ids), width=16, suite=suite) == set_digest(key, ids, suite=suite)
