"""Every built-in provider of roots keeps the rules that pdms ships for others; and the rules find who breaks them."""

import itertools
import json
import os
from pathlib import Path

import pytest

from common.softhsm import PIN, make_token
from pdms.crypto import conformance, has_horizon, new_root_text
from pdms.crypto.conformance import Case, NotConformant
from pdms.crypto.file_root import FileRoots
from pdms.crypto.root_key import LocalRoot
from pdms.crypto.roots import EnvironmentRoots
from pdms.crypto.secret import new_key

WORDS = b"correct horse battery staple"


@pytest.fixture(scope="session")
def token():
    return make_token("conformance")


@pytest.fixture(params=["file", "env", "pkcs11"])
def case(request, tmp_path, monkeypatch):
    numbers = itertools.count(1)
    if request.param == "file":
        return Case(
            FileRoots(), lambda: f"file:{tmp_path}/root-{next(numbers)}.json", WORDS, b"another twelve bytes",
            secrets=lambda uri: (json.loads(Path(uri.removeprefix("file:")).read_text())["sealed"].encode(),),
        )  # fmt: skip
    if request.param == "env":

        def fresh():
            name = f"PDMS_CONFORMANCE_{next(numbers)}"
            monkeypatch.setenv(name, new_root_text())
            return f"env:{name}"

        return Case(EnvironmentRoots(), fresh, ours=False, secrets=lambda uri: (bytes.fromhex(os.environ[uri[4:]]),))
    from pdms.crypto.token_root import TokenRoots

    module = request.getfixturevalue("token")
    name = f"c{os.getpid()}-{request.node.name}".replace("[", "-").replace("]", "")
    return Case(
        TokenRoots(), lambda: f"pkcs11:token=conformance;object={name}-{next(numbers)}?module-path={module}",
        PIN.encode(),
    )  # fmt: skip


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_built_in_providers_conform(check, case):
    check(case)


def test_horizon_is_known_without_opening():
    assert has_horizon("file:/nowhere/root.json")
    assert has_horizon("pkcs11:token=absent;object=absent")
    assert not has_horizon("env:NOT_SET")


class Careless:
    """A provider that gets one thing wrong at a time."""

    horizon = True

    def __init__(self, fault):
        self.fault = fault
        self.secrets = {}

    def create(self, uri, *, passphrase, cost):
        if uri not in self.secrets or self.fault == "made_once":
            self.secrets[uri] = new_key()
        return self.open(uri, passphrase=passphrase)

    def open(self, uri, *, passphrase):
        if self.fault == "absent_root_is_said":
            self.secrets.setdefault(uri, new_key())
        return CarelessRoot(self.secrets[uri], uri, self.fault)

    def destroy(self, uri):
        """Leaves it where it is."""


class CarelessRoot:
    horizon = True

    def __init__(self, secret, uri, fault):
        self.root, self.uri, self.fault, self.secret = LocalRoot(secret, uri=uri, horizon=True), uri, fault, secret

    def wrap(self, key, *, context):
        if self.fault == "wraps_and_unwraps":
            return b"\1" * 30 + key
        return self.root.wrap(key, context=b"" if self.fault == "context_is_bound" else context)

    def unwrap(self, wrapped, *, context):
        if self.fault == "wraps_and_unwraps":
            return wrapped[30:]
        if self.fault == "other_root_refused":
            return new_key()
        if self.fault == "tampering_refused":
            wrapped = b"\1" + wrapped[1:]
        return self.root.unwrap(wrapped, context=b"" if self.fault == "context_is_bound" else context)

    def __repr__(self):
        return f"<root {bytes(self.secret)!r}>" if self.fault == "nothing_shows" else "<root>"


@pytest.mark.parametrize(
    "fault",
    ["wraps_and_unwraps", "context_is_bound", "other_root_refused", "tampering_refused", "made_once",
     "destruction_is_final", "absent_root_is_said", "nothing_shows"],
)  # fmt: skip
def test_a_careless_provider_is_found(fault):
    numbers = itertools.count(1)
    provider = Careless(fault)
    case = Case(provider, lambda: f"careless:{next(numbers)}", secrets=lambda uri: (bytes(provider.secrets[uri]),))
    with pytest.raises(NotConformant):
        getattr(conformance, fault)(case)
