"""A release checked offline: rows, manifest and the controller's public key; no home, no database, no policy.

What is checked, each by itself, so that what is wrong has a name:
1. FORM: the manifest is one JSON object, no key twice, of the kind that pdms signs;
2. SIGNATURE: the Ed25519 signature over everything else in it is that of the key you were given in another way;
3. NAME: a file named after a release is named after this one (a manifest was not swapped);
4. TABLE: the rows can be read; their columns are the manifest's features, text all of them, and no identifier;
5. DIGEST: SHA-256 of the Parquet bytes is the one signed; CSV and Arrow rows are put into that form again first;
6. ROWS: as many rows and classes as the manifest says;
7. CRITERIA: k, the risks and, for a sensitive feature, l and t, measured again by `anonymize.check`, keep what was
   required and are what was stated;
8. EXPIRY: the release may still be used on that day.

Where the signature is broken, 4 to 7 are not tried: what a file unfolds to is bounded by what was signed (`opening`).

Deliberately not here: whether a release was withdrawn since; ask the controller.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pdms.anonymize.check import Measured, measure
from pdms.errors import Conflict, IntegrityBroken, InvalidInput, NotFound
from pdms.publish.manifest import SIGNER, verify_manifest
from pdms.publish.opening import Opened, opened
from pdms.taxonomy import ReleaseState, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.views.comparing import Taken
from pdms.views.service import ReleaseInfo
from pdms.views.store import encode

KINDS = ("release-manifest", "release-manifest-public")
RELEASE = re.compile(r"rel-[0-9a-f]{32}")
LARGEST_MANIFEST = 4 << 20
TOLERANCE = 1e-9
OF_ROWS = ("TABLE", "DIGEST", "ROWS", "CRITERIA")

State = Literal["whole", "broken", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its outcome; `detail` names what differs, in numbers and names of columns."""

    check: str
    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. `verdict`: whole, broken, or expired (whole, but it must not be used any more)."""

    verdict: Literal["whole", "broken", "expired"]
    release_id: str
    view: str
    rows: int
    k: int
    expires_at: str
    checks: tuple[Check, ...]


def verify_release(
    data: bytes, manifest: bytes, *, public_key: bytes, now: datetime, filename: str = "", form: str = "parquet"
) -> Verified:
    """Check a release. :param form: of `data`: parquet, csv or arrow. :param filename: what the data file is called.

    :raises InvalidInput: the public key is none. Whatever is wrong with the release is in the result.
    """
    if len(public_key) != 32:
        raise InvalidInput("key: 64 hex digits")
    document = _document(manifest)
    if document is None:
        detail = "not one JSON object in UTF-8, a key twice in it, or no release's manifest"
        return _verdict({}, 0, Measured(0, 0, 0), [Check("FORM", "broken", detail)])
    signature = _signature(document, public_key)
    checks = [Check("FORM", "whole"), signature, _named(document, filename)]
    rows, measured = 0, Measured(0, 0, 0)
    if signature.state == "whole":
        found = opened(data, form, document)
        rows = found.rows or 0
        measured, outcome = _held(document, found)
        checks += [_table(found), _digest(document, found, form), _rows(document, found, measured), outcome]
    else:  # what a file unfolds to is bounded by what was signed
        checks += [Check(name, "not checked", "the manifest is not signed") for name in OF_ROWS]
    checks.append(_expiry(document, now))
    return _verdict(document, rows, measured, checks)


def verify_stored(uow: UnitOfWork, *, release_id: str) -> Verified:
    """Check a release of this home as somebody outside would check it, by the newest key of its manifests.

    :raises NotFound: there is none of that id. :raises Conflict: RELEASE_OVER: its rows were removed when it ended.
    :raises IntegrityBroken: its rows are not there, or not as published.
    """
    from pdms.views import service as views
    from pdms.views import store

    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    info = views.known(uow, release_id=release_id)
    if info is None:
        raise NotFound("release: there is none of that id")
    if info.state not in views.OPEN:
        raise Conflict("release: it is over and its rows are removed; verify an exported copy", code="RELEASE_OVER")
    data, _ = store.read_data(uow.home, view=info.view, release_id=release_id, sha256=info.data_sha256)
    manifest = store.read_manifest(uow.home, view=info.view, release_id=release_id)
    named = str(manifest.get("certificate", {}).get("public_key", ""))
    keys = [key for key in uow.keys.public_keys(SIGNER) if key.hex() == named]
    key = keys[0] if keys else uow.keys.public_keys(SIGNER)[0]
    return verify_release(data, json.dumps(manifest).encode(), public_key=key, now=uow.now)


def taken_from(data: bytes, manifest: bytes, *, public_key: bytes, now: datetime, filename: str, form: str) -> Taken:
    """Return a release that was given out, to be compared with another; it must be whole, and may have expired.

    :raises IntegrityBroken: a check fails; the message names it.
    """
    found = verify_release(data, manifest, public_key=public_key, now=now, filename=filename, form=form)
    if found.verdict == "broken":
        wrong = next(one for one in found.checks if one.state == "broken" and one.check != "EXPIRY")
        raise IntegrityBroken(f"release: {wrong.check}: {wrong.detail}", code="RELEASE_FILE")
    document = json.loads(manifest)
    table = opened(data, form, document).table
    expires = datetime.fromisoformat(document["expires_at"])
    info = ReleaseInfo(
        release_id=document["release_id"],
        view=document["view"],
        purpose=str(document.get("purpose", "")),
        state=ReleaseState.EXPIRED if expires <= now else ReleaseState.LIVE,
        rows=document["rows"],
        classes=document["classes"],
        k=document["k"],
        policy_digest=str(document.get("policy_digest", "")),
        data_sha256=document["data_sha256"],
        created_at=datetime.fromisoformat(document["created_at"]),
        expires_at=expires,
        ended_at=None,
        reason="FILE",
    )
    return Taken(info, document, table)


def manifest_keys(uow: UnitOfWork) -> tuple[str, ...]:
    """Return the public keys that manifests are signed under, hex: what a recipient keeps from elsewhere."""
    uow.require(*Scope)
    return tuple(key.hex() for key in uow.keys.public_keys(SIGNER))


def _verdict(document: Mapping[str, Any], rows: int, measured: Measured, checks: list[Check]) -> Verified:
    broken = [one for one in checks if one.state == "broken"]
    expired = bool(broken) and all(one.check == "EXPIRY" for one in broken)
    return Verified(
        verdict="expired" if expired else "broken" if broken else "whole",
        release_id=str(document.get("release_id", "")),
        view=str(document.get("view", "")),
        rows=rows,
        k=measured.k,
        expires_at=str(document.get("expires_at", "")),
        checks=tuple(checks),
    )


def _document(content: bytes) -> dict[str, Any] | None:
    """Return the manifest if it has the form of one."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    try:
        document = json.loads(content.decode(), object_pairs_hook=once) if len(content) <= LARGEST_MANIFEST else None
        known = isinstance(document, dict) and document["kind"] in KINDS and _formed(document)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return document if known else None


def _formed(document: Mapping[str, Any]) -> bool:
    """Tell whether everything that is held against the rows has its type."""
    whole = all(type(document[name]) is int for name in ("rows", "classes", "k", "k_required"))
    texts = all(isinstance(document[name], str) for name in ("release_id", "view", "data_sha256", "expires_at"))
    risks = isinstance(document["risks"], dict) and isinstance(document["risks"]["threshold"], int | float)
    features = isinstance(document["features"], list) and all(isinstance(f["name"], str) for f in document["features"])
    aware = datetime.fromisoformat(document["expires_at"]).tzinfo is not None
    return whole and texts and risks and features and aware


def _signature(document: Mapping[str, Any], public_key: bytes) -> Check:
    try:
        verify_manifest(document, public_key)
    except (IntegrityBroken, ValueError, RecursionError) as error:
        detail = error.message if isinstance(error, IntegrityBroken) else "it has no canonical form"
        return Check("SIGNATURE", "broken", detail)
    return Check("SIGNATURE", "whole")


def _named(document: Mapping[str, Any], filename: str) -> Check:
    found = RELEASE.search(filename)
    if found is None:
        return Check("NAME", "not checked", "the file is not named after a release")
    if found[0] != document["release_id"]:
        return Check("NAME", "broken", "the file is named after another release: the manifest was swapped")
    return Check("NAME", "whole")


def _table(found: Opened) -> Check:
    if found.wrong:
        return Check("TABLE", "broken", found.wrong)
    if found.table is None:
        return Check("TABLE", "not checked", "rows that are not as signed are not read")
    return Check("TABLE", "whole")


def _digest(document: Mapping[str, Any], found: Opened, form: str) -> Check:
    same = found.same
    if form != "parquet" and found.table is not None:
        same = hashlib.sha256(encode(found.table)).hexdigest() == document["data_sha256"]
    if same:
        return Check("DIGEST", "whole")
    detail = "the bytes are not those signed"
    difference = 0 if found.rows is None or found.wrong else found.rows - document["rows"]
    if difference:
        detail += f": {abs(difference)} rows {'removed' if difference < 0 else 'added'}"
    if form != "parquet":
        detail += "; only the Parquet file is compared byte for byte whatever version of pyarrow wrote it"
    return Check("DIGEST", "broken", detail)


def _held(document: Mapping[str, Any], found: Opened) -> tuple[Measured, Check]:
    """Return what the rows reach, and whether that is what the manifest asks; one that asks nothing readable fails."""
    if found.table is None:
        return Measured(0, 0, 0), Check("CRITERIA", "not checked", "there are no rows to measure")
    try:
        measured = _measured(document, found.table)
        return measured, _criteria(document, measured)
    except (AttributeError, InvalidInput, KeyError, OverflowError, StopIteration, TypeError, ValueError):
        return measure(found.table), Check("CRITERIA", "broken", "what was required cannot be read")


def _measured(document: Mapping[str, Any], table: Any) -> Measured:
    sensitive = document.get("sensitive")
    if not sensitive:
        return measure(table)
    required = sensitive["required"]
    ordered = required.get("t") is not None and required.get("distance") == "ordered"
    order, absent = (sensitive["order"], sensitive["absent"]) if ordered else ((), None)
    return measure(table, sensitive=required["feature"], order=order, absent=absent, l=int(required["l"]))


def _rows(document: Mapping[str, Any], found: Opened, measured: Measured) -> Check:
    if found.rows is None or found.wrong:
        return Check("ROWS", "not checked", "there are no rows of this release")
    wrong = []
    if found.rows != document["rows"]:
        wrong.append(f"{found.rows} rows where the manifest says {document['rows']}")
    if found.table is not None and measured.classes != document["classes"]:
        wrong.append(f"{measured.classes} classes where the manifest says {document['classes']}")
    return Check("ROWS", "broken" if wrong else "whole", "; ".join(wrong))


def _criteria(document: Mapping[str, Any], measured: Measured) -> Check:
    wrong = []
    if measured.k < document["k_required"]:
        wrong.append(f"k is {measured.k}, required {document['k_required']}")
    if measured.k != document["k"]:
        wrong.append(f"k is {measured.k}, stated {document['k']}")
    if measured.rows and 1 / measured.k > document["risks"]["threshold"] + TOLERANCE:
        wrong.append("the greatest risk of a row is above its threshold")
    if measured.rows and measured.classes / measured.rows > document.get("average_risk_required", 1.0) + TOLERANCE:
        wrong.append("the average risk is above its threshold")
    if document.get("sensitive"):
        wrong += _of_sensitive(document["sensitive"]["required"], measured)
    return Check("CRITERIA", "broken" if wrong else "whole", "; ".join(wrong))


def _of_sensitive(required: Mapping[str, Any], measured: Measured) -> list[str]:
    wrong = []
    diversity, least = required.get("diversity"), required.get("l", 0)
    if diversity == "recursive":
        if measured.recursive_c is None or not measured.recursive_c < required["c"]:
            wrong.append("recursive diversity is not kept")
    elif diversity is not None:
        reached = measured.entropy_l if diversity == "entropy" else measured.distinct_l
        if (reached or 0) < least - TOLERANCE:
            wrong.append(f"l is below {least}")
    if required.get("t") is not None:
        distance = measured.t_ordered if required.get("distance") == "ordered" else measured.t_equal
        if distance is None or distance > required["t"] + TOLERANCE:
            wrong.append(f"t is above {required['t']}")
    return wrong


def _expiry(document: Mapping[str, Any], now: datetime) -> Check:
    if datetime.fromisoformat(document["expires_at"]) <= now:
        return Check("EXPIRY", "broken", "the release has expired: its rows must be deleted")
    return Check("EXPIRY", "whole")
