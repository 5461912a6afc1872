"""What a column is, from its header and from the share of its values that validate.

Guarantee: evidence holds rule names and counts, never a value. Values with a checksum outrank the header; a header
that the values contradict decides nothing, and such a column is left to a person (`field` None, category
`UNDECIDED`). It deliberately does not guess between columns that look alike (an order's date and a member's): the
source's kind settles that when a mapping is drafted (`draft`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pdms.discovery.headers import Claim, claim
from pdms.discovery.spans import Label
from pdms.discovery.values import Shares, measure

UNDECIDED = "UNDECIDED"

FIELD_OF = {
    Label.PERSON: "name", Label.PHONE: "phone", Label.EMAIL: "email", Label.ID_CARD: "id_number",
    Label.BIRTH_DATE: "birth_date", Label.ADDRESS: "address", "GENDER": "gender", "FREETEXT": "text",
}  # fmt: skip
"""Label → pdms field; labels that are not here are personal data for which the starter policy has no field."""

CATEGORY_OF = {
    "name": "basic", "phone": "basic", "email": "basic", "address": "basic", "login": "basic", "member_id": "basic",
    "registered_at": "basic", "birth_date": "demographic", "gender": "demographic", "id_number": "sensitive",
    "text": "interaction", "interaction_id": "interaction", "event_id": "behaviour", "order_id": "transaction",
    "line_id": "transaction", "amount": "transaction", "unit_price": "transaction", "quantity": "transaction",
    "product": "transaction", "product_name": "transaction", "category": "transaction", "invoiced": "transaction",
    "placed_at": "transaction", "completed_at": "transaction",
}  # fmt: skip
"""pdms field → data category of the starter policy."""

_SURE = (
    (Label.EMAIL, 0.5), (Label.ID_CARD, 0.5), (Label.USCC, 0.6), (Label.MAC, 0.6), (Label.PLATE, 0.6),
    (Label.WECHAT, 0.6), (Label.IMEI, 0.6), (Label.BANK_CARD, 0.6), (Label.GPS, 0.6),
    (Label.PHONE, 0.7), (Label.PASSPORT, 0.8),
)  # fmt: skip
"""Label → least share of validating values that settles it without a header; checksums first."""

_AGREES = {
    Label.PHONE: 0.3, Label.EMAIL: 0.3, Label.ID_CARD: 0.3, Label.BANK_CARD: 0.3, Label.PLATE: 0.3, Label.IP: 0.3,
    Label.PASSPORT: 0.3, Label.HMT_PERMIT: 0.3, Label.WECHAT: 0.0, Label.QQ: 0.0, Label.IMEI: 0.0, Label.MAC: 0.3,
    Label.GPS: 0.0, Label.USCC: 0.3, Label.PERSON: 0.3, Label.ADDRESS: 0.2, "GENDER": 0.0, "FREETEXT": 0.0,
}  # fmt: skip
"""Label → least share of validating values that a header needs beside it; 0 where no test can contradict it."""


@dataclass(frozen=True, slots=True)
class ColumnProposal:
    """What one column seems to be, for a person to confirm."""

    header: str
    field: str | None
    """pdms field or target name (`phone`, `order_id`, …); None = a person must decide."""
    label: str | None
    """A `Label`, `GENDER`, `FREETEXT`; None = nothing personal was found in the values."""
    category: str
    """Data category of the starter policy, or `UNDECIDED`."""
    confidence: float
    """0 to 1: share of validating values, tempered by what the header says."""
    evidence: tuple[str, ...]
    """Rule names and counts."""


def classify(header: str, values: Sequence[str]) -> ColumnProposal:
    """Return the proposal for one column; `values` is a sample, blanks included."""
    said = claim(header)
    shares = measure(values)
    evidence = [said.rule] if said else ["header:says nothing"]
    label, confidence, reason = _label(said, shares)
    evidence.append(f"filled {shares.filled}/{len(values)}, distinct {shares.distinct}")
    evidence.extend(reason)
    if shares.form:
        evidence.append(f"format:{shares.form}")
    if label == "FREETEXT":
        evidence.extend(_inside(values))
    field = _field(said, label)
    if said and said.label and label != said.label and shares.filled:
        evidence.append(f"conflict:header says {said.label}")
        confidence = min(confidence, 0.6)
        field = FIELD_OF.get(label) if label else None
    category = CATEGORY_OF.get(field or "", UNDECIDED)
    return ColumnProposal(header, field, label, category, round(confidence, 2), tuple(evidence))


def _field(said: Claim | None, label: str | None) -> str | None:
    if label is not None:
        return FIELD_OF.get(label)
    return said.field if said and said.label is None else None


def _label(said: Claim | None, shares: Shares) -> tuple[str | None, float, list[str]]:
    """Return label, confidence and evidence."""
    wanted = said.label if said else None
    if not shares.filled:
        return wanted, 0.3 if said else 0.0, ["values:none"]
    for label, least in _SURE:
        share = shares.share(label)
        if share >= least and not _mistaken(label, said, shares):
            return label, min(1.0, share + (0.05 if wanted == label else 0.0)), [shares.says(label)]
    if (
        shares.share(Label.IP) >= 0.6
        and shares.version_like <= 0.5 * shares.sampled
        and not (said and not said.label and "not-personal" in said.rule)
    ):
        return Label.IP, shares.share(Label.IP), [shares.says(Label.IP), f"version-like {shares.version_like}"]
    if wanted == Label.BIRTH_DATE or (said is None and _births(shares)):
        share = shares.share("DATE")
        if share >= 0.3:
            return (
                Label.BIRTH_DATE,
                share if wanted else 0.7 * share,
                [shares.says("DATE"), f"birth-like {shares.birth_like}"],
            )
        return None, 0.2, [shares.says("DATE")]
    if wanted:
        return _said(wanted, shares)
    if (
        said is not None
        and said.field != "login"
        and not (said.field in {"status", "kind", "channel"} and shares.share("FREETEXT") >= 0.5)
    ):
        return None, 0.9, ["values:no personal rule settles"]
    return _unsaid(shares)


def _mistaken(label: str, said: Claim | None, shares: Shares) -> bool:
    """Whether a header that names goods outranks a rule without a strong check."""
    named = said is not None and said.label is None and said.field != "login"
    if label in {Label.PHONE, Label.PASSPORT}:
        return named and said is not None and said.field != "member_id" and shares.share(label) < 0.95
    return False


def _births(shares: Shares) -> bool:
    """Dates without times, most of them long before the newest: birthdays, not dates of business."""
    return shares.share("DATE") >= 0.8 and shares.with_time == 0 and shares.birth_like >= 0.5 * shares.sampled


def _said(wanted: str, shares: Shares) -> tuple[str | None, float, list[str]]:
    """The header names a label that no checksum has settled: do the values allow it?"""
    share = shares.share(wanted)
    masked = shares.share("MASKED")
    if share >= _AGREES.get(wanted, 0.3):
        return wanted, max(0.6, share), [shares.says(wanted)]
    if masked >= 0.5:
        return wanted, 0.5, [shares.says("MASKED")]
    if (
        wanted == Label.PERSON
        and shares.share(Label.ADDRESS) < 0.3
        and shares.share("NUMBER") < 0.3
        and shares.length <= 30
    ):
        return wanted, 0.5, [shares.says(wanted)]
    if (
        wanted == Label.ADDRESS
        and shares.length >= 6
        and shares.share("NUMBER") < 0.5
        and shares.share("FREETEXT") < 0.7
    ):
        return wanted, 0.5, [shares.says(wanted)]
    if (
        wanted in {Label.ID_CARD, Label.BANK_CARD, Label.PHONE}
        and 7 <= shares.length <= 22
        and shares.share("NUMBER") >= 0.7
    ):
        return wanted, 0.4, [shares.says(wanted), "length fits"]
    return None, 0.2, [shares.says(wanted)]


def _unsaid(shares: Shares) -> tuple[str | None, float, list[str]]:
    """No header to go by: labels without a checksum."""
    if shares.share("GENDER") >= 0.9 and shares.distinct <= 8:
        return "GENDER", 0.85, [shares.says("GENDER")]
    if shares.share(Label.ADDRESS) >= 0.5:
        return Label.ADDRESS, shares.share(Label.ADDRESS), [shares.says(Label.ADDRESS)]
    if shares.share(Label.PERSON) >= 0.6 and shares.distinct >= max(5, min(20, 0.15 * shares.filled)):
        return Label.PERSON, 0.9 * shares.share(Label.PERSON), [shares.says(Label.PERSON)]
    if shares.share("FREETEXT") >= 0.4 and shares.distinct >= 0.3 * shares.filled:
        return "FREETEXT", 0.8, [shares.says("FREETEXT")]
    if shares.share(Label.HMT_PERMIT) >= 0.9 and shares.distinct >= 0.8 * shares.filled:
        return Label.HMT_PERMIT, 0.5, [shares.says(Label.HMT_PERMIT)]
    return None, 0.6, ["values:no personal rule settles"]


def _inside(values: Sequence[str], most: int = 100) -> list[str]:
    """Count what the analyser finds inside free text."""
    from pdms.discovery.recognizers import analyze

    seen: Counter[str] = Counter()
    texts = [value[:2000] for value in values if value.strip()][:most]
    for text in texts:
        seen.update({str(span.label) for span in analyze(text)})
    return [f"inside:{label} in {count}/{len(texts)} texts" for label, count in sorted(seen.items())]
