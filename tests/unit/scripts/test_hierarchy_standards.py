"""Hierarchies of public standards: the committed files are what the script makes, and each is a tree that passes."""

import importlib.util
from pathlib import Path

import pytest

from pdms.anonymize.hierarchy_files import examine, text_of
from pdms.policy import standards

ROOT = Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location("hierarchies_script", ROOT / "scripts" / "hierarchies.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
MADE = script.files()


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_committed_file_is_what_the_script_makes(name):
    assert (ROOT / name).read_text("utf-8") == MADE[name]


@pytest.mark.parametrize("name", sorted(name for name in MADE if "lookups" not in name))
def test_each_names_its_source_passes_every_rule_and_goes_round(name):
    found = examine(Path(name).stem, MADE[name].encode())
    assert found.source
    assert {one.rule for one in found.findings} <= ({"EXACT_DATE"} if name.endswith("date.csv") else set())
    again = examine(found.name, text_of(found.hierarchy, source=found.source).encode())
    assert again.hierarchy == found.hierarchy


def test_every_standard_is_made_by_the_script():
    assert {f"pdms/policy/standards/{name}.csv" for name in standards.names()} <= set(MADE)


def test_regions_nest_from_county_to_the_common_seven():
    tree = examine("county", standards.content_of("county")).hierarchy
    level, node = tree.node_of("杭州市西湖区")
    path = [tree.labels[step][tree.ancestors[step, node]] for step in range(tree.height)]
    assert (level, path) == (0, ["杭州市西湖区", "杭州市", "浙江省", "华东", "*"])
    assert [len(labels) for labels in tree.labels][2:] == [32, 8, 1]  # 31 provinces and seven regions, and unknown
    abolished = {"北京市崇文区", "北京市宣武区", "上海市卢湾区"}
    assert not abolished & set(tree.leaves)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("东城区", "东城区"),
        ("[-2010]崇文区", None),
        ("[1992-]东丽区", "东丽区"),
        ("[-1991]东郊区,[1992-]东丽区", "东丽区"),
        ("[1982-1999]昌平县", None),
    ],
)
def test_only_names_in_force_are_taken(entry, name):
    assert script.current(entry) == name


def test_days_lie_in_their_month_quarter_and_year():
    rows = {row[0]: row[1:] for row in script.days(2024, 2024)}
    assert rows["2024-02-29"] == ("2024-02", "2024-Q1", "2024", "*")
    assert rows["2024-10-01"] == ("2024-10", "2024-Q4", "2024", "*")
    assert len(rows) == 366 + 1
