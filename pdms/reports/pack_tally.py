"""Counts of a period, taken while its events go by: what the readable summary of a pack shows."""

import json
from collections import Counter
from datetime import UTC, datetime

from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI


class Tally:
    """Counts by day and kind, of decisions by purpose, of refusals by reason, of consents by purpose and state."""

    def __init__(self, *, since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        self.events = self.shredded = self.outside = self.consents = 0
        self.kinds: Counter[str] = Counter()
        self.days: Counter[str] = Counter()
        """Day in Shanghai → events."""
        self.decisions: Counter[tuple[str, str]] = Counter()
        """(purpose, outcome) → decisions about one member or about a set."""
        self.reasons: Counter[str] = Counter()
        self.states: Counter[tuple[str, str]] = Counter()

    def event(self, body: bytes | None) -> None:
        """Hear of one leaf. :param body: its event; None where the opening is gone."""
        if body is None:
            self.shredded += 1
            return
        event = json.loads(body)
        at = datetime.fromisoformat(event["at"])
        if not self.since <= at < self.until:
            self.outside += 1
            return
        self.events += 1
        kind = event["kind"]
        self.kinds[kind] += 1
        self.days[at.astimezone(UTC).astimezone(SHANGHAI).date().isoformat()] += 1
        if kind in (EventKind.PERMIT, EventKind.DENIAL):
            self.decisions[event.get("purpose", ""), event["outcome"]] += 1
        if kind in (EventKind.DENIAL, EventKind.SEND_DENIED):
            self.reasons.update(event.get("reasons", ()))

    def consent(self, purpose: str, state: str) -> None:
        """Hear of one consent as it stands at the end."""
        self.consents += 1
        self.states[purpose, state] += 1
