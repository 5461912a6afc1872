"""The manifest of a release: what it is, who was left out and why, what it reached, and a signature over all of it.

Guarantees: the numbers are those measured on the published bytes; the exact document is the officer's, and what
marketing reads is rounded and leaves out what would undo the rounding; each of the two is signed on its own.
Wording: rows are de-identified, never anonymous in the law's sense (PIPL-4, 73(3)(4)); their level is 3 at most
(GB/T 42460).
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from datetime import datetime
from typing import Any

from pdms.crypto import Signer, Verifier
from pdms.errors import IntegrityBroken
from pdms.policy.canonical import plain, text_of
from pdms.views.rounding import rounded

DOMAIN = b"pdms/release-manifest/v1\n"
SIGNER = "manifests"
WORDING = {
    "en": "de-identified, not anonymous: rows of a release remain personal information",
    "zh-CN": "去标识化数据，并非匿名化数据：发布的行仍属个人信息",
}


@dataclass(frozen=True, slots=True)
class Risks:
    """Re-identification probabilities of the published rows, 0 to 1."""

    prosecutor_max: float
    prosecutor_average: float
    journalist_max: float
    journalist_average: float
    marketer: float
    threshold: float


@dataclass(frozen=True, slots=True)
class InformationLoss:
    """What coarsening cost: normalised certainty penalty 0 (nothing) to 1 (all), whole and by feature.

    Who stays out counts as 1; `of_rows`: the same by feature over the published rows alone.
    """

    ncp: float
    ncp_by_feature: Mapping[str, float]
    average_class_size: float
    discernibility: int
    of_rows: Mapping[str, float] = field(default_factory=dict)
    """Empty in manifests of before it was stated."""


@dataclass(frozen=True, slots=True)
class ConsentCheckpoint:
    """State of the log when the eligible set was taken: `size` leaves under `root` (hex); `note` is signed."""

    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True)
class Together:
    """What the release reaches taken together with those of its family that were out when it was made.

    `k`: members that share the rarest row of classes; `rows`: distinct rows of classes; `held_back`: reason → members
    left out because of the other releases: `padding`, `remainder`, `joiners`, `silent` (docs/anonymisation.md).
    """

    family: str
    releases: tuple[str, ...]
    k: int
    rows: int
    held_back: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Linked:
    """What one reader of the release may know of its members who also holds releases of other families, counted.

    `releases`: of other families, out when it was made, with a reader in common; `unknown`: families of which the
    ledger lacks some; `asked`: k; `members` of the release; `below`: of them, whose classes in all of these and in the
    releases of its own family are shared by fewer than `asked`; `k`: members that share the rarest.
    """

    releases: tuple[str, ...]
    unknown: tuple[str, ...]
    asked: int
    members: int
    below: int
    k: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that is said of one release, exactly."""

    release_id: str
    view: str
    purpose: str
    created_at: datetime
    expires_at: datetime
    policy_digest: str
    view_digest: str
    permit: str
    checkpoint: ConsentCheckpoint | None
    """None while the log is empty."""
    members: int
    eligible: int
    eligible_digest: str
    """Keyed digest of the eligible member ids, hex."""
    excluded: Mapping[str, int]
    """Reason code → members left out for it; a member may have several reasons."""
    features: tuple[Mapping[str, Any], ...]
    window_days: int
    uncovered: Mapping[str, int]
    rows: int
    suppressed: int
    suppression_limit: float
    classes: int
    k: int
    """Measured on the published bytes."""
    k_required: int
    min_cell: int
    loss: InformationLoss
    risks: Risks
    level: int
    """GB/T 42460."""
    algorithm: str
    """What made the classes; beside releases that are out it is the ledger's own way, whatever was asked."""
    data_sha256: str
    average_risk_required: float = 1.0
    sensitive: Mapping[str, Any] | None = None
    """Where the view has a sensitive feature: what was asked of it, and what the published bytes reach, measured."""
    together: Together | None = None
    """None for a release that was made before there was a ledger."""
    linked: Linked | None = None
    """None for a release that was made before it was counted."""
    algorithm_asked: str = "auto"
    """What the view asks for."""
    numbers: str = "tree"
    """What cells of numbers say: a node of their tree, or a tight run of declared bins."""

    def document(self) -> dict[str, Any]:
        """Return the exact manifest as JSON values, unsigned."""
        document: dict[str, Any] = plain(self)
        return {"version": 1, "kind": "release-manifest", "wording": dict(WORDING), **document}


def public_manifest(manifest: Manifest) -> dict[str, Any]:
    """Return what marketing reads: counts rounded, nothing that gives them back, nothing of who was not eligible.

    `eligible`, `suppressed` and those held back add to the rows, which everybody who reads the release can count.
    """
    document = manifest.document()
    # the size of the log counts every member's every act; who was left out is counted exactly and noised by nobody
    for name in ("eligible_digest", "permit", "members", "checkpoint", "excluded", "uncovered", "linked"):
        del document[name]
    cell = manifest.min_cell
    document["kind"] = "release-manifest-public"
    document["eligible"] = rounded(manifest.eligible, min_cell=cell)
    document["suppressed"] = rounded(manifest.suppressed, min_cell=cell)
    if manifest.together is not None:
        held_back = manifest.together.held_back
        document["together"]["held_back"] = {code: rounded(n, min_cell=cell) for code, n in held_back.items()}
        del document["together"]["rows"]  # how rows of classes divide counts who stayed and who left
    # discernibility counts each suppressed row once for every eligible member, and NCP counts it whole: beside the
    # rows, which everybody can add up, even a rounded one would tell how many there are
    del document["loss"]["discernibility"], document["loss"]["of_rows"]
    of_rows = {name: round(x, 2) for name, x in manifest.loss.of_rows.items()}
    document["loss"]["ncp_by_feature"] = of_rows
    document["loss"]["ncp"] = round(sum(of_rows.values()) / max(len(of_rows), 1), 2)
    return document


def sign_manifest(document: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """Return `document` with its certificate: an Ed25519 signature over everything else in it."""
    signature = signer.sign(_bytes(document))
    certificate = {
        "algorithm": "ed25519",
        "public_key": signer.public_key.hex(),
        "signature": signature.hex(),
    }
    return {**document, "certificate": certificate}


def verify_manifest(document: Mapping[str, Any], public_key: bytes) -> None:
    """Check the certificate of a manifest, public or exact, against the key that the reader trusts.

    :raises IntegrityBroken: it has none, names another key, or something in it was changed.
    """
    try:
        certificate = document["certificate"]
        named, signature = bytes.fromhex(certificate["public_key"]), bytes.fromhex(certificate["signature"])
    except (KeyError, TypeError, ValueError):
        raise IntegrityBroken("manifest: it has no readable certificate", code="BAD_SIGNATURE") from None
    if named != public_key:
        raise IntegrityBroken("manifest: signed by another key", code="BAD_SIGNATURE")
    Verifier(public_key).verify(_bytes({k: v for k, v in document.items() if k != "certificate"}), signature)


def from_document(document: Mapping[str, Any]) -> Manifest:
    """Read an exact manifest back. :raises IntegrityBroken: it is none."""
    try:
        known = Manifest.__dataclass_fields__
        values = {name: document[name] for name, of in known.items() if of.default is MISSING or name in document}
        if values.get("together") is not None:
            together = values["together"]
            values["together"] = Together(**{**together, "releases": tuple(together["releases"])})
        if values.get("linked") is not None:
            linked = values["linked"]
            values["linked"] = Linked(
                **{**linked, "releases": tuple(linked["releases"]), "unknown": tuple(linked["unknown"])}
            )
        values["created_at"] = datetime.fromisoformat(values["created_at"])
        values["expires_at"] = datetime.fromisoformat(values["expires_at"])
        values["features"] = tuple(values["features"])
        values["loss"], values["risks"] = InformationLoss(**values["loss"]), Risks(**values["risks"])
        values["checkpoint"] = ConsentCheckpoint(**values["checkpoint"]) if values["checkpoint"] else None
        return Manifest(**values)
    except (KeyError, TypeError, ValueError):
        raise IntegrityBroken("manifest: it is not an exact manifest", code="RELEASE_MANIFEST") from None


def _bytes(document: Mapping[str, Any]) -> bytes:
    return DOMAIN + text_of(document).encode()
