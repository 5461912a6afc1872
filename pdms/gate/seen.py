"""What a decision had before it: running numbers of the records that it could see, told in its event.

Guarantee: a unit may wait for a lock, so that its instant does not say which of two came first; the numbers do. `most`
is beyond everything seen. On PostgreSQL others may be in the middle of writing: what lies beyond `sure` and up to
`most` may have been seen or not, and a replay takes either. Events of older versions tell no numbers, nor do decisions
of a unit that only reads on PostgreSQL: they are judged by their instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pdms.db import greatest, on_postgres, settled
from pdms.unit_of_work import UnitOfWork

TABLES: Final = ("consent_record", "restriction_record", "notice_delivery")
_COLUMNS: Final = (
    *((table, "seq") for table in TABLES),
    ("member", "row_no"),
    ("policy_version", "number"),
)
_NAMES: Final = ("consents", "wishes", "notices", "members", "policies")


@dataclass(frozen=True, slots=True)
class Upto:
    """Greatest running numbers of consent, restriction and delivery records that count."""

    consents: int
    wishes: int
    notices: int


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a decision saw."""

    most: Upto
    sure: Upto
    members: int
    """Greatest row number of a member."""
    policies: int
    """Number of the activation in force."""

    @classmethod
    def told(cls, numbers: Mapping[str, int]) -> Self | None:
        """Read what an event tells; None: it tells nothing of it."""
        if "seen_consents" not in numbers:
            return None
        most = [numbers[f"seen_{name}"] for name in _NAMES]
        sure = [numbers.get(f"sure_{name}", most[place]) for place, name in enumerate(_NAMES[:3])]
        return cls(Upto(*most[:3]), Upto(*sure), members=most[3], policies=most[4])


class Looking:
    """Made before a decision reads; asked afterwards."""

    __slots__ = ("_sure", "_uow")

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._sure = settled(uow.session.connection(), TABLES)

    def numbers(self) -> dict[str, int]:
        """Return what the decision's event tells of how far it saw."""
        connection = self._uow.session.connection()
        if self._uow.read_only and on_postgres(connection):  # its snapshot may be older than what is settled
            return {}
        most = greatest(connection, _COLUMNS)
        found = {f"seen_{name}": number for name, number in zip(_NAMES, most, strict=True)}
        for name, low, high in zip(_NAMES, self._sure or (), most, strict=False):
            if low < high:
                found[f"sure_{name}"] = low
        return found
