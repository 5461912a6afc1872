"""Response models made from results: ids as hex text, nested results, nothing but declared fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter

from pdms.api.edge import edge
from pdms.bootstrap.plain import plain
from pdms.taxonomy import MemberId, MemberStatus


@dataclass(frozen=True, slots=True)
class Inner:
    """An inner result."""

    member: MemberId
    note: bytes | None


@dataclass(frozen=True, slots=True)
class Outer:
    """An outer result.

    Its further text is for readers of the code.
    """

    at: datetime
    status: MemberStatus
    inner: tuple[Inner, ...]
    by_name: Mapping[str, Inner]
    pair: tuple[int, str]


RESULT = Outer(
    datetime(2026, 1, 2, tzinfo=UTC),
    MemberStatus.ACTIVE,
    (Inner(MemberId(b"\x01" * 16), None),),
    {"a": Inner(MemberId(b"\x02" * 16), b"\xff")},
    (1, "x"),
)


def test_a_plain_result_fits_the_model_made_from_its_type() -> None:
    model = edge(Outer)
    shown = TypeAdapter(model).validate_python(plain(RESULT)).model_dump(mode="json")
    assert shown == {
        "at": "2026-01-02T00:00:00Z",
        "status": "active",
        "inner": [{"member": "01" * 16, "note": None}],
        "by_name": {"a": {"member": "02" * 16, "note": "ff"}},
        "pair": [1, "x"],
    }


def test_models_are_made_once_and_described() -> None:
    assert edge(Outer) is edge(Outer)
    schema = edge(Outer).model_json_schema()
    assert schema["description"] == "An outer result."
    assert schema["required"] == ["at", "status", "inner", "by_name", "pair"]
