"""Where the process begins and ends: errors become one line on stderr and the documented exit code.

An unexpected error prints its type and place only: its message, and the locals that pretty tracebacks show, may hold a
member's data.
"""

import ctypes
import errno
import os
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final

import typer
from typer.exceptions import TyperException

from pdms.cli.face import Face
from pdms.cli.words import hoisted, wrong_words
from pdms.clock import Clock, SystemClock
from pdms.errors import Conflict, Denied, InvalidInput, PdmsError, mapping_of

PR_SET_DUMPABLE: Final = 4
"""prctl(2)."""


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Run one command line; return its exit code. `clock` lets a story be told on a stated day."""
    leave_no_core()
    code = run(sys.argv[1:] if argv is None else argv, clock=clock or SystemClock())
    if argv is None:
        sys.exit(code)
    return code


def leave_no_core() -> None:
    """Have the kernel write no memory of this process down: it would hold open keys.

    The limit stops files; a program that cores are piped to is stopped on Linux only, by the second call (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def run(argv: Sequence[str], *, clock: Clock) -> int:
    """Run without ending the process."""
    words = hoisted(argv)
    face = Face(clock=clock, json="--json" in words)  # wrong words are told in that form too
    code = _guarded(face, lambda: _run(face, words))
    ended = _guarded(face, face.close)  # sequences the log: what breaks there has its exit code too
    return code or ended


def _run(face: Face, argv: Sequence[str]) -> int:
    ended = _command()(list(argv), prog_name="pdms", standalone_mode=False, obj=face)
    sys.stdout.flush()
    return ended if isinstance(ended, int) else face.exit_code


@cache
def _command() -> Any:
    """Build every command from its signature, once in a process."""
    from pdms.cli.app import app

    return typer.main.get_command(app)


def _guarded(face: Face, work: Callable[[], int | None]) -> int:
    """Do `work`; return its exit code, or that of the error that it ended with."""
    try:
        return work() or 0
    except typer.Abort:
        print("pdms: interrupted", file=sys.stderr)
        return 130
    except TyperException as error:
        wrong = wrong_words(error)
        if not face.json:
            print(f"pdms: usage: {wrong}", file=sys.stderr)
            return error.exit_code
        return _told(InvalidInput(f"usage: {wrong}", code="USAGE"), json=True)
    except PdmsError as error:
        return _told(error, json=face.json)
    except SystemExit as ended:  # so the parser ends where nobody reads on
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        return _silenced(0)
    except BrokenPipeError:
        return _silenced(0)
    except KeyboardInterrupt:
        print("pdms: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _silenced(_told(InvalidInput(f"output: cannot be written ({error.strerror})"), json=face.json))
        if isinstance(error, OSError) and error.errno == errno.EROFS:
            return _told(Conflict(f"file: cannot be written ({error.strerror})", code="READ_ONLY"), json=face.json)
        place = traceback.extract_tb(error.__traceback__)[-1]
        print(f"pdms: internal error: {type(error).__name__} at {place.filename}:{place.lineno}", file=sys.stderr)
        return 1


def _silenced(code: int) -> int:
    """Let nothing more be written to stdout, which takes nothing any more, not even at the end of the process."""
    own = sys.__stdout__
    if own is not None and sys.stdout is own:  # another stream is left to who put it there
        with suppress(OSError, ValueError):
            own.close()
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the rest of the process
    return code


def _told(error: PdmsError, *, json: bool) -> int:
    reasons = error.reasons if isinstance(error, Denied) else ()
    if json:
        from pdms.cli.render import json_line

        told = {"error": error.title, "code": error.code, "detail": error.message, "reasons": list(reasons)}
        print(json_line(told), file=sys.stderr)
    else:
        print(f"pdms: {error.title}: {error.message}", file=sys.stderr)
        for reason in reasons:
            print(f"  - {reason}", file=sys.stderr)
    return mapping_of(error).exit_code
