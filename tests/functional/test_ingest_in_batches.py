"""How many rows `pdms ingest` commits together is the operator's to say, within bounds."""

from common.shell import Shell
from common.world import World, people


def test_rows_are_committed_in_batches_of_the_size_asked_for(world: World):
    shell = Shell(world)
    path = str(shell.world.file("members.csv", people(2_100)))
    shell("ingest", "ingest", "shop-members", path, "--batch-rows", "1000")
    events = shell.json("compliance", "audit", "list", "--kind", "ingest.batch")
    assert sorted(event["numbers"]["accepted"] for event in events["items"]) == [100, 1000, 1000]


def test_a_size_out_of_bounds_is_told(world: World):
    shell = Shell(world)
    path = str(shell.world.file("members.csv", people(1)))
    for size in ("999", "200001"):
        answer = shell("ingest", "ingest", "shop-members", path, "--batch-rows", size, expect=2)
        assert "--batch-rows" in answer.err
        assert size not in answer.err
