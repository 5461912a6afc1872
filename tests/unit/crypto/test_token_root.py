"""`pkcs11:` roots on a real SoftHSM2: keys that never leave the token, PINs that show nowhere, URIs read strictly."""

import builtins
import os
import stat
import traceback

import pytest

from common.softhsm import PIN, make_token, module
from pdms.crypto import create_root, destroy_root, new_key, open_root
from pdms.crypto.pkcs11_uri import TokenUri
from pdms.errors import Conflict, IntegrityBroken, InvalidInput, KeyUnavailable


@pytest.fixture(scope="session")
def token():
    return make_token("roots")


@pytest.fixture
def uri(token, request):
    return f"pkcs11:token=roots;object={os.getpid()}-{request.node.name[:40]}?module-path={token}"


def code_of(family, attempt):
    with pytest.raises(family) as caught:
        attempt()
    assert PIN not in "".join(traceback.format_exception(caught.value))
    return caught.value.code


def test_the_key_is_made_in_the_token_and_stays_there(uri):
    import pkcs11

    root = create_root(uri, passphrase=PIN.encode())
    key = root._key
    for attribute in ("SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "PRIVATE", "TOKEN"):
        assert key[pkcs11.Attribute[attribute]] is True, attribute
    assert key[pkcs11.Attribute.EXTRACTABLE] is False
    with pytest.raises(pkcs11.AttributeSensitive):
        key[pkcs11.Attribute.VALUE]
    assert code_of(Conflict, lambda: create_root(uri, passphrase=PIN.encode())) == "ROOT_EXISTS"


def test_a_key_that_may_leave_its_token_is_no_root(token):
    import pkcs11

    label = f"loose-{os.getpid()}"
    create_root(f"pkcs11:token=roots;object=login-{os.getpid()}?module-path={token}", passphrase=PIN.encode())
    with pkcs11.lib(token).get_token(token_label="roots").open(rw=True) as writing:
        writing.generate_key(
            pkcs11.KeyType.AES, 256, label=label, store=True, template={pkcs11.Attribute.EXTRACTABLE: True}
        )
    loose = f"pkcs11:token=roots;object={label}?module-path={token}"
    assert code_of(KeyUnavailable, lambda: open_root(loose, passphrase=PIN.encode())) == "ROOT_EXTRACTABLE"


def test_a_root_is_used_once_for_each_epoch_and_not_for_members(uri, tmp_path, monkeypatch):
    from pdms.clock import SystemClock
    from pdms.crypto.token_root import TokenRoot
    from pdms.db import open_engine
    from pdms.keystore import KeyStore

    calls = []
    for name in ("wrap", "unwrap"):
        inner = getattr(TokenRoot, name)
        monkeypatch.setattr(
            TokenRoot, name, lambda *a, inner=inner, name=name, **k: (calls.append(name), inner(*a, **k))[1]
        )
    root = create_root(uri, passphrase=PIN.encode())
    engine = open_engine(tmp_path / "keys.db")
    KeyStore(engine, root=root, clock=SystemClock()).initialise()
    assert calls.count("wrap") == 1
    calls.clear()
    again = KeyStore(engine, root=open_root(uri, passphrase=PIN.encode()), clock=SystemClock())
    ids = [os.urandom(16) for _ in range(500)]
    deks = again.mint(ids)
    found = again.deks(ids)
    assert [found[one] for one in ids] == deks
    again.signer("log")
    assert calls == ["unwrap"]
    engine.dispose()


def test_pin_sources(token, tmp_path, monkeypatch):
    words = tmp_path / "pin"
    words.write_text(PIN + "\n")
    base = f"pkcs11:token=%s;object=p?module-path={token}"
    monkeypatch.delenv("PDMS_PKCS11_PIN", raising=False)
    for number, source in enumerate(("", f"&pin-source=file:{words}", "&pin-source=env:MY_PIN")):
        label = f"pins-{os.getpid()}-{number}"
        make_token(label)
        uri = base % label + source
        monkeypatch.delenv("MY_PIN", raising=False)
        assert code_of(KeyUnavailable, lambda uri=uri: open_root(uri)) in (
            "PASSPHRASE_MISSING", "ROOT_FILE_PERMISSIONS",
        )  # fmt: skip
        words.chmod(0o600)
        monkeypatch.setenv("MY_PIN", "000000")
        if "env:" in source:
            assert code_of(KeyUnavailable, lambda uri=uri: open_root(uri)) == "WRONG_PASSPHRASE"
        monkeypatch.setenv("MY_PIN", PIN)
        key = new_key()
        root = create_root(uri, passphrase=None if source else PIN.encode())
        assert open_root(uri).unwrap(root.wrap(key, context=b"c"), context=b"c") == key
        destroy_root(uri)
        words.chmod(0o644)


def test_the_module_is_not_code_that_others_put_there(token, tmp_path):
    copied = tmp_path / "libother.so"
    copied.write_bytes(b"\x7fELF")
    copied.chmod(0o666)
    for path, code in ((copied, "PKCS11_MODULE"), (tmp_path / "absent.so", "PKCS11_MODULE")):
        uri = f"pkcs11:token=roots;object=x?module-path={path}"
        assert code_of(KeyUnavailable, lambda uri=uri: open_root(uri, passphrase=PIN.encode())) == code
    assert code_of(InvalidInput, lambda: open_root("pkcs11:token=t;object=x?module-path=lib.so")) == "PKCS11_MODULE"
    assert stat.S_IMODE(copied.stat().st_mode) == 0o666


def test_other_roots_wrappings_are_told_apart(uri, tmp_path):
    from pdms.crypto import ARGON2_TESTS_ONLY

    root = create_root(uri, passphrase=PIN.encode())
    local = create_root(f"file:{tmp_path}/r.json", passphrase=b"a b c d e f g h", cost=ARGON2_TESTS_ONLY)
    assert code_of(KeyUnavailable, lambda: root.unwrap(local.wrap(new_key(), context=b""), context=b"")) == "WRONG_ROOT"
    with pytest.raises((IntegrityBroken, KeyUnavailable)):
        local.unwrap(root.wrap(new_key(), context=b""), context=b"")


def test_without_the_extra_the_error_names_it(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "pkcs11":
            raise ImportError
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(KeyUnavailable, match=r"pip install pdms\[hsm\]") as caught:
        open_root("pkcs11:token=t;object=o?module-path=/usr/lib/softhsm/libsofthsm2.so", passphrase=b"1234")
    assert caught.value.code == "HSM_EXTRA_MISSING"


def test_uris_are_read_strictly():
    read = TokenUri.parse(
        "pkcs11:token=my%20token;serial=0a%3b;object=epoch-1;id=%01%ff;type=secret-key?pin-source=env:P"
    )
    assert read == TokenUri(
        {"token": "my token", "serial": "0a;"}, "epoch-1", b"\1\xff", None, "env:P"
    )  # fmt: skip
    for wrong in (
        "pkcs11:", "pkcs11:token=t", "pkcs11:object=o", "pkcs11:token=t;object=o;object=p", "pkcs11:token=;object=o",
        "pkcs11:token=t;object=o;slot-id=1", "pkcs11:token=t;object=o;type=private", "pkcs11:token=t;object=%zz",
        "pkcs11:token=t;object=o?module-name=x", "pkcs11:token=t;;object=o", "pkcs11:token=t;object=a b",
    ):  # fmt: skip
        assert code_of(InvalidInput, lambda wrong=wrong: TokenUri.parse(wrong)) == "PKCS11_URI", wrong
    assert code_of(InvalidInput, lambda: TokenUri.parse("pkcs11:token=t;object=o?pin-value=1234")) == "PIN_IN_URI"


def test_absent_token_and_key(token):
    assert module() == token
    nowhere = f"pkcs11:token=nowhere;object=x?module-path={token}"
    assert code_of(KeyUnavailable, lambda: open_root(nowhere, passphrase=PIN.encode())) == "ROOT_TOKEN_MISSING"
