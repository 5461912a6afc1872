"""Wrapped keys in a database of their own. Everything below the root is random; nothing here opens without a root."""

from pdms.keystore.epochs import all_epochs, live_epochs
from pdms.keystore.labels import SystemKey
from pdms.keystore.store import KeyStore

__all__ = ["KeyStore", "SystemKey", "all_epochs", "live_epochs"]
