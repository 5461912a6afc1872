"""Every member of a home, opened: to be compared with what they were."""

from pdms.bootstrap.app import App
from pdms.taxonomy import MemberId
from pdms.unit_of_work import Actor
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, open_member


def opened(app: App, *, but: MemberId) -> dict[str, dict[str, str]]:
    """Return all fields of every member but one, by the shop's number."""
    with app.unit(Actor.system(), read_only=True) as uow:
        run = uow.session.connection().exec_driver_sql
        ids = [MemberId(one) for (one,) in run("SELECT member_id FROM member WHERE status <> 'erased'").all()]
        deks, codes = uow.keys.deks(ids), FieldCodes(uow.policy)
        found = [codes.named(open_member(deks[one], stored_member(uow, one).sealed)) for one in ids if one != but]
    return {fields["external"]: dict(fields) for fields in found}
