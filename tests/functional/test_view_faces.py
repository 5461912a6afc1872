"""`pdms view`: hierarchies, the linter, showing, exporting, verifying and comparing releases, on a real home."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from common.commands import commands
from common.shell import Shell, program
from common.world import POLICIES, World, populated
from pdms.taxonomy import GuardedAct

CANARY = "13812349999"
EXPORTS = ("compliance", "audit", "list", "--kind", "release.exported", "--limit", "1000")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    world, members = populated(folder, count=300)
    shell = Shell(world)
    shell("compliance", "view", "build", "member_value")
    yield world, shell, folder, members
    world.close()


def exported(world: World, shell: Shell, path: Path) -> Path:
    live = shell.json("marketing", "view", "show", "member_value")["info"]["release_id"]
    world.approve("marketing", GuardedAct.BULK_EXPORT, release_id=live, format=path.suffix[1:])
    shell("marketing", "view", "export", "member_value", str(path), "--manifest", str(path.with_suffix(".json")))
    return path


def test_hierarchies_are_listed_shown_and_given_out(shop, tmp_path):
    _, shell, _, _ = shop
    listed = {one["name"]: one for one in shell.json("marketing", "view", "hierarchy", "list")}
    assert listed["region"]["origin"] == "policy"
    assert listed["county"]["origin"] == "standard"
    assert listed["member_value.spend"]["used_by"] == ["member_value.spend"]
    told = shell("marketing", "view", "hierarchy", "show", "age_band").out
    assert "<14" in told
    assert "more nodes below" in shell("marketing", "view", "hierarchy", "show", "county").out
    path = tmp_path / "region.csv"
    shell("marketing", "view", "hierarchy", "export", "region", str(path))
    answer = program(tmp_path / "nowhere", None, "--json", "view", "hierarchy", "check", str(path))
    assert (answer.code, answer.json["ok"], answer.json["findings"]) == (0, True, [])
    shell("marketing", "view", "hierarchy", "show", "nothing", expect=5)
    shell(None, "view", "hierarchy", "check", "region", expect=3)
    shell("marketing", "view", "hierarchy", "check", "region")


def test_a_broken_hierarchy_is_refused_by_line_and_rule_without_its_values(shop, tmp_path):
    _, shell, _, _ = shop
    path = tmp_path / "tree.csv"
    path.write_text(f"{CANARY};a;*\n{CANARY};b;*\n=1;a;*\n", "utf-8")
    answer = shell("compliance", "view", "hierarchy", "check", str(path), expect=2)
    assert "DUPLICATE_LEAF" in answer.out
    assert "FORMULA" in answer.out
    refused = shell("compliance", "view", "hierarchy", "import", str(path), expect=2)
    assert "DUPLICATE_LEAF" in refused.err
    assert CANARY not in answer.text + refused.text
    values = tmp_path / "values.txt"
    values.write_text(f"female\n{CANARY}\n", "utf-8")
    answer = shell("compliance", "view", "hierarchy", "check", "gender", "--values", str(values), expect=2)
    assert "NOT_COVERED" in answer.out
    assert CANARY not in answer.text


def test_a_standard_is_taken_into_the_policys_folder_once(shop, tmp_path):
    _, shell, _, _ = shop
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    words = ("--policies", str(folder), "view", "hierarchy", "import", "county")
    shell("compliance", *words)
    assert (folder / "hierarchies" / "county.csv").read_text("utf-8").startswith("# 区县")
    shell("compliance", *words, expect=6)
    assert not list((folder / "hierarchies").glob(".*"))
    answer = program(tmp_path / "nowhere", None, "--json", "policy", "check", str(folder))
    assert answer.code == 0, answer.text


def test_the_linter_explains_a_view_of_the_policy_of_a_file_and_on_data(shop, tmp_path):
    _, shell, _, _ = shop
    assert shell.json("marketing", "view", "lint")["ok"]
    found = shell.json("compliance", "view", "lint", "member_value", "--data")
    assert found["measured"]
    assert {"CELL_BELOW_K", "EMPTY_BINS"} & {one["code"] for one in found["findings"]}
    shell("marketing", "view", "lint", "member_value", "--data", expect=4)
    path = tmp_path / "tried.yaml"
    text = (POLICIES / "views" / "member_value.yaml").read_text("utf-8")
    path.write_text(text.replace("  orders:\n    measure: orders\n", "  phone:\n    measure: orders\n"), "utf-8")
    answer = shell("marketing", "view", "lint", str(path), expect=2)
    assert "IDENTIFIER" in answer.out
    shell("marketing", "view", "lint", str(tmp_path / "absent.yaml"), expect=5)


def test_a_release_is_drawn_exported_and_verified_without_a_home(shop, tmp_path):
    world, shell, _, _ = shop
    told = shell("marketing", "view", "show", "member_value").out
    assert "classes by size" in told
    assert "最近一次下单距今天数" in told
    (key,) = shell.json("marketing", "view", "keys")["public_keys"]
    nowhere = tmp_path / "nowhere"
    for form in ("parquet", "csv", "arrow"):
        path = exported(world, shell, tmp_path / f"rows.{form}")
        words = ("--json", "view", "verify", str(path), str(path.with_suffix(".json")), "--key", key)
        answer = program(nowhere, None, *words, at=world.clock.instant)
        assert (answer.code, answer.json["verdict"]) == (0, "whole"), answer.text
        path.with_suffix(".json").rename(tmp_path / f"{form}.json")
    assert not nowhere.exists()
    lines = (tmp_path / "rows.csv").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "fewer.csv").write_text("".join(lines[:-1]), "utf-8")
    words = ("view", "verify", str(tmp_path / "fewer.csv"), str(tmp_path / "csv.json"), "--key", key)
    answer = program(nowhere, None, *words, at=world.clock.instant)
    assert answer.code == 7
    assert "1 rows removed" in answer.out
    shell("marketing", *words[:-1], "00" * 32, expect=7)
    shell("marketing", *words[:-1], "short", expect=2)


@pytest.mark.parametrize("taken", ["rows.csv", "rows.json"])
def test_an_export_to_a_name_that_is_taken_leaves_the_approval_for_the_next_try(shop, tmp_path, taken):
    world, shell, _, _ = shop
    live = shell.json("marketing", "view", "show", "member_value")["info"]["release_id"]
    approval = world.approve("marketing", GuardedAct.BULK_EXPORT, release_id=live, format="csv")
    (tmp_path / taken).write_text("mine", "utf-8")
    exports = shell.json(*EXPORTS)["items"]
    words = ("view", "export", "member_value", str(tmp_path / "rows.csv"), "--manifest", str(tmp_path / "rows.json"))
    assert "exists already" in shell("marketing", *words, expect=6).err
    shell("marketing", "release", "export", live, str(tmp_path / "no-folder" / "rows.csv"), expect=2)
    assert [one.name for one in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text("utf-8") == "mine"
    assert shell.json(*EXPORTS)["items"] == exports
    states = {one["approval_id"]: one["state"] for one in shell.json("compliance", "access", "approvals", "list")}
    assert states[approval] == "approved"
    shell("marketing", *words[:3], str(tmp_path / "free.csv"))


def test_a_segments_export_to_a_name_that_is_taken_leaves_the_approval_for_the_next_try(shop, tmp_path):
    world, shell, _, _ = shop
    shell("marketing", "segment", "save", str(POLICIES / "segments" / "loyal_recent.yaml"))
    world.approve("marketing", GuardedAct.BULK_EXPORT, segment="loyal_recent", format="csv")
    path = tmp_path / "rows.csv"
    path.write_text("mine", "utf-8")
    shell("marketing", "segment", "export", "loyal_recent", str(path), expect=6)
    path.unlink()
    shell("marketing", "segment", "export", "loyal_recent", str(path))
    assert oct(path.stat().st_mode & 0o777) == "0o600"


WRITERS = {
    "audit export path": "compliance audit export {}",
    "audit head path": "compliance audit head {}",
    "audit pack out": "compliance audit pack --from 2026-01-01 --to 2027-01-01 --out {}",
    "backup create path": "admin backup create {}",
    "consent evidence path": "compliance consent evidence cns-0 {}",
    "consent export path": "compliance consent export {}",
    "ingest report": "ingest ingest shop-members --from-url sqlite:///none.db --table t --verify --report {}",
    "ingest rejected_rows": "ingest ingest shop-members none.csv --rejected-rows {}",
    "member erase receipt": "support member erase shop:H00299 --receipt {}",
    "release export path": "marketing release export rel-0 {}",
    "report incident draft out": "compliance report incident draft inc-0 --out {}",
    "request receipt path": "support request receipt req-0 {}",
    "segment export path": "marketing segment export loyal_recent {}",
    "view export path": "marketing view export member_value {}",
    "view export manifest": "marketing view export member_value elsewhere.csv --manifest {}",
    "view hierarchy export path": "marketing view hierarchy export region {}",
    "view show svg": "marketing view show member_value --svg {}",
} | {
    f"report {name} out": f"compliance report {name} --out {{}}"
    for name in ("audit", "consent", "findings", "lists", "pipia", "refusals", "ropa")
}
"""Every option and argument that names a file to write: a command line that uses it."""
READERS = {
    "audit cosign path",
    "audit verify checkpoint",
    "audit verify file",
    "backup restore checkpoint",
    "backup restore ledger",
    "backup restore path",
    "backup restore to",
    "backup verify path",
    "campaign create file",
    "consent verify file",
    "consent verify notice",
    "ingest file",
    "policy check folder",
    "policy diff folder",
    "scan file",
    "segment estimate where",
    "segment save file",
    "view hierarchy check values",
    "view verify data",
    "view verify manifest",
}
"""Those that name what is read, or a whole new home."""


def test_every_path_of_a_command_is_known_as_read_or_written():
    paths = {
        f"{name} {one.name}"
        for name, command in commands().items()
        for one in command.params
        if one.type_descriptor.annotation is Path
    }
    assert paths == set(WRITERS) | READERS


@pytest.mark.parametrize("line", WRITERS.values(), ids=WRITERS)
def test_nothing_is_written_into_the_home(shop, line):
    world, shell, _, _ = shop
    ending = ".sealed" if "backup" in line else ".json" if "report" in line else ".csv"
    inside = world.app.home.root / f"rows{ending}"
    role, *words = line.format(inside).split()
    answer = shell(role, *words, typed="13800138000\n", expect=2)
    assert "outside the home" in answer.err
    assert not inside.exists()
    assert not Path("elsewhere.csv").exists()


def test_an_exported_release_is_compared_with_the_one_after(shop, tmp_path):
    world, shell, _, _ = shop
    before = exported(world, shell, tmp_path / "before.parquet")
    former = json.loads(before.with_suffix(".json").read_text("utf-8"))["release_id"]
    built = shell("compliance", "view", "build", "member_value").out
    assert re.search(
        rf"held back +│ \d+, because of releases that are out(.|\n)+{former}(.|\n)+pdms release copies", built
    )
    after = shell.json("marketing", "view", "show", "member_value")["info"]["release_id"]
    (key,) = shell.json("marketing", "view", "keys")["public_keys"]
    found = shell.json("marketing", "view", "compare", str(before), after, "--key", key)
    assert {one["feature"]: one["distance"] for one in found["features"]}["spend"] == 0
    assert found["note"] == ""
    by_id = shell.json("marketing", "view", "compare", former, after)
    assert by_id["features"] == []
    assert former in by_id["note"]
    before.write_bytes(before.read_bytes()[:-1])
    shell("marketing", "view", "compare", str(before), after, "--key", key, expect=7)


def test_a_release_holds_labels_of_its_hierarchies_and_nothing_of_any_member(shop):
    world, shell, _, members = shop
    live = shell.json("marketing", "view", "show", "member_value")["info"]["release_id"]
    folder = world.app.home.releases / "member_value" / live
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    identities = {text for member in members for text in member.values() if len(text) >= 6}
    assert not [text for text in identities if text.encode() in content]
    table = pq.read_table(folder / "data.parquet")
    labels = {name: set(table[name].to_pylist()) for name in table.column_names}
    allowed = {name: tree_of(shell, name) for name in labels}
    assert all(labels[name] <= allowed[name] for name in labels)
    assert table.schema.metadata is None
    rows = list(zip(*[table[name].to_pylist() for name in table.column_names], strict=True))
    assert rows == sorted(rows), "the order of rows tells nothing but the labels"


def tree_of(shell: Shell, feature: str) -> set[str]:
    shown = shell.json("marketing", "view", "hierarchy", "show", f"member_value.{feature}")
    assert shown["left_off"] == 0
    return {line["label"] for line in shown["tree"]}
