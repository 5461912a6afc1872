"""Sign-in by OpenID Connect: which JSON Web Tokens of the named issuer are believed, and what they say.

Guarantees: only RS256, ES256 and EdDSA (Ed25519) under a public key of the issuer's own set, picked by `kid` and of the
kind that the algorithm asks for (RFC 8725 §3.1, §3.2); never `none`, never a shared secret, never a key that the token
itself brings or points to. Issuer and audience are compared exactly, expiry and issue are required, a lifetime is
bounded, clocks may differ by a minute. Whatever is wrong, the caller is told the same; the cause is a code for the log,
and no byte of the token goes there. Sizes are bounded before anything is parsed.

Deliberately not here: who the subject is among the operators, and what they may do: that is `service`, and a token can
take a role away but never give one that an administrator did not. No sign-in page, no refresh tokens, no revocation
list: a token lasts until it expires.
"""

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pdms.access.jwks import KeyFinder, NoKey

LARGEST = 8192
"""Characters of a token."""
LONGEST_LIFE = timedelta(hours=24)
LEEWAY = timedelta(seconds=60)
ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""Algorithm → the only kind of key it is verified with."""
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADERS = {"alg", "kid", "typ", "x5t", "x5t#S256"}
"""What a header may hold. `jwk`, `jku`, `x5u`, `x5c` would let it bring its own key; `crit`, `b64`, `zip` change its
meaning."""
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}


class Rejected(Exception):
    """A token that is not believed; the cause is a code for the log alone."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the issuer names, and the roles that its claims stand for."""

    issuer: str
    subject: str = field(repr=False)
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose tokens are believed. `roles` maps a value of the issuer's claim to a role of the policy."""

    issuer: str
    audience: str
    role_claim: str
    roles: Mapping[str, str]
    keys: KeyFinder

    def identify(self, text: str, *, now: datetime) -> Identity:
        """Return whom a token names. :raises Rejected: it is not believed."""
        header = _header(text)
        algorithm, kid = header["alg"], header["kid"]
        try:
            key = self.keys.find(kid, kind=ALGORITHMS[algorithm], algorithm=algorithm, now=now)
        except NoKey as none:
            raise Rejected(none.cause) from None
        claims = _object(_verified(text, key, algorithm), "form")
        self._check(claims, now=now)
        return Identity(self.issuer, _subject(claims), self._roles(claims))

    def _check(self, claims: Mapping[str, Any], *, now: datetime) -> None:
        """RFC 7519 §4.1, in the order that tells the log most."""
        if claims.get("iss") != self.issuer:
            raise Rejected("issuer")
        audience = claims.get("aud")
        if audience != self.audience and not (isinstance(audience, list) and self.audience in audience):
            raise Rejected("audience")
        seconds = now.timestamp()
        leeway = LEEWAY.total_seconds()
        expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
        if expires + leeway <= seconds:
            raise Rejected("expired")
        if issued - leeway > seconds or ("nbf" in claims and _seconds(claims, "nbf") - leeway > seconds):
            raise Rejected("not-yet")
        if expires - issued > LONGEST_LIFE.total_seconds():
            raise Rejected("lifetime")

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        found: Any = claims
        for name in self.role_claim.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        return frozenset(self.roles[value] for value in values if isinstance(value, str) and value in self.roles)


def looks_like(text: str) -> bool:
    """Tell whether a presented text is of a token's form; nothing is believed yet."""
    return text.startswith("ey") and text.count(".") == 2


def _header(text: str) -> Mapping[str, Any]:
    if len(text) > LARGEST:
        raise Rejected("size")
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise Rejected("form")
    try:
        raw = urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except NotBase64:
        raise Rejected("form") from None
    header = _object(raw, "form")
    if not set(header) <= _HEADERS:
        raise Rejected("header")
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        raise Rejected("algorithm")
    if not isinstance(header.get("kid"), str) or not header["kid"]:
        raise Rejected("kid")
    if str(header.get("typ", "jwt")).lower() not in _TYPES:
        raise Rejected("type")
    return header


def _verified(text: str, key: Any, algorithm: str) -> bytes:
    from joserfc import jws
    from joserfc.errors import JoseError

    def only(name: str) -> Any:
        if name != algorithm:
            raise Rejected("algorithm")
        return jws.JWSRegistry.algorithms[name]

    registry = jws.JWSRegistry(strict_check_header=False)
    registry.get_alg = only  # the one that the key was picked for; the library warns of EdDSA's name (RFC 9864)
    try:
        found: bytes = jws.deserialize_compact(text, key, registry=registry).payload
    except (JoseError, ValueError):
        raise Rejected("signature") from None
    return found


def _object(raw: bytes, cause: str) -> Mapping[str, Any]:
    try:
        found = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Rejected(cause) from None
    if not isinstance(found, dict):
        raise Rejected(cause)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice may be read differently by whoever signed it (RFC 7519 §4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 40:
        raise Rejected("times")
    return float(value)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise Rejected("subject")
    return subject
