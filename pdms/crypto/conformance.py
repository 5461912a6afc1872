"""What every provider of roots must do, as plain functions for any test runner.

A provider that comes by the entry point `pdms.roots` runs these against itself:

    from pdms.crypto import conformance

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    def test_provider_conforms(check):
        check(conformance.Case(provider=MyRoots(), fresh=lambda: f"my:{next(numbers)}", passphrase=b"words"))

Each check makes roots of its own at URIs from `fresh`, and raises `NotConformant` (an AssertionError) with the rule
that is broken. They run on the real thing, not on a stand-in: a check of a token needs the token.
"""

import copy
import pickle
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pdms.crypto.root_key import ARGON2_TESTS_ONLY, RootKey, RootProvider
from pdms.crypto.secret import new_key
from pdms.errors import Conflict, IntegrityBroken, KeyUnavailable, PdmsError

CONTEXT: Final = b"epoch\0\0\0\1"
THREADS: Final = 8
ROUNDS: Final = 25


class NotConformant(AssertionError):
    """The provider breaks the rule that the message names."""


@dataclass(frozen=True, slots=True)
class Case:
    """One provider under test."""

    provider: RootProvider
    fresh: Callable[[], str]
    """Gives a URI at which no root is yet; where roots are put by others (`env:`), puts one there."""
    passphrase: bytes | None = field(default=None, repr=False)
    wrong_passphrase: bytes | None = field(default=None, repr=False)
    """A passphrase that must not open a root; None where the scheme has none."""
    ours: bool = True
    """Whether pdms makes and destroys these roots; for others both must be refused or do nothing."""
    secrets: Callable[[str], tuple[bytes, ...]] = field(default=lambda _: (), repr=False)
    """The secret bytes behind a URI, as far as the test can know them: none of them may show anywhere."""

    def root(self) -> RootKey:
        """Return a new root."""
        return self.provider.create(self.fresh(), passphrase=self.passphrase, cost=ARGON2_TESTS_ONLY)

    def open(self, uri: str) -> RootKey:
        """Return the root at `uri`."""
        return self.provider.open(uri, passphrase=self.passphrase)


def wraps_and_unwraps(case: Case) -> None:
    """What one handle wraps, another handle of the same root opens; two wrappings of one key differ."""
    root, key = case.root(), new_key()
    wrapped = root.wrap(key, context=CONTEXT)
    _rule(case.open(root.uri).unwrap(wrapped, context=CONTEXT) == key, "another handle opens what one wrapped")
    _rule(root.unwrap(wrapped, context=CONTEXT) == key, "a handle opens what it wrapped")
    _rule(bytes(key) not in wrapped, "the wrapped form does not hold the key")
    _rule(root.wrap(key, context=CONTEXT) != wrapped, "wrapping is not deterministic")
    for length in (16, 32):
        short = new_key(length)
        _rule(root.unwrap(root.wrap(short, context=CONTEXT), context=CONTEXT) == short, f"keys of {length} bytes")


def context_is_bound(case: Case) -> None:
    """A wrapped key opens under the context it was wrapped for, and no other."""
    root = case.root()
    wrapped = root.wrap(new_key(), context=CONTEXT)
    for other in (b"", CONTEXT[:-1], CONTEXT + b"\0", b"epoch\0\0\0\2"):
        _refused(partial(root.unwrap, wrapped, context=other), KeyUnavailable, "WRONG_ROOT", "another context")


def other_root_refused(case: Case) -> None:
    """A key that one root wrapped is refused by another root with `WRONG_ROOT`."""
    wrapped = case.root().wrap(new_key(), context=CONTEXT)
    other = case.root()
    _refused(lambda: other.unwrap(wrapped, context=CONTEXT), KeyUnavailable, "WRONG_ROOT", "another root")


def tampering_refused(case: Case) -> None:
    """No flipped bit and no cut opens; what is too short is `TRUNCATED`."""
    root = case.root()
    wrapped = root.wrap(new_key(), context=CONTEXT)
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= 1 << (at % 8)
        call = partial(root.unwrap, bytes(altered), context=CONTEXT)
        _refused(call, (IntegrityBroken, KeyUnavailable), None, f"a flipped bit in byte {at}")
    for length in (0, 1, len(wrapped) // 4):
        call = partial(root.unwrap, wrapped[:length], context=CONTEXT)
        _refused(call, IntegrityBroken, "TRUNCATED", f"cut to {length} bytes")
    for other in (wrapped[:-1], wrapped + b"\0"):
        call = partial(root.unwrap, other, context=CONTEXT)
        _refused(call, (IntegrityBroken, KeyUnavailable), None, "another length")


def made_once(case: Case) -> None:
    """Creating never replaces a root: `ROOT_EXISTS`."""
    root, key = case.root(), new_key()
    wrapped = root.wrap(key, context=CONTEXT)
    again = partial(case.provider.create, root.uri, passphrase=case.passphrase, cost=ARGON2_TESTS_ONLY)
    if case.ours:
        _refused(again, Conflict, "ROOT_EXISTS", "a second root at one place")
    else:
        again()
    _rule(case.open(root.uri).unwrap(wrapped, context=CONTEXT) == key, "the first root stays")


def destruction_is_final(case: Case) -> None:
    """After `destroy` the URI opens nothing, a new root there opens nothing old, a second time is `ROOT_MISSING`."""
    root = case.root()
    wrapped = root.wrap(new_key(), context=CONTEXT)
    if not case.ours:
        _refused(lambda: case.provider.destroy(root.uri), Conflict, "ROOT_NOT_OURS", "destroying what is not ours")
        _rule(not case.provider.horizon, "a root that cannot be destroyed claims no horizon")
        return
    case.provider.destroy(root.uri)
    _refused(lambda: case.open(root.uri), KeyUnavailable, "ROOT_MISSING", "a destroyed root")
    _refused(lambda: case.provider.destroy(root.uri), KeyUnavailable, "ROOT_MISSING", "destroying twice")
    anew = case.provider.create(root.uri, passphrase=case.passphrase, cost=ARGON2_TESTS_ONLY)
    _refused(lambda: anew.unwrap(wrapped, context=CONTEXT), KeyUnavailable, "WRONG_ROOT", "a root made anew")


def wrong_passphrase_refused(case: Case) -> None:
    """A wrong or absent passphrase opens nothing, and is not repeated by the error."""
    if case.wrong_passphrase is None:
        return
    root = case.root()
    wrong = case.wrong_passphrase
    _refused(lambda: case.provider.open(root.uri, passphrase=wrong), KeyUnavailable, "WRONG_PASSPHRASE", "wrong words")
    _refused(lambda: case.provider.open(root.uri, passphrase=None), KeyUnavailable, "PASSPHRASE_MISSING", "no words")


def absent_root_is_said(case: Case) -> None:
    """A place without a root answers `ROOT_MISSING`, not with a root made on the spot."""
    if case.ours:
        uri = case.fresh()
        _refused(lambda: case.open(uri), KeyUnavailable, "ROOT_MISSING", "a place without a root")


def nothing_shows(case: Case) -> None:
    """A handle neither prints, nor pickles, nor copies; neither it nor an error shows a secret."""
    root, key = case.root(), new_key()
    secrets = (bytes(key), *case.secrets(root.uri), *((case.passphrase,) if case.passphrase else ()))
    wrapped = root.wrap(key, context=CONTEXT)
    opened = root.unwrap(wrapped, context=CONTEXT)
    shown = f"{root!r} {root!s} {root.uri} {opened!r} {opened!s} {case.provider!r}"
    calls = (partial(root.unwrap, wrapped, context=b"other"), partial(root.unwrap, b"", context=CONTEXT))
    for call in calls:
        try:
            call()
        except PdmsError as error:
            shown += "".join(traceback.format_exception(error)) + repr(error.args)
            _rule(error.__suppress_context__ or error.__context__ is None, "an error carries no other error along")
    for secret in secrets:
        for form in (secret.hex(), repr(secret)[2:-1]):
            _rule(form not in shown, "no secret is shown")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        _unpicklable(root, protocol)
    for copied in (copy.copy, copy.deepcopy):
        try:
            copied(root)
        except TypeError:
            continue
        raise NotConformant("a root handle is not copied")


def threads_share_it(case: Case) -> None:
    """One handle serves several threads at once."""
    root = case.root()

    def work(number: int) -> bool:
        context = CONTEXT + number.to_bytes(2, "big")
        for _ in range(ROUNDS):
            key = new_key()
            if root.unwrap(root.wrap(key, context=context), context=context) != key:
                return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        _rule(all(pool.map(work, range(THREADS))), "threads do not disturb one another")


def says_where_it_is(case: Case) -> None:
    """A handle's `uri` opens the same root; it says the same of its horizon as its provider."""
    uri = case.fresh()
    root = case.provider.create(uri, passphrase=case.passphrase, cost=ARGON2_TESTS_ONLY)
    _rule(root.uri == uri, "a handle keeps its URI")
    _rule(root.horizon == case.provider.horizon, "handle and provider say the same of the horizon")


Check = Callable[[Case], None]
CHECKS: Final[tuple[Check, ...]] = (
    wraps_and_unwraps, context_is_bound, other_root_refused, tampering_refused, made_once, destruction_is_final,
    wrong_passphrase_refused, absent_root_is_said, nothing_shows, threads_share_it, says_where_it_is,
)  # fmt: skip


def run(case: Case) -> None:
    """Run every check. :raises NotConformant: the first rule that is broken."""
    for check in CHECKS:
        check(case)


def _rule(holds: bool, rule: str) -> None:
    if not holds:
        raise NotConformant(rule)


def _refused(
    call: Callable[[], object],
    family: type[PdmsError] | tuple[type[PdmsError], ...],
    code: str | None,
    what: str,
) -> None:
    try:
        call()
    except family as error:
        _rule(code is None or error.code == code, f"{what} is refused with the code {code}")
        return
    except Exception as error:  # a provider is somebody else's code: whatever it raises is the finding
        raise NotConformant(f"{what} is refused by an error of pdms, not by {type(error).__name__}") from None
    raise NotConformant(f"{what} is refused")


def _unpicklable(root: RootKey, protocol: int) -> None:
    try:
        pickle.dumps(root, protocol=protocol)
    except TypeError:
        return
    raise NotConformant("a root handle is not pickled")
