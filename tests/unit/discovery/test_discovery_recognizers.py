"""What is found in made-up texts, through Presidio and beside it, without a network."""

import importlib
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import pdms.discovery
from pdms.discovery.recognizers import LANGUAGE, MARGIN, WINDOW, analyze, analyzer, find, recognizers
from pdms.discovery.spans import Label

MARKED = Path(__file__).with_name("marked_texts.txt")
_MARK = re.compile(r"\{([A-Z_]+)\|([^{}|]*)\}")


def _texts() -> list[tuple[str, list[tuple[int, int, str]]]]:
    """Read the marked texts: plain text and the spans that have to be found in it."""
    texts = []
    for line in MARKED.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        plain, spans, place = "", [], 0
        for mark in _MARK.finditer(line):
            plain += line[place : mark.start()]
            spans.append((len(plain), len(plain) + len(mark[2]), mark[1]))
            plain += mark[2]
            place = mark.end()
        texts.append((plain + line[place:], spans))
    return texts


@pytest.mark.parametrize(("text", "spans"), _texts(), ids=[f"line{number}" for number in range(len(_texts()))])
def test_marked_texts_are_found_exactly(text: str, spans: list[tuple[int, int, str]]) -> None:
    assert [(span.start, span.end, str(span.label)) for span in find(text)] == spans


def test_marked_texts_cover_every_label() -> None:
    seen = Counter(label for _, spans in _texts() for *_, label in spans)
    assert set(seen) == set(Label)


def test_the_analyser_and_the_direct_path_agree() -> None:
    for text, _ in _texts():
        assert analyze(text) == find(text)


def test_only_our_recognisers_are_registered() -> None:
    registered = analyzer().registry.get_recognizers(language=LANGUAGE, all_fields=True)
    assert {type(one).__module__ for one in registered} == {"pdms.discovery.recognizers"}
    assert len(registered) == len(recognizers())
    assert {entity for one in registered for entity in one.supported_entities} == set(Label)


def test_no_pattern_uses_a_word_boundary() -> None:
    looked_at = 0
    for module in pkgutil.iter_modules(pdms.discovery.__path__, "pdms.discovery."):
        for value in vars(importlib.import_module(module.name)).values():
            rules = value if isinstance(value, tuple) else (value,)
            for rule in rules:
                pattern = rule if isinstance(rule, re.Pattern) else getattr(rule, "pattern", None)
                if isinstance(pattern, re.Pattern):
                    looked_at += 1
                    assert r"\b" not in pattern.pattern, (module.name, pattern.pattern[:40])
    assert looked_at > 80


def test_no_socket_is_opened() -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "class Refused(socket.socket):\n"
        "    def __init__(self, *a, **k): refuse()\n"
        "socket.socket = Refused; socket.create_connection = refuse; socket.getaddrinfo = refuse\n"
        "from pdms.discovery.recognizers import analyze\n"
        "from pdms.discovery.redact import redact\n"
        "from pdms.discovery.scan import scan_table\n"
        "text = '邮箱wang@example.com，电话13812345678，我叫王丽娟，住北京市朝阳区建国路1号'\n"
        "assert len(analyze(text)) == 4\n"
        "assert redact(text).counts == {'EMAIL': 1, 'PHONE': 1, 'PERSON': 1, 'ADDRESS': 1}\n"
        "assert scan_table({'c1': ['wang@example.com']})[0].label == 'EMAIL'\n"
        "try: socket.socket()\n"
        "except AssertionError: print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "closed\n"
    assert done.returncode == 0


def test_windows_join_without_a_seam() -> None:
    value = "电话13812345678，"
    for shift in range(len(value) + 1):
        text = "好" * (WINDOW - shift) + value + "好" * MARGIN * 2 + "wang@example.com"
        assert [(text[span.start : span.end], str(span.label)) for span in find(text)] == [
            ("13812345678", "PHONE"),
            ("wang@example.com", "EMAIL"),
        ]
