"""Floors on the marked member texts and tables that lie beside the repository; figures reached are one step above."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from pdms.discovery.recognizers import analyze, find
from pdms.discovery.redact import redact_many
from pdms.discovery.scan import scan_table
from pdms.discovery.spans import Label

pytestmark = pytest.mark.real_data

STRUCTURED = 0.99
NAMES = 0.98
TABLES = 0.98


@pytest.fixture(scope="module")
def texts(real_data: Path) -> list[tuple[str, set[tuple[int, int, str]]]]:
    """Plain texts with the spans marked in them."""
    lines = (real_data / "pii" / "ours" / "member_text.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row["text"], {(start, end, label) for start, end, label in row["spans"]}) for row in rows]


def test_recall_and_precision_by_label(texts: list[tuple[str, set[tuple[int, int, str]]]]) -> None:
    hits: Counter[str] = Counter()
    found: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    for text, spans in texts:
        got = {(span.start, span.end, str(span.label)) for span in find(text)}
        hits.update(label for *_, label in got & spans)
        found.update(label for *_, label in got)
        marked.update(label for *_, label in spans)
    assert set(marked) == set(Label)
    for label, count in marked.items():
        floor = NAMES if label == Label.PERSON else STRUCTURED
        assert hits[label] / count >= floor, f"recall of {label}"
        assert hits[label] / found[label] >= floor, f"precision of {label}"


def test_redaction_leaves_hardly_a_marked_value(texts: list[tuple[str, set[tuple[int, int, str]]]]) -> None:
    redacted = redact_many([text for text, _ in texts])
    values = [
        (text[start:end], done.text)
        for (text, spans), done in zip(texts, redacted, strict=True)
        for start, end, _ in spans
    ]
    left = sum(value in text for value, text in values)
    assert left / len(values) <= 0.005


def test_both_paths_agree(texts: list[tuple[str, set[tuple[int, int, str]]]]) -> None:
    for text, _ in texts[::20]:
        assert analyze(text) == find(text)


@pytest.mark.parametrize("opaque", [False, True], ids=["as they are", "headers hidden"])
def test_columns_of_member_tables(real_data: Path, opaque: bool) -> None:
    folder = real_data / "pii" / "ours" / "tables"
    right = total = 0
    for name, labels in json.loads((folder / "labels.json").read_text("utf-8")).items():
        with (folder / name).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {f"c{n:02}" if opaque else header: [row[header] for row in rows] for n, header in enumerate(labels)}
        proposals = scan_table(columns)
        right += sum(proposal.label == label for proposal, label in zip(proposals, labels.values(), strict=True))
        total += len(proposals)
    assert right / total >= TABLES


def test_columns_of_trade_are_not_taken_for_personal_data(real_data: Path) -> None:
    import gzip

    with gzip.open(real_data / "retail" / "online_retail" / "online_retail.csv.gz", "rt", encoding="utf-8") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(1000), strict=False)]
    columns = {f"c{n}": [row[header] for row in rows] for n, header in enumerate(rows[0])}
    assert [proposal.label for proposal in scan_table(columns)] == [None] * len(columns)
