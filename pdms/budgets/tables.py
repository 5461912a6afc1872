"""Budgets in `anon.db`: what was charged, and the noised answers. No exact number ever lies here."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, UniqueConstraint
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import AnonTable


class PopulationRow(AnonTable, table=True):
    """A population that was ever charged: the row that whoever charges holds."""

    __tablename__ = "budget_population"

    population: str = Field(primary_key=True)


class ChargeRow(AnonTable, table=True):
    """One charge and, once it was drawn, its answer: never more than one."""

    __tablename__ = "budget_charge"
    __table_args__ = (UniqueConstraint("population", "question"),)

    population: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    """1, 2, … within the population."""
    period: str = Field(index=True)
    """As `periods.Period.name`, when it was charged; what it counts against goes by `charged_at`."""
    kind: str
    question: str
    """SHA-256 of `about`, hex."""
    about: str
    """The canonical question, JSON: what was asked, of which view, and the release that it is answered once for."""
    nano_rho: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Billionths of rho, rounded up: sums are exact."""
    charged_at: datetime = Field(sa_type=UtcDateTime)
    charged_by: str
    answer: str | None = None
    """The noised answer, JSON; NULL: charged, and nothing was told yet."""
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
