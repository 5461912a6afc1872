"""Epoch roots: the keys that lie outside every database and every backup, addressed by URI.

Schemes: `file:` (a random root sealed under a passphrase, `file_root.py`) and `env:` (64 hex digits in a variable);
others come by the entry-point group `pdms.roots`. A root wraps a handful of keys (one per epoch), never a member's: a
token in an HSM may take its time.

Guarantee: there is no default secret, and a weak one is refused. It does not protect a root from who can read the
process's memory or environment.
"""

import os
from dataclasses import dataclass
from typing import Final, Protocol

from pdms.crypto.secret import KeyBytes, Unprintable, new_key
from pdms.crypto.suites import DEFAULT_SUITE, SuiteName
from pdms.crypto.wrap import KeyWrapper
from pdms.errors import Conflict, IntegrityBroken, InvalidInput, KeyUnavailable

ROOT_BYTES: Final = 32
ENTRY_POINT_GROUP: Final = "pdms.roots"
_LABEL: Final = "root-wrap"
_LEAST_DISTINCT_BYTES: Final = 12  # 32 random bytes hold fewer with a chance below 2^-80


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """Cost of argon2id: passes, memory in KiB, lanes."""

    name: str
    time_cost: int
    memory_kib: int
    parallelism: int


ARGON2_RFC9106_FIRST: Final = Argon2Cost("rfc9106-first", 1, 2 * 1024 * 1024, 4)
"""First recommended choice of RFC 9106 section 4: 2 GiB of memory."""
ARGON2_RFC9106_SECOND: Final = Argon2Cost("rfc9106-second", 3, 64 * 1024, 4)
"""Second recommended choice: 64 MiB, for machines that also do other work. The default."""
ARGON2_TESTS_ONLY: Final = Argon2Cost("tests-only", 1, 8, 1)
"""Next to no cost and no protection: for tests, chosen by name only."""


class RootKey(Protocol):
    """An open root. It wraps and unwraps; its own bytes stay inside."""

    @property
    def uri(self) -> str:
        """Where the root lives; holds no secret."""
        ...

    @property
    def horizon(self) -> bool:
        """Whether destroying this root can be known to destroy it everywhere: false for secrets that may be copied."""
        ...

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return `key` wrapped and bound to `context`."""
        ...

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the key. :raises KeyUnavailable: `WRONG_ROOT`: this root does not open it."""
        ...


class RootProvider(Protocol):
    """Makes, opens and destroys roots of one URI scheme."""

    def create(self, uri: str, *, passphrase: bytes | None, cost: Argon2Cost) -> RootKey:
        """Make a new root at `uri`. :raises Conflict: `ROOT_EXISTS`."""
        ...

    def open(self, uri: str, *, passphrase: bytes | None) -> RootKey:
        """Open the root at `uri`. :raises KeyUnavailable: with the reason as code."""
        ...

    def destroy(self, uri: str) -> None:
        """Destroy the root at `uri` for good. :raises KeyUnavailable: `ROOT_MISSING`."""
        ...


class LocalRoot(Unprintable):
    """A root whose bytes this process holds."""

    __slots__ = ("_wrapper", "horizon", "uri")

    def __init__(self, secret: bytes, *, uri: str, horizon: bool, suite: SuiteName | str = DEFAULT_SUITE) -> None:
        self._wrapper = KeyWrapper(secret, label=_LABEL, suite=suite)
        self.uri = uri
        self.horizon = horizon

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return `key` wrapped and bound to `context`."""
        return self._wrapper.wrap(key, context=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> KeyBytes:
        """Return the key. :raises KeyUnavailable: `WRONG_ROOT`."""
        try:
            return self._wrapper.unwrap(wrapped, context=context)
        except IntegrityBroken as error:
            if error.code == "NOT_AUTHENTIC":
                raise KeyUnavailable("root key: this root does not open the key", code="WRONG_ROOT") from None
            raise


class EnvironmentRoots:
    """`env:NAME`: the root is in an environment variable. pdms neither makes nor destroys it, and it may be copied."""

    def create(self, uri: str, *, passphrase: bytes | None, cost: Argon2Cost) -> RootKey:  # noqa: ARG002
        """Check that the variable holds a fit root; an environment cannot be written for the caller."""
        return self.open(uri, passphrase=passphrase)

    def open(self, uri: str, *, passphrase: bytes | None) -> RootKey:  # noqa: ARG002
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

    def destroy(self, uri: str) -> None:  # noqa: ARG002
        """Refuse. :raises Conflict: `ROOT_NOT_OURS`."""
        raise Conflict("root key: pdms cannot destroy an environment variable's copies", code="ROOT_NOT_OURS")


def _rest(uri: str) -> str:
    return uri.partition(":")[2]


def provider_of(uri: str) -> RootProvider:
    """Return the provider of the URI's scheme.

    :raises InvalidInput: `UNKNOWN_ROOT_SCHEME`.
    """
    scheme = uri.partition(":")[0] if ":" in uri else ""
    if scheme == "file":
        from pdms.crypto.file_root import FileRoots

        return FileRoots()
    if scheme == "env":
        return EnvironmentRoots()
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINT_GROUP, name=scheme):
        provider: RootProvider = point.load()()
        return provider
    raise InvalidInput("root key: the URI's scheme is not file:, env: or an installed one", code="UNKNOWN_ROOT_SCHEME")


def create_root(uri: str, *, passphrase: bytes | None = None, cost: Argon2Cost = ARGON2_RFC9106_SECOND) -> RootKey:
    """Make a new root at `uri` and return it open; never overwrites one."""
    return provider_of(uri).create(uri, passphrase=passphrase, cost=cost)


def open_root(uri: str, *, passphrase: bytes | None = None) -> RootKey:
    """Open the root at `uri`."""
    return provider_of(uri).open(uri, passphrase=passphrase)


def destroy_root(uri: str) -> None:
    """Destroy the root at `uri`: every key under it is lost for good."""
    provider_of(uri).destroy(uri)


def new_root_text() -> str:
    """Return a fresh root as an `env:` variable takes it: 64 hex digits."""
    return new_key(ROOT_BYTES).hex()


def new_passphrase() -> str:
    """Return a fresh passphrase of 256 bits in groups that can be copied by hand."""
    digits = new_key(32).hex()
    return "-".join(digits[at : at + 8] for at in range(0, len(digits), 8))
