"""The words of a command line: options that may stand anywhere, and what is said of words that fit nothing.

Guarantee: no message repeats a word that was typed. What was mistyped may be a member's own data, and stderr is kept by
cron and by CI; so a mistake is told by the names of options and by what they may be.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

SHARED: Final = {"--home": 1, "--policies": 1, "--json": 0}
"""Options of every command, and how many values they take."""


def hoisted(argv: Sequence[str]) -> list[str]:
    """Return the words with the options of every command moved to the front, wherever they stand."""
    first: list[str] = []
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            return [*first, *rest, word, *words]
        if word in SHARED:
            first += [word, *words[: SHARED[word]]]
            del words[: SHARED[word]]
        elif word.partition("=")[0] in SHARED:
            first.append(word)
        else:
            rest.append(word)
    return [*first, *rest]


def wrong_words(error: Any) -> str:
    """Return what is wrong with a command line, by names and rules of the command alone."""
    kind, context, parameter = type(error).__name__, getattr(error, "ctx", None), getattr(error, "param", None)
    where = context.command_path if context is not None else "pdms"
    more = f"  ({where} --help)"
    if kind in ("MissingParameter", "BadOptionUsage", "BadArgumentUsage", "NoArgsIsHelpError"):
        return " ".join(str(error.format_message()).split()) + ("" if kind == "NoArgsIsHelpError" else more)
    if parameter is not None:
        return f"{_name(parameter)}: {_rule(parameter)}{more}"
    if kind == "NoSuchOption":
        known = sorted({name for one in context.command.params for name in (*one.opts, *one.secondary_opts)
                        if name.startswith("-")}) if context is not None else []  # fmt: skip
        near = [name for name in error.possibilities or () if name in known]
        return f"no such option; {'did you mean ' if near else ''}{', '.join(near or [*known, *SHARED])}{more}"
    if context is not None and hasattr(context.command, "commands"):
        return f"no such command; one of {', '.join(sorted(context.command.commands))}{more}"
    return f"more arguments than the command takes{more}"


def _name(parameter: Any) -> str:
    return "/".join(parameter.opts) if parameter.param_type_name == "option" else str(parameter.name).upper()


def _rule(parameter: Any) -> str:
    """Return what a parameter may be."""
    descriptor = parameter.type_descriptor
    annotation, info = descriptor.annotation, descriptor.parameter_info
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(one.value) for one in annotation)}"
    if annotation is datetime:
        forms = [_READ.get(form, form) for form in getattr(info, "formats", None) or ()]
        return f"a date as {' or '.join(forms)}" if forms else "a date"
    if annotation in (int, float):
        least, most = parameter.min, parameter.max
        between = [f"at least {least}"] if least is not None else []
        between += [f"at most {most}"] if most is not None else []
        return " ".join(["a whole number" if annotation is int else "a number", " and ".join(between)]).strip()
    return "not of the form that it must have"


_READ: Final = {
    "%Y-%m-%d": "YYYY-MM-DD",
    "%Y-%m-%dT%H:%M": "YYYY-MM-DDTHH:MM",
    "%Y-%m-%dT%H:%M:%S": "YYYY-MM-DDTHH:MM:SS",
}
