"""The tree of commands, as the command line itself has it."""

from typing import Any

import typer

from pdms.cli.app import app


def group() -> Any:
    return typer.main.get_command(app)


def commands() -> dict[str, Any]:
    """`member erase`, `access approvals ask` → its command."""
    return _below(group())


def _below(above: Any) -> dict[str, Any]:
    found = {}
    for name, command in above.commands.items():
        if hasattr(command, "commands"):
            found |= {f"{name} {verb}": inner for verb, inner in _below(command).items()}
        else:
            found[name] = command
    return found
