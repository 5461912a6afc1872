"""A view's columns counted on the data held, for the linter: how many eligible members each leaf holds.

Guarantees: it takes the same Permit and the same eligible set as a publication, both recorded; what it gives are counts
by leaf of the policy's own labels, for officers only, and nothing of it is written anywhere. Deliberately not here:
judging the counts (`views.linting`).
"""

from typing import TYPE_CHECKING

from pdms.features import service as features
from pdms.gate import service as gate
from pdms.policy.definitions import Policy
from pdms.taxonomy import Operation, Scope
from pdms.unit_of_work import UnitFactory
from pdms.vault import service as vault
from pdms.views.definitions import categories_of, space_of, view_of
from pdms.views.linting import Column, Columns, LintReport, findings, findings_on_data, report

if TYPE_CHECKING:
    from pdms.features.service import Computed


def lint_on_data(units: UnitFactory, *, view: str) -> LintReport:
    """Lint a view of the policy on the members that are eligible now (scope: compliance).

    :raises NotFound: no such view. :raises Denied: the purpose, the actor or the assessment does not allow a release.
    """
    with units() as uow:
        uow.require(Scope.COMPLIANCE, Scope.ADMIN)
        definition = view_of(uow.policy, view)
        policy, home, now = uow.policy, uow.home, uow.now
        found = list(findings(policy, definition))
        space_of(policy, view)
        gate.release_permit(uow, view=view)
        purpose, categories = definition.purpose, categories_of(policy, definition)
        eligible = gate.eligible(uow, purpose=purpose, operation=Operation.PROFILE, categories=categories)
        pseudonyms = list(vault.pseudonyms_of(uow, eligible.member_ids).values())
    computed = features.compute_at(home, policy, view=definition, pseudonyms=pseudonyms, now=now)
    columns = counted(policy, view, computed)
    return report([view], [*found, *findings_on_data(definition, columns)], measured=True)


def counted(policy: Policy, view: str, computed: "Computed") -> Columns:
    """Return how many subjects of a computed view each leaf holds."""
    import numpy as np

    table = computed.frequency
    columns = []
    for place, (name, hierarchy) in enumerate(space_of(policy, view).items()):
        members = np.bincount(table.codes[:, place], weights=table.counts, minlength=len(hierarchy.leaves))
        columns.append(
            Column(name, hierarchy.leaves, tuple(int(one) for one in members), computed.uncovered.get(name, 0))
        )
    return Columns(view, table.rows, tuple(columns))
