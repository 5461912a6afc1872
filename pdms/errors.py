"""The one error tree, and the one table that maps it to HTTP status and exit code.

A message names the field and the rule, never the value: errors travel to logs, terminals and API clients, and a value
may be a member's own data (PIPL-51-3).
"""

from dataclasses import dataclass


class PdmsError(Exception):
    """Root of every error that pdms raises on purpose."""

    title = "error"

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.title.upper().replace(" ", "_")


class InvalidInput(PdmsError):
    """The caller sent something that breaks a stated rule."""

    title = "invalid input"


class Unauthenticated(PdmsError):
    """Nobody knows who is asking."""

    title = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a use was refused: a registered code, the article it stands on, and a sentence without any value."""

    code: str
    article: str = ""
    detail: str = ""

    def __str__(self) -> str:
        tail = f" ({self.article})" if self.article else ""
        return f"{self.code}{tail}" + (f": {self.detail}" if self.detail else "")


class Denied(PdmsError):
    """The asker is known, the answer is no; every reason is named."""

    title = "denied"

    def __init__(self, message: str, *, reasons: tuple[Reason, ...] = (), code: str = "") -> None:
        super().__init__(message, code=code)
        self.reasons = reasons


class NotFound(PdmsError):
    """Nothing of that name is here."""

    title = "not found"


class Conflict(PdmsError):
    """The state of things does not allow it now."""

    title = "conflict"


class IntegrityBroken(PdmsError):
    """Stored bytes are not what was stored: tampered, truncated, swapped or rolled back."""

    title = "integrity broken"


class KeyUnavailable(PdmsError):
    """A key is missing, destroyed, or its root cannot be reached."""

    title = "key unavailable"


@dataclass(frozen=True, slots=True)
class Mapping:
    """What one error family looks like outside."""

    status: int
    exit_code: int


FAMILIES: dict[type[PdmsError], Mapping] = {
    InvalidInput: Mapping(status=422, exit_code=2),
    Unauthenticated: Mapping(status=401, exit_code=3),
    Denied: Mapping(status=403, exit_code=4),
    NotFound: Mapping(status=404, exit_code=5),
    Conflict: Mapping(status=409, exit_code=6),
    IntegrityBroken: Mapping(status=500, exit_code=7),
    KeyUnavailable: Mapping(status=503, exit_code=8),
}

EXIT_REJECTED_ROWS = 9
"""Exit code of `--strict` when some rows were rejected; without it, rejected rows leave exit code 0."""


def mapping_of(error: PdmsError) -> Mapping:
    """Return the outside mapping of `error`, found by its family."""
    for family, mapping in FAMILIES.items():
        if isinstance(error, family):
            return mapping
    return Mapping(status=500, exit_code=1)
