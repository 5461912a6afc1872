"""What the cryptography refuses to do, by the code of its refusal."""

import pytest

from pdms.crypto import (
    BlindIndex,
    SealedValue,
    Signer,
    SuiteName,
    Verifier,
    derive,
    new_key,
    open_field,
    same_bytes,
    seal_blob,
    seal_fields,
    suite_of,
)
from pdms.errors import IntegrityBroken, InvalidInput

MEMBER = bytes(16)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("MEMBER_ID_LENGTH", {"member": bytes(15)}),
        ("KEY_LENGTH", {"dek": bytes(16)}),
        ("FIELD_CODE_LENGTH", {"fields": [(b"", b"v")]}),
        ("FIELD_CODE_LENGTH", {"fields": [(bytes(65), b"v")]}),
        ("NONCE_LENGTH", {"nonces": bytes(11)}),
        ("OUT_OF_RANGE", {"key_version": 2**32}),
        ("OUT_OF_RANGE", {"write_seq": -1}),
        ("UNKNOWN_SUITE", {"suite": "rot13"}),
    ],
)
def test_sealing_refuses(code, change):
    asked = {"dek": bytes(32), "member": MEMBER, "fields": [(b"f", b"v")]} | change
    with pytest.raises(InvalidInput) as caught:
        seal_fields(asked.pop("dek"), **asked)
    assert caught.value.code == code


def test_opening_refuses_a_member_id_of_another_length():
    [sealed] = seal_fields(bytes(32), member=MEMBER, fields=[(b"f", b"v")])
    with pytest.raises(InvalidInput):
        open_field(sealed, dek=bytes(32), member=bytes(17), field=b"f")


def test_sealed_value_says_when_it_needs_resealing():
    dek = suite_of(SuiteName.SM4_GCM).new_dek()
    [raw] = seal_fields(dek, member=MEMBER, fields=[(b"f", b"v")], suite=SuiteName.SM4_GCM, key_version=2)
    sealed = SealedValue(raw)
    assert not sealed.needs_reseal(suite="sm4-gcm", key_version=2)
    assert sealed.needs_reseal(suite="aes-256-gcm", key_version=2)
    assert sealed.needs_reseal(suite="sm4-gcm", key_version=3)
    assert sealed.open(dek, member=MEMBER, field=b"f", key_version=2) == b"v"


@pytest.mark.parametrize("label", ["", "Wrap", "wrap member", "wrap:", "-wrap", "wrap\0x", "wrap\n"])
def test_derive_refuses_a_label(label):
    with pytest.raises(InvalidInput) as caught:
        derive(bytes(32), label)
    assert caught.value.code == "LABEL_FORM"


def test_derive_separates_uses():
    material = new_key()
    keys = {derive(material, "a"), derive(material, "b"), derive(material, "a", context=b"b"), material}
    assert len(keys) == 4
    assert derive(material, "a", suite="sm4-gcm") != derive(material, "a")


def test_short_material_is_refused():
    for attempt in (
        lambda: derive(bytes(15), "a"),
        lambda: seal_blob(bytes(15), b"", context=b""),
        lambda: BlindIndex(bytes(31)),
    ):
        with pytest.raises(InvalidInput) as caught:
            attempt()
        assert caught.value.code == "KEY_TOO_SHORT"


def test_signatures():
    signer = Signer.generate()
    signature = signer.sign(b"message")
    signer.verifier.verify(b"message", signature)
    for verifier, message, wrong in (
        (signer.verifier, b"messages", signature),
        (signer.verifier, b"message", signature[:-1]),
        (signer.verifier, b"message", bytes(64)),
        (Signer.generate().verifier, b"message", signature),
    ):
        with pytest.raises(IntegrityBroken) as caught:
            verifier.verify(message, wrong)
        assert caught.value.code == "BAD_SIGNATURE"
    for attempt in (lambda: Signer(bytes(31)), lambda: Verifier(bytes(33))):
        with pytest.raises(InvalidInput):
            attempt()


def test_same_bytes():
    assert same_bytes(b"ab", b"ab")
    assert not same_bytes(b"ab", b"ac")
    assert not same_bytes(b"ab", b"abc")
