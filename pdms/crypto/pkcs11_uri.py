"""PKCS#11 URIs (RFC 7512), as far as a root key needs them: which token, which key, which module, where its PIN is.

Guarantee: what is not understood is refused rather than ignored, since an ignored attribute may choose another key; and
a PIN in the URI (`pin-value`) is refused, since URIs are stored and shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from pdms.errors import InvalidInput

SCHEME: Final = "pkcs11:"
_PATH: Final = frozenset({"token", "serial", "manufacturer", "model", "object", "id", "type"})
_QUERY: Final = frozenset({"module-path", "pin-source"})
# RFC 7512 section 2.3: pk11-pchar and pk11-qchar, both without what separates attributes.
_PART: Final = re.compile(r"([a-z-]+)=((?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})+)")


@dataclass(frozen=True, slots=True)
class TokenUri:
    """A root's place: attributes that choose the token, and label or id (bytes) of the key in it."""

    token: Mapping[str, str]
    label: str | None
    key_id: bytes | None
    module: str | None
    pin_source: str | None

    @classmethod
    def parse(cls, uri: str) -> "TokenUri":
        """Read a URI. :raises InvalidInput: `PKCS11_URI` or `PIN_IN_URI`."""
        path, _, query = uri.removeprefix(SCHEME).partition("?")
        if "pin-value" in query:
            raise InvalidInput("root key: pin-value would be stored; name a pin-source", code="PIN_IN_URI")
        where, how = _parts(path, ";", _PATH), _parts(query, "&", _QUERY)
        if where.get("type", "secret-key") != "secret-key":
            raise _malformed("type must be secret-key")
        token = {name: unquote(part) for name, part in where.items() if name not in ("object", "id", "type")}
        if not token.keys() & {"token", "serial"}:
            raise _malformed("token or serial chooses the token")
        if not where.keys() & {"object", "id"}:
            raise _malformed("object or id chooses the key")
        return cls(
            token,
            unquote(where["object"]) if "object" in where else None,
            unquote_to_bytes(where["id"]) if "id" in where else None,
            unquote(how["module-path"]) if "module-path" in how else None,
            unquote(how["pin-source"]) if "pin-source" in how else None,
        )


def _parts(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        match = _PART.fullmatch(part)
        if match is None or match[1] not in known or match[1] in found:
            raise _malformed("attributes are " + ", ".join(sorted(known)) + ", each once, not empty, percent-encoded")
        found[match[1]] = match[2]
    return found


def _malformed(rule: str) -> InvalidInput:
    return InvalidInput(f"root key: a pkcs11: URI (RFC 7512): {rule}", code="PKCS11_URI")
