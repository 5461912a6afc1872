"""What commands ask for: a member by name of a number, and values that may stand in no history."""

import sys
from typing import Annotated

import typer

from pdms.errors import InvalidInput

MemberText = Annotated[str, typer.Argument(help="Member id (32 hex digits) or SYSTEM:NUMBER, e.g. shop:H00042.")]
LONGEST_TYPED = 10_000
"""Characters of one typed line; no field holds more."""


def ask(what: str) -> str:
    """Read a value from the terminal or from a pipe, so that it stands in no shell history or process list."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True))
    try:
        return sys.stdin.readline(LONGEST_TYPED).rstrip("\r\n")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what}: not UTF-8") from None
