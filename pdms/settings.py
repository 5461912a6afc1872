"""Settings from the environment, and the layout of a home folder.

Every setting is an environment variable with the prefix `PDMS_`; nothing secret has a default.
"""

import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from pdms.errors import InvalidInput


class Engine(StrEnum):
    """What computes features from facts."""

    DUCKDB = "duckdb"
    """In this process; the default."""
    SPARK = "spark"
    """Apache Spark (extra `spark`, Java 17 or 21): the same numbers, on one machine or many."""


@dataclass(frozen=True, slots=True)
class Reading:
    """By what, and within what, facts are read."""

    engine: Engine = Engine.DUCKDB
    memory: int = 1024
    """MiB that the engine may take before it spills; for Spark, the heap of its driver."""
    threads: int = 2
    spark_master: str = "local[2]"


class Settings(BaseSettings):
    """What the environment says."""

    model_config = SettingsConfigDict(env_prefix="PDMS_", extra="ignore")

    home: Path = Field(default=Path("pdms-home"), description="Folder that holds every store.")
    policies: Path | None = Field(
        default=None, description="Folder of policy documents; default: the one `init` named."
    )
    token: SecretStr | None = Field(default=None, description="API key of the operator who acts on the command line.")
    passphrase: SecretStr | None = Field(
        default=None, description="Passphrase of a `file:` root key, or PIN of a token."
    )
    root_key: str | None = Field(
        default=None, description="URI of the root key that `init` creates (file:, env:, pkcs11:)."
    )
    suite: str | None = Field(
        default=None, description="Cipher suite of the home that `init` makes (aes-256-gcm, sm4-gcm)."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL for all databases, e.g. postgresql://pdms@host/pdms; default: files in the home.",
    )
    database_url_vault: SecretStr | None = Field(default=None, description="PostgreSQL login of the vault's schema.")
    database_url_keys: SecretStr | None = Field(default=None, description="PostgreSQL login of the key store's schema.")
    database_url_held: SecretStr | None = Field(default=None, description="PostgreSQL login of the held records.")
    database_url_anon: SecretStr | None = Field(default=None, description="PostgreSQL login of the anonymised side.")
    smtp_url: SecretStr | None = Field(
        default=None, description="SMTP server for messages, e.g. smtp://host:25 or smtps://name:word@host:465."
    )
    source_password: SecretStr | None = Field(
        default=None, description="Password of a database that `ingest --from-url` reads; its URL holds none."
    )
    oidc_issuer: str | None = Field(
        default=None, description="Sign-in service whose tokens operators may present, exactly as their `iss` says."
    )
    oidc_audience: str | None = Field(default=None, description="The `aud` that such tokens must bear.")
    oidc_jwks: str | None = Field(
        default=None, description="Where the sign-in service's public keys lie: a file, or an https address."
    )
    oidc_role_claim: str = Field(
        default="roles", description="Claim that names groups or roles; dots lead into objects (realm_access.roles)."
    )
    oidc_roles: dict[str, str] = Field(
        default_factory=dict, description='Its values and the roles they stand for, as JSON: {"dpo": "compliance"}.'
    )
    engine: Engine = Field(default=Engine.DUCKDB, description="What computes features: `duckdb` or `spark`.")
    engine_memory: int = Field(default=1024, ge=64, description="MiB that it may take before it spills to the home.")
    spark_master: str = Field(
        default="local[2]",
        pattern=r"^(local(\[(\d+|\*)\])?|(spark|k8s)://\S+|yarn)$",
        description="Where Spark runs: `local[N]`, `spark://host:port`, `yarn` or `k8s://...`.",
    )
    public_url: str = Field(default="http://127.0.0.1:8000", description="Address under which members reach the API.")

    @property
    def reading(self) -> Reading:
        """By what facts are read."""
        return Reading(engine=self.engine, memory=self.engine_memory, spark_master=self.spark_master)


def read_settings() -> Settings:
    """Return what the environment says. :raises InvalidInput: a variable has another form; it is named, not shown."""
    try:
        return Settings()
    except ValidationError as error:
        names = sorted({str(one["loc"][0]) for one in error.errors(include_input=False)})
    except SettingsError:  # what should be JSON is not; the error says which, in words of its own
        names = sorted(name for name, field in Settings.model_fields.items() if field.annotation == dict[str, str])
    raise InvalidInput(f"settings: {', '.join(f'PDMS_{name.upper()}' for name in names)}: not of the form it must have")


def java() -> Path | None:
    """Return the Java that Spark would start: JAVA_HOME's, as Spark prefers it, or the first on the PATH."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    return Path(found) if found and Path(found).exists() else None


@dataclass(frozen=True, slots=True)
class Home:
    """Where each store of one home lies, and by what its facts are read."""

    root: Path
    reading: Reading = Reading()

    @property
    def config(self) -> Path:
        """Non-secret configuration written by `init`."""
        return self.root / "home.yaml"

    @property
    def vault_db(self) -> Path:
        """Members, consent, audit, access: the identified database."""
        return self.root / "vault.db"

    @property
    def keys_db(self) -> Path:
        """Wrapped keys, a database of its own."""
        return self.root / "keys.db"

    @property
    def held_db(self) -> Path:
        """Records kept by statute after an erasure."""
        return self.root / "held.db"

    @property
    def anon_db(self) -> Path:
        """The anonymised side: releases, segments, campaigns, rounded counts."""
        return self.root / "anon.db"

    @property
    def facts(self) -> Path:
        """Pseudonymous facts, `<table>/bucket=NN/*.parquet`."""
        return self.root / "facts"

    @property
    def releases(self) -> Path:
        """Published releases, `<view>/<release id>/{data.parquet,manifest.json}`."""
        return self.root / "releases"

    @property
    def packages(self) -> Path:
        """Sealed access packages awaiting their one-time link."""
        return self.root / "packages"

    @property
    def spill(self) -> Path:
        """Where DuckDB and Spark spill: pseudonymous only, wiped at start."""
        return self.root / "spill"

    @property
    def rights_ledger(self) -> Path:
        """Append-only ledger of rights that a restore must replay; never part of a backup."""
        return self.root / "rights.ledger"
