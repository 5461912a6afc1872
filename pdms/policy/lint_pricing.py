"""Lint of prices: what is known of a member makes none (PIPL-24-1, ALG-21).

Guarantee: a purpose that makes prices, under whatever name, has no category of member data, profiles nobody, takes
public inputs only, and no role that holds it reads a view or holds a purpose that profiles. Pure.
Deliberately not here: the prices themselves; pdms makes none, and does not see what a shop computes beside it.
"""

from collections.abc import Iterator

from pdms.policy.definitions import Policy, Purpose
from pdms.taxonomy import Operation

PERSONALISED = (Operation.PROFILE, Operation.ADM)
TAINTED = frozenset({"behaviour", "personalisation", "demographic"})
PUBLIC = frozenset({"sku", "public_rule", "stock", "campaign"})


def prices(purpose: Purpose) -> bool:
    """Return whether a purpose makes prices: it is called so, or states what its prices are made of."""
    return purpose.name == "pricing" or bool(purpose.inputs)


def pricing_problems(policy: Policy) -> Iterator[str]:
    """Yield every way in which the policy lets a profile, tag or segment into a price."""
    pricing = [purpose for purpose in policy.purposes.values() if prices(purpose)]
    for purpose in pricing:
        yield from _purpose(purpose, f"policy.yaml: purposes.{purpose.name}")
    made = {purpose.name for purpose in pricing}
    for name, role in policy.roles.items():
        if not made.intersection(role.purposes):
            continue
        held = (policy.purposes[one] for one in role.purposes if one in policy.purposes)
        if any(set(one.operations) & set(PERSONALISED) for one in held):
            yield f"policy.yaml: roles.{name}.purposes: who makes prices profiles nobody (PIPL-24-1)"
        for view in policy.views.values():
            if name in view.consumers:
                yield f"views/{view.name}.yaml: consumers: {name} makes prices and reads no view (PIPL-24-1)"


def _purpose(purpose: Purpose, place: str) -> Iterator[str]:
    if purpose.categories or set(purpose.operations) & set(PERSONALISED):
        yield f"{place}.categories: a price is made without any data of the member (PIPL-24-1)"
    if missing := TAINTED - set(purpose.forbid_categories):
        yield f"{place}.forbid_categories: must name {', '.join(sorted(missing))} (PIPL-24-1)"
    if not purpose.inputs or set(purpose.inputs) - PUBLIC:
        yield f"{place}.inputs: sku, public_rule, stock and campaign only; no tag, segment or view (PIPL-24-1)"
