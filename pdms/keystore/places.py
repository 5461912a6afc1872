"""What wrapped keys are bound to: whose key, which version of it, under which epoch."""

import struct
from datetime import UTC, datetime
from typing import Final

PLACE: Final = struct.Struct(">II")
"""Version and epoch."""
FIRST_VERSION: Final = 1


def system_context(use: str, version: int, epoch: int) -> bytes:
    """Return what a wrapped system key is bound to."""
    return PLACE.pack(version, epoch) + use.encode()


def month_context(month: str, epoch: int) -> bytes:
    """Return what the wrapped key of a held month is bound to."""
    return PLACE.pack(0, epoch) + month.encode()


def stored(at: datetime) -> str:
    """Return an instant as `UtcDateTime` stores it, for statements that go to the driver directly."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
