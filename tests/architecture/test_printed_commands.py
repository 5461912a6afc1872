"""Every command that documents, help, policies and messages print is one that the program takes as it stands."""

from pathlib import Path

import pytest

from common.commands import commands
from common.printed import named, printed, wrong

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(p for p in (ROOT / "policies").rglob("*.*") if p.is_file())]
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_prints_can_be_typed(path):
    assert {line: told for line in printed(path.read_text("utf-8")) if (told := wrong(line))} == {}


def test_what_help_and_messages_print_can_be_typed():
    lines = {line for path in (ROOT / "pdms").rglob("*.py") for line in printed(path.read_text("utf-8"))}
    assert len(lines) > 150, "they are looked for where they are"
    assert {line: told for line in lines if (told := wrong(line))} == {}


def test_every_command_that_takes_something_shows_how():
    bare = [
        name
        for name, command in commands().items()
        if any(parameter.name != "help" for parameter in command.params)
        and not any(named(line) == (name, True) for line in printed(command.help or ""))
    ]
    assert bare == []


@pytest.mark.parametrize(
    "text",
    [
        "`pdms view lst`",
        "`pdms view lint --dta`",
        "`pdms view list --json --frob`",
        "`pdms report record drill`",
        "`pdms report record drill --on 2026-06-01`, `… record pipia`",
        "`pdms report ropa|list`",
        "`pdms request submit shop:H00042 --type acess`",
        "`pdms audit replay --from yesterday --to 2026-12-01`",
        "`pdms keys destroy one`",
        "`echo 13800138000 | pdms member erase shop:H00042 --recipt receipt.json`",
        "```\n[compliance] $ pdms audit list --purpos service   # a comment\n```",
        "```\nT='--from-urls sqlite:////srv/old.db'\npdms ingest shop-members $T\n```",
        "```\npdms backup create /backups/new \\\n  --seal\n```",
    ],
)
def test_what_the_program_would_refuse_is_found(text):
    assert any(wrong(line) for line in printed(text))


@pytest.mark.parametrize(
    "text",
    [
        "`pdms member erase` ends with a receipt",
        "`pdms view lint [VIEW] [--data]`",
        "`pdms --home X keys list --json`",
        '```\nT="--from-url sqlite:////srv/old.db --table m"\npdms ingest shop-members $T --verify\n```',
        "`PDMS_TOKEN=pdms_key_… pdms view list`, `pdms --help`",
        "`pdms policy schema > schema.json`",
    ],
)
def test_what_it_takes_is_left_alone(text):
    assert printed(text)
    assert not any(wrong(line) for line in printed(text))
