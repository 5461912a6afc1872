"""Known answers from the standards, and the stored layouts with the error that each broken form must give."""

import base64
import importlib.util
import json
from pathlib import Path

import pytest

from pdms.crypto import BlindIndex, KeyWrapper, Signer, Verifier, derive, note_key_id, open_blob, open_field, suite_of
from pdms.errors import IntegrityBroken

HERE = Path(__file__).parent
ANSWERS = json.loads((HERE / "known_answers.json").read_text("utf-8"))
SEALED = json.loads((HERE / "sealed_values.json").read_text("utf-8"))
WRAPPED = json.loads((HERE / "wrapped.json").read_text("utf-8"))

_spec = importlib.util.spec_from_file_location("make_crypto_vectors", HERE / "make_crypto_vectors.py")
maker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maker)


def cases(group):
    return [pytest.param(case, id=case.get("name") or case["source"]) for case in group]


def raw(case, name):
    return bytes.fromhex(case[name])


@pytest.mark.parametrize("case", cases(ANSWERS["aead"]))
def test_CCR_41_aead_of_both_suites_gives_the_known_answers(case):
    aead = suite_of(case["suite"]).aead(raw(case, "key"))
    sealed = raw(case, "ciphertext") + raw(case, "tag")
    nonce, bound = raw(case, "nonce"), raw(case, "associated_data")
    assert aead.encrypt(nonce, raw(case, "plaintext"), bound) == sealed
    assert aead.decrypt(nonce, sealed, bound) == raw(case, "plaintext")


@pytest.mark.parametrize("case", cases(ANSWERS["hmac"]))
def test_blind_index_is_hmac(case):
    assert BlindIndex(raw(case, "key"), suite=case["suite"]).digest(raw(case, "message")) == raw(case, "digest")


@pytest.mark.parametrize("case", cases(ANSWERS["hkdf"]))
def test_the_independent_hkdf_is_hkdf(case):
    code = suite_of(case["suite"]).code
    assert maker.hkdf(code, raw(case, "material"), raw(case, "salt"), raw(case, "info"), 32) == raw(case, "okm")[:32]


@pytest.mark.parametrize(("code", "suite"), [(1, "aes-256-gcm"), (2, "sm4-gcm")])
def test_derive_is_hkdf_with_the_written_info(code, suite):
    material = bytes(range(40))
    expected = maker.hkdf(code, material, b"a salt", b"pdms/v1/wrap:member\0context", 24)
    assert derive(material, "wrap:member", context=b"context", salt=b"a salt", length=24, suite=suite) == expected


@pytest.mark.parametrize("case", cases(ANSWERS["ed25519"]))
def test_ed25519(case):
    signer = Signer(raw(case, "seed"))
    assert signer.public_key == raw(case, "public_key")
    assert signer.sign(raw(case, "message")) == raw(case, "signature")
    Verifier(raw(case, "public_key")).verify(raw(case, "message"), raw(case, "signature"))


@pytest.mark.parametrize("case", cases(ANSWERS["note_key_id"]))
def test_note_key_id(case):
    name, key_id, key = case["verifier_key"].split("+", 2)
    algorithm_and_key = base64.b64decode(key)
    assert algorithm_and_key[0] == 1
    assert note_key_id(name, algorithm_and_key[1:]).hex() == key_id


@pytest.mark.parametrize("case", cases(SEALED))
def test_sealed_value(case):
    def opened():
        return open_field(
            raw(case, "sealed"),
            dek=raw(case, "dek"),
            member=raw(case, "member"),
            field=case["field"].encode(),
            key_version=case["key_version"],
            write_seq=case["write_seq"],
        )

    if case["error"] is None:
        assert opened() == raw(case, "plaintext")
    else:
        with pytest.raises(IntegrityBroken) as caught:
            opened()
        assert caught.value.code == case["error"]


@pytest.mark.parametrize("case", cases(WRAPPED["keys"]))
def test_wrapped_key(case):
    wrapper = KeyWrapper(raw(case, "material"), label=case["label"])
    if case["error"] is None:
        assert wrapper.unwrap(raw(case, "wrapped"), context=raw(case, "context")) == raw(case, "key")
    else:
        with pytest.raises(IntegrityBroken) as caught:
            wrapper.unwrap(raw(case, "wrapped"), context=raw(case, "context"))
        assert caught.value.code == case["error"]


@pytest.mark.parametrize("case", cases(WRAPPED["blobs"]))
def test_blob(case):
    if case["error"] is None:
        assert open_blob(raw(case, "material"), raw(case, "sealed"), context=raw(case, "context")) == raw(
            case, "plaintext"
        )
    else:
        with pytest.raises(IntegrityBroken) as caught:
            open_blob(raw(case, "material"), raw(case, "sealed"), context=raw(case, "context"))
        assert caught.value.code == case["error"]


@pytest.mark.parametrize(("name", "text"), maker.texts().items())
def test_vectors_are_what_their_maker_writes(name, text):
    assert (HERE / name).read_text("utf-8") == text
