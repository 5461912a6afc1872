"""Consent receipts: what the member takes away, with the fields of ISO/IEC TS 27560 and the terms of the W3C DPV.

Guarantees: signed with the receipts key over the canonical JSON; anyone with the public key can verify it offline with
the one file `pdms/crypto/verify_receipt.py`, and any change is found. It is JSON-LD: its context maps our words to
terms of the DPV. It carries the newest checkpoint of the log at the time, if there was one. No name, no contact: the
subject is a random id.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pdms.audit import service as audit
from pdms.consent.notices import Terms
from pdms.crypto import verify_receipt
from pdms.errors import IntegrityBroken
from pdms.policy.canonical import text_of
from pdms.policy.definitions import Policy
from pdms.taxonomy import ConsentState, Language
from pdms.unit_of_work import UnitOfWork

SCHEMA = "ISO-IEC-TS-27560:2023/pdms-2"
CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "schema_version": "dct:conformsTo",
    "record_id": "dct:identifier",
    "subject_ref": "dpv:hasDataSubject",
    "notice": "dpv:hasNotice",
    "language": "dct:language",
    "purpose": "dpv:hasPurpose",
    "basis": "dpv:hasLegalBasis",
    "categories": "dpv:hasPersonalData",
    "controllers": "dpv:hasDataController",
    "name": "dpv:hasName",
    "address": "dpv:hasAddress",
    "contact": "dpv:hasContact",
    "storage_location": "dpv:hasLocation",
    "retention": "dpv:hasStorageCondition",
    "recipients": "dpv:hasRecipient",
    "jurisdiction": "dpv:hasJurisdiction",
    "events": "dpv:hasConsentStatus",
    "time": "dpv:isIndicatedAtTime",
    "actor": "dpv:isIndicatedBy",
    "issued_at": "dct:issued",
}
"""Our words → terms of the DPV 2 and of Dublin Core; what is not here is ours alone."""

DPV_STATE = {
    ConsentState.REQUESTED: "ConsentRequested",
    ConsentState.GIVEN: "ConsentGiven",
    ConsentState.REFUSED: "ConsentRefused",
    ConsentState.WITHDRAWN: "ConsentWithdrawn",
    ConsentState.EXPIRED: "ConsentExpired",
    ConsentState.INVALIDATED: "ConsentInvalidated",
}


@dataclass(frozen=True, slots=True)
class ConsentReceipt:
    """One receipt. `document` is JSON-ready and holds its own signature."""

    record_id: str
    document: Mapping[str, Any]

    def to_json(self) -> str:
        """Return the document as JSON text; `verify` takes it back parsed."""
        return json.dumps(self.document, ensure_ascii=False, indent=2)


def make(uow: UnitOfWork, row: Mapping[str, Any], terms: Terms | None) -> ConsentReceipt:
    """Make and sign the receipt of one record.

    :param row: columns of `consent_record`. :param terms: the notice version that it is bound to, if any.
    """
    record_id = record_id_text(row["record_id"])
    document = _content(uow.policy, row, terms, record_id)
    checkpoint = audit.checkpoint(uow.session)
    document["checkpoint"] = None if checkpoint is None else checkpoint.render()
    document["issued_at"] = _instant(uow.now)
    signer = uow.keys.signer("receipts")
    document["signature"] = {
        "algorithm": "Ed25519",
        "public_key": signer.public_key.hex(),
        "value": signer.sign(text_of(document).encode()).hex(),
    }
    return ConsentReceipt(record_id, document)


def verify(document: Mapping[str, Any], *, public_key: bytes) -> None:
    """Check a receipt against the public key that the controller publishes (32 bytes). Offline.

    :raises IntegrityBroken: RECEIPT_FORM, RECEIPT_KEY, BAD_SIGNATURE or RECEIPT_INCOMPLETE.
    """
    try:
        verify_receipt.check(dict(document), public_key=public_key)
    except verify_receipt.ReceiptBroken as broken:
        raise IntegrityBroken("receipt: " + broken.text, code=broken.code) from None


def record_id_text(raw: bytes) -> str:
    """Return the public form of a record id."""
    return f"cns-{raw.hex()}"


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _content(policy: Policy, row: Mapping[str, Any], terms: Terms | None, record_id: str) -> dict[str, Any]:
    controller = policy.controller
    purpose = policy.purposes.get(row["purpose"])
    language = terms.language if terms else Language.ZH
    recipients = [row["recipient"]] if row["recipient"] else list(purpose.recipients) if purpose else []
    versions = policy.notices.get(terms.notice_id if terms else (purpose and purpose.notice) or "", {})
    return {
        "@context": CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "schema_version": SCHEMA,
        "record_id": record_id,
        "subject_ref": row["member_id"].hex(),
        "notice": None
        if terms is None
        else {"id": terms.notice_id, "version": terms.version, "effective_on": terms.effective_on.isoformat()},
        "language": language.value,
        "purpose": {
            "id": row["purpose"],
            "label": purpose.label[language] if purpose else row["purpose"],
            "basis": purpose.basis.value if purpose else None,
            "article": purpose.article if purpose else None,
        },
        "categories": [name for name in row["categories"].split(",") if name],
        "controllers": [
            {
                "id": controller.id,
                "name": controller.name[language],
                "address": controller.address[language],
                "contact": controller.contact,
            }
        ],
        "storage_location": controller.region,
        "jurisdiction": "CN",
        "retention": [
            {"after": line.trigger, "days": line.days, "then": line.action, "article": line.article}
            for line in (purpose.retention if purpose else ())
        ],
        "recipients": [
            {"id": name, "name": policy.recipients[name].name, "contact": policy.recipients[name].contact}
            for name in recipients
            if name in policy.recipients
        ],
        "withdrawal_method": versions[language].rights["withdraw"] if language in versions else controller.contact,
        "consent_type": row["type"],
        "guardian_ref": row["guardian"] or None,
        "events": [
            {
                "time": _instant(row["occurred_at"]),
                "type": f"dpv:{DPV_STATE[ConsentState(row['state'])]}",
                "state": row["state"],
                "actor": row["actor"],
            }
        ],
        "collection": {"channel": row["channel"], "evidence": row["evidence"] or None, "source": row["source"]},
        "policy_digest": row["policy_digest"],
    }
