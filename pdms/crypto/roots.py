"""Epoch roots: the keys that lie outside every database and every backup, addressed by URI.

Schemes: `file:` (a random root sealed under a passphrase, `file_root.py`), `env:` (64 hex digits in a variable) and
`pkcs11:` (a key inside a token, `token_root.py`); others come by the entry-point group `pdms.roots`. A root wraps a
handful of keys (one per epoch), never a member's: a token in an HSM may take its time.

Guarantee: there is no default secret, and a weak one is refused. It does not protect a root from who can read the
process's memory or environment.
"""

import os
from typing import Final

from pdms.crypto.file_root import FileRoots
from pdms.crypto.root_key import ARGON2_RFC9106_SECOND, ROOT_BYTES, Argon2Cost, LocalRoot, RootKey, RootProvider
from pdms.crypto.secret import KeyBytes, Unprintable, new_key
from pdms.crypto.suites import DEFAULT_SUITE, SuiteName
from pdms.errors import Conflict, InvalidInput, KeyUnavailable

ENTRY_POINT_GROUP: Final = "pdms.roots"
_LEAST_DISTINCT_BYTES: Final = 12  # 32 random bytes hold fewer with a chance below 2^-80


class EnvironmentRoots:
    """`env:NAME`: the root is in an environment variable. pdms neither makes nor destroys it, and it may be copied."""

    horizon = False

    def create(self, uri: str, *, passphrase: bytes | None, cost: Argon2Cost) -> RootKey:  # noqa: ARG002 - one form for all
        """Check that the variable holds a fit root; an environment cannot be written for the caller."""
        return self.open(uri, passphrase=passphrase)

    def open(self, uri: str, *, passphrase: bytes | None) -> RootKey:  # noqa: ARG002 - one form for all
        """Open the root in the variable.

        :raises KeyUnavailable: `ROOT_MISSING`, `ROOT_SECRET_MALFORMED` or `ROOT_SECRET_WEAK`.
        """
        text = os.environ.get(_rest(uri), "")
        if not text:
            raise KeyUnavailable("root key: the environment variable is not set", code="ROOT_MISSING")
        try:
            secret = bytes.fromhex(text)
        except ValueError:
            secret = b""
        if len(secret) != ROOT_BYTES:
            raise KeyUnavailable(
                f"root key: the variable must hold {2 * ROOT_BYTES} hex digits", code="ROOT_SECRET_MALFORMED"
            )
        if len(set(secret)) < _LEAST_DISTINCT_BYTES:
            raise KeyUnavailable("root key: the variable holds no random key", code="ROOT_SECRET_WEAK")
        return LocalRoot(secret, uri=uri, horizon=False)

    def destroy(self, uri: str) -> None:  # noqa: ARG002 - one form for all
        """Refuse. :raises Conflict: `ROOT_NOT_OURS`."""
        raise Conflict("root key: pdms cannot destroy an environment variable's copies", code="ROOT_NOT_OURS")


def _rest(uri: str) -> str:
    return uri.partition(":")[2]


def provider_of(uri: str, *, suite: SuiteName | str = DEFAULT_SUITE) -> RootProvider:
    """Return the provider of the URI's scheme. :param suite: by which a `file:` root that it makes is sealed.

    :raises InvalidInput: `UNKNOWN_ROOT_SCHEME`.
    """
    scheme = uri.partition(":")[0] if ":" in uri else ""
    if scheme == "file":
        return FileRoots(suite=suite)
    if scheme == "env":
        return EnvironmentRoots()
    if scheme == "pkcs11":
        from pdms.crypto.token_root import TokenRoots

        return TokenRoots()
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINT_GROUP, name=scheme):
        provider: RootProvider = point.load()()
        return provider
    raise InvalidInput(
        "root key: the URI's scheme is not file:, env:, pkcs11: or an installed one", code="UNKNOWN_ROOT_SCHEME"
    )


def create_root(
    uri: str,
    *,
    passphrase: bytes | None = None,
    cost: Argon2Cost = ARGON2_RFC9106_SECOND,
    suite: SuiteName | str = DEFAULT_SUITE,
) -> RootKey:
    """Make a new root at `uri` and return it open; never overwrites one."""
    return provider_of(uri, suite=suite).create(uri, passphrase=passphrase, cost=cost)


def open_root(uri: str, *, passphrase: bytes | None = None) -> RootKey:
    """Open the root at `uri`."""
    return provider_of(uri).open(uri, passphrase=passphrase)


def destroy_root(uri: str) -> None:
    """Destroy the root at `uri`: every key under it is lost for good."""
    provider_of(uri).destroy(uri)


def has_horizon(uri: str) -> bool:
    """Tell whether destroying the root at `uri` can be known to destroy it everywhere; it is not opened.

    :raises InvalidInput: `UNKNOWN_ROOT_SCHEME`.
    """
    return bool(getattr(provider_of(uri), "horizon", False))


class RootsOf(Unprintable):
    """The roots of one home: opens, makes and destroys them with what the home's settings say (a passphrase, a PIN)."""

    __slots__ = ("_cost", "_passphrase")

    def __init__(self, passphrase: bytes | None = None, *, cost: Argon2Cost = ARGON2_RFC9106_SECOND) -> None:
        self._passphrase = KeyBytes(passphrase) if passphrase is not None else None
        self._cost = cost

    def open(self, uri: str) -> RootKey:
        """Open the root at `uri`."""
        return open_root(uri, passphrase=self._passphrase)

    def create(self, uri: str, *, suite: SuiteName | str = DEFAULT_SUITE) -> RootKey:
        """Make a root at `uri`. :raises Conflict: `ROOT_EXISTS`."""
        return create_root(uri, passphrase=self._passphrase, cost=self._cost, suite=suite)

    def reach(self, uri: str) -> None:
        """Return if the root at `uri` is there to be destroyed. :raises KeyUnavailable: `ROOT_MISSING`, as opening."""
        if uri.startswith("file:"):
            FileRoots().find(uri)
        else:
            self.open(uri)

    def destroy(self, uri: str) -> None:
        """Destroy the root at `uri`.

        :raises KeyUnavailable: `ROOT_MISSING`; of `file:` only where it was destroyed before, else `ROOT_UNREACHABLE`.
        """
        if not uri.startswith("file:"):  # a token wants its PIN; a file whose passphrase was lost can be destroyed
            self.open(uri)
        destroy_root(uri)


def successor_uri(uri: str, *, epoch: int) -> str | None:
    """Return where the root of the next epoch goes by default: beside `uri`, under a name that no root had yet.

    None where pdms does not make roots (`env:`, schemes of others). The name ends in random digits, so that neither a
    run that was cut off nor another home made from a backup has used it.
    """
    mark = f"epoch-{epoch}-{os.urandom(3).hex()}"
    if uri.startswith("file:"):
        return f"{uri.rpartition('/')[0]}/{mark}.json"
    if uri.startswith("pkcs11:"):
        path, question, query = uri.removeprefix("pkcs11:").partition("?")
        kept = [part for part in path.split(";") if not part.startswith(("object=", "id="))]
        return "pkcs11:" + ";".join([*kept, f"object={mark}"]) + question + query
    return None


def new_root_text() -> str:
    """Return a fresh root as an `env:` variable takes it: 64 hex digits."""
    return new_key(ROOT_BYTES).hex()


def new_passphrase() -> str:
    """Return a fresh passphrase of 256 bits in groups that can be copied by hand."""
    digits = new_key(32).hex()
    return "-".join(digits[at : at + 8] for at in range(0, len(digits), 8))
