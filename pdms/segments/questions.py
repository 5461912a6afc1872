"""What a noised answer about a view's members depends on, besides the question itself: the view, and its release.

Guarantee: answers are drawn once for each release of the view (its newest that is live or stale); where there is none,
once a month of Shanghai, as budgets are. Rules count by their meaning (`canonical`).
"""

from typing import Any

from pdms.clock import SHANGHAI
from pdms.policy.canonical import digest_of
from pdms.policy.definitions import View
from pdms.segments.canonical import canonical
from pdms.segments.compiled import CompiledRule
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views import service as views


def about_members(uow: AnonUnitOfWork, view: View, where: CompiledRule | None) -> dict[str, Any]:
    """Return the part of a question that says of whom it is; None: of all whom the view's purpose covers."""
    meaning = None if where is None else canonical(where)  # may take a second: before anything is locked
    release = views.newest(uow, view=view.name)
    return {
        "view": view.name,
        "view_digest": digest_of(view),
        "release": release or f"none in {uow.now.astimezone(SHANGHAI):%Y-%m}",
        "where": meaning,
    }
