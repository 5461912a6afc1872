"""How the files of a shop are understood, as plain frozen definitions, which `definitions` gives to the packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pdms.taxonomy import Language


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """How one column of a source file is understood."""

    column: str
    """Header in the file."""
    target: str
    """`key.member`, `field.<member field>`, a column of the kind (`placed_at`, `amount`, …), or `ignore`."""
    format: str | None = None
    """strptime form of a date or instant, or a unit (`cents`), where the normaliser needs one."""
    values: Mapping[str, str] | None = None
    """Translation of coded values."""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of file from one system of the shop."""

    name: str
    kind: Literal["members", "orders", "order_lines", "events", "interactions", "consents"]
    system: str
    """Namespace of external ids: the same member number in two systems is two members."""
    columns: tuple[SourceColumn, ...]
    timezone: str
    currency: str | None
    evidence: str | None
    """Where the evidence of imported consents lies (consents only)."""
    defaults: Mapping[str, str]
    """Target → constant, for what the file does not say."""
    make_orders: bool = False
    """Kind `order_lines` only: no orders file exists, an order is the sum of its lines."""
    notice: str | None = None
    """Kind `members` only: the shop states that each member was shown this notice (adult audience) when registering."""
    notice_language: Language = Language.ZH
