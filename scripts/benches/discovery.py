"""Discovery: how much of what is personal is found, how little else, and what it costs.

Measured on the made-up member texts and tables beside the repository (`PDMS_REAL_DATA`), by exact span, and on public
texts of other domains, by touched span, where names are hard and the figure is given without a goal. Peers, in the same
run: Presidio's own phone, card and IP recognisers on the same texts, and its analyser around our recognisers against
the direct path that batches take. CPU time.
"""

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, IpRecognizer, PhoneRecognizer

from pdms.discovery.recognizers import analyze, find
from pdms.discovery.redact import redact_many
from pdms.discovery.scan import scan_table
from pdms.discovery.spans import Label

DATA = Path(os.environ.get("PDMS_REAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "pii"
Marked = list[tuple[str, set[tuple[int, int, str]]]]
Found = Callable[[str], set[tuple[int, int, str]]]


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one result a case."""
    if not DATA.is_dir():
        raise SystemExit(f"the marked texts are not at {DATA} (set PDMS_REAL_DATA)")
    texts = _marked("ours/member_text.jsonl")
    yield from _quality(texts, _theirs())
    yield from _elsewhere(quick)
    yield from _columns()
    yield from _cost([text for text, _ in texts], 1 if quick else 5)


def _marked(name: str) -> Marked:
    rows = [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]
    return [(row["text"], {(start, end, label) for start, end, label in row["spans"]}) for row in rows]


def _ours(text: str) -> set[tuple[int, int, str]]:
    return {(span.start, span.end, str(span.label)) for span in find(text)}


def _theirs() -> Found:
    """Presidio's own recognisers for three labels that need no language model and no network."""
    names = {"PHONE_NUMBER": "PHONE", "CREDIT_CARD": "BANK_CARD", "IP_ADDRESS": "IP"}
    registry = RecognizerRegistry(
        [PhoneRecognizer(supported_regions=("CN", "US", "GB")), CreditCardRecognizer(), IpRecognizer()],
        supported_languages=["en"],
    )
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])
    return lambda text: {(one.start, one.end, names[one.entity_type]) for one in engine.analyze(text, "en")}


def _counts(texts: Marked, found: Found) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return hits, false finds and misses by label."""
    hits: Counter[str] = Counter()
    false: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for text, marked in texts:
        got = found(text)
        hits.update(label for *_, label in got & marked)
        false.update(label for *_, label in got - marked)
        missed.update(label for *_, label in marked - got)
    return hits, false, missed


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0


def _quality(texts: Marked, theirs: Found) -> Iterator[dict[str, Any]]:
    hits, false, missed = _counts(texts, _ours)
    their_hits, their_false, their_missed = _counts(texts, theirs)
    for label in Label:
        goal = 0.9 if label is Label.PERSON else 0.95
        has_peer = label in {Label.PHONE, Label.BANK_CARD, Label.IP}
        for what, one, rest, their_rest in (
            ("recall", hits, missed, their_missed),
            ("precision", hits, false, their_false),
        ):
            value = _share(one[label], rest[label])
            peer = _share(their_hits[label], their_rest[label]) if has_peer else None
            yield _row(f"{what} {label}", value, "share", peer=peer, goal=goal, met=value >= goal)


def _elsewhere(quick: bool) -> Iterator[dict[str, Any]]:
    """Names and numbers in texts of other domains; spans count as found when touched."""
    labels = {
        "PER": "PERSON", "person": "PERSON", "PERSON": "PERSON", "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL",
        "CREDIT_CARD": "BANK_CARD", "IP_ADDRESS": "IP",
    }  # fmt: skip
    names = ["presidio_synth_v2_a", "uner_en_ewt_dev", "wnut17_dev", "uner_zh_gsdsimp_dev"]
    for name in names[:1] if quick else names:
        hits: Counter[str] = Counter()
        total: Counter[str] = Counter()
        false: Counter[str] = Counter()
        for text, marked in _marked(f"thirdparty/{name}.jsonl"):
            got = _ours(text)
            wanted = {(start, end, labels[label]) for start, end, label in marked if label in labels}
            for span in wanted:
                total[span[2]] += 1
                hits[span[2]] += any(_touch(span, one) for one in got)
            false.update(one[2] for one in got if one[2] == "PERSON" and not any(_touch(span, one) for span in wanted))
        for label in sorted(total):
            yield _row(f"{name}: {label} touched of {total[label]}", hits[label] / total[label], "share")
        yield _row(f"{name}: false names", float(false["PERSON"]), "count")


def _touch(one: tuple[int, int, str], two: tuple[int, int, str]) -> bool:
    return one[2] == two[2] and one[0] < two[1] and two[0] < one[1]


def _columns() -> Iterator[dict[str, Any]]:
    folder = DATA / "ours" / "tables"
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    for case, opaque in (("columns right", False), ("columns right, headers hidden", True)):
        right = total = 0
        started = time.process_time()
        for name, wanted in labels.items():
            with (folder / name).open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
            columns = {
                f"c{n:02}" if opaque else header: [row[header] for row in rows] for n, header in enumerate(wanted)
            }
            proposals = scan_table(columns)
            right += sum(got.label == label for got, label in zip(proposals, wanted.values(), strict=True))
            total += len(proposals)
        spent = time.process_time() - started
        yield _row(case, right / total, "share", goal=0.95, met=right / total >= 0.95)
        yield _row(f"{case}: a column of 150 values", spent / total * 1e3, "ms")


def _cost(texts: Sequence[str], rounds: int) -> Iterator[dict[str, Any]]:
    find(texts[0])
    analyze(texts[0])
    direct: list[float] = []
    engine: list[float] = []
    redaction: list[float] = []
    for _ in range(rounds):
        direct.append(_spent(lambda: [find(text) for text in texts]))
        engine.append(_spent(lambda: [analyze(text) for text in texts]))
        redaction.append(_spent(lambda: redact_many(texts)))
    one = 1e6 / len(texts)
    yield _row("find in a text, direct (peer: AnalyzerEngine)", min(direct) * one, "us", peer=min(engine) * one)
    yield _row("redact a text", min(redaction) * one, "us")


def _spent(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _row(
    case: str, value: float, unit: str, *, peer: float | None = None, goal: float | None = None, met: bool | None = None
) -> dict[str, Any]:
    return {
        "bench": "discovery", "case": case, "value": round(value, 4), "unit": unit,
        "peer": None if peer is None else round(peer, 4),
        "ratio": round(value / peer, 2) if peer else None, "goal": goal, "met": met,
    }  # fmt: skip
