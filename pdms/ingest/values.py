"""Values of facts: instants, amounts, quantities, codes. Scalar and pure.

Guarantees: an instant without offset is read in the source's zone and comes out in UTC; an amount is a decimal and
never a float; what does not fit its column is refused by rule, not rounded out of sight (amounts are rounded to cents,
half up, since shops quote unit prices finer than that).
"""

import re
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from pdms.ingest.normalise import Broken, clean

Reader = Callable[[str], object]
"""Takes a value as the file has it, returns it typed, None where it is empty. Raises `Broken`."""

CENT: Final = Decimal("0.01")
_MONEY_LIMIT: Final = Decimal(10) ** 16
_QUANTITY_LIMIT: Final = Decimal(10) ** 15
_FIRST_YEAR: Final = 1970
_TOLERANCE: Final = timedelta(days=1)
"""Clocks of shops run ahead, and a zone may be missing."""
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?:\D|\Z))")
_LONG_YEAR: Final = re.compile(r"\d{5,}[-/.].*", re.ASCII)
_LOOSE: Final = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}([-/.]?)\d{1,2}\1\d{1,2}", re.ASCII)
_HOUR: Final = re.compile("%[HIcX]")
_EPOCH_UNITS: Final = {"epoch_s": 1, "epoch_ms": 1000}
_TRUE: Final = frozenset({"true", "1", "yes", "y", "t", "是", "已开票"})
_FALSE: Final = frozenset({"false", "0", "no", "n", "f", "否", "未开票"})


def instant_reader(*, zone: str, now: datetime, form: str | None = None) -> Callable[[str], datetime | None]:
    """Return a reader of instants. :param form: strptime form, `epoch_s`, `epoch_ms`; None: ISO 8601 and alike."""
    local, latest = ZoneInfo(zone), now + _TOLERANCE

    def read(value: str) -> datetime | None:
        if not value:
            return None
        found = _parse_instant(value, form)
        if found is None:
            return None
        if found.year == MINYEAR:  # what many programs write for "never"; in UTC it may have no year at all
            raise Broken("INSTANT_YEAR")
        if found.year == MAXYEAR:
            raise Broken("INSTANT_FUTURE")
        found = (found if found.tzinfo else found.replace(tzinfo=local)).astimezone(UTC)
        if found.year < _FIRST_YEAR:
            raise Broken("INSTANT_YEAR")
        if found > latest:
            raise Broken("INSTANT_FUTURE")
        return found

    return read


def moment_reader(*, zone: str, now: datetime, form: str | None = None) -> Reader:
    """Return a reader of instants that gives a `date` where no time of day is written."""
    instant, local = instant_reader(zone=zone, now=now, form=form), ZoneInfo(zone)
    timed = form in _EPOCH_UNITS or (form is not None and _HOUR.search(form) is not None)

    def read(value: str) -> datetime | date | None:
        found = instant(value)
        if found is None or timed or (form is None and not _DAY.fullmatch(clean(value))):
            return found
        return found.astimezone(local).date()

    return read


def _parse_instant(value: str, form: str | None) -> datetime | None:
    try:
        if form is None:
            return datetime.fromisoformat(value)
        if form in _EPOCH_UNITS:
            return datetime.fromtimestamp(int(value) / _EPOCH_UNITS[form], UTC)
        return datetime.strptime(value, form)  # noqa: DTZ007  # the mapping's zone is put on by the caller
    except (ValueError, OverflowError, OSError):
        pass
    folded = clean(value)
    if not folded:
        return None
    if form is None and (found := _LOOSE.fullmatch(folded)):
        try:
            return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001  # a digit each; zone as above
        except ValueError:
            raise Broken("INSTANT_IMPOSSIBLE") from None
    raise Broken("INSTANT_YEAR" if _LONG_YEAR.fullmatch(folded) else "INSTANT_FORM")


def number(value: str, *, limit: Decimal) -> Decimal | None:
    """Return a decimal number; currency signs and separators of thousands are dropped."""
    if not value:
        return None
    if not _NUMBER.fullmatch(value):
        value = _THOUSANDS.sub("", clean(value)).strip("¥￥元 ")
        if not value:
            return None
        if not _NUMBER.fullmatch(value):
            raise Broken("NUMBER_FORM")
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise Broken("NUMBER_FORM") from None
    if abs(found) >= limit:
        raise Broken("NUMBER_RANGE")
    return found


def money_reader(*, form: str | None = None) -> Reader:
    """Return a reader of amounts in units with two decimals. :param form: `cents` where the file counts in those."""
    scale = CENT if form == "cents" else Decimal(1)

    def read(value: str) -> Decimal | None:
        found = number(value, limit=_MONEY_LIMIT)
        return None if found is None else to_cents(found * scale)

    return read


def to_cents(amount: Decimal) -> Decimal:
    """Round to two decimals, half away from zero."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def price_reader(*, form: str | None = None) -> Reader:
    """Return a reader of unit prices, four decimals."""
    scale = CENT if form == "cents" else Decimal(1)

    def read(value: str) -> Decimal | None:
        found = number(value, limit=Decimal(10) ** 14)
        return None if found is None else (found * scale).quantize(Decimal("0.0001"), ROUND_HALF_UP)

    return read


def quantity(value: str) -> Decimal | None:
    """A quantity, three decimals; negative for what came back."""
    found = number(value, limit=_QUANTITY_LIMIT)
    return None if found is None else found.quantize(Decimal("0.001"), ROUND_HALF_UP)


def line_number(value: str) -> int | None:
    """The number of a line within its order."""
    found = number(value, limit=Decimal(2) ** 31)
    if found is None:
        return None
    if found != found.to_integral_value() or found < 0:
        raise Broken("NUMBER_FORM")
    return int(found)


def truth(value: str) -> bool | None:
    """Yes or no."""
    folded = clean(value).lower()
    if not folded:
        return None
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise Broken("TRUTH_VALUE")


def code_reader(*, longest: int = 200) -> Reader:
    """Return a reader of short texts: ids, codes, names of goods."""

    def read(value: str) -> str | None:
        folded = clean(value)
        if len(folded) > longest:
            raise Broken("TOO_LONG")
        return folded or None

    return read
