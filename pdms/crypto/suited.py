"""Keys that know their suite: whoever digests, derives or seals under one follows the home's suite without being told.

Guarantee: a digest under a stored key is always by the MAC that the key was made for, since what was stored under it
must be found again; a blob, whose header names its suite, is sealed by the suite that was in force when the key was
asked for. A key that says nothing is of the default suite.
"""

from typing import Final

from pdms.crypto.secret import KeyBytes
from pdms.crypto.suites import DEFAULT_SUITE, Suite, SuiteName, suite_of, suite_of_code
from pdms.errors import IntegrityBroken

_PLAIN: Final = 32


class SuitedKey(KeyBytes):
    """A 256-bit key of one use. `suite`: of its MAC and HKDF; `sealing`: of what is sealed under it from now on."""

    suite: SuiteName = DEFAULT_SUITE
    sealing: SuiteName = DEFAULT_SUITE

    @classmethod
    def of(cls, key: bytes, *, suite: SuiteName, sealing: SuiteName) -> "SuitedKey":
        """Return `key` marked with its suites."""
        suited = cls(key)
        suited.suite, suited.sealing = suite, sealing
        return suited


def mac_suite(key: bytes, given: SuiteName | str | None = None) -> Suite:
    """Return the suite of digests and derivations under a key. :param given: overrules what the key says."""
    if given is not None:
        return suite_of(given)
    return suite_of(key.suite if isinstance(key, SuitedKey) else DEFAULT_SUITE)


def sealing_suite(key: bytes) -> SuiteName:
    """Return the suite by which blobs are sealed under a key from now on."""
    return key.sealing if isinstance(key, SuitedKey) else DEFAULT_SUITE


def with_suite(key: bytes, suite: SuiteName) -> KeyBytes:
    """Return what is wrapped of a key: 32 bytes, before them the code of its suite where it is not the default one.

    Inside what is wrapped the suite is authentic, and stays with the key however often it is wrapped anew.
    """
    return KeyBytes(key if suite is DEFAULT_SUITE else bytes((suite_of(suite).code,)) + key)


def suited(unwrapped: bytes, *, sealing: SuiteName) -> SuitedKey:
    """Return the key that `with_suite` gave. :raises IntegrityBroken: `KEY_LENGTH`, `UNKNOWN_SUITE`."""
    if len(unwrapped) == _PLAIN:
        return SuitedKey.of(unwrapped, suite=DEFAULT_SUITE, sealing=sealing)
    if len(unwrapped) != _PLAIN + 1:
        raise IntegrityBroken("system key: of a length that none has", code="KEY_LENGTH")
    return SuitedKey.of(unwrapped[1:], suite=suite_of_code(unwrapped[0]).name, sealing=sealing)
