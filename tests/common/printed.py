"""Commands that are printed for people to type: where they stand in a text, and whether the program would take them.

Nothing is carried out: a command line is parsed by the very parser that the program has, with its arguments and
options, their types and what is needed. A span of code that says no more than a command's name (`pdms member erase`) is
a mention of it; whatever says more is read as a command line that somebody copies, whole. `pdms report ropa|lists` are
two, `[--data]` is taken as said, and `… record drill` goes on where the command before it began.
"""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from typer.exceptions import TyperException

from common.commands import group
from pdms.cli.words import hoisted, wrong_words

SPAN = re.compile(r"(?<!`)`((?:echo \S+ \| )?(?:PDMS_\w+=\S+ )*(?:pdms|…)\s[^`]+)`")
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROMPT = re.compile(r"^(?:\[\w+\] )?\$ ")
COMMAND = re.compile(r"^(?:PDMS_\w+=\S+ )*(?=pdms )")
VARIABLE = re.compile(r"^(?:export )?([A-Z]+)=[\"']?([^\"'\n]*)[\"']?$", re.MULTILINE)


def printed(content: str) -> list[str]:
    """Return the command lines of a document or of a source, from `pdms` on."""
    told = [line for block in BLOCK.findall(content) for line in _of_block(block)]
    before: list[str] = []
    for span in SPAN.findall(BLOCK.sub("", content)):
        words = re.sub(r"\s*\n\s*#?\s*", " ", span).split()
        if words[0] == "…":
            if words[1] not in before:
                continue  # more of something else
            words = before[: before.index(words[1])] + words[1:]
        before = words
        told += _commands(" ".join(words))
    return told


def _of_block(block: str) -> Iterator[str]:
    values = dict(VARIABLE.findall(block))
    for line in block.replace("\\\n", " ").splitlines():
        yield from _commands(re.sub(r"\$([A-Z]+)", lambda found: values.get(found[1], found[0]), PROMPT.sub("", line)))


def _commands(typed: str) -> Iterator[str]:
    """Yield the commands of ours in one line of a shell."""
    for part in re.split(r" \| | && ", re.sub(r"\$\([^)]*\)", "X", typed)):
        if COMMAND.match(part):
            yield COMMAND.sub("", part).partition(" > ")[0]


def wrong(line: str) -> str | None:
    """Return what the program would say against a printed command line; None: it takes it."""
    return next((told for words in _alternatives(line) if (told := _parsed(words)[1])), None)


def named(line: str) -> tuple[str, bool]:
    """Return the command that a line names, and whether the line says more than that."""
    words = next(_alternatives(line))
    name, _ = _parsed(words)
    return name, len(words) > len(name.split())


def _alternatives(line: str) -> Iterator[list[str]]:
    words = [word.strip("[]") for word in shlex.split(line, comments=True)]
    for chosen in product(*(word.split("|") for word in words[1:])):
        yield hoisted([word for word in chosen if word != "--help"])


@cache
def _group() -> Any:
    return group()


def _parsed(rest: list[str]) -> tuple[str, str | None]:
    """Return the name of the command that the words name, and what is wrong with them."""
    command, above, names = _group(), None, []
    try:
        while rest and hasattr(command, "commands"):
            above = command.make_context(command.name, rest, parent=above)
            rest = [*above._protected_args, *above.args]  # what the parser keeps for the command below
            if rest:
                name, command, rest = command.resolve_command(above, rest)
                names.append(name)
        if rest:  # else it is mentioned only
            command.make_context(command.name, rest, parent=above)
    except TyperException as error:
        return " ".join(names), wrong_words(error)
    return " ".join(names), None
