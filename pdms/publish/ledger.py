"""The release ledger: which classes each subject held in the releases of a family that are out. Inside the boundary.

Guarantees: it changes in the commit that publishes a release or erases a member, never apart from it; a change that
crosses another is refused by its version. A release stands in it until nobody can hold a copy: it has expired, or it
can be read no more and every consumer who read it acknowledged that nothing is left (`views.copies`). Of an erased
member it keeps a count beside a row of classes, since copies that hold them are out still, and nothing that names them.
Size: 20 bytes a subject, whatever the number of releases, and a row of classes for each k subjects.
Deliberately not here: what a partition beside them must be (`anonymize.ledger`).
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import and_, col, delete, func, insert, select, update

from pdms.errors import Denied
from pdms.policy.definitions_views import MOST_EXPIRY_DAYS, View
from pdms.policy.reasons import reason
from pdms.publish.tables import LedgerFamily, LedgerPage, Publication
from pdms.taxonomy import ID_BYTES, Pseudonym
from pdms.unit_of_work import UnitOfWork
from pdms.views import copies
from pdms.views import service as views
from pdms.views.definitions import readers_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement

    from pdms.anonymize.ledger_rows import Rows

PUBLISHED = "published"
"""State of a publication that became a release."""
LONGEST = timedelta(days=MOST_EXPIRY_DAYS + 1)
"""No release is out for longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What is out of one family.

    `releases`: ids, in the order of the columns of `rows`; `k`: greatest class size that one of them promised;
    `subjects`: bytes16 [subjects], pseudonyms ascending; `row_of`: int64 [subjects], the row each holds.
    """

    family: str
    version: int
    releases: tuple[str, ...]
    k: int
    rows: "Rows"
    subjects: "NDArray[np.bytes_]" = field(repr=False)
    row_of: "NDArray[np.int64]" = field(repr=False)

    def rows_of(self, subjects: "NDArray[np.bytes_]") -> "NDArray[np.int64]":
        """Return int64 [subjects]: the row that each of any subjects holds, -1 for none."""
        import numpy as np

        found = np.full(len(subjects), -1, dtype=np.int64)
        if len(self.subjects):
            place = np.minimum(np.searchsorted(self.subjects, subjects), len(self.subjects) - 1)
            known = self.subjects[place] == subjects
            found[known] = self.row_of[place[known]]
        return found


def pseudonyms_array(pseudonyms: Iterable[bytes]) -> "NDArray[np.bytes_]":
    """Return pseudonyms as bytes16 [subjects], which compare as they sort."""
    import numpy as np

    return np.frombuffer(b"".join(pseudonyms), dtype=f"S{ID_BYTES}")


def standing(uow: UnitOfWork, *, family: str, view: str | None = None, only: Collection[str] | None = None) -> Standing:
    """Return what is out of `family`, releases that are over left out.

    :param view: view about to be published: its former release ends with that, so that it is over if nobody read it.
    :param only: releases of interest; None: all.
    :raises Denied: LEDGER_UNKNOWN_RELEASE, a release is out of which the ledger does not know who is in it.
    """
    from pdms.anonymize.ledger_rows import with_releases_only

    kept = _read(uow, family)
    out = _out(uow, family, view)
    if not set(out) <= set(kept.releases) or (view is not None and _elsewhere(uow, family, view)):
        raise Denied(
            "a release is out that the ledger does not know",
            reasons=(reason("LEDGER_UNKNOWN_RELEASE"),),
            code="RELEASE_REFUSED",
        )
    places = [place for place, one in enumerate(kept.releases) if one in out and (only is None or one in only)]
    rows, row_of = with_releases_only(kept.rows, kept.row_of, places)
    here = row_of >= 0
    return replace(
        kept,
        releases=tuple(kept.releases[place] for place in places),
        k=max((out[kept.releases[place]] for place in places), default=0),
        rows=rows,
        subjects=kept.subjects[here],
        row_of=row_of[here],
    )


def beside(uow: UnitOfWork, view: View) -> dict[str, frozenset[str]]:
    """Return, by family, the releases of other families that are out and that a reader of `view` may hold, too."""
    family = func.coalesce(Publication.family, Publication.view)
    query = select(Publication.release_id, Publication.view, family).where(
        family != view.family_name, col(Publication.state) == PUBLISHED, col(Publication.ended_at) > uow.now - LONGEST
    )
    named = {release_id: (name, of) for release_id, name, of in uow.session.exec(query)}
    readers, found = readers_of(uow.policy, view), dict[str, set[str]]()
    for release_id in _may_be_out(uow, frozenset(named), None):
        name, of = named[release_id]
        other = uow.policy.views.get(name)
        if other is None or readers & readers_of(uow.policy, other):  # who read a view that was dropped is not known
            found.setdefault(of, set()).add(release_id)
    return {of: frozenset(ids) for of, ids in sorted(found.items())}


def without(before: Standing, decoys: Collection[bytes]) -> Standing:
    """Return what is out, honey members not counted: nobody hides behind one."""
    import numpy as np

    real = ~np.isin(before.subjects, pseudonyms_array(sorted(decoys)))
    return replace(before, subjects=before.subjects[real], row_of=before.row_of[real])


def with_release(
    before: Standing, *, release_id: str, subjects: "NDArray[np.bytes_]", class_of: "NDArray[np.int64]"
) -> Standing:
    """Return what is out once a release is: `subjects` ascending held `class_of` (-1: none) in it."""
    import numpy as np

    from pdms.anonymize.ledger_rows import with_release as add

    everybody = np.union1d(before.subjects, subjects[class_of >= 0])
    held = np.full(len(everybody), -1, dtype=np.int64)
    inside = class_of >= 0
    held[np.searchsorted(everybody, subjects[inside])] = class_of[inside]
    rows, row_of = add(before.rows, before.rows_of(everybody), held)
    return replace(before, releases=(*before.releases, release_id), rows=rows, subjects=everybody, row_of=row_of)


def stands(uow: UnitOfWork, after: Standing, *, view: str) -> bool:
    """Tell whether `after`, a release of `view` more, still names all that is out. Call with releases held alone.

    A copy may be taken, and its release end, while a release is made: then it is out though nothing was written here.
    """
    row = uow.session.exec(select(LedgerFamily).where(col(LedgerFamily.family) == after.family)).one_or_none()
    version = 0 if row is None else row.version
    out = set(_out(uow, after.family, view))
    return version == after.version and out <= set(after.releases) and not _elsewhere(uow, after.family, view)


def write(uow: UnitOfWork, after: Standing) -> bool:
    """Put `after` in place of the version that it was made from; False where that has changed meanwhile."""
    import numpy as np

    values = {
        "version": after.version + 1,
        "releases": json.dumps(after.releases),
        "classes": after.rows.classes.astype("<i4").tobytes(),
        "erased": after.rows.erased.astype("<i8").tobytes(),
    }
    if not _moved(uow, after.family, after.version, values):
        return False
    uow.session.execute(delete(LedgerPage).where(col(LedgerPage.family) == after.family))
    first = np.frombuffer(after.subjects.tobytes(), dtype=np.uint8)[::ID_BYTES]
    starts = np.searchsorted(first, np.arange(257))
    pages = [
        {
            "family": after.family,
            "page": page,
            "subjects": after.subjects[starts[page] : starts[page + 1]].tobytes(),
            "rows": after.row_of[starts[page] : starts[page + 1]].astype("<i4").tobytes(),
        }
        for page in range(256)
        if starts[page] < starts[page + 1]
    ]
    if pages:
        uow.session.execute(insert(LedgerPage), pages)
    return True


def forget(uow: UnitOfWork, pseudonym: Pseudonym, *, counted: bool = True) -> int:
    """Take a subject who is being erased out of every family; return of how many. Counts stay: see the module.

    :param counted: False for a honey member, behind whom nobody hides, erased or not.
    """
    import numpy as np

    from pdms.anonymize.ledger_rows import without_subject

    gone = 0
    families = select(LedgerFamily).order_by(col(LedgerFamily.family)).with_for_update()
    by_name = {row.family: row for row in uow.session.exec(families)}  # before the pages, as `write` does
    pages = select(LedgerPage).where(col(LedgerPage.page) == pseudonym[0]).order_by(col(LedgerPage.family))
    for page in uow.session.exec(pages).all():
        subjects = np.frombuffer(page.subjects, dtype=f"S{ID_BYTES}")
        numbers = np.frombuffer(page.rows, dtype="<i4")
        place = np.flatnonzero(subjects == np.bytes_(pseudonym))
        if not len(place):
            continue
        row = int(numbers[place[0]])
        page.subjects = np.delete(subjects, place).tobytes()
        page.rows = np.delete(numbers, place).tobytes()
        uow.session.add(page)
        family = by_name[page.family]
        if counted:
            family.erased = without_subject(_rows(family), row).erased.astype("<i8").tobytes()
        family.version += 1
        uow.session.add(family)
        gone += 1
    uow.session.flush()
    return gone


def prune(uow: UnitOfWork) -> int:
    """Remove from the ledger the releases that are over; return how many. Begin on the anonymised database first."""
    removed = 0
    for family in sorted(set(uow.session.exec(select(LedgerFamily.family)))):
        before = _read(uow, family)
        if not set(before.releases) - set(_out(uow, family, None)):
            continue
        try:
            after = standing(uow, family=family)
        except Denied:  # a release that nobody entered is out; what is known stays until it is over
            continue
        if write(uow, after):
            removed += len(before.releases) - len(after.releases)
    return removed


def _out(uow: UnitOfWork, family: str, view: str | None) -> dict[str, int]:
    """Return the releases that somebody may hold, with the class size each promised."""
    return _may_be_out(uow, _published(uow, func.coalesce(Publication.family, Publication.view) == family), view)


def _may_be_out(uow: UnitOfWork, named: frozenset[str], view: str | None) -> dict[str, int]:
    # one that the anonymised side never heard of will be live: a crash fell between the commits of its outcome
    unheard = named - views.known_among(uow, named)
    return _unexpired(uow, unheard | named & (copies.outstanding(uow) | views.live_but(uow, view=view)))


def _elsewhere(uow: UnitOfWork, family: str, view: str) -> bool:
    """Tell whether a consumer may hold a release of this view that was made in another family."""
    other = and_(col(Publication.view) == view, func.coalesce(Publication.family, Publication.view) != family)
    return bool(_unexpired(uow, _published(uow, other) & copies.outstanding(uow)))


def _published(uow: UnitOfWork, asked: "ColumnElement[bool]") -> frozenset[str]:
    """Return the ids of the publications `asked` for that by their age could be out: of history no more is read."""
    young = col(Publication.ended_at) > uow.now - LONGEST
    query = select(Publication.release_id).where(asked, col(Publication.state) == PUBLISHED, young)
    return frozenset(uow.session.exec(query))


def _unexpired(uow: UnitOfWork, ids: Collection[str]) -> dict[str, int]:
    """Return which of some publications have not expired, with the class size each promised."""
    query = select(Publication).where(col(Publication.release_id).in_(ids))
    manifests = {row.release_id: json.loads(row.manifest or "{}") for row in uow.session.exec(query)}
    return {
        release_id: int(manifest["k_required"])
        for release_id, manifest in manifests.items()
        if datetime.fromisoformat(manifest["expires_at"]) > uow.now
    }


def _read(uow: UnitOfWork, family: str) -> Standing:
    import numpy as np

    from pdms.anonymize.ledger_rows import Rows

    row = uow.session.exec(select(LedgerFamily).where(col(LedgerFamily.family) == family)).one_or_none()
    if row is None:
        nobody = pseudonyms_array(())
        return Standing(family, 0, (), 0, Rows.none(), nobody, np.zeros(0, dtype=np.int64))
    query = select(LedgerPage).where(col(LedgerPage.family) == family).order_by(col(LedgerPage.page))
    pages = uow.session.exec(query).all()
    return Standing(
        family=family,
        version=row.version,
        releases=tuple(json.loads(row.releases)),
        k=0,
        rows=_rows(row),
        subjects=pseudonyms_array(page.subjects for page in pages),
        row_of=np.frombuffer(b"".join(page.rows for page in pages), dtype="<i4").astype(np.int64),
    )


def _rows(row: LedgerFamily) -> "Rows":
    import numpy as np

    from pdms.anonymize.ledger_rows import Rows

    erased = np.frombuffer(row.erased, dtype="<i8").astype(np.int64)
    releases = len(json.loads(row.releases))
    classes = np.frombuffer(row.classes, dtype="<i4").astype(np.int32).reshape(len(erased), releases)
    return Rows(classes, erased)


def _moved(uow: UnitOfWork, family: str, version: int, values: dict[str, Any]) -> bool:
    """Write the family's row if it still has `version`; 0 is a family that has none yet."""
    at = (col(LedgerFamily.family) == family, col(LedgerFamily.version) == version)
    if uow.session.execute(update(LedgerFamily).where(*at).values(**values)).rowcount == 1:  # type: ignore[attr-defined]  # an UPDATE has it
        return True
    if version != 0 or uow.session.exec(select(LedgerFamily).where(at[0])).one_or_none() is not None:
        return False
    uow.session.add(LedgerFamily(family=family, **values))
    uow.session.flush()
    return True
