"""Signed receipts: a JSON document, its Ed25519 signature, and the proof that its event is in the log.

A receipt holds codes, counts, articles and instants, never member data; anyone with the public key verifies it offline.
"""

import base64
import json
from typing import Any

from pdms.audit import service as audit
from pdms.crypto import Verifier
from pdms.errors import IntegrityBroken
from pdms.unit_of_work import UnitOfWork

SIGNER = "receipts"


def canonical(document: dict[str, Any]) -> bytes:
    """Return the one byte form of a document that is signed: sorted keys, no blanks, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(uow: UnitOfWork, document: dict[str, Any], *, event_id: str) -> str:
    """Return `document` with the inclusion proof of its event, signed. The event must be sequenced already."""
    body = {**document, "log": {"origin": uow.origin, "proof": audit.prove(uow.session, event_id).to_json()}}
    signer = uow.keys.signer(SIGNER)
    return json.dumps(
        {
            "document": body,
            "public_key": signer.public_key.hex(),
            "signature": base64.b64encode(signer.sign(canonical(body))).decode(),
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def check(receipt: str, *, public_key: bytes) -> dict[str, Any]:
    """Return the document of a receipt signed under `public_key`. :raises IntegrityBroken: it was not."""
    try:
        outer = json.loads(receipt)
        body, signature = outer["document"], base64.b64decode(outer["signature"], validate=True)
    except (ValueError, KeyError, TypeError):
        raise IntegrityBroken("receipt: not of the form that was signed", code="RECEIPT_FORM") from None
    Verifier(public_key).verify(canonical(body), signature)
    return dict(body)
