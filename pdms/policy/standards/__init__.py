"""Hierarchies of public standards that pdms ships beside the policy: a policy takes over what its views use.

Guarantee: the files are what `scripts/hierarchies.py` makes from the sources that head each of them. What no view uses
stays out of the policy and its digest. Deliberately not here: parsing; `anonymize.hierarchy_files` reads them.
"""

from importlib import resources

_FOLDER = resources.files(__name__)


def names() -> tuple[str, ...]:
    """Return the names of the standards, in order."""
    return tuple(sorted(item.name.removesuffix(".csv") for item in _FOLDER.iterdir() if item.name.endswith(".csv")))


def content_of(name: str) -> bytes | None:
    """Return the file of a standard; None where there is none of that name."""
    return (_FOLDER / f"{name}.csv").read_bytes() if name in names() else None
