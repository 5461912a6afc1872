"""The command line: translation only. `NOUN VERB [ID] --options`; parse, call one service function, render."""

from pdms.cli.entry import main

__all__ = ["main"]
