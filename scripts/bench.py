"""Runs one benchmark of `scripts/benches/` and prints its table; figures are CPU time unless the unit says so."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

BENCHES = Path(__file__).with_name("benches")


def main() -> int:
    """Run the named benchmark; exit 1 where a goal was missed."""
    names = sorted(p.stem for p in BENCHES.glob("*.py") if not p.stem.startswith("_"))
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=names, help="which benchmark")
    parser.add_argument("--quick", action="store_true", help="small sizes; ends within a minute")
    parser.add_argument("--json", type=Path, help="write one JSON object a line")
    arguments = parser.parse_args()
    if arguments.name is None:
        print("\n".join(names))
        return 0
    spec = importlib.util.spec_from_file_location(f"benches.{arguments.name}", BENCHES / f"{arguments.name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    rows = []
    for row in module.run(arguments.quick):
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    if arguments.json is not None:
        arguments.json.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    table = Table(title=f"{arguments.name}{' (quick)' if arguments.quick else ''}")
    for column in ("case", "value", "unit", "peer", "ratio", "goal", "met"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(_shown(row.get(c)) for c in ("case", "value", "unit", "peer", "ratio", "goal", "met")))
    Console().print(table)
    return 0 if all(row.get("met") is not False for row in rows) else 1


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
