"""Where time comes from. Services take the instant from their unit of work; nothing below a face reads the clock."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""Legal days begin and end here."""


def day_in_shanghai(at: datetime) -> str:
    """Return the legal day on which an instant lies, `2027-06-26`."""
    return at.astimezone(SHANGHAI).date().isoformat()


class Clock(Protocol):
    """Gives the current instant, always aware and in UTC."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that stands still until it is moved: for tests, and for stories told on a stated day."""

    instant: datetime

    def __post_init__(self) -> None:
        if self.instant.tzinfo is None:
            raise ValueError("a clock needs an aware instant")

    def now(self) -> datetime:
        """Return the set instant in UTC."""
        return self.instant.astimezone(UTC)
