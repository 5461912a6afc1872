"""Writes docs/{cli,api,events,requirements}.md; `--check` fails where they differ from what is there.

The command reference is the commands' own help, the API reference the application's own OpenAPI document, the table of
requirements is made of docs/requirements.yaml and the names of the tests, the one of events of the log's catalogue.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent))
import requirements

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = "<!-- Written by scripts/reference.py from the code; do not edit. -->\n\n"


def cli() -> str:
    """Return the command reference."""
    from pdms.cli.app import app

    group: Any = typer.main.get_command(app)
    parts = [NOTE + "# Command reference\n\n" + (group.help or "") + "\n\n" + (group.epilog or "") + "\n"]
    parts.append("\n".join(["\nOptions before the noun:\n", *_options(group)]) + "\n")
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            parts.append(f"\n## pdms {name}\n\n{command.help or ''}\n")
            parts.extend(_verbs(f"pdms {name}", command))
        else:
            parts.append(_command(f"pdms {name}", command, level="##"))
    return "".join(parts)


def _verbs(above: str, group: Any) -> Iterator[str]:
    for verb, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _verbs(f"{above} {verb}", command)
        else:
            yield _command(f"{above} {verb}", command)


def _command(name: str, command: Any, *, level: str = "###") -> str:
    arguments = " ".join(f"{p.name.upper()}" for p in command.params if p.param_type_name == "argument")
    head = f"\n{level} {name} {arguments}".rstrip()
    return "\n\n".join([head, (command.help or "").strip(), "\n".join(_options(command))]).rstrip() + "\n"


def _options(command: Any) -> list[str]:
    lines = []
    for parameter in command.params:
        text = (getattr(parameter, "help", None) or "").strip()
        if parameter.name == "help":
            continue
        shown = f"`{parameter.name.upper()}`" if parameter.param_type_name == "argument" else _flags(parameter)
        needed = " (needed)" if parameter.required and parameter.param_type_name == "option" else ""
        lines.append(f"- {shown}{needed}: {text}" if text else f"- {shown}{needed}")
    return lines


def _flags(parameter: Any) -> str:
    return ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))


def api() -> str:
    """Return the API reference."""
    from pdms.api.app import openapi_document

    document = openapi_document()
    parts = [NOTE + f"# API reference\n\n{document['info'].get('description', '')}\n"]
    parts.append("\n| method | path | what | scope |\n|---|---|---|---|\n")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scopes = ", ".join(operation.get("x-scopes", [])) or "public"
            parts.append(f"| {method.upper()} | `{path}` | {operation.get('summary', '')} | {scopes} |\n")
    return "".join(parts)


def events() -> str:
    """Return the catalogue of events."""
    from pdms.audit.catalogue import CATALOGUE, Retention
    from pdms.reports.pack_words import KINDS_ZH

    kept = {
        Retention.NETWORK_LOG: "180 days",
        Retention.RECORD: "3 years",
        Retention.PROOF: "3 years after the erasure",
        Retention.LOG: "as long as the log",
    }
    parts = [
        NOTE + "# Events of the audit log\n\nWhat is kept is the opening; the leaf's digest stays as long as the log.\n"
    ]
    parts.append(
        "\n| kind | what happened | 含义 | kept at least | dies with the member it names |\n|---|---|---|---|---|\n"
    )
    for kind, entry in CATALOGUE.items():
        dies = "yes" if entry.dies_with_member else "no"
        parts.append(f"| `{kind.value}` | {entry.meaning} | {KINDS_ZH[kind]} | {kept[entry.retention]} | {dies} |\n")
    return "".join(parts)


def policy_schema() -> str:
    """Return the JSON Schema of the policy documents."""
    from pdms.policy.schema import schema

    return json.dumps(schema(), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def main() -> int:
    """Write, or check, the documents."""
    check, stale = "--check" in sys.argv[1:], []
    for name, text in (
        ("cli.md", cli()),
        ("api.md", api()),
        ("events.md", events()),
        ("policy-schema.json", policy_schema()),
        ("requirements.md", requirements.document()),
    ):
        path = DOCS / name
        if check and (not path.exists() or path.read_text("utf-8") != text):
            stale.append(name)
        elif not check:
            path.write_text(text, "utf-8")
    if stale:
        print(f"docs are not what the code says: {', '.join(stale)}; run scripts/reference.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
