"""Coarse attributes of a subject, as facts may hold them: bands and places, never a birth date or an address. Pure.

Guarantees: an attribute is a leaf of the policy's hierarchy or unknown (None); nothing is guessed from a name. The
place is the one of the address; without one, the prefecture in which the resident ID was issued, which is a guess that
marketing may hold against it: the address wins always.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from pdms.clock import SHANGHAI
from pdms.policy.definitions import Policy, Prefecture
from pdms.vault.age import BIRTH_DATE, ID_NUMBER, latest_birth

AGE_BAND: Final = "age_band"
GENDER: Final = "gender"
ADDRESS: Final = "address"
REGISTERED: Final = "registered_at"
_BAND: Final = re.compile(r"(?:<(?P<below>\d+)|(?P<low>\d+)-(?P<high>\d+)|(?P<from>\d+)\+)", re.ASCII)
_OLDEST: Final = 130
T = TypeVar("T")
_PROVINCE_ENDS: Final = ("省", "市", "壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "特别行政区")
_PREFECTURE_ENDS: Final = ("市", "地区", "盟", "自治州")


class Attributes(NamedTuple):
    """A row of `subject_attributes`; None is unknown. `registered_on` is the first of a month."""

    age_band: str | None
    gender: str | None
    prefecture: str | None
    city_tier: str | None
    registered_on: date | None


class Deriver:
    """Tables of one policy, made once for a load. :param today: legal day on which ages are counted."""

    def __init__(self, policy: Policy, *, today: date) -> None:
        self._today = today
        leaves = policy.hierarchies[AGE_BAND].rows if AGE_BAND in policy.hierarchies else ()
        self._band_of = _bands([row[0] for row in leaves])
        self._genders = {row[0] for row in policy.hierarchies[GENDER].rows} if GENDER in policy.hierarchies else None
        self._by_code = {place.code[:4]: place for place in policy.prefectures}
        self._provinces, self._places = _places(policy.prefectures)
        # Birth dates and the beginnings of addresses repeat: each is read once.
        self._band = lru_cache(maxsize=1 << 16)(self._read_band)
        self._month = lru_cache(maxsize=1 << 12)(first_of_month)

    def attributes(self, fields: Mapping[str, str]) -> Attributes:
        """Return the attributes of a member's normalised fields (`registered_at` in ISO 8601 among them)."""
        registered = fields.get(REGISTERED)
        birth, number, gender, address = [fields.get(name, "") for name in (BIRTH_DATE, ID_NUMBER, GENDER, ADDRESS)]
        return self.derive(birth, number, gender, address, datetime.fromisoformat(registered) if registered else None)

    def derive(
        self, birth_date: str, id_number: str, gender: str, address: str, registered: datetime | None
    ) -> Attributes:
        """Return the attributes of normalised values, "" where there is none."""
        birth = latest_birth(birth_date, id_number)
        place = self._place(address, id_number)
        return Attributes(
            self._band(birth) if birth else None,
            (gender if self._genders is None or gender in self._genders else None) or None,
            place.name if place else None,
            place.city_tier if place else None,
            self._month(registered) if registered else None,
        )

    def _read_band(self, birth: str) -> str | None:
        born = date.fromisoformat(birth)
        # a year is full on the day after the birthday
        age = self._today.year - born.year - ((self._today.month, self._today.day) <= (born.month, born.day))
        return self._band_of.get(age)

    def _place(self, address: str, id_number: str) -> Prefecture | None:
        found = self._place_of(address) if address else None
        return found or self._by_code.get(id_number[:4])

    def _place_of(self, address: str) -> Prefecture | None:
        """Read `<province><prefecture>…`; the province may be missing, and so may their ending characters."""
        if " " in address:
            address = address.replace(" ", "")
        province = _begins(address, self._provinces)
        if province is None:
            return _found(_begins(address, self._places[""]))
        spelling, name = province
        inside = self._places[name]
        # a municipality is its own prefecture
        return _found(_begins(address[len(spelling) :], inside) or _begins(spelling, inside))


def first_of_month(at: datetime) -> date:
    """Return the first day of the month in which an instant lies, in Asia/Shanghai."""
    return at.astimezone(SHANGHAI).date().replace(day=1)


def attributes_of(policy: Policy, fields: Mapping[str, str], *, today: date) -> Attributes:
    """Return the attributes of one member."""
    return Deriver(policy, today=today).attributes(fields)


_Names = dict[str, list[tuple[str, T]]]
"""First two characters → spellings that begin so with what they mean, the longest first."""


def _begins(text: str, names: _Names[T]) -> tuple[str, T] | None:
    for pair in names.get(text[:2], ()):
        if text.startswith(pair[0]):
            return pair
    return None


def _found(pair: tuple[str, Prefecture] | None) -> Prefecture | None:
    return pair[1] if pair else None


def _named(spellings: Mapping[str, T]) -> _Names[T]:
    names: _Names[T] = {}
    for spelling in sorted(spellings, key=len, reverse=True):
        names.setdefault(spelling[:2], []).append((spelling, spellings[spelling]))
    return names


def _bands(leaves: list[str]) -> dict[int, str]:
    """Return age → leaf, read from leaves such as `<14`, `14-17`, `65+`."""
    found: dict[int, str] = {}
    for leaf in leaves:
        parsed = _BAND.fullmatch(leaf)
        if parsed is None:
            continue
        if parsed["below"]:
            ages = range(-1, int(parsed["below"]))
        elif parsed["from"]:
            ages = range(int(parsed["from"]), _OLDEST)
        else:
            ages = range(int(parsed["low"]), int(parsed["high"]) + 1)
        found.update(dict.fromkeys(ages, leaf))
    return found


def _places(prefectures: tuple[Prefecture, ...]) -> tuple[_Names[str], dict[str, _Names[Prefecture]]]:
    """Return spellings of provinces, and by province those of its prefectures ("" = without a province)."""
    provinces: dict[str, str] = {}
    places: dict[str, dict[str, Prefecture]] = {"": {}}
    for place in prefectures:
        for spelling in _spellings(place.province, _PROVINCE_ENDS):
            provinces[spelling] = place.province
        inside = places.setdefault(place.province, {})
        for spelling in _spellings(place.name, _PREFECTURE_ENDS):
            inside.setdefault(spelling, place)
        # without its province a short name could be a street's or a person's: only the full one counts
        places[""].setdefault(place.name, place)
    return _named(provinces), {province: _named(inside) for province, inside in places.items()}


def _spellings(name: str, ends: tuple[str, ...]) -> list[str]:
    found = [name]
    for end in ends:
        if name.endswith(end) and len(name) - len(end) > 1:
            found.append(name.removesuffix(end))
            break
    return found
