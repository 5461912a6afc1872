"""`/v1/reports`: what the compliance officer reads. Exact numbers, no member."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field

from pdms.api.caller import AdminOrCompliance, Compliance
from pdms.api.edge import edge
from pdms.api.fields import Body
from pdms.api.guarded import router
from pdms.consent.service import CoverageRow
from pdms.reports import consents, keys, leakage
from pdms.reports.keys import KeyOverview
from pdms.reports.leakage import Leakage
from pdms.rights import service as rights
from pdms.rights.service import HeldMonth, HeldRecord

routes = router("reports")
HeldPath = Annotated[str, Path(pattern="^held-[0-9a-f]{32}$", description="Id of a held record.")]


class HeldOrder(Body):
    """The order that a case is about."""

    order: str = Field(min_length=1, max_length=64, examples=["B0001234"])


class Case(Body):
    """For which case a held record is opened."""

    ticket: str = Field(pattern="^[A-Z]{2,10}-[0-9]{1,6}$", examples=["CASE-1234"])


@routes.get("/consent", summary="Consent coverage", response_model=list[edge(CoverageRow)])  # type: ignore[misc]
def consent_coverage(caller: Compliance) -> Any:
    """Members by purpose, notice version, language, channel and state. Reading it is in the audit log."""
    return caller.read(consents.coverage)


@routes.get("/held-records", summary="Statutory holds", response_model=list[edge(HeldMonth)])  # type: ignore[misc]
def held_records(caller: Compliance) -> Any:
    """Records kept by statute after erasures, by month of expiry and article; nothing of their content."""
    return caller.read(rights.held_overview)


@routes.post("/held-records/searches", summary="Find held records", response_model=list[edge(HeldRecord)])  # type: ignore[misc]
def find_held(caller: Compliance, body: HeldOrder) -> Any:
    """What is held of one order, by the number that an authority or the subject names; opens nothing."""
    return caller.read(rights.find_held, order=body.order)


@routes.post("/held-records/{held_id}/openings", summary="Open a held record", response_model=dict[str, Any])
def open_held(caller: Compliance, held_id: HeldPath, body: Case) -> Any:
    """Opens one record for a regulator, a tax office or a court; the case is named in the audit log."""
    return caller.run(rights.open_held, held_id=held_id, ticket=body.ticket)


@routes.get("/keys", summary="State of the keys", response_model=edge(KeyOverview))
def key_overview(caller: AdminOrCompliance) -> Any:
    """Where the root key lies, how many members' keys there are, and from when erasures hold for backups."""
    return caller.read(keys.overview)


@routes.get("/leakage", summary="What the indexes tell", response_model=edge(Leakage))
def index_leakage(caller: AdminOrCompliance) -> Any:
    """What a thief of the database alone learns from the look-up and search indexes held, one by one and together."""
    return caller.read(leakage.leakage)
