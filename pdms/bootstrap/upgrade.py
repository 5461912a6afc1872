"""A home of an earlier schema, brought to that of this version: `pdms init --upgrade`, and a restore of an old backup.

Guarantee: killed at any point, the same command finishes it; that it was done is in the log, at least once. It opens no
member and needs no operator, as `init` needs none: who may write the databases may do what it does.
"""

from dataclasses import dataclass

from pdms.all_tables.upgrade import Step, upgrade
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import App
from pdms.bootstrap.config import HomeConfig
from pdms.clock import Clock
from pdms.db.parts import Databases
from pdms.settings import Home, Settings
from pdms.unit_of_work import Actor


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What became of each part."""

    steps: tuple[Step, ...]

    @property
    def changed(self) -> bool:
        """Whether any part was moved on."""
        return any(step.changed for step in self.steps)


def upgrade_parts(databases: Databases) -> Upgraded:
    """Bring each part to the newest revision.

    :raises Conflict: SCHEMA_NEWER. :raises IntegrityBroken: SCHEMA_ALTERED.
    """
    engines = databases.open_all()
    try:
        return Upgraded(tuple(upgrade(part, engine) for part, engine in engines.items()))
    finally:
        for engine in engines.values():
            engine.dispose()


def upgrade_home(home: Home, config: HomeConfig, settings: Settings, *, clock: Clock) -> Upgraded:
    """Upgrade a home and tell its log; see `upgrade_parts`."""
    begun = home.root / ".upgrading"
    cut_off = begun.exists()
    begun.touch(mode=0o600)  # stays until the log knows: the databases and the log's event have no common commit
    done = upgrade_parts(Databases.of(home, settings, recorded=config.database))
    if done.changed or cut_off:
        with App.assemble(home, config, settings, clock=clock) as app:
            with app.unit(Actor.system()) as uow:
                uow.record(EventKind.HOME_UPGRADED, numbers={step.part.value: int(step.after) for step in done.steps})
            app.sequence()
    begun.unlink()
    return done
