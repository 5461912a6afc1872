"""The issuer's public keys (RFC 7517): read from a file or over HTTPS, kept, and read again when they rotate.

Guarantees: a key that is weak, secret, meant for encryption or for another algorithm is left out; an unknown `kid`
makes the set be read again at most once a minute, so that tokens nobody signed cannot make pdms knock at the issuer's
door; when the issuer cannot be reached, the keys read before stay good for a day. One reading is under way at most, in
a thread of its own: whoever caused it waits for a bounded time, all others are answered from the keys at hand, and an
unknown `kid` is refused meanwhile. Redirects are not followed; answers are bounded in bytes and in their whole time. A
`kid` is only ever compared: it names no file and no address.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BufferedReader, RawIOBase
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from time import monotonic
from typing import Any, Protocol
from urllib.error import URLError
from urllib.parse import urlsplit

from pdms.errors import InvalidInput

LARGEST_SET = 256 << 10
MOST_KEYS = 64
AGE = timedelta(hours=1)
"""After this long the set is read again, so that a key that the issuer took back is not believed for ever."""
STALE = timedelta(hours=24)
PAUSE = timedelta(seconds=60)
TIMEOUT_SECONDS = 5
"""For a whole reading, and for whoever waits for it."""
MOST_WAITING = 8
"""Callers who wait while no key is at hand at all; others are refused, so that they cannot take every thread."""
RSA_BITS = range(2048, 8193)
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class NoKey(Exception):
    """No key answers to this name; the cause is a code for the log."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class KeyFinder(Protocol):
    """Finds a public key of the issuer."""

    def find(self, kid: str, *, kind: str, algorithm: str, now: datetime) -> Any:
        """Return the key. :raises NoKey: there is none of this name, kind and algorithm."""
        ...


@dataclass
class KeySet:
    """The keys of one issuer. Safe between threads; `read` gives the set's bytes or raises OSError."""

    read: Callable[[], bytes] = field(repr=False)
    _keys: Mapping[str, tuple[str, str | None, Any]] = field(default_factory=dict, repr=False)
    _read_at: datetime | None = None
    _tried_at: datetime | None = None
    _lock: Any = field(default_factory=Lock, repr=False)
    _under_way: Event | None = field(default=None, repr=False)
    """Set once the reading that is under way has ended."""
    _waiting: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MOST_WAITING), repr=False)

    def find(self, kid: str, *, kind: str, algorithm: str, now: datetime) -> Any:
        """Return the public key `kid`, of this kind, for this algorithm. :raises NoKey: `kid`, `keys`, `key-kind`."""
        with self._lock:
            mine = self._due(kid, now)
            if mine:
                self._tried_at, self._under_way = now, Event()
                Thread(target=self._refresh, args=(now, self._under_way), name="pdms-jwks", daemon=True).start()
            under_way, usable = self._under_way, self._usable(now)
        if under_way is not None and (mine or not usable) and self._waiting.acquire(blocking=False):
            try:
                under_way.wait(TIMEOUT_SECONDS)
            finally:
                self._waiting.release()
        with self._lock:
            if not self._usable(now):
                raise NoKey("keys")
            found = self._keys.get(kid)
        if found is None:
            raise NoKey("kid")
        own_kind, own_algorithm, key = found
        if own_kind != kind or own_algorithm not in (None, algorithm):
            raise NoKey("key-kind")
        return key

    def _usable(self, now: datetime) -> bool:
        return self._read_at is not None and now - self._read_at < STALE

    def _due(self, kid: str, now: datetime) -> bool:
        if self._under_way is not None or (self._tried_at is not None and now - self._tried_at < PAUSE):
            return False
        return self._read_at is None or now - self._read_at >= AGE or kid not in self._keys

    def _refresh(self, now: datetime, ended: Event) -> None:
        keys = None
        try:
            keys = public_keys(self.read())
        except (OSError, ValueError, RecursionError):  # what was read before stays
            return
        finally:
            with self._lock:
                if keys is not None:
                    self._keys, self._read_at = keys, now
                self._under_way = None
            ended.set()


def public_keys(raw: bytes) -> dict[str, tuple[str, str | None, Any]]:
    """Return the usable keys of a set by `kid`: kind, algorithm where the set names one, and the key.

    :raises ValueError: it is no key set. Two keys of one name are both left out: nobody can tell which is meant.
    """
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    if len(raw) > LARGEST_SET:
        raise ValueError("too large")
    document = json.loads(raw)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError("no key set")
    found: dict[str, tuple[str, str | None, Any]] = {}
    twice: set[str] = set()
    for one in listed:
        if not isinstance(one, dict) or not _usable(one):
            continue
        kid = one["kid"]
        twice |= {kid} & set(found)
        try:
            # Without `alg` and `use`: they were compared here, and the library reads newer names for them.
            key = import_key({n: v for n, v in one.items() if n in ("kty", "n", "e", "crv", "x", "y")})
        except (JoseError, ValueError, TypeError, KeyError):  # such a key is left out, the others stay
            continue
        found[kid] = (one["kty"], one.get("alg"), key)
    return {kid: key for kid, key in found.items() if kid not in twice}


def _usable(one: Mapping[str, Any]) -> bool:
    kid, kind = one.get("kid"), one.get("kty")
    if not isinstance(kid, str) or not 0 < len(kid) <= 255 or _PRIVATE & set(one):
        return False
    if one.get("use", "sig") != "sig" or "verify" not in (one.get("key_ops") or ["verify"]):
        return False
    if kind == "RSA":
        return _bits(one.get("n")) in RSA_BITS and 17 <= _bits(one.get("e")) <= 33
    return kind in _CURVES and one.get("crv") == _CURVES[kind]


def _bits(text: object) -> int:
    """Length of a base64url number in bits; 0 where it is none."""
    if not isinstance(text, str) or len(text) > 2048:
        return 0
    try:
        return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big").bit_length()
    except ValueError:
        return 0


def reader(place: str) -> Callable[[], bytes]:
    """Return what reads a key set from a file or an https address (plain http on this machine only).

    :raises InvalidInput: the address is of another kind.
    """
    parts = urlsplit(place)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return lambda: _fetched(place)
    if "://" in place:
        raise InvalidInput("PDMS_OIDC_JWKS: a file, or an https address")
    return lambda: _small(Path(place))


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_SET + 1)


def _fetched(address: str) -> bytes:
    from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
    from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, build_opener

    end = monotonic() + TIMEOUT_SECONDS

    class Answer(HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp.close()
            self.fp = BufferedReader(_Until(sock, end))

    class Plain(HTTPConnection):
        response_class = Answer

    class Sealed(HTTPSConnection):
        response_class = Answer

    class ByPlain(HTTPHandler):
        def http_open(self, req: Any) -> Any:
            return self.do_open(Plain, req)

    class BySealed(HTTPSHandler):
        def https_open(self, req: Any) -> Any:
            return self.do_open(Sealed, req)

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    try:
        with build_opener(Stay, ByPlain, BySealed).open(address, timeout=TIMEOUT_SECONDS) as answer:
            found: bytes = answer.read(LARGEST_SET + 1)
            return found
    except (URLError, HTTPException, ValueError) as error:
        raise OSError("the issuer's keys cannot be read") from error


class _Until(RawIOBase):
    """What a socket receives before an instant: a socket's own time-out begins anew with each byte."""

    def __init__(self, sock: Any, end: float) -> None:
        self._sock, self._end = sock, end
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open when the connection lets go of it

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive into `buffer`; 0 at the end. :raises TimeoutError: the time is over."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError("the issuer is too slow")
        self._sock.settimeout(left)
        count: int = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
