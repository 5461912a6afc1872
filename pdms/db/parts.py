"""The four parts of a home's data, and where each one lies: four files, or four schemas of one PostgreSQL database.

Guarantee: the anonymised side gets a writer of its own for audit events; where its login is one of its own, nothing of
the identified side can be read through either of its two engines. It opens nothing by itself: an engine connects on
first use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine

from pdms.db.engine import open_engine
from pdms.errors import InvalidInput
from pdms.settings import Home, Settings


class Part(StrEnum):
    """Parts of a home's data, in the order in which they are migrated; on PostgreSQL each has a schema of its own."""

    KEYS = "keys"
    VAULT = "vault"
    """Identified side: members, consent, audit, access, requests."""
    HELD = "held"
    ANON = "anon"

    @property
    def schema(self) -> str:
        """Name of the part's PostgreSQL schema."""
        return f"pdms_{self.value}"


@dataclass(frozen=True, slots=True)
class Databases:
    """Where the parts of one home lie. `url` None: in files of the home."""

    home: Home
    url: str | None = field(default=None, repr=False)
    """PostgreSQL, as libpq understands it (URI or `key=value`); may hold a password, so it is never printed."""
    urls: Mapping[Part, str] = field(default_factory=dict, repr=False)
    """Logins of single parts, in place of `url`."""

    @classmethod
    def of(cls, home: Home, settings: Settings, *, recorded: str | None) -> "Databases":
        """Return where the data of a home lie.

        :param recorded: what `init` noted in the home: None (files), or the URL without its password.
        :raises InvalidInput: the environment names a server, but the home keeps its data in files.
        """
        told = {Part.VAULT: settings.database_url_vault, Part.KEYS: settings.database_url_keys}
        told |= {Part.HELD: settings.database_url_held, Part.ANON: settings.database_url_anon}
        urls = {part: url.get_secret_value() for part, url in told.items() if url is not None}
        url = settings.database_url.get_secret_value() if settings.database_url is not None else recorded
        if recorded is None and (url is not None or urls):
            raise InvalidInput("PDMS_DATABASE_URL: this home keeps its data in files", code="DATABASE_IS_FILES")
        return cls(home, url, urls)

    @property
    def on_server(self) -> bool:
        """True on PostgreSQL."""
        return self.url is not None

    def open(self, part: Part) -> Engine:
        """Return an engine on one part. :raises InvalidInput: the PostgreSQL driver is not installed."""
        if self.url is None:
            files = {Part.VAULT: self.home.vault_db, Part.KEYS: self.home.keys_db}
            files |= {Part.HELD: self.home.held_db, Part.ANON: self.home.anon_db}
            return open_engine(files[part])
        return self._server(part, part)

    def open_all(self) -> dict[Part, Engine]:
        """Return an engine on each part; files that are missing are made, empty."""
        return {part: self.open(part) for part in Part}

    def open_audit_writer(self, vault: Engine) -> Engine:
        """Return the engine by which the anonymised side appends audit events: its own login, where it has one."""
        if self.url is None or Part.ANON not in self.urls:
            return vault
        return self._server(Part.ANON, Part.VAULT)

    def make_schemas(self) -> None:
        """Make the schemas that are missing, where the login may; nothing to do for files."""
        if self.url is None:
            return
        for part in Part:
            engine = self._server(part, part)
            try:
                with engine.begin() as connection:
                    run = connection.exec_driver_sql
                    if run("SELECT 1 FROM pg_namespace WHERE nspname = ?", (part.schema,)).first() is None:
                        run(f"CREATE SCHEMA IF NOT EXISTS {part.schema}")
            finally:
                engine.dispose()

    def without_password(self) -> str | None:
        """Return what may be noted in the home."""
        if self.url is None:
            return None
        from pdms.db.postgres import without_password

        return without_password(self.url)

    def _server(self, login: Part, part: Part) -> Engine:
        from pdms.db.postgres import open_postgres

        url: Any = self.urls.get(login, self.url)
        return open_postgres(url, schema=part.schema)


def checked_url(url: str) -> str:
    """Return a connection string that was typed.

    :raises InvalidInput: it holds a password; others on the machine can read command lines.
    """
    from pdms.db.postgres import holds_password

    if holds_password(url):
        raise InvalidInput(
            "database: no password on a command line; use PDMS_DATABASE_URL, PGPASSWORD or .pgpass",
            code="PASSWORD_ON_COMMAND_LINE",
        )
    return url
