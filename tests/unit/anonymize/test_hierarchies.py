"""Hierarchies: what is a tree, what is covered, and what the labels stand for."""

import numpy as np
import pytest

from pdms.anonymize import ROOT, Hierarchy, flat, from_arx, from_edges, from_rows
from pdms.errors import InvalidInput

REGIONS = "Suzhou;Jiangsu;East;*\nNanjing;Jiangsu;East;*\nGuangzhou;Guangdong;South;*\nShanghai;Shanghai;East;*\n"


def test_leaves_of_a_node_stand_together_whatever_the_order_of_lines() -> None:
    region = from_arx("region", REGIONS)
    assert region.leaves == ("Suzhou", "Nanjing", "Shanghai", "Guangzhou")
    level, node = region.node_of("East")
    assert (level, region.leaf_range(level, node)) == (2, (0, 3))
    assert region.height == 4


def test_arx_form_is_read_and_written_alike() -> None:
    region = from_arx("region", REGIONS)
    assert from_arx("region", region.to_arx()) == region
    assert from_arx("region", "\ufeff" + REGIONS.replace(";", ","), delimiter=",") == region


def test_a_root_is_added_where_the_paths_have_none() -> None:
    tree = from_rows("tier", [("a", "x"), ("b", "y")])
    assert tree.labels == (("a", "b"), ("x", "y"), (ROOT,))
    assert flat("gender", ["female", "male"]).height == 2
    assert from_rows("one", [("a",)]).labels == (("a",), (ROOT,))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no leaves"),
        ("a;x;*\na;x;*\n", "listed twice"),
        ("a;x;*\nb;*\n", "equally deep"),
        ("a;x;p;*\nb;x;q;*\n", "two parents"),
        ("a;x;*\n;x;*\n", "empty label"),
        ("a;b;*\nb;c;*\n", "stands for two nodes"),
        ("a;b;*\nb;a;*\n", "stands for two nodes"),
    ],
)
def test_what_is_no_tree_is_refused(text: str, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        from_arx("broken", text)


@pytest.mark.parametrize(
    ("labels", "parents", "rule"),
    [
        ((("a", "b"), ("x", "y")), ((0, 1),), "single root"),
        ((("a", "b"), (ROOT,)), ((0,),), "needs one parent"),
        ((("a", "b"), (ROOT,)), ((0, 1),), "unknown parent"),
        ((("a", "b", "c"), ("x", "y"), (ROOT,)), ((0, 1, 0), (0, 0)), "hierarchy order"),
        ((), (), "no leaves"),
    ],
)
def test_a_hierarchy_made_by_hand_is_checked_too(labels, parents, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        Hierarchy("broken", labels, parents)


def test_a_value_that_is_not_covered_is_counted_and_not_named() -> None:
    region = from_arx("region", REGIONS)
    with pytest.raises(InvalidInput, match="does not cover 2 values") as caught:
        region.encode(["Suzhou", "Atlantis", "Lemuria"])
    assert "Atlantis" not in str(caught.value)
    with pytest.raises(InvalidInput, match="1 values are missing"):
        region.encode(["Suzhou", None])


def test_labels_that_are_not_strings_are_read_by_their_text() -> None:
    assert flat("tier", ["1", "2"]).encode([2, 1, "2"]).tolist() == [1, 0, 1]


def test_edges_make_bins_low_end_included() -> None:
    recency = from_edges("recency", [0, 30, 90, 180, 365], coarser=[[90, 365]], missing="never")
    assert recency.leaves == ("[0,30)", "[30,90)", "[90,180)", "[180,365)", ">=365", "never")
    assert recency.labels[1] == ("[0,90)", "[90,365)", ">=365", "never")
    assert recency.encode_numbers([0, 29.99, 30, 1e12, np.nan]).tolist() == [0, 0, 1, 4, 5]
    assert [recency.bounds(1, node) for node in range(4)] == [(0, 90), (90, 365), (365, float("inf")), None]


def test_coarser_levels_halve_the_edges_by_themselves() -> None:
    assert [len(level) for level in from_edges("n", [0, 1, 2, 3, 4, 5, 6, 7]).labels] == [8, 4, 2, 1]
    assert from_edges("n", [0]).labels == ((">=0",), (ROOT,))


def test_whole_numbers_are_labelled_as_people_write_them() -> None:
    age = from_edges("age", [14, 18, 25, 26], open_low=True, style="integer")
    assert age.leaves == ("<14", "14-17", "18-24", "25", ">=26")
    assert age.encode_numbers([3, 14, 17, 25, 99]).tolist() == [0, 1, 1, 3, 4]


def test_a_number_outside_the_edges_is_refused() -> None:
    share = from_edges("share", [0, 0.5, 1], open_high=False)
    assert share.leaves == ("[0,0.5)", "[0.5,1)")
    for outside in (-1, 1):
        with pytest.raises(InvalidInput, match="does not cover 1 values"):
            share.encode_numbers([0.2, outside])
    with pytest.raises(InvalidInput, match="missing"):
        share.encode_numbers([float("nan")])
    with pytest.raises(InvalidInput, match="no numeric edges"):
        flat("gender", ["f", "m"]).encode_numbers([1])


@pytest.mark.parametrize(
    ("edges", "options", "rule"),
    [
        ([], {}, "one at least"),
        ([0, float("inf")], {}, "finite"),
        ([0, 0], {}, "ascend"),
        ([1, 0], {}, "ascend"),
        ([0], {"open_high": False}, "no bin"),
        ([0, 1.5], {"style": "integer"}, "whole"),
        ([0, 1, 2], {"coarser": [[7]]}, "does not have"),
        ([0, 1, 2, 3], {"coarser": [[1], [2]]}, "does not have"),
    ],
)
def test_edges_that_make_no_bins_are_refused(edges, options, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        from_edges("n", edges, **options)
