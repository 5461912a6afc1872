"""The keys that a unit of work hands to the identified side; `keystore` is the real one.

A protocol, because the anonymised side imports this package and may not reach the key store even indirectly.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from pdms.crypto import EpochState, Signer
from pdms.taxonomy import MemberId


class Keyring(Protocol):
    """Every method commits on its own: the key store is a database apart, written before the data that need it."""

    def mint(self, member_ids: Sequence[MemberId]) -> list[bytes]:
        """Return one DEK per member id, made where absent. :raises Conflict: an id is fenced (erased)."""
        ...

    def deks(self, member_ids: Sequence[MemberId]) -> dict[MemberId, bytes]:
        """Return the DEKs that exist; ids without one are absent."""
        ...

    def fence(self, member_ids: Sequence[MemberId]) -> None:
        """Refuse for ever to mint or open a key for these ids."""
        ...

    def destroy(self, member_ids: Sequence[MemberId]) -> None:
        """Destroy the wrapped DEKs of fenced ids."""
        ...

    def refresh(self) -> None:
        """See the versions of system keys that another process has made by now.

        Before writing what depends on them, and before believing that somebody is not held.
        """
        ...

    def system_key(self, label: str) -> bytes:
        """Return the 256-bit key of one use, e.g. `index:phone`, `suppression`, `audit-digest`."""
        ...

    def system_keys(self, label: str, *, retired: bool = False) -> list[bytes]:
        """Return the keys of one use, newest first; `retired`: also those that no look-up needs any more."""
        ...

    def signer(self, name: str = "log") -> Signer:
        """Return the signer of one kind of document: `log`, `receipts` or `manifests`."""
        ...

    def public_keys(self, name: str = "log") -> list[bytes]:
        """Return the public keys under which documents of one kind were ever signed, newest first."""
        ...

    def held_month_key(self, month: str) -> bytes:
        """Return the key that wraps held records expiring in `month` (YYYY-MM)."""
        ...

    def destroy_held_month(self, month: str) -> None:
        """Destroy the key of a month that is over; it cannot come back."""
        ...

    def member_ids(self, *, minted_before: datetime | None = None) -> Iterator[MemberId]:
        """Iterate over all ids that have a key."""
        ...

    def drop_orphans(self, ids: Sequence[MemberId], *, minted_before: datetime) -> int:
        """Drop keys whose member never reached the vault; returns how many."""
        ...

    def epochs(self) -> list[EpochState]:
        """Return every key epoch that ever was, oldest first."""
        ...

    def purge(self) -> None:
        """Rewrite the key store's file, so that destroyed keys are in no free page and no log."""
        ...
