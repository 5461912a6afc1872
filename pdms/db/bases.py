"""One declarative base per database: a table says by its base class in which store its rows lie."""

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel


class MainTable(SQLModel, registry=registry(metadata=MetaData())):
    """Identified side: members, consent, audit, access, requests (`vault.db`)."""


class KeysTable(SQLModel, registry=registry(metadata=MetaData())):
    """Wrapped keys (`keys.db`)."""


class HeldTable(SQLModel, registry=registry(metadata=MetaData())):
    """Records kept by statute (`held.db`)."""


class AnonTable(SQLModel, registry=registry(metadata=MetaData())):
    """Anonymised side: releases, segments, campaigns, rounded counts (`anon.db`)."""
