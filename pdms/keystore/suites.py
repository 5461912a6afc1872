"""What a change of suite means for wrapped keys: which uses have a MAC of another suite, and wrapping anew.

The keys themselves stay: a key of an index, of suppression entries or of searches gets its new MAC by a version of its
own (`versions`), the others keep the MAC that they were made for. Wrapped anew here are system keys, keys of held
months and epoch keys, each under the epoch that it hangs on, so that nothing stays wrapped by the cipher left behind;
members' keys are made anew (`member_keys`). A root wraps as it can: a token's cipher is its own.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from pdms.db import Lock, alone, for_update
from pdms.keystore.epochs import rewrap_epoch
from pdms.keystore.places import month_context, system_context
from pdms.keystore.store import KeyStore

_SUITE_AT: Final = 1
"""Offset of the suite code in a wrapped key."""


def other_mac(store: KeyStore, labels: Sequence[str]) -> list[str]:
    """Return those of `labels` whose newest key is for the MAC of another suite than the one in force."""
    store.system.look()
    return [label for label in labels if store.system.of(label)[0].key.suite is not store.suite.name]


def count_other_wraps(store: KeyStore) -> int:
    """Count system keys and keys of held months that are wrapped by another suite than the one in force."""
    store.system.look()
    with store.reading.connect() as connection:
        system, months = _rows(connection, lock="")
    wrapped = [one[3] for one in system] + [one[2] for one in months]
    return sum(one[_SUITE_AT] != store.suite.code for one in wrapped)


def wrap_by_suite(store: KeyStore) -> int:
    """Wrap what another suite wrapped, under the epoch that it hangs on, in one transaction; return how many."""
    store.system.look()
    done = 0
    with store.engine.begin() as connection:
        alone(connection, Lock.INITIALISE)
        system, months = _rows(connection, lock=for_update(connection))
        for label, version, number, wrapped in system:
            if wrapped[_SUITE_AT] != store.suite.code:
                wrapper, context = store.epoch(connection, number).system, system_context(label, version, number)
                connection.exec_driver_sql(
                    "UPDATE system_key SET wrapped = ? WHERE label = ? AND version = ?",
                    (wrapper.wrap(wrapper.unwrap(wrapped, context=context), context=context), label, version),
                )
                done += 1
        for month, number, wrapped in months:
            if wrapped[_SUITE_AT] != store.suite.code:
                wrapper, context = store.epoch(connection, number).held, month_context(month, number)
                connection.exec_driver_sql(
                    "UPDATE held_month_key SET wrapped = ? WHERE month = ? AND wrapped IS NOT NULL",
                    (wrapper.wrap(wrapper.unwrap(wrapped, context=context), context=context), month),
                )
                done += 1
        living = "SELECT epoch FROM epoch WHERE destroyed_at IS NULL AND ending_at IS NULL ORDER BY epoch"
        for number in connection.exec_driver_sql(living + for_update(connection)).scalars().all():
            rewrap_epoch(connection, number, root=store.root_of(connection, number))
    return done


def _rows(
    connection: Connection, *, lock: str
) -> tuple[list[tuple[str, int, int, bytes]], list[tuple[str, int, bytes]]]:
    run = connection.exec_driver_sql
    system = run("SELECT label, version, epoch, wrapped FROM system_key ORDER BY label, version" + lock).all()
    months = run("SELECT month, epoch, wrapped FROM held_month_key WHERE wrapped IS NOT NULL ORDER BY month" + lock)
    return [(r[0], r[1], r[2], bytes(r[3])) for r in system], [(r[0], r[1], bytes(r[2])) for r in months.all()]
