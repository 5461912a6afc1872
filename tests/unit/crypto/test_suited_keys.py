"""Keys that know their suite: read back as they were made, and followed by whoever digests, derives or seals."""

import hmac

import pytest

from pdms.crypto import (
    BlindIndex,
    SuitedKey,
    SuiteName,
    derive,
    new_key,
    packed_set_digest,
    seal_blob,
    set_digest,
    suited,
    with_suite,
)
from pdms.errors import IntegrityBroken

AES, SM4 = SuiteName.AES_256_GCM, SuiteName.SM4_GCM


@pytest.mark.parametrize("suite", SuiteName)
def test_a_key_comes_back_with_its_suite(suite):
    key = new_key()
    found = suited(with_suite(key, suite), sealing=AES)
    assert (found, found.suite, found.sealing) == (key, suite, AES)
    assert repr(found) == "<key>"


@pytest.mark.parametrize(
    ("unwrapped", "code"),
    [(bytes(31), "KEY_LENGTH"), (bytes(34), "KEY_LENGTH"), (b"", "KEY_LENGTH"), (b"\x09" + bytes(32), "UNKNOWN_SUITE")],
)
def test_what_is_no_key_is_refused(unwrapped, code):
    with pytest.raises(IntegrityBroken) as caught:
        suited(unwrapped, sealing=AES)
    assert caught.value.code == code


@pytest.mark.parametrize(("suite", "digest"), [(AES, "sha256"), (SM4, "sm3")])
def test_digests_and_subkeys_follow_the_key_and_blobs_the_suite_in_force(suite, digest):
    key = SuitedKey.of(new_key(), suite=suite, sealing=SM4)
    assert BlindIndex(key).digest(b"m") == hmac.new(bytes(key), b"m", digest).digest()
    assert set_digest(key, [b"a"]) == set_digest(bytes(key), [b"a"], suite=suite)
    assert packed_set_digest(key, b"ab", width=1) == set_digest(key, [b"b", b"a"])
    sub = derive(key, "envelope")
    assert sub == derive(bytes(key), "envelope", suite=suite)
    assert BlindIndex(sub).digest(b"m") == hmac.new(bytes(sub), b"m", digest).digest()
    assert seal_blob(sub, b"", context=b"")[1] == seal_blob(key, b"", context=b"")[1] == 2
    assert seal_blob(key, b"", context=b"", suite=AES)[1] == 1
    assert seal_blob(bytes(key), b"", context=b"")[1] == 1
