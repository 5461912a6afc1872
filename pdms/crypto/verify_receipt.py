"""Check a consent receipt, offline: `python verify_receipt.py RECEIPT.json --key HEX [--notice NOTICE.json]`.

One file that needs Python 3.11 and the package `cryptography` and nothing else: copy it, read it, run it anywhere. pdms
itself checks with this same code (`pdms consent verify`). What is checked, in this order:

1. the receipt is one JSON object in UTF-8, no key twice, with its `signature` block;
2. the block names the public key that you were given by the controller, in another way than with the receipt;
3. the Ed25519 signature (RFC 8032) is that key's over the canonical form of everything else: JSON with sorted keys,
   no blanks, nothing escaped that need not be, UTF-8;
4. every field that ISO/IEC TS 27560 makes mandatory is there;
5. with a notice: its canonical form has the SHA-256 that the receipt calls the notice's version: it was shown.

It does not tell whether the consent still stands (ask the controller), nor who the subject is: that is a random id.
"""

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MANDATORY = (
    "schema_version", "record_id", "subject_ref", "notice", "language", "purpose", "categories", "controllers",
    "storage_location", "retention", "jurisdiction", "recipients", "withdrawal_method", "events",
)  # fmt: skip
LARGEST = 1 << 20
"""Bytes of a file."""


class ReceiptBroken(Exception):
    """What is wrong with a receipt; `code` names it, the text explains it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def parse(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a file holds. :raises ReceiptBroken: RECEIPT_FORM."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    def never(_: str) -> NoReturn:
        raise ValueError

    if len(content) > LARGEST:
        raise ReceiptBroken("RECEIPT_FORM", "larger than 1 MiB")
    try:
        document = json.loads(content.decode(), object_pairs_hook=once, parse_constant=never, parse_float=never)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ReceiptBroken("RECEIPT_FORM", "not one JSON object in UTF-8, or a key stands twice in it")
    return document


def canonical(document: Any) -> bytes:
    """Return the bytes that are signed; of a notice, those whose SHA-256 is its version.

    :raises ReceiptBroken: RECEIPT_FORM.
    """
    try:
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        raise ReceiptBroken("RECEIPT_FORM", "holds what has no canonical form") from None


def check(document: dict[str, Any], *, public_key: bytes, notice: dict[str, Any] | None = None) -> None:
    """Return if the receipt is what its controller signed.

    :raises ReceiptBroken: RECEIPT_FORM, RECEIPT_KEY, BAD_SIGNATURE, RECEIPT_INCOMPLETE or NOTICE_DIFFERS.
    """
    block = document.get("signature")
    if not isinstance(block, dict) or set(block) != {"algorithm", "public_key", "value"}:
        raise ReceiptBroken("RECEIPT_FORM", "it carries no signature")
    if block["algorithm"] != "Ed25519" or block["public_key"] != public_key.hex():
        raise ReceiptBroken("RECEIPT_KEY", "signed with another key")
    try:
        signature = bytes.fromhex(block["value"])
        key = Ed25519PublicKey.from_public_bytes(public_key)
    except (TypeError, ValueError):
        raise ReceiptBroken("RECEIPT_FORM", "the signature is not hex, or the key no key") from None
    signed = canonical({name: value for name, value in document.items() if name != "signature"})
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise ReceiptBroken("BAD_SIGNATURE", "the signature is not by this key over these fields") from None
    missing = [name for name in MANDATORY if name not in document]
    if missing:
        raise ReceiptBroken("RECEIPT_INCOMPLETE", f"signed, but without {', '.join(missing)}")
    if notice is not None:
        told = document["notice"]
        version = told.get("version") if isinstance(told, dict) else None
        if hashlib.sha256(canonical(notice)).hexdigest() != version:
            raise ReceiptBroken("NOTICE_DIFFERS", "the notice is not the one that the receipt names")


def main(argv: list[str] | None = None) -> int:
    """Check one receipt; 0: whole, 1: broken, 2: wrong arguments."""
    parser = argparse.ArgumentParser(description="Check a consent receipt, offline.")
    parser.add_argument("receipt", type=Path)
    parser.add_argument("--key", required=True, help="the controller's public key: 64 hex digits")
    parser.add_argument("--notice", type=Path, help="canonical JSON of the notice that was shown")
    asked = parser.parse_args(argv)
    if not re.fullmatch("[0-9a-f]{64}", asked.key):
        parser.error("--key: 64 hex digits, lower case")
    try:
        receipt = parse(asked.receipt.read_bytes())
        notice = parse(asked.notice.read_bytes()) if asked.notice else None
        check(receipt, public_key=bytes.fromhex(asked.key), notice=notice)
    except OSError as error:
        parser.error(f"a file cannot be read: {error.strerror}")
    except ReceiptBroken as broken:
        print(f"BROKEN {broken.code}: {broken.text}", file=sys.stderr)
        return 1
    print(f"whole: {receipt['record_id']}, signed by this key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
