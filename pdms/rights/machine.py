"""The states of a subject request and the only moves between them (requirements §2). Pure.

A move that is not listed does not exist: there are no skips, and a closed request stays closed.
"""

from pdms.errors import Conflict
from pdms.taxonomy import RequestState as S

MOVES: dict[S, frozenset[S]] = {
    S.RECEIVED: frozenset({S.IDENTITY_CHECK, S.CANCELLED}),
    S.IDENTITY_CHECK: frozenset({S.ASSESSING, S.LAPSED, S.CANCELLED}),
    S.LAPSED: frozenset({S.IDENTITY_CHECK}),
    S.ASSESSING: frozenset({S.EXECUTING, S.REFUSED, S.CANCELLED}),
    S.EXECUTING: frozenset({S.FULFILLED, S.PARTIAL}),
    S.FULFILLED: frozenset({S.CLOSED}),
    S.PARTIAL: frozenset({S.CLOSED}),
    S.REFUSED: frozenset({S.CLOSED}),
    S.CANCELLED: frozenset({S.CLOSED}),
    S.CLOSED: frozenset(),
}

OPEN = frozenset({S.RECEIVED, S.IDENTITY_CHECK, S.ASSESSING, S.EXECUTING})
"""States in which the legal clock runs."""


def check_move(current: S, target: S) -> None:
    """Let a listed move pass. :raises Conflict: the move does not exist."""
    if target not in MOVES[current]:
        raise Conflict(f"state: a request that is {current} cannot become {target}")
