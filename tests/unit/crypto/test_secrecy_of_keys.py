"""Keys work as bytes and never print, format, copy or pickle."""

import copy
import pickle
import traceback

import pytest

from pdms.crypto import BlindIndex, Dek, KeyBytes, KeyWrapper, SealedValue, Signer, new_key, open_field, seal_fields
from pdms.errors import IntegrityBroken, InvalidInput

RAW = bytes(range(200, 232))


@pytest.mark.parametrize("key", [KeyBytes(RAW), Dek(RAW), Dek.of(RAW, version=3)])
def test_a_key_is_bytes_that_do_not_print(key):
    assert key == RAW
    assert len(key) == 32
    shown = f"{key} {key!r} {key!s} {[key]} {key:>10}" + "%s %r" % (key, key)  # noqa: UP031
    assert RAW.hex() not in shown
    assert repr(RAW)[2:-1] not in shown
    assert "xc8" not in shown


HOLDERS = [
    KeyBytes(RAW),
    Dek.of(RAW, version=2),
    BlindIndex(RAW),
    KeyWrapper(RAW, label="wrap:member"),
    Signer(RAW),
    SealedValue(RAW),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_nothing_that_holds_a_key_is_pickled(holder):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(holder, protocol=protocol)
    assert "xc8" not in repr(holder)
    assert RAW.hex() not in repr(holder)


@pytest.mark.parametrize("holder", HOLDERS[:-1], ids=lambda holder: type(holder).__name__)
def test_nothing_that_holds_a_key_is_copied(holder):
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(holder)


def test_versions_of_deks():
    assert Dek(RAW).version == 1
    assert Dek.version_of(RAW) == 1
    assert Dek.version_of(Dek.of(RAW, version=7)) == 7


def test_new_keys_differ_and_are_not_short():
    assert new_key() != new_key()
    with pytest.raises(InvalidInput):
        new_key(15)


def test_errors_hold_neither_key_nor_value():
    dek = new_key()
    member, field, value = bytes(range(16)), b"secret-field-name", b"canary-value-5701"
    [sealed] = seal_fields(dek, member=member, fields=[(field, value)])
    with pytest.raises(IntegrityBroken) as caught:
        open_field(sealed, dek=dek, member=bytes(16), field=field)
    text = "".join(traceback.format_exception(caught.value))
    assert caught.value.code == "NOT_AUTHENTIC"
    assert caught.value.__cause__ is None
    for secret in (dek.hex(), value.decode(), field.decode(), sealed.hex(), member.hex()):
        assert secret not in text
