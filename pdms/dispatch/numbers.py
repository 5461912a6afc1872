"""What marketing learns in numbers from sending: noised, and charged to its population's privacy budget.

Two vectors leave, each in one draw. The preview: the audience of a rule, and how many of it may be written to; one
answer for all rules that mean the same, as long as the view's release is the newest. The report: what became of a
campaign by reason, once for each run that came to its end. Guarantee: nothing else that counts members leaves
`dispatch` towards marketing; exact numbers are the officer's (`officer_counts`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdms.budgets import service as budgets
from pdms.budgets.counts import NoisedCount, told
from pdms.budgets.questions import Question
from pdms.budgets.service import Answer
from pdms.dispatch.attempts import EXCLUDED, Tally
from pdms.dispatch.audience import Plan
from pdms.policy.reasons import REASONS
from pdms.segments.questions import about_members
from pdms.unit_of_work import UnitFactory, UnitOfWork

PREVIEW_SENSITIVITY = math.sqrt(2)
"""A member is in the audience or not, and may be written to or not."""
REPORT_SENSITIVITY = math.sqrt(3)
"""A member counts in three places at most: as eligible, as held back and under one reason, or as eligible, as tried
before and under the outcome of then; one who is left out counts under one reason, and one outcome of before."""
TALLIES = tuple(tally.value for tally in Tally if tally is not Tally.AUDIENCE)
CELLS = (*TALLIES, *REASONS, *(f"{EXCLUDED}{code}" for code in REASONS))
"""Names of the report's cells: a closed list, so that which of them occur tells nothing before it is noised."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A preview's numbers as marketing may have them."""

    audience: NoisedCount
    reachable: NoisedCount


def preview_question(uow: UnitOfWork, plan: Plan, *, categories: Sequence[str]) -> Question:
    """Return what a preview asks, the same for every rule of the same meaning."""
    return Question(
        "preview",
        {
            **about_members(uow, plan.view, plan.rule),
            "categories": sorted(plan.categories),
            "purpose": plan.definition.purpose,
            "fields": sorted(categories),
        },
    )


def sizes(units: UnitFactory, plan: Plan, question: Question, count: Callable[[], tuple[int, int]]) -> Sizes:
    """Return the preview's numbers, drawn once. :param count: counts audience and reachable, exactly."""

    def draw(rho: float) -> Answer:
        from pdms.anonymize.noise import noised

        drawn = noised(count(), sensitivity=PREVIEW_SENSITIVITY, rho=rho)
        return {"values": list(drawn.values), "scale": drawn.scale}

    answer = budgets.ask(units, question, draw).answer
    cell = plan.view.min_cell
    return Sizes(told(_noised(answer), 0, min_cell=cell), told(_noised(answer), 1, min_cell=cell))


def report_question(plan: Plan, *, finished: int) -> Question:
    """Return what the report of a campaign asks, after so many runs that came to their end."""
    return Question("send", {"campaign": plan.definition.name, "report": finished + 1})


def report(exact: Mapping[str, int], left_out: Mapping[str, int], *, rho: float) -> Answer:
    """Noise a report. :param exact: totals by reason. :param left_out: members left out, each under one reason."""
    from pdms.anonymize.noise import noised

    counted = {name: number for name, number in exact.items() if not name.startswith(EXCLUDED)}
    counted |= {f"{EXCLUDED}{code}": number for code, number in left_out.items()}
    drawn = noised([counted.get(name, 0) for name in CELLS], sensitivity=REPORT_SENSITIVITY, rho=rho)
    return {"cells": dict(zip(CELLS, drawn.values, strict=True)), "scale": drawn.scale}


def counts_of(answer: Answer, *, min_cell: int) -> dict[str, NoisedCount]:
    """Return a report as marketing reads it: every tally, and of the reasons those that are not too small."""
    cells = dict(answer["cells"])
    drawn = _noised({"values": list(cells.values()), "scale": answer["scale"]})
    shown = {name: told(drawn, place, min_cell=min_cell) for place, name in enumerate(cells)}
    return {name: count for name, count in shown.items() if name in TALLIES or count.value is not None}


def _noised(answer: Mapping[str, Any]) -> Any:
    from pdms.anonymize.noise import Cost, Noised

    return Noised(values=tuple(answer["values"]), scale=float(answer["scale"]), cost=Cost(0.0))
