"""Our recognisers on Presidio: its registry and analyser, none of its own patterns, no language model, no network.

Guarantee: importing this module and building the analyser opens no socket and reads no model. Presidio's own patterns
stand on `\\b`, which fails beside Chinese characters, and its e-mail recogniser fetches a public suffix list; so every
recogniser here is ours, and `RecognizerRegistry` is handed exactly these. Rules run on folded text (`folding`).

`find` is the batch path: it asks the same recogniser objects directly and leaves out what the analyser adds a text
(result objects, context enhancement without tokens to enhance). `analyze` is the path through `AnalyzerEngine`, for
callers that add recognisers of their own. Both give the same spans; a test holds them together.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from pdms.discovery import addresses, births, contacts, devices, names, papers, phones, spelt
from pdms.discovery.folding import Folded, fold
from pdms.discovery.rules import Needs, Rule, run, traits
from pdms.discovery.spans import Label, Span, settle

if TYPE_CHECKING:
    from presidio_analyzer.nlp_engine import NlpArtifacts

LANGUAGE = "zh"
"""The one tag under which all recognisers are registered: members mix Chinese and English within a sentence, so no
language is detected and every rule runs on every text."""

WINDOW = 32_768
"""Texts are searched in windows of this many characters, so that memory stays flat on a field of any size."""
MARGIN = 256
"""Context that a window shows on both sides; longer than any span found."""


class RuleRecognizer(EntityRecognizer):  # type: ignore[misc]  # the library is untyped
    """One family of rules for one or more labels, as Presidio sees it."""

    def __init__(self, name: str, labels: Sequence[Label], search: Callable[[str, Needs], list[Span]]) -> None:
        self._search = search
        super().__init__(
            supported_entities=[str(label) for label in labels], name=name, supported_language=LANGUAGE, version="1"
        )

    def load(self) -> None:
        """Nothing is loaded: rules are compiled on import."""

    def spans(self, folded: str, held: Needs) -> list[Span]:
        """Return this family's finds in folded text; they may overlap."""
        return self._search(folded, held)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: "NlpArtifacts | None" = None
    ) -> list[RecognizerResult]:
        """Presidio's entry: `text` as members wrote it, results in its offsets."""
        del nlp_artifacts
        wanted = set(entities)
        return [
            RecognizerResult(
                str(span.label), span.start, span.end, span.score,
                recognition_metadata={
                    RecognizerResult.RECOGNIZER_NAME_KEY: span.rule,
                    RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                },
            )
            for span in _windows(fold(text), self._search)
            if span.label in wanted
        ]  # fmt: skip


def _family(rules: Sequence[Rule]) -> Callable[[str, Needs], list[Span]]:
    return lambda folded, held: run(rules, folded, held)


@cache
def recognizers() -> tuple[RuleRecognizer, ...]:
    """Return our recognisers, built once."""
    families: list[tuple[str, Sequence[Rule]]] = [
        ("Phones", phones.PHONES),
        ("Emails", contacts.EMAILS),
        ("Accounts", contacts.ACCOUNTS),
        ("Papers", papers.PAPERS),
        ("BankCards", papers.BANK_CARDS),
        ("Devices", devices.DEVICES),
        ("NetworksAndPlaces", devices.NETWORKS),
        ("Births", births.BIRTHS),
        ("SpeltDigits", spelt.SPELT),
    ]
    built = [RuleRecognizer(name, sorted({rule.label for rule in rules}), _family(rules)) for name, rules in families]
    built.append(RuleRecognizer("Addresses", [Label.ADDRESS], addresses.find))
    built.append(RuleRecognizer("Names", [Label.PERSON], names.find))
    return tuple(built)


@cache
def analyzer() -> AnalyzerEngine:
    """Return Presidio's analyser over our recognisers only."""
    registry = RecognizerRegistry(recognizers=list(recognizers()), supported_languages=[LANGUAGE])
    nlp = NoOpNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": "none"}])
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=[LANGUAGE])


def analyze(text: str, **options: Any) -> list[Span]:
    """Return the settled spans of `text` by way of `AnalyzerEngine.analyze`; `options` go to it."""
    results = analyzer().analyze(text, LANGUAGE, **options)
    return settle(
        Span(
            Label(found.entity_type),
            found.start,
            found.end,
            found.score,
            found.recognition_metadata[RecognizerResult.RECOGNIZER_NAME_KEY],
        )
        for found in results
    )


def find(text: str) -> list[Span]:
    """Return the settled spans of `text`, asking the recognisers directly."""
    return settle(_windows(fold(text), _all))


def _all(folded: str, held: Needs) -> list[Span]:
    found: list[Span] = []
    for recognizer in recognizers():
        found.extend(recognizer.spans(folded, held))
    return found


def _windows(folded: Folded, search: Callable[[str, Needs], list[Span]]) -> list[Span]:
    """Run `search` window by window and return the finds in offsets of the original text."""
    text = folded.text
    found: list[Span] = []
    for begin in range(0, len(text), WINDOW):
        base = max(0, begin - MARGIN)
        part = text[base : begin + WINDOW + MARGIN]
        for span in search(part, traits(part)):
            start = span.start + base
            if begin <= start < begin + WINDOW:
                found.append(Span(span.label, *folded.locate(start, span.end + base), span.score, span.rule))
    return found
