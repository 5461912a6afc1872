"""What a dataclass prints: tracebacks, logs and debuggers show it, so that nothing of a person may be in it.

Closed: a field that can hold text or bytes prints only where it is listed here as a name, a code or an id. Whoever adds
one either hides it (`field(repr=False)`) or says here that it never holds what a person told.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

PACKAGES = (
    "access", "crypto", "db", "discovery", "dispatch", "facts", "features", "ingest", "keystore", "rights", "rotation",
    "unit_of_work", "vault",
)  # fmt: skip
"""Where what members told, and keys, pass through."""
PLAIN = frozenset({int, float, bool, type(None)})
CANARY = "canary-7f3a"
_NAMES = """
    actor approval_id article audience campaign categories category channel counts digest digests encoding event_id
    external_digests field held_id id identity_method key_id kind load_id longest_until mac month operator_id
    origin package_id public_key purpose receipt receipts recipient recipients refusal_article refusal_code
    region request request_id restriction revision role root root_uri rule run_id schema searches source
    source_digest status system version view
"""
"""Fields of any class that hold names of the policy, codes, ids, states, digests under a key, or sealed bytes."""
_OF_ONE_CLASS = """
    Approval.asked_by Approval.decided_by Argon2Cost.name Bound.column Bound.default Bound.target Claim.label
    ColumnProposal.evidence ColumnProposal.header ColumnProposal.label Computed.features CutOver.document
    EpochHorizon.said ErasurePlan.steps Hold.fields Identity.issuer Identity.roles Inspection.columns
    Inspection.delimiter LogSigner.name LogSigner.older OpenedPackage.filename Operator.label
    Recognised.key_to_note Regions.counties Regions.first Regions.full Regions.short Replay.resource
    RequestView.number Rule.name Rule.optional Rule.required SealedMember.blob Sender.address Sender.name
    Sender.public_url Shares.form SignIn.issuer SignIn.role_claim SignIn.roles SourceTable.columns
    SourceTable.key SourceTable.name SourceTable.types Step.name StoredMember.corrections Tables.tables
    TokenUri.label TokenUri.module TokenUri.pin_source TokenUri.token Unknown.cause Verification.content
    Walk.what Withdrawal.queued _Day.form _Day.today
"""
"""Fields whose name would say too little: `Class.field`."""
NAMES, OF_ONE_CLASS = frozenset(_NAMES.split()), frozenset(_OF_ONE_CLASS.split())


def dataclasses_of(package: str) -> Iterator[type]:
    top = importlib.import_module(f"pdms.{package}")
    for found in pkgutil.walk_packages(top.__path__, f"pdms.{package}."):
        module = importlib.import_module(found.name)
        for one in vars(module).values():
            if isinstance(one, type) and dataclasses.is_dataclass(one) and one.__module__ == module.__name__:
                yield one


def holds_text(annotation: Any) -> bool:
    """Whether a field of this type can hold text or bytes that somebody gave."""
    said = str(annotation)
    if annotation in PLAIN or said.startswith(("collections.abc.Callable", "re.Pattern")):
        return False
    return any(word in said for word in ("str", "bytes", "Any", "object")) and not said.endswith("[str, int]")


def printed(one: type) -> set[str]:
    """Names of the fields that `repr` shows, each holding a canary of its own."""
    instance = object.__new__(one)
    fields = dataclasses.fields(one)
    for number, field in enumerate(fields):
        object.__setattr__(instance, field.name, f"{CANARY}-{number};")
    shown = repr(instance)
    return {field.name for number, field in enumerate(fields) if f"{CANARY}-{number};" in shown}


def undeclared(one: type) -> list[str]:
    shown = printed(one)
    return [
        f"{one.__name__}.{field.name}"
        for field in dataclasses.fields(one)
        if field.name in shown
        and holds_text(field.type)
        and field.name not in NAMES
        and f"{one.__name__}.{field.name}" not in OF_ONE_CLASS
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_dataclass_prints_what_a_person_told(package):
    found = [name for one in dataclasses_of(package) for name in undeclared(one)]
    assert found == [], f"hide them by field(repr=False), or list them with their reason in {__name__}"


def test_the_search_sees_a_field_that_prints_and_none_that_is_hidden():
    @dataclasses.dataclass(frozen=True, slots=True)
    class Told:
        code: int
        remark: str
        values: dict[str, list[str]]
        counted: dict[str, int]
        hidden: str = dataclasses.field(repr=False)

    assert undeclared(Told) == ["Told.remark", "Told.values"]


def test_nothing_is_listed_that_is_not_there():
    there = [(one.__name__, name) for package in PACKAGES for one in dataclasses_of(package) for name in printed(one)]
    assert sorted(NAMES - {name for _, name in there}) == []
    assert sorted(OF_ONE_CLASS - {f"{one}.{name}" for one, name in there}) == []
