"""One transaction for one actor, audit events included."""

from pdms.unit_of_work.actor import Actor, ActorKind
from pdms.unit_of_work.keyring import Keyring
from pdms.unit_of_work.unit import AnonUnitOfWork, LogSigner, UnitFactory, UnitOfWork

__all__ = ["Actor", "ActorKind", "AnonUnitOfWork", "Keyring", "LogSigner", "UnitFactory", "UnitOfWork"]
