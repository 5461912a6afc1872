"""Sealed streams: every length comes back, and each way of tampering names its error."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.crypto import KeyWrapper, SealedReader, SealedWriter, new_key, read_note
from pdms.crypto.stream import LEAST_CHUNK
from pdms.crypto.suites import TAG_BYTES, SuiteName
from pdms.errors import IntegrityBroken, InvalidInput

ROOT = KeyWrapper(new_key(), label="test-root")
CHUNK = LEAST_CHUNK
SEALED_CHUNK = CHUNK + TAG_BYTES


def sealed(plain: bytes, *, suite: SuiteName = SuiteName.AES_256_GCM, note: bytes = b"where") -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(
        out, wrap=lambda key, bound: ROOT.wrap(key, context=bound), note=note, chunk_bytes=CHUNK, suite=suite
    )
    for at in range(0, len(plain), 700):
        writer.write(plain[at : at + 700])
    writer.close()
    writer.close()
    return out.getvalue()


def opened(raw: bytes, *, root: KeyWrapper = ROOT) -> bytes:
    reader = SealedReader(io.BytesIO(raw), unwrap=lambda key, bound: root.unwrap(key, context=bound))
    return b"".join(iter(lambda: reader.read(333), b""))


def head_of(raw: bytes, plain: bytes) -> int:
    chunks = max(1, -(-len(plain) // CHUNK))
    return len(raw) - len(plain) - chunks * TAG_BYTES


@given(
    length=st.one_of(st.integers(0, 3 * CHUNK), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])),
    suite=st.sampled_from(list(SuiteName)),
)
def test_every_length_comes_back(length, suite):
    plain = bytes(n % 251 for n in range(length))
    raw = sealed(plain, suite=suite)
    assert opened(raw) == plain
    assert read_note(io.BytesIO(raw)) == b"where"


def test_the_plaintext_is_not_in_it_and_no_two_streams_are_alike():
    plain = b"a unique sentence that nobody else writes" * 90
    one, other = sealed(plain), sealed(plain)
    assert plain[:20] not in one
    assert one[head_of(one, plain) :] != other[head_of(other, plain) :]


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(place, bit):
    raw = bytearray(sealed(b"x" * (2 * CHUNK + 5)))
    raw[int(place * len(raw))] ^= 1 << bit
    with pytest.raises((IntegrityBroken, InvalidInput)):
        opened(bytes(raw))


def pieces() -> tuple[bytes, list[bytes]]:
    plain = b"".join(bytes([n]) * CHUNK for n in range(4))
    raw = sealed(plain)
    head = head_of(raw, plain)
    return raw[:head], [raw[at : at + SEALED_CHUNK] for at in range(head, len(raw), SEALED_CHUNK)]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param([0, 1, 2], id="last chunk cut off"),
        pytest.param([0], id="all but the first cut off"),
        pytest.param([1, 0, 2, 3], id="two exchanged"),
        pytest.param([0, 2, 3], id="one left out"),
        pytest.param([0, 1, 1, 2, 3], id="one doubled"),
        pytest.param([0, 1, 2, 3, 3], id="last one doubled"),
    ],
)
def test_chunks_cut_moved_or_doubled_are_found(changed):
    head, chunks = pieces()
    with pytest.raises(IntegrityBroken) as error:
        opened(head + b"".join(chunks[n] for n in changed))
    assert error.value.code == "NOT_AUTHENTIC"


def test_a_chunk_of_another_stream_is_found():
    head, chunks = pieces()
    _, others = pieces()
    with pytest.raises(IntegrityBroken) as error:
        opened(head + chunks[0] + others[1] + chunks[2] + chunks[3])
    assert error.value.code == "NOT_AUTHENTIC"


@pytest.mark.parametrize("kept", [0, 5, 17, 40])
def test_a_cut_head_is_found(kept):
    with pytest.raises(IntegrityBroken) as error:
        opened(sealed(b"x")[:kept])
    assert error.value.code == "TRUNCATED"


def test_no_chunk_at_all_is_found():
    head, _ = pieces()
    with pytest.raises(IntegrityBroken) as error:
        opened(head)
    assert error.value.code == "TRUNCATED"


def test_another_root_does_not_open_it():
    with pytest.raises(IntegrityBroken) as error:
        opened(sealed(b"x"), root=KeyWrapper(new_key(), label="test-root"))
    assert error.value.code == "NOT_AUTHENTIC"


def test_the_note_is_bound():
    raw = sealed(b"x")
    with pytest.raises(IntegrityBroken):
        opened(raw.replace(b"where", b"wherf"))


def test_finishing_reads_to_the_end():
    head, chunks = pieces()
    reader = SealedReader(
        io.BytesIO(head + b"".join(chunks[:3])), unwrap=lambda key, bound: ROOT.unwrap(key, context=bound)
    )
    assert reader.read(10) == bytes(10)
    with pytest.raises(IntegrityBroken):
        reader.finish()
