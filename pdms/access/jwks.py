"""The issuer's public keys (RFC 7517): read from a file or over HTTPS, kept, and read again when they rotate.

Guarantees: a key that is weak, secret, meant for encryption or for another algorithm is left out; an unknown `kid`
makes the set be read again at most once a minute, so that tokens nobody signed cannot make pdms knock at the issuer's
door; when the issuer cannot be reached, the keys read before stay good for a day. Redirects are not followed, answers
are bounded. A `kid` is only ever compared: it names no file and no address.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
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

    def find(self, kid: str, *, kind: str, algorithm: str, now: datetime) -> Any:
        """Return the public key `kid`, of this kind, for this algorithm. :raises NoKey: `kid`, `keys`, `key-kind`."""
        with self._lock:
            fresh = self._read_at is not None and now - self._read_at < AGE
            if (not fresh or kid not in self._keys) and (self._tried_at is None or now - self._tried_at >= PAUSE):
                self._tried_at = now
                self._refresh(now)
            if self._read_at is None or now - self._read_at >= STALE:
                raise NoKey("keys")
            found = self._keys.get(kid)
        if found is None:
            raise NoKey("kid")
        own_kind, own_algorithm, key = found
        if own_kind != kind or own_algorithm not in (None, algorithm):
            raise NoKey("key-kind")
        return key

    def _refresh(self, now: datetime) -> None:
        try:
            keys = public_keys(self.read())
        except (OSError, ValueError):
            return
        self._keys, self._read_at = keys, now


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
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    try:
        with build_opener(Stay).open(address, timeout=TIMEOUT_SECONDS) as answer:
            found: bytes = answer.read(LARGEST_SET + 1)
            return found
    except (URLError, ValueError) as error:
        raise OSError("the issuer's keys cannot be read") from error
