"""What every command shares: settings, the opened home, the acting operator, and how to print."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from pdms.clock import Clock
from pdms.settings import Settings, read_settings

if TYPE_CHECKING:  # opening a home imports the stores; `pdms --help` should not
    from pdms.bootstrap.app import App
    from pdms.unit_of_work import Actor, AnonUnitOfWork, UnitFactory, UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Face:
    """One run of the command line."""

    clock: Clock
    home: Path | None = None
    policies: Path | None = None
    json: bool = False
    exit_code: int = 0
    as_in_force: bool = False
    """Go by the policy in force where the documents do not load."""
    _app: "App | None" = field(default=None, repr=False)
    _actor: "Actor | None" = field(default=None, repr=False)

    @property
    def settings(self) -> Settings:
        """Environment, overruled by options."""
        settings = read_settings()
        changed = {k: v for k, v in (("home", self.home), ("policies", self.policies)) if v is not None}
        return settings.model_copy(update=changed)

    @property
    def app(self) -> "App":
        """The opened home."""
        if self._app is None:
            from pdms.bootstrap.app import App

            self._app = App.open(self.settings, clock=self.clock, as_in_force=self.as_in_force)
        return self._app

    @property
    def actor(self) -> "Actor":
        """The operator of PDMS_TOKEN; locally too, nobody acts without a key."""
        if self._actor is None:
            token = self.settings.token
            self._actor = self.app.authenticate(token.get_secret_value() if token else None)
        return self._actor

    def run(self, service: "Callable[Concatenate[UnitOfWork, P], R]", /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one operation of the identified side as the acting operator."""
        return self.app.run(self.actor, service, *args, **kwargs)

    def run_anon(
        self, service: "Callable[Concatenate[AnonUnitOfWork, P], R]", /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run one operation of the anonymised side as the acting operator."""
        return self.app.run_anon(self.actor, service, *args, **kwargs)

    @property
    def units(self) -> "UnitFactory":
        """Units for a long operation, as the acting operator."""
        return self.app.units(self.actor)

    def sequence(self) -> None:
        """Put what was recorded into the log's tree, before it is proved or exported; someone must be acting."""
        if self.actor:
            self.app.sequence()

    def close(self) -> None:
        """Sequence what was recorded, and let go of the home."""
        if self._app is not None:
            try:
                self._app.sequence()
            finally:
                self._app.close()
                self._app = None
