"""Roots by URI: made once, opened by the right secret only, readable by their owner only, destroyed for good."""

import json
import os

import pytest

from pdms.crypto import (
    ARGON2_RFC9106_SECOND,
    ARGON2_TESTS_ONLY,
    create_root,
    destroy_root,
    new_key,
    new_passphrase,
    new_root_text,
    open_root,
)
from pdms.errors import Conflict, IntegrityBroken, InvalidInput, KeyUnavailable

WORDS = b"correct horse battery staple"


@pytest.fixture
def uri(tmp_path):
    uri = f"file:{tmp_path}/roots/epoch-1.json"
    create_root(uri, passphrase=WORDS, cost=ARGON2_TESTS_ONLY)
    return uri


def path_of(uri):
    from pathlib import Path

    return Path(uri.removeprefix("file:"))


def code_of(family, attempt):
    with pytest.raises(family) as caught:
        attempt()
    assert WORDS.decode() not in str(caught.value)
    return caught.value.code


def test_what_one_handle_wraps_another_opens(uri):
    key = new_key()
    wrapped = open_root(uri, passphrase=WORDS).wrap(key, context=b"epoch 1")
    again = open_root(uri, passphrase=WORDS)
    assert again.unwrap(wrapped, context=b"epoch 1") == key
    assert code_of(KeyUnavailable, lambda: again.unwrap(wrapped, context=b"epoch 2")) == "WRONG_ROOT"
    assert code_of(IntegrityBroken, lambda: again.unwrap(wrapped[:20], context=b"epoch 1")) == "TRUNCATED"
    assert again.uri == uri
    assert again.horizon


def test_another_root_does_not_open_it(uri, tmp_path):
    wrapped = open_root(uri, passphrase=WORDS).wrap(new_key(), context=b"")
    other = create_root(f"file:{tmp_path}/other.json", passphrase=WORDS, cost=ARGON2_TESTS_ONLY)
    assert code_of(KeyUnavailable, lambda: other.unwrap(wrapped, context=b"")) == "WRONG_ROOT"


def test_file_is_private_and_whole(uri):
    path = path_of(uri)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert WORDS not in path.read_bytes()
    path.chmod(0o640)
    assert code_of(KeyUnavailable, lambda: open_root(uri, passphrase=WORDS)) == "ROOT_FILE_PERMISSIONS"


def test_places_that_hold_no_file(uri, tmp_path):
    (tmp_path / "plain").touch()
    below_a_file = f"file:{tmp_path}/plain/root.json"
    make = lambda: create_root(below_a_file, passphrase=WORDS, cost=ARGON2_TESTS_ONLY)  # noqa: E731
    assert code_of(KeyUnavailable, make) == "ROOT_UNWRITABLE"
    assert code_of(KeyUnavailable, lambda: open_root(f"file:{tmp_path}", passphrase=WORDS)) == "ROOT_UNREADABLE"


def test_secrets(uri, tmp_path):
    assert code_of(KeyUnavailable, lambda: open_root(uri, passphrase=WORDS + b"x")) == "WRONG_PASSPHRASE"
    assert code_of(KeyUnavailable, lambda: open_root(uri)) == "PASSPHRASE_MISSING"
    assert code_of(KeyUnavailable, lambda: open_root(uri, passphrase=b"")) == "PASSPHRASE_MISSING"
    fresh = f"file:{tmp_path}/fresh.json"
    assert code_of(KeyUnavailable, lambda: create_root(fresh)) == "PASSPHRASE_MISSING"
    assert code_of(InvalidInput, lambda: create_root(fresh, passphrase=b"short")) == "PASSPHRASE_SHORT"
    assert not path_of(fresh).exists()


def test_never_overwritten(uri):
    before = path_of(uri).read_bytes()
    again = lambda: create_root(uri, passphrase=WORDS, cost=ARGON2_TESTS_ONLY)  # noqa: E731
    assert code_of(Conflict, again) == "ROOT_EXISTS"
    assert path_of(uri).read_bytes() == before
    assert len(list(path_of(uri).parent.iterdir())) == 1


def test_destroyed(uri):
    destroy_root(uri)
    assert not path_of(uri).exists()
    assert code_of(KeyUnavailable, lambda: open_root(uri, passphrase=WORDS)) == "ROOT_MISSING"
    assert code_of(KeyUnavailable, lambda: destroy_root(uri)) == "ROOT_MISSING"


def test_lowered_cost_does_not_open(uri):
    path = path_of(uri)
    parts = json.loads(path.read_text())
    parts["time_cost"] += 1
    path.write_text(json.dumps(parts))
    assert code_of(KeyUnavailable, lambda: open_root(uri, passphrase=WORDS)) == "WRONG_PASSPHRASE"


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pdms-root-2"},
        {"kdf": "pbkdf2"},
        {"salt": "AAAA"},
        {"salt": "not base64!"},
        {"sealed": "AAAA"},
        {"memory_kib": 1 << 40},
        {"time_cost": 0},
        {"parallelism": 1000},
        {"time_cost": None},
    ],
)
def test_broken_file(uri, change):
    path = path_of(uri)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert code_of(IntegrityBroken, lambda: open_root(uri, passphrase=WORDS)) == "ROOT_FILE_BROKEN"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "x" * 5000])
def test_file_that_is_no_root(uri, text):
    path_of(uri).write_text(text)
    assert code_of(IntegrityBroken, lambda: open_root(uri, passphrase=WORDS)) == "ROOT_FILE_BROKEN"


def test_default_cost_is_the_second_choice_of_rfc_9106(tmp_path):
    uri = f"file:{tmp_path}/real.json"
    create_root(uri, passphrase=WORDS)
    parts = json.loads(path_of(uri).read_text())
    assert (parts["time_cost"], parts["memory_kib"], parts["parallelism"]) == (3, 65536, 4)
    assert parts["cost"] == ARGON2_RFC9106_SECOND.name
    open_root(uri, passphrase=WORDS)


def test_environment_root(monkeypatch):
    monkeypatch.setenv("PDMS_TEST_ROOT", new_root_text())
    root = create_root("env:PDMS_TEST_ROOT")
    key = new_key()
    wrapped = root.wrap(key, context=b"c")
    assert open_root("env:PDMS_TEST_ROOT").unwrap(wrapped, context=b"c") == key
    assert not root.horizon
    assert code_of(Conflict, lambda: destroy_root("env:PDMS_TEST_ROOT")) == "ROOT_NOT_OURS"
    assert os.environ["PDMS_TEST_ROOT"] not in repr(root)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "ROOT_MISSING"),
        ("abc", "ROOT_SECRET_MALFORMED"),
        ("zz" * 32, "ROOT_SECRET_MALFORMED"),
        ("ab" * 31, "ROOT_SECRET_MALFORMED"),
        ("00" * 32, "ROOT_SECRET_WEAK"),
        ("0123456789abcdef" * 4, "ROOT_SECRET_WEAK"),
    ],
)
def test_environment_root_refused(monkeypatch, text, code):
    monkeypatch.setenv("PDMS_TEST_ROOT", text)
    assert code_of(KeyUnavailable, lambda: open_root("env:PDMS_TEST_ROOT")) == code


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("file:relative.json", "ROOT_PATH_RELATIVE"),
        ("vault:x", "UNKNOWN_ROOT_SCHEME"),
        ("nothing", "UNKNOWN_ROOT_SCHEME"),
        ("", "UNKNOWN_ROOT_SCHEME"),
    ],
)
def test_addresses_refused(uri, code):
    assert code_of(InvalidInput, lambda: open_root(uri, passphrase=WORDS)) == code


def test_passphrases_and_roots_are_fresh():
    assert new_passphrase() != new_passphrase()
    assert new_root_text() != new_root_text()
    assert len(bytes.fromhex(new_root_text())) == 32
    assert len(bytes.fromhex(new_passphrase().replace("-", ""))) == 32
