"""Every requirement has a test that bears its id, or a word on what is lacking; the table says what is there."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requirements", ROOT / "scripts" / "requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["requirements"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_tests_say(table: ModuleType) -> None:
    written = (ROOT / "docs" / "requirements.md").read_text("utf-8")
    assert written == table.document(), "run .venv/bin/python scripts/reference.py"


def test_no_row_is_left_without_a_test_or_a_reason(table: ModuleType) -> None:
    assert table.unaccounted() == []


def test_every_mistake_has_tests_that_are_there(table: ModuleType) -> None:
    assert table.absent() == []
    assert len(table.pitfalls()) == 15
    assert all(row.tests for row in table.pitfalls())


def test_a_row_without_either_is_found(table: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "tests", tuple)
    missing = table.unaccounted()
    rows = yaml.safe_load((ROOT / "docs" / "requirements.yaml").read_text("utf-8"))["requirements"]
    silent = [row["id"] for row in rows if row["module"] in table.NEEDED and "lacks" not in row]
    assert missing == silent
    assert "PIPL-15-1" in missing


def test_ids_stand_once_in_a_row(table: ModuleType) -> None:
    rows = [one for row in table.requirements() for one in row.ids]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    ("identifier", "name", "bears"),
    [
        ("PIPL-14-2", "test_PIPL_14_2_added_category_asks_again", True),
        ("NDR-22(4)", "test_NDR_22_4_consent_period_ends", True),
        ("T35273-8.7", "test_T35273_8_7_working_days", True),
        ("PIPL-56-2", "test_pipl_56_2_records_of_two_years_are_kept", True),
        ("PIPL-14-2", "撤回后须重新征求 [PIPL-14-2, NDR-22-6]", True),
        ("PIPL-6", "test_PIPL_6_1_unknown_purpose", False),
        ("PIPL-2", "test_PIPL_21_contract_over", False),
        ("PIPL-15-1", "test_PIPL_15_12_no_such_article", False),
        ("PIPL-15-1", "test_XPIPL_15_1_another_law", False),
        ("SMS", "test_sms_is_recorded", False),
        ("SMS", "test_SMS_has_a_way_out", True),
    ],
)
def test_a_name_bears_an_id_whole(table: ModuleType, identifier: str, name: str, bears: bool) -> None:
    assert table.named(identifier, name) is bears
