"""A release beside those of other families, which partition the same members in other ways: counted, not prevented.

Guarantees: the count is over everybody in the release and over all that one of its readers may hold at that moment;
where the view sets a limit, a release beyond it is refused, one that came out meanwhile included. Officers are no such
readers. Deliberately not here: keeping everybody among k, which is what one family is for (`anonymize.ledger`), and who
is in other releases and not in this one.
"""

from typing import TYPE_CHECKING

from pdms.anonymize.ledger_check import measure_together
from pdms.errors import Denied
from pdms.policy.definitions import View
from pdms.publish import ledger
from pdms.publish.manifest import Linked
from pdms.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def linked(
    uow: UnitOfWork,
    view: View,
    own: ledger.Standing,
    *,
    subjects: "NDArray[np.bytes_]",
    class_of: "NDArray[np.int64]",
    asked: int,
) -> Linked:
    """Count who of `subjects` shares what all releases say that a reader of `view` may hold beside the one made.

    `own`: what is out of the view's family; `class_of`: int64 [subjects], -1 for who is not in the release.
    """
    inside = class_of >= 0
    who = subjects[inside]
    columns = [class_of[inside], own.rows_of(who)]
    releases, unknown = set[str](), []
    for family, ids in ledger.beside(uow, view).items():
        releases |= ids
        try:
            other = ledger.standing(uow, family=family, only=ids)
        except Denied:
            unknown.append(family)
            continue
        columns.append(other.rows_of(who))
    found = measure_together(columns, asked=asked)
    return Linked(tuple(sorted(releases)), tuple(unknown), asked, found.members, found.below, found.k)


def beyond(view: View, found: Linked) -> bool:
    """Tell whether more members are linked than the view allows, or may be, for all that is known."""
    return view.linked_limit < 1 and (bool(found.unknown) or found.below > view.linked_limit * found.members)


def overtaken(uow: UnitOfWork, view: View, found: Linked) -> bool:
    """Tell whether, under a limit, a release came out that was not counted."""
    return view.linked_limit < 1 and not set().union(*ledger.beside(uow, view).values()) <= set(found.releases)
