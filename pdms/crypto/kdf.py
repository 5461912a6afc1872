"""One key, one use: subkeys by HKDF (RFC 5869) under a label for each use.

Guarantee: keys derived under different labels, or under different contexts of one label, are independent. It does not
stretch passphrases: the material must already be a key of full entropy.
"""

import re

from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pdms.crypto.secret import KeyBytes
from pdms.crypto.suited import SuitedKey, mac_suite
from pdms.crypto.suites import SuiteName
from pdms.errors import InvalidInput

_PREFIX = b"pdms/v1/"
_LABEL = re.compile(r"[a-z0-9]+(?:[-:][a-z0-9]+)*")
MIN_MATERIAL_BYTES = 16


def derive(
    material: bytes,
    label: str,
    *,
    context: bytes = b"",
    length: int = 32,
    salt: bytes | None = None,
    suite: SuiteName | str | None = None,
) -> KeyBytes:
    """Return the subkey of `material` for one use.

    :param material: at least 16 bytes of full entropy.
    :param label: names the use, lower-case words joined by hyphen or colon; each use has its own.
    :param context: what the key is bound to (an id), any bytes.
    :param length: bytes wanted. :param salt: public random bytes, where each result must be fresh.
    :param suite: of the digest; default: what the material says (`SuitedKey`), and the subkey then says the same.
    :raises InvalidInput: the label or a length breaks its rule.
    """
    if _LABEL.fullmatch(label) is None:
        raise InvalidInput("label: lower-case words joined by hyphen or colon", code="LABEL_FORM")
    if len(material) < MIN_MATERIAL_BYTES:
        raise InvalidInput(f"material: at least {MIN_MATERIAL_BYTES} bytes", code="KEY_TOO_SHORT")
    # A label holds no zero byte, so that (label, context) reads back in one way only.
    info = _PREFIX + label.encode() + b"\0" + context
    found = HKDF(mac_suite(material, suite).digest(), length, salt, info).derive(material)
    if suite is None and isinstance(material, SuitedKey):
        return SuitedKey.of(found, suite=material.suite, sealing=material.sealing)
    return KeyBytes(found)
