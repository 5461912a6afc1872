"""Settings become keys, policy and databases; here units of work are made."""

from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import Initialised, initialise

__all__ = ["App", "Initialised", "initialise"]
