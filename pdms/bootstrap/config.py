"""`home.yaml`: what `init` decided and nothing secret."""

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


def read_config(home: Home) -> HomeConfig:
    """Read `home.yaml`. :raises NotFound: this folder is no home. :raises IntegrityBroken: it does not parse."""
    try:
        text = home.config.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"no pdms home at {home.root}; make one with: pdms init --home {home.root}") from None
    try:
        return HomeConfig.model_validate(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError):
        raise IntegrityBroken(f"{home.config} is not as init wrote it") from None


def write_config(home: Home, config: HomeConfig) -> None:
    """Write `home.yaml` at once or not at all."""
    draft = home.config.with_suffix(".yaml.tmp")
    draft.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=True), "utf-8")
    draft.replace(home.config)
