"""Wrapped keys in a database of their own. Everything below the root is random; nothing here opens without a root."""

from pdms.keystore.epochs import EpochInfo, live_epochs
from pdms.keystore.labels import SystemKey
from pdms.keystore.store import KeyStore

__all__ = ["EpochInfo", "KeyStore", "SystemKey", "live_epochs"]
