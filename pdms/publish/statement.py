"""What a publication says of itself: the exact manifest, drawn up from what was taken and what was made of it.

Guarantee: every number in it was counted by the gate or measured on the published bytes; nothing is computed here.
Pure but for the instant and the policy, which are the unit's.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pdms.anonymize.hierarchies import Hierarchy
from pdms.policy.canonical import digest_of, plain
from pdms.policy.definitions import View
from pdms.publish import ledger
from pdms.publish.manifest import ConsentCheckpoint, InformationLoss, Linked, Manifest, Risks, Together
from pdms.taxonomy import Pseudonym
from pdms.unit_of_work import UnitOfWork
from pdms.views.definitions import measure_of, order_of, space_of

if TYPE_CHECKING:
    from pdms.anonymize.ledger_check import Composite
    from pdms.anonymize.loss import Loss
    from pdms.gate.service import Eligible
    from pdms.publish.release import Made


@dataclass(frozen=True, slots=True)
class Taken:
    """The eligible set at one moment."""

    eligible: "Eligible"
    pseudonyms: list[Pseudonym]
    checkpoint: ConsentCheckpoint | None
    out: ledger.Standing
    """What is out of the view's family."""
    counted: ledger.Standing
    """The same without honey members."""


def coarsened(view: View) -> list[str]:
    """Return the features that are quasi-identifiers, in the view's order."""
    sensitive = None if view.sensitive is None else view.sensitive.feature
    return [feature.name for feature in view.features if feature.name != sensitive]


def of_rows(view: View, loss: "Loss") -> dict[str, float]:
    """Return the NCP of each feature over the rows that are published: less who stays out, each counted as 1."""
    rows = loss.rows - loss.suppressed
    lost = [max(0.0, share * loss.rows - loss.suppressed) for share in loss.ncp_by_attribute]
    return {name: total / rows if rows else 0.0 for name, total in zip(coarsened(view), lost, strict=True)}


def of_sensitive(view: View, reached: Mapping[str, float], space: Mapping[str, Hierarchy]) -> dict[str, object] | None:
    """Return what was asked of the sensitive feature, what it reached, and the order that distances go by."""
    if view.sensitive is None:
        return None
    said: dict[str, object] = {"required": plain(view.sensitive), "reached": reached}
    if view.sensitive.t is not None and view.sensitive.distance == "ordered":
        order, absent = order_of(space[view.sensitive.feature])
        said |= {"order": list(order), "absent": absent}
    return said


def draw_up(
    uow: UnitOfWork,
    view: View,
    *,
    release_id: str,
    permit: str,
    taken: Taken,
    uncovered: dict[str, int],
    made: "Made",
    reached: "Composite",
    linked: Linked,
) -> Manifest:
    """Return the exact manifest of a release of `view`.

    :param reached: with all that is out of its family, :param linked: and of others, both counted independently.
    """
    return Manifest(
        release_id=release_id,
        view=view.name,
        purpose=view.purpose,
        created_at=uow.now,
        expires_at=uow.now + timedelta(days=view.expiry_days),
        policy_digest=uow.policy.digest,
        view_digest=digest_of(view),
        numbers=view.numbers,
        permit=permit,
        checkpoint=taken.checkpoint,
        members=taken.eligible.total,
        eligible=len(taken.pseudonyms),
        eligible_digest=taken.eligible.digest,
        excluded=dict(taken.eligible.excluded),
        features=tuple(
            {
                "name": feature.name,
                "measure": feature.measure,
                "meaning": measure_of(view.name, feature).meaning,
                "unit": feature.unit,
                "edges": list(feature.edges) if feature.edges else None,
                "hierarchy": feature.hierarchy,
            }
            for feature in view.features
        ),
        window_days=view.window_days,
        uncovered=uncovered,
        rows=made.measured.rows,
        suppressed=made.suppressed,
        suppression_limit=view.suppression_limit,
        classes=made.measured.classes,
        k=made.measured.k,
        k_required=view.k,
        min_cell=view.min_cell,
        loss=InformationLoss(
            ncp=made.loss.ncp,
            ncp_by_feature=dict(zip(coarsened(view), made.loss.ncp_by_attribute, strict=True)),
            average_class_size=made.loss.average_class_size,
            discernibility=made.loss.discernibility,
            of_rows=of_rows(view, made.loss),
        ),
        risks=Risks(
            prosecutor_max=made.risk.prosecutor_max,
            prosecutor_average=made.risk.prosecutor_average,
            journalist_max=made.risk.journalist_max,
            journalist_average=made.risk.journalist_average,
            marketer=made.risk.marketer,
            threshold=view.risk_threshold,
        ),
        level=made.level,
        algorithm=made.algorithm,
        algorithm_asked=view.algorithm,
        data_sha256=made.sha256,
        average_risk_required=view.average_risk,
        linked=linked,
        sensitive=of_sensitive(view, made.reached, space_of(uow.policy, view.name)),
        together=Together(
            family=taken.out.family,
            releases=taken.out.releases,
            k=reached.k,
            rows=reached.rows,
            held_back=asdict(made.grouped.held_back),
        ),
    )
