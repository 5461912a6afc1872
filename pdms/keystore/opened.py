"""An opened key store, as far as its epochs: their wrapping keys, each opened once, by whichever root opens it.

Guarantee: a writing transaction sees the newest living epoch, whoever began it, and drops ended ones from memory. What
it remembers of an epoch is the opened wrapping keys; a root is asked once for each epoch, never for a member.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from pdms.clock import Clock
from pdms.crypto import (
    DEFAULT_SUITE,
    EpochState,
    RootKey,
    RootsOf,
    Suite,
    SuiteName,
    Unprintable,
    in_suite,
    suite_of,
)
from pdms.db import Reader
from pdms.errors import KeyUnavailable
from pdms.keystore.epochs import EpochKeys, all_epochs, open_epoch, root_uri_of
from pdms.keystore.versions import SystemKeys


class OpenedEpochs(Unprintable):
    """What every kind of key in the store is made and opened with. Threads may share it."""

    __slots__ = (
        "_clock", "_epochs", "_opened_by", "_reader", "_roots", "_suite", "engine", "reading", "roots", "system",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        *,
        root: RootKey,
        clock: Clock,
        suite: SuiteName | str = DEFAULT_SUITE,
        older_roots: Sequence[RootKey] = (),
        roots: RootsOf | None = None,
    ) -> None:
        self.engine = engine
        self._suite = suite_of(suite)
        self._reader = Reader(engine)
        self.reading: Engine = engine.execution_options(pdms_begin="DEFERRED")
        self._roots = (root, *older_roots)
        self.roots = roots
        self._clock = clock
        self._epochs: dict[int, EpochKeys] = {}
        self._opened_by: dict[int, RootKey] = {}
        self.system = SystemKeys(self)

    @property
    def suite(self) -> Suite:
        """The suite in force: it wraps new keys and sets the length of new DEKs."""
        return suite_of(self.system.suite) if self.system.suite is not None else self._suite

    @property
    def root(self) -> RootKey:
        """The open root of the newest epoch: it wraps the keys of backups, too."""
        with self.reading.connect() as connection:
            return self.root_of(connection, self.current(connection).id)

    def root_of(self, connection: Connection, number: int) -> RootKey:
        """Return the open root of an epoch, wrapping by the suite in force where it is one of ours."""
        self.epoch(connection, number)
        return in_suite(self._opened_by[number], self.suite.name)

    def epochs(self) -> list[EpochState]:
        """Return every epoch that ever was, oldest first."""
        return all_epochs(self.engine)

    def current(self, connection: Connection) -> EpochKeys:
        """Return the newest living epoch, looked up in each writing transaction: another process may have begun one."""
        living = connection.exec_driver_sql("SELECT epoch FROM epoch WHERE destroyed_at IS NULL").scalars().all()
        if not living:
            raise KeyUnavailable("key store: not initialised", code="NOT_INITIALISED")
        for number in self._epochs.keys() - set(living):  # destroyed meanwhile: it may not live on in memory
            self.forget(number)
        return self.epoch(connection, max(living))

    def epoch(self, connection: Connection, number: int) -> EpochKeys:
        """Return an epoch's keys, opened once. :raises KeyUnavailable: as `open_epoch`, or its root is out of reach."""
        epoch = self._epochs.get(number)
        if epoch is None or epoch.suite != self.suite.name:
            try:
                epoch, root = open_epoch(connection, number, roots=self._roots, suite=self.suite.name)
            except KeyUnavailable as error:
                if self.roots is None or error.code != "WRONG_ROOT":
                    raise
                root = self.roots.open(root_uri_of(connection, number))
                epoch, _ = open_epoch(connection, number, roots=(root,), suite=self.suite.name)
            self._opened_by[number] = root
            self._epochs[number] = epoch
        return epoch

    def hold(self, root: RootKey) -> None:
        """Keep a root that is open already, so that it is not opened again for its epoch."""
        self._roots = (*self._roots, root)

    def forget(self, number: int) -> None:
        """Drop an epoch's keys, and its root, from memory."""
        self._epochs.pop(number, None)
        root = self._opened_by.pop(number, None)
        self._roots = tuple(one for one in self._roots if one is not root)

    def _open(self, number: int) -> EpochKeys:
        with self.reading.connect() as connection:
            return self.epoch(connection, number)
