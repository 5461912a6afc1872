"""`/v1/reports`: what the compliance officer reads. Exact numbers, no member."""

from typing import Any

from pdms.api.caller import AdminOrCompliance, Compliance
from pdms.api.edge import edge
from pdms.api.guarded import router
from pdms.consent.service import CoverageRow
from pdms.reports import consents, keys
from pdms.reports.keys import KeyOverview
from pdms.rights import service as rights
from pdms.rights.service import HeldMonth

routes = router("reports")


@routes.get("/consent", summary="Consent coverage", response_model=list[edge(CoverageRow)])  # type: ignore[misc]
def consent_coverage(caller: Compliance) -> Any:
    """Members by purpose, notice version, language, channel and state. Reading it is in the audit log."""
    return caller.read(consents.coverage)


@routes.get("/held-records", summary="Statutory holds", response_model=list[edge(HeldMonth)])  # type: ignore[misc]
def held_records(caller: Compliance) -> Any:
    """Records kept by statute after erasures, by month of expiry and article; nothing of their content."""
    return caller.read(rights.held_overview)


@routes.get("/keys", summary="State of the keys", response_model=edge(KeyOverview))
def key_overview(caller: AdminOrCompliance) -> Any:
    """Where the root key lies, how many members' keys there are, and from when erasures hold for backups."""
    return caller.read(keys.overview, root_uri=caller.app.root_uri)
