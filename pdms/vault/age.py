"""When a member becomes 14 and 18, and which stage of life that makes today. Pure.

Guarantees: dates are rounded up to the first of the following month, so that nobody counts as older than they are
(PIPL-31-1, MIN-24-3; the law counts full years from the day after the birthday); a date that already passed is stored
as one sentinel, so that an adult's birth date cannot be read from the columns. A minor's birth month can: the gate
must know the day on which they stop being one.
"""

from collections.abc import Mapping
from datetime import date

from pdms.taxonomy import AgeStage

PASSED = date(1900, 1, 1)
"""Stands for every turning date that lay in the past when it was written."""

CHILD_BELOW = 14
MINOR_BELOW = 18

BIRTH_DATE = "birth_date"
ID_NUMBER = "id_number"
_ID_DIGITS = 18


def age_stage(turns_14: date | None, turns_18: date | None, today: date) -> AgeStage:
    """Return the stage on the legal day `today` (Asia/Shanghai)."""
    if turns_14 is None or turns_18 is None:
        return AgeStage.UNKNOWN
    if today < turns_14:
        return AgeStage.CHILD
    return AgeStage.MINOR if today < turns_18 else AgeStage.ADULT


def birth_text(fields: Mapping[str, str]) -> str:
    """Return the birth date (`YYYY-MM-DD`) that the fields speak of, "" where none does."""
    return latest_birth(fields.get(BIRTH_DATE, ""), fields.get(ID_NUMBER, ""))


def latest_birth(birth_date: str, id_number: str) -> str:
    """Return the birth date that a date field and a resident ID speak of, "" where neither does.

    Where the two differ the later counts, since the younger age protects more.
    """
    if len(id_number) != _ID_DIGITS or not id_number[6:14].isdigit():
        return birth_date
    return max(birth_date, f"{id_number[6:10]}-{id_number[10:12]}-{id_number[12:14]}")


def turning_dates(birth: str, today: date) -> tuple[date | None, date | None]:
    """Return (turns_14, turns_18) to store for a birth date `YYYY-MM-DD`; (None, None) where it is "".

    :raises ValueError: `birth` is no date.
    """
    if not birth:
        return None, None
    born = date.fromisoformat(birth)
    return _turning(born, CHILD_BELOW, today), _turning(born, MINOR_BELOW, today)


def _turning(born: date, years: int, today: date) -> date:
    year, month = born.year + years, born.month + 1
    turned = date(year + 1, 1, 1) if month > 12 else date(year, month, 1)
    return PASSED if turned <= today else turned


def passed_before(years: int, today: date) -> str:
    """Return the last birth month (`YYYY-MM`) whose turning date lies in the past: a fast test for whole columns."""
    year, month = today.year - years, today.month - 1
    return f"{year - 1:04d}-12" if month == 0 else f"{year:04d}-{month:02d}"
