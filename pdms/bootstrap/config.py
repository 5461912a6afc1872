"""`home.yaml`: what `init` decided and nothing secret."""

import os
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pdms.errors import IntegrityBroken, NotFound
from pdms.settings import Home


class HomeConfig(BaseModel):
    """Contents of `home.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    origin: str
    policies: Path
    passphrase_file: Path | None = None
    database: str | None = None
    """PostgreSQL's connection string without any password; None: the databases are files of the home."""


def read_config(home: Home) -> HomeConfig:
    """Read `home.yaml`. :raises NotFound: this folder is no home. :raises IntegrityBroken: it does not parse."""
    try:
        text = home.config.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"no pdms home at {home.root}; make one with: pdms --home {home.root} init") from None
    except UnicodeDecodeError:
        raise IntegrityBroken(f"{home.config} is not as init wrote it") from None
    try:
        return HomeConfig.model_validate(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError):
        raise IntegrityBroken(f"{home.config} is not as init wrote it") from None


def draft_origin(home: Home) -> str | None:
    """Return the log's name that an `init` which was cut off had chosen; what it signed bears it."""
    try:
        return HomeConfig.model_validate(yaml.safe_load(_draft(home).read_text("utf-8"))).origin
    except (FileNotFoundError, ValidationError, yaml.YAMLError):
        return None


def draft_config(home: Home, config: HomeConfig) -> None:
    """Write what will be `home.yaml`, durably, before anything is signed under its name."""
    with _draft(home).open("w", encoding="utf-8") as file:
        yaml.safe_dump(config.model_dump(mode="json"), file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())


def publish_config(home: Home) -> None:
    """Make the draft `home.yaml`, at once: from here on the folder is a home."""
    _draft(home).replace(home.config)


def write_config(home: Home, config: HomeConfig) -> None:
    """Write `home.yaml` at once or not at all."""
    draft_config(home, config)
    publish_config(home)


def _draft(home: Home) -> Path:
    return home.config.with_name(".home.yaml.draft")
