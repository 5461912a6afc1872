"""Files of hierarchies: what each rule finds, on which line, and that no cell is ever told."""

import csv
import io
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize.hierarchy_files import LONGEST, MOST_TOLD, Rule, examine, text_of
from pdms.errors import InvalidInput
from pdms.policy.yaml_reader import read_rows

GOOD = "# our catalogue\ntea;drinks;*\ncoffee;drinks;*\nbread;food;*\n"


def rules(text: str | bytes, **options) -> list[tuple[str, int]]:
    content = text if isinstance(text, bytes) else text.encode()
    found = examine("tree", content, **options)
    assert found.ok == (not any(one.severity == "error" for one in found.findings))
    return [(one.rule.value, one.line) for one in found.findings]


def test_a_file_without_fault_gives_its_tree_and_its_source():
    found = examine("tree", GOOD.encode())
    assert (found.ok, found.findings, found.source) == (True, (), "our catalogue")
    assert found.hierarchy.labels == (("tea", "coffee", "bread"), ("drinks", "food"), ("*",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", [("NO_LEAVES", 0)]),
        ("# nothing but a comment\n\n", [("NO_LEAVES", 0)]),
        ("alone\n", [("DEPTH", 1), ("NO_ROOT", 1)]),
        ("a;x;*\nb;*\n", [("DEPTH", 2)]),
        (";".join("abcdefghijklmnopq") + ";*\n", [("DEPTH", 1)]),
        ("a;;*\n", [("EMPTY_CELL", 1)]),
        ("a;x ;*\n", [("EMPTY_CELL", 1)]),
        ("a;x;*\n\nb;x;*\na;x;*\n", [("DUPLICATE_LEAF", 4)]),
        ("a;x;p;*\nb;y;p;*\nc;x;q;*\n", [("TWO_PARENTS", 3)]),
        ("a;b;*\nb;a;*\n", [("CYCLE", 2)]),
        ("a;b;c;a;*\n", [("CYCLE", 1)]),
        ("a;b;*\nb;c;*\n", [("AMBIGUOUS", 2)]),
        ("a;*;x\nb;y;x\n", [("NO_ROOT", 1), ("AMBIGUOUS", 1)]),
        ('a;"x;*\n', [("NOT_CSV", 1)]),
        ('a;"x"y;*\n', [("NOT_CSV", 1)]),
        ("=1+1;x;*\n", [("FORMULA", 1)]),
        ("a;x;*\n@sum;x;*\n", [("FORMULA", 2)]),
        ("-cmd;x;*\n", [("FORMULA", 1)]),
        ("-2+3+cmd|' /C calc'!A0;x;*\n", [("FORMULA", 1)]),
        ("＝1;x;*\n", [("FORMULA", 1)]),
        ("a\x07;x;*\n", [("CONTROL", 1)]),
        ("a\u0085b;x;*\n", [("CONTROL", 1)]),
        ('"#rare";x;*\nb;x;*\n', [("COMMENT", 1)]),
        (";".join("abcdefghijklmnop") + "\n", [("NO_ROOT", 1), ("DEPTH", 1)]),
        ("a" * (LONGEST + 1) + ";x;*\n", [("LONG_CELL", 1)]),
        ("\ufeffa;x;*\n", [("BOM", 1)]),
        ("a;x\nb;y\n", [("NO_ROOT", 1)]),
        ("2026-01-01;2026;*\n2026-01-02;2026;*\n", [("EXACT_DATE", 1)]),
        ("20260101;2026;*\n", [("EXACT_DATE", 1)]),
    ],
)
def test_each_rule_is_told_with_its_line(text, told):
    assert rules(text) == told


def test_a_chain_of_thousands_told_from_its_end_is_no_cycle():
    names = [f"n{place}" for place in range(20_000)]
    chain = [f"{low};{high};*\n" for low, high in pairwise(names)]
    assert {rule for rule, _ in rules("".join(reversed(chain)))} == {"AMBIGUOUS"}
    assert rules("".join([*chain, "n19999;n0;*\n"])) == [("CYCLE", 20_000)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=3), st.sampled_from(["*", "all", "一"])), max_size=4))
def test_a_tree_that_is_taken_reads_back_from_its_file_as_itself(rows):
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\n").writerows(rows)
    found = examine("tree", text.getvalue().encode())
    if found.ok:
        written = text_of(found.hierarchy, source="drawn")
        again = examine("tree", written.encode())
        assert (again.findings, again.hierarchy.labels, again.source) == ((), found.hierarchy.labels, "drawn")
        with TemporaryDirectory() as folder:
            Path(folder, "tree.csv").write_text(written, "utf-8")
            _, read = read_rows(Path(folder, "tree.csv"), root=Path(folder))
        assert [row[-1] for row in read] == ["*"] * len(read)
        assert tuple(row[0] for row in read) == found.hierarchy.leaves


def test_a_file_in_another_encoding_names_the_line():
    assert rules("a;x;*\n茶;饮料;*\n".encode("gbk")) == [("NOT_UTF8", 2)]


def test_a_huge_file_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("pdms.anonymize.hierarchy_files.LARGEST", 10)
    assert rules("a;x;*\n" * 3) == [("TOO_LARGE", 0)]
    monkeypatch.undo()
    monkeypatch.setattr("pdms.anonymize.hierarchy_files.MAX_LEAVES", 1)
    assert rules("".join(f"{n};x;*\n" for n in range(1200))) == [("TOO_LARGE", 0)]


def test_negative_numbers_and_windows_lines_are_no_fault():
    assert rules("-5;<0;*\r\n3;>=0;*\r\n") == []


def test_another_delimiter():
    assert rules("a,x,*\nb,x,*\n", delimiter=",") == []


def test_values_that_are_not_covered_are_told_by_their_line():
    assert rules(GOOD, values=["tea", "cocoa", "bread", "drinks"]) == [("NOT_COVERED", 2), ("NOT_COVERED", 4)]


def test_of_many_breaches_some_are_told_and_the_rest_counted():
    found = examine("tree", ("a;x;*\n" * (MOST_TOLD + 11)).encode())
    assert len(found.findings) == MOST_TOLD
    assert [one.more for one in found.findings][-2:] == [0, 10]


def test_no_finding_holds_a_cell():
    secret = "13800138000"
    texts = [f"{secret};x;*\n{secret};x;*\n", f"={secret};x;*\n", f"{secret};;*\n", f'{secret};"x;*\n']
    texts += [f"{secret};x;p;*\nb;x;q;*\n", f"{secret};b;*\nb;{secret};*\n", f"{secret}\n"]
    for text in texts:
        found = examine("tree", text.encode(), values=[secret, "y" + secret])
        assert found.findings
        assert secret not in repr(found)


def test_every_rule_has_words_in_both_languages():
    from pdms.anonymize.hierarchy_files import WORDS

    assert set(WORDS) == set(Rule)
    assert all(english and chinese for english, chinese in WORDS.values())


def test_a_file_of_the_policy_names_its_source():
    tree = examine("tree", GOOD.encode()).hierarchy
    assert text_of(tree, source="our catalogue") == GOOD
    with pytest.raises(InvalidInput, match="source"):
        text_of(tree, source=" \n ")
