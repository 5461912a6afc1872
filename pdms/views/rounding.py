"""How counts look to marketing: to the nearest ten, and below the smallest cell only as that.

Guarantee: one member more or less never shows as one (what marketing sees of a count moves by `BASE` or not at all).
Deliberately not here: noise and budgets, which stand against many questions about one population.
"""

BASE = 10


def rounded(number: int, *, min_cell: int) -> dict[str, int]:
    """Return `{"about": n}`, rounded half up to `BASE`, or `{"below": min_cell}`."""
    if number < min_cell:
        return {"below": min_cell}
    return {"about": (number + BASE // 2) // BASE * BASE}
