"""What the indexes tell a thief of the database: counted by hand on data whose names are spread as names are."""

import json
import random
from collections import Counter

import pytest

from common.world import POLICIES, World, people
from pdms.errors import Denied
from pdms.reports import leakage as report
from pdms.reports.name_frequencies import FREQUENT_PARTS

MEMBERS = 300
DECLARED = """searches:
  phone_last4: {code: 1, field: phone, form: last_four, bits: 8}
  name_part: {code: 2, field: name, form: bigrams, bits: 20}
"""


def rows_with_frequent_names() -> list[dict[str, str]]:
    """Names of which the public list is true: the first parts occur clearly more often than the next."""
    dice, rows, at = random.Random(3), people(MEMBERS), 0
    for rank, part in enumerate(FREQUENT_PARTS[:6]):
        for _ in range(60 - 10 * rank):
            rows[at]["姓名"] = part
            at += 1
    for row in rows[at:]:
        row["姓名"] = chr(0x4E00 + dice.randint(0, 2000)) + chr(0x5E00 + dice.randint(0, 2000))
    rows[1]["手机号"] = rows[0]["手机号"]
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    import shutil

    folder = tmp_path_factory.mktemp("leakage")
    shutil.copytree(POLICIES, folder / "policies")
    text = (POLICIES / "policy.yaml").read_text("utf-8").replace("searches: {}\n", DECLARED)
    (folder / "policies" / "policy.yaml").write_text(text, "utf-8")
    world = World.make(folder, policies=folder / "policies")
    rows = rows_with_frequent_names()
    assert world.ingest("shop-members", rows).rejected == 0
    yield world, rows
    world.close()


def test_figures_are_those_of_the_data(shop):
    world, rows = shop
    found = world.run("compliance", report.leakage)
    assert found.members == MEMBERS
    by_name = {one.name: one for one in found.indexes}
    assert set(by_name) == {"external", "phone", "email", "id_number", "login", "phone_last4", "name_part"}
    assert by_name["external"].sizes.alone == by_name["email"].sizes.alone == 1.0
    assert by_name["phone"].sizes.largest == 2
    assert by_name["phone"].sizes.alone == pytest.approx(1 - 2 / MEMBERS)
    assert by_name["phone"].sizes.entries == MEMBERS
    last, parts = by_name["phone_last4"], by_name["name_part"]
    assert (last.bits, last.sizes.entries) == (8, MEMBERS)
    assert last.sizes.buckets <= 256
    assert last.sizes.expected_guesses > 1
    truth = Counter(name[at : at + 2] for name in (r["姓名"] for r in rows) for at in range(len(name) - 1))
    assert parts.sizes.entries == truth.total()
    assert parts.sizes.largest == max(truth.values())


def test_a_thief_with_a_list_of_names_reads_off_what_the_report_says(shop):
    world, _ = shop
    parts = next(one for one in world.run("compliance", report.leakage).indexes if one.name == "name_part")
    assert parts.attack is not None
    assert parts.attack.right >= 6
    assert parts.attack.among >= parts.attack.right
    assert parts.risk == "high"
    assert "high" in parts.en
    assert "风险高" in parts.zh


def test_patterns_together(shop):
    world, _ = shop
    whole, searches, both = world.run("compliance", report.leakage).joint
    assert whole.indexes == ("phone", "email", "id_number", "login")
    assert whole.sizes.alone == 1.0
    assert searches.indexes == ("phone_last4", "name_part")
    assert both.indexes == whole.indexes + searches.indexes
    assert both.sizes.alone == 1.0
    assert searches.sizes.entries == MEMBERS
    single = next(one for one in world.run("admin", report.leakage).indexes if one.name == "phone_last4")
    assert searches.sizes.alone > single.sizes.alone


def test_officers_only_and_nothing_of_a_member_in_it(shop):
    world, rows = shop
    for role in ("support", "marketing", "ingest"):
        with pytest.raises(Denied):
            world.run(role, report.leakage)
    from pdms.bootstrap.plain import plain

    text = json.dumps(plain(world.run("compliance", report.leakage)), ensure_ascii=False)
    for row in rows:
        assert row["手机号"] not in text
        assert row["身份证号"] not in text


def test_an_empty_home_has_a_report_too(tmp_path):
    world = World.make(tmp_path)
    try:
        found = world.run("compliance", report.leakage)
        assert found.members == 0
        assert [one.sizes.entries for one in found.indexes] == [0] * 5
        assert len(found.joint) == 1
    finally:
        world.close()
