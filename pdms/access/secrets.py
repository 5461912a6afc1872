"""The written form of API keys and member tokens: `pdms_<kind>_<public id>_<secret>`, 256 secret bits.

Only a keyed digest of the secret part is stored, so that a stolen database lets nobody in; the prefix lets scanners of
code repositories recognise a leaked key.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from pdms.crypto import BlindIndex, same_bytes

Kind = Literal["key", "mem"]
FORM = re.compile(r"pdms_(key|mem)_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Presented:
    """A key or token as someone presents it, taken apart."""

    kind: Kind
    public_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Presented({self.kind}, …)"


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh key or token: `text` is shown once, `digest` is stored."""

    public_id: str
    text: str
    digest: bytes

    def __repr__(self) -> str:
        return "Issued(…)"


def issue(kind: Kind, *, key: bytes) -> Issued:
    """Make a fresh secret of `kind`, digested under `key`."""
    public_id, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
    return Issued(public_id, f"pdms_{kind}_{public_id}_{secret}", BlindIndex(key).digest(secret.encode()))


def parse(text: str) -> Presented | None:
    """Take a presented text apart; None where it has not the form of a key or token."""
    found = FORM.fullmatch(text) if len(text) <= 128 else None
    if found is None:
        return None
    kind: Kind = "key" if found[1] == "key" else "mem"
    return Presented(kind, found[2], found[3].encode())


def proves(presented: Presented, digest: bytes, *, key: bytes) -> bool:
    """Tell in constant time whether the presented secret is the one behind `digest`."""
    return same_bytes(BlindIndex(key).digest(presented.secret), digest)
