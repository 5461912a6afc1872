"""Known answers for the Merkle tree (Certificate Transparency) and signed notes (Go's checksum database)."""

import json
from pathlib import Path

import pytest

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
from pdms.audit.note import NoteKey, parse_note, verify_note
from pdms.errors import IntegrityBroken

VECTORS = json.loads((Path(__file__).parent / "audit_merkle.json").read_text())
LEAVES = [leaf_digest(bytes.fromhex(data)) for data in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def node(level: int, index: int) -> bytes:
    return LEAVES[index] if not level else node_digest(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


def test_roots_are_those_of_certificate_transparency():
    assert ROOTS[0] == EMPTY_ROOT
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES, start=1):
        frontier.append(leaf)
        assert frontier.root() == range_digest(0, size, node) == ROOTS[size]


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_inclusion_proofs_are_those_of_certificate_transparency(case):
    path = inclusion_path(case["index"], case["size"], node)
    assert [step.hex() for step in path] == case["path"]
    verify_inclusion(LEAVES[case["index"]], index=case["index"], size=case["size"], path=path, root=ROOTS[case["size"]])


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_consistency_proofs_are_those_of_certificate_transparency(case):
    path = consistency_path(case["old"], case["new"], node)
    assert [step.hex() for step in path] == case["path"]
    verify_consistency(
        old_size=case["old"], old_root=ROOTS[case["old"]], new_size=case["new"], new_root=ROOTS[case["new"]], path=path
    )


def test_note_signed_by_gos_reference_implementation_verifies():
    key = NoteKey.from_vkey(NEUMANN)
    note = parse_note(NOTE.encode())
    verify_note(note, key)
    assert note.render() == NOTE
    with pytest.raises(IntegrityBroken) as broken:
        verify_note(parse_note(NOTE.replace("cryptography", "kryptography").encode()), key)
    assert broken.value.code == "BAD_SIGNATURE"
