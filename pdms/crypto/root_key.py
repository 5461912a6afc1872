"""What a root is, whatever its scheme: the protocol of an open root, of its provider, and a root held in memory.

It makes and opens none: that is `roots.py`, by URI.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from pdms.crypto.secret import KeyBytes, Unprintable
from pdms.crypto.suites import DEFAULT_SUITE, SuiteName
from pdms.crypto.wrap import KeyWrapper
from pdms.errors import IntegrityBroken, KeyUnavailable

ROOT_BYTES: Final = 32
_LABEL: Final = "root-wrap"


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
    """Makes, opens and destroys roots of one URI scheme; `pdms.crypto.conformance` says what that takes."""

    @property
    def horizon(self) -> bool:
        """Whether destroying one of its roots can be known to destroy it everywhere; what has none says False."""
        ...

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

    __slots__ = ("_secret", "_wrapper", "horizon", "uri")

    def __init__(self, secret: bytes, *, uri: str, horizon: bool, suite: SuiteName | str = DEFAULT_SUITE) -> None:
        self._secret = secret
        self._wrapper = KeyWrapper(secret, label=_LABEL, suite=suite)
        self.uri = uri
        self.horizon = horizon

    def in_suite(self, suite: SuiteName | str) -> "LocalRoot":
        """Return the same root, wrapping by another suite; both open what either wrapped."""
        return LocalRoot(self._secret, uri=self.uri, horizon=self.horizon, suite=suite)

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


def in_suite(root: RootKey, suite: SuiteName | str) -> RootKey:
    """Return `root` as it wraps by a suite; a root that is not held in memory (a token's) wraps as it can."""
    return root.in_suite(suite) if isinstance(root, LocalRoot) else root
