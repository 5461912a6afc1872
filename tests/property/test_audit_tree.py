"""The tree against its definition, against pymerkle as oracle, and its tiles against the tree."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_digest,
    node_digest,
    range_digest,
    verify_consistency,
    verify_inclusion,
)
from pdms.audit.tiles import WIDTH, Edge, edge_keys, node_reader
from pdms.errors import IntegrityBroken

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pymerkle import InmemoryTree
    from pymerkle import verify_consistency as verify_pymerkle

MAX = 700


def leaf(index: int) -> bytes:
    return leaf_digest(index.to_bytes(4, "big"))


def node(level: int, index: int) -> bytes:
    return leaf(index) if not level else node_digest(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_digest(tree_hash(leaves[:k]), tree_hash(leaves[k:]))


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for index in range(MAX):
        tree.append_entry(index.to_bytes(4, "big"))
    return tree


def test_roots_and_inclusion_paths_equal_pymerkles(oracle):
    for size in [*range(1, 70), 127, 128, 129, 255, 257, 511, 600, 699]:
        assert range_digest(0, size, node) == oracle.get_root(size)
        for index in {0, size // 3, size // 2, size - 1}:
            theirs = oracle.prove_inclusion(index + 1, size).path
            assert theirs[0] == leaf(index)
            assert list(inclusion_path(index, size, node)) == theirs[1:]


def subproof(old: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """RFC 9162 section 2.1.4.1, word for word."""
    if old == len(leaves):
        return [] if whole else [tree_hash(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if old <= k:
        return [*subproof(old, leaves[:k], whole=whole), tree_hash(leaves[k:])]
    return [*subproof(old - k, leaves[k:], whole=False), tree_hash(leaves[:k])]


def test_consistency_proofs_are_the_definitions_and_pymerkle_agrees_with_the_roots(oracle):
    for new in [*range(2, 40), 128, 129, 300, 699]:
        leaves = [leaf(index) for index in range(new)]
        for old in {1, new // 3 or 1, new // 2, new - 1}:
            assert list(consistency_path(old, new, node)) == subproof(old, leaves, whole=True)
            # pymerkle cuts its proofs into other pieces than the RFC; it must accept the roots all the same
            proof = oracle.prove_consistency(old, new)
            verify_pymerkle(range_digest(0, old, node), range_digest(0, new, node), proof)


@given(st.integers(0, MAX))
@settings(max_examples=60, deadline=None)
def test_root_is_that_of_the_definition(size):
    leaves = [leaf(index) for index in range(size)]
    frontier = Frontier()
    frontier.extend(leaves)
    assert frontier.root() == range_digest(0, size, node) == tree_hash(leaves)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_inclusion_proof_verifies_and_nothing_near_it_does(data):
    size = data.draw(st.integers(1, MAX))
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(index, size, node), range_digest(0, size, node)
    verify_inclusion(leaf(index), index=index, size=size, path=path, root=root)
    wrong = [
        {"path": (*path, root)},
        {"root": bytes(32)},
        {"index": size},
    ]
    if path:
        wrong += [{"path": path[:-1]}, {"path": tuple(bytes(32) for _ in path)}, {"index": (index + 1) % size}]
    for change in wrong:
        with pytest.raises(IntegrityBroken):
            verify_inclusion(leaf(index), **{"index": index, "size": size, "path": path, "root": root, **change})
    with pytest.raises(IntegrityBroken):
        verify_inclusion(leaf(MAX), index=index, size=size, path=path, root=root)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_consistency_proof_verifies_and_no_other_history_does(data):
    new = data.draw(st.integers(1, MAX))
    old = data.draw(st.integers(0, new))
    given_ = {
        "old_size": old,
        "old_root": range_digest(0, old, node),
        "new_size": new,
        "new_root": range_digest(0, new, node),
        "path": consistency_path(old, new, node),
    }
    verify_consistency(**given_)
    changes = [{"path": (*given_["path"], bytes(32))}, {"old_root": bytes(32)}]
    if 0 < old < new:
        changes += [{"new_root": bytes(32)}, {"path": given_["path"][:-1]}, {"old_size": old - 1}]
    for change in changes:
        with pytest.raises(IntegrityBroken):
            verify_consistency(**{**given_, **change})


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_tiles_filled_in_any_steps_give_the_same_tree(steps):
    tiles: dict[tuple[int, int], bytes] = {}
    size = 0
    for step in steps:
        # a new edge each time: as a new process that reads only the right edge
        edge = Edge(size, {key: tiles[key] for key in edge_keys(size)})
        tiles.update(edge.append(b"".join(leaf(index) for index in range(size, size + step))))
        size += step
        assert edge.size == size
        assert edge.root() == tree_hash([leaf(index) for index in range(size)])
    at_once = Edge(0, {}).append(b"".join(leaf(index) for index in range(size)))
    assert at_once == tiles
    assert all(0 < len(digests) <= 32 * WIDTH for digests in tiles.values())
    read = node_reader(tiles.__getitem__)
    for index in {0, size // 2, size - 1}:
        assert inclusion_path(index, size, read) == inclusion_path(index, size, node)


def test_an_edge_that_does_not_fit_its_size_is_refused():
    tiles = Edge(0, {}).append(b"".join(leaf(index) for index in range(20)))
    for wrong in (19, 21, 36):
        with pytest.raises(IntegrityBroken) as broken:
            Edge(wrong, tiles)
        assert broken.value.code == "TILE_SHORT"
