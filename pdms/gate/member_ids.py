"""A set of member ids, packed: sixteen bytes each, in ascending order, where a list of objects would take sixty."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import overload

from pdms.taxonomy import ID_BYTES, MemberId


class MemberIds(Sequence[MemberId]):  # noqa: PLW1641 - a list has no hash either
    """Distinct member ids in the order of their bytes, which are random. Equal to any sequence of the same ids."""

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        """:param packed: the ids one after the other, ascending and distinct."""
        self.packed = packed

    @classmethod
    def of(cls, ids: Sequence[bytes]) -> "MemberIds":
        """Return the set of some ids."""
        return cls(b"".join(sorted(set(ids))))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.packed) // ID_BYTES

    @overload
    def __getitem__(self, at: int) -> MemberId: ...
    @overload
    def __getitem__(self, at: slice) -> list[MemberId]: ...
    def __getitem__(self, at: int | slice) -> MemberId | list[MemberId]:
        """Return the id at a place, or those of a slice."""
        places = range(len(self))[at]
        if isinstance(places, range):
            return [self._at(place) for place in places]
        return self._at(places)

    def _at(self, place: int) -> MemberId:
        return MemberId(self.packed[place * ID_BYTES : (place + 1) * ID_BYTES])

    def __iter__(self) -> Iterator[MemberId]:
        """Iterate in ascending order."""
        packed = self.packed
        for at in range(0, len(packed), ID_BYTES):
            yield MemberId(packed[at : at + ID_BYTES])

    def __contains__(self, one: object) -> bool:
        """Return whether an id is among them."""
        if not isinstance(one, bytes):
            return False
        place = bisect_left(self, one)
        return place < len(self) and self._at(place) == one

    def __eq__(self, other: object) -> bool:
        """Compare with a sequence of ids."""
        if isinstance(other, MemberIds):
            return self.packed == other.packed
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        """Name no one."""
        return f"MemberIds({len(self)})"
