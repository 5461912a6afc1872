"""Who acts: an operator with scopes, a member for themself, or the system."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pdms.taxonomy import MemberId, Scope


class ActorKind(StrEnum):
    """Kinds of actor."""

    OPERATOR = "operator"
    MEMBER = "member"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one for whom a unit of work runs. `id` is random (operator id) or a constant; it names nobody."""

    id: str
    kind: ActorKind
    scopes: frozenset[Scope] = frozenset()
    role: str | None = None
    member_id: MemberId | None = None
    """Set where a member acts for themself: the only member that such a unit may touch."""
    trained_until: date | None = None

    @classmethod
    def system(cls) -> "Actor":
        """Return the actor of scheduled work (sweep, sequencing)."""
        return cls(id="system", kind=ActorKind.SYSTEM, scopes=frozenset(Scope))
