"""Tables as people read them in a terminal of eighty columns."""

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import cast

import pytest

from pdms.anonymize.ledger import HeldBack
from pdms.cli.campaign import _funnel
from pdms.cli.render import cell, show
from pdms.cli.view import HELD_BACK, held_back, worded
from pdms.publish.manifest import Manifest, Together
from pdms.views.lint_words import WORDS
from pdms.views.linting import _finding


@pytest.mark.parametrize("code", sorted(WORDS))
def test_a_finding_of_the_linter_is_read_whole(code, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show([worded(_finding("member_value", code, "features.spend", "6 members in 1 bin"))], as_json=False)
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert f"│ {code} " in told, "its code is not folded"
    flat = "".join("".join(line.split("│")[2:3]) for line in told.splitlines()).replace(" ", "")
    words = WORDS[code]
    for text in (words.explanation, words.explanation_zh, words.suggestion, words.suggestion_zh):
        assert text.replace(" ", "") in flat


def test_counts_of_a_campaign_go_from_the_first_to_the_last_and_say_what_they_count():
    counts = dict.fromkeys(
        ("handed_over", "CONSENT_REFUSED", "audience", "excluded_CONSENT_REFUSED", "eligible", "new"), 7
    )
    rows = _funnel(counts)
    assert [row["what"] for row in rows] == [
        "eligible", "excluded_CONSENT_REFUSED", "audience", "CONSENT_REFUSED", "handed_over", "new"
    ]  # fmt: skip
    assert all(row["meaning"] for row in rows[:-1])
    assert len({row["meaning"] for row in rows}) == len(rows), "the two refusals are told apart"


def test_who_is_held_back_is_told_with_the_releases_and_what_to_do():
    counts = HeldBack(padding=9, remainder=0, joiners=1, silent=12)
    out = Together(family="f", releases=("rel-1", "rel-2"), k=10, rows=40, held_back=asdict(counts))
    told = held_back(cast("Manifest", SimpleNamespace(together=out)))
    assert str(told["held back"]).splitlines()[0].startswith("22, because of")
    assert [line.partition(":")[0] for line in str(told["held back"]).splitlines()[1:]] == [
        "padding",
        "joiners",
        "silent",
    ]
    assert told["releases that are out"] == "rel-1\nrel-2"
    assert set(HELD_BACK) == set(asdict(counts))
    alone = replace(out, releases=(), held_back=asdict(HeldBack(0, 0, 0, 0)))
    assert held_back(cast("Manifest", SimpleNamespace(together=alone))) == {}


def test_rows_of_several_lines_are_told_apart(capsys):
    show([{"a": "x\ny"}, {"a": "z"}], as_json=False)
    assert "├" in capsys.readouterr().out
    show([{"a": "x"}, {"a": "z"}], as_json=False)
    assert "├" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "told"), [(1838.13, "1,838"), (3_141_592.6, "3,141,593"), (12.34567, "12.35"), (0.00012, "0.00012")]
)
def test_a_number_is_written_out(value, told):
    assert cell(value) == told
