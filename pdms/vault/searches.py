"""Search indexes: parts of a value under few bits of a keyed digest. Off unless the policy declares one.

Guarantees: a bucket never stands for identity: nothing is stored, matched or merged by it, it only names members to be
opened and compared (`searching`). Each declared search has a key of its own (`index:search-NAME`); the *plan* changes
with the declarations and with the keys, so that entries made under others are known as old and made anew.
Reads and writes no database.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from pdms.crypto import BlindIndex
from pdms.policy.definitions import Policy
from pdms.unit_of_work import Keyring

NO_PLAN: Final = bytes(16)
"""The plan of a policy that declares no search."""
_ENTRY: Final = struct.Struct(">BI")
_HEAD: Final = struct.Struct(">I")
LAST: Final = 4

Entry = tuple[int, int]
"""Code of the search, and bucket."""


def index_label(name: str) -> str:
    """Return the label of the key of one search."""
    return f"index:search-{name}"


def folded(value: str) -> str:
    """Return a name as searches compare it: without case, spaces or dots."""
    return "".join(c for c in value.casefold() if c.isalnum())


def _whole(value: str) -> list[str]:
    return [value] if value else []


def _last_four(value: str) -> list[str]:
    return [value[-LAST:]] if len(value) > LAST else []


def _bigrams(value: str) -> list[str]:
    plain = folded(value)
    return sorted({plain[at : at + 2] for at in range(len(plain) - 1)})


PARTS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "whole": _whole,
    "last_four": _last_four,
    "bigrams": _bigrams,
}
"""Form of a search → the parts of a normalised value that are indexed."""


def fits(form: str, *, asked: str, held: str) -> bool:
    """Tell whether a held value is what was asked for: the comparison that confirms a candidate."""
    if form == "whole":
        return asked == held
    if form == "last_four":
        return len(held) > LAST and held.endswith(asked) and len(asked) == LAST
    return len(folded(asked)) > 1 and folded(asked) in folded(held)


class Searches:
    """The declared searches of one policy with their keys."""

    def __init__(self, keys: Keyring, policy: Policy) -> None:
        self.declared = policy.searches
        self._index = {name: BlindIndex(keys.system_key(index_label(name))) for name in self.declared}
        self._buckets: dict[tuple[str, str], int] = {}
        self.plan = NO_PLAN
        if self.declared:
            said = sha256()
            for name in sorted(self.declared):
                one = self.declared[name]
                mark = self._index[name].digest(b"plan")[:8]
                said.update(f"{name}\0{one.code}\0{one.field}\0{one.form}\0{one.bits}\0{mark.hex()}\n".encode())
            self.plan = said.digest()[:16]

    def buckets(self, name: str, value: str) -> list[int]:
        """Return the buckets of a value under one search."""
        return [self._bucket(name, part) for part in PARTS[self.declared[name].form](value)]

    def asked(self, name: str, term: str) -> list[int]:
        """Return the buckets in which whoever fits a term is found, in all of them."""
        last_four = self.declared[name].form == "last_four"  # the term is the part itself
        return [self._bucket(name, term)] if last_four else self.buckets(name, term)

    def entries(self, fields: Mapping[str, str]) -> list[Entry]:
        """Return the entries of a member, each once."""
        found = {
            (one.code, bucket)
            for name, one in self.declared.items()
            if fields.get(one.field)
            for bucket in self.buckets(name, fields[one.field])
        }
        return sorted(found)

    def of_columns(self, columns: Mapping[str, Sequence[str]], count: int) -> list[list[Entry]]:
        """Return the entries of many members given by column."""
        made: list[set[Entry]] = [set() for _ in range(count)]
        for name, one in self.declared.items():
            for at, value in enumerate(columns.get(one.field, ())):
                made[at].update((one.code, bucket) for bucket in self.buckets(name, value))
        return [sorted(one) for one in made]

    def _bucket(self, name: str, part: str) -> int:
        key = (name, part)
        found = self._buckets.get(key)
        if found is None:  # parts repeat: four digits, two characters
            if len(self._buckets) > _KEPT:
                self._buckets.clear()
            found = _HEAD.unpack_from(self._index[name].digest(part.encode()))[0] >> (32 - self.declared[name].bits)
            self._buckets[key] = found
        return found


_KEPT: Final = 100_000


def join_entries(entries: Sequence[Entry]) -> bytes:
    """Return entries as stored beside the member."""
    return b"".join([_ENTRY.pack(code, bucket) for code, bucket in entries])


def split_entries(stored: bytes) -> list[Entry]:
    """Return stored entries."""
    return [_ENTRY.unpack_from(stored, at) for at in range(0, len(stored), _ENTRY.size)]
