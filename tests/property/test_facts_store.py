"""Facts under random loads: merged or not, killed or not, erased or not, the rows are those of a dictionary."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.facts import service, store
from pdms.facts.names import FactTable
from pdms.facts.schemas import SCHEMAS
from pdms.settings import Home

EVENTS = FactTable.EVENTS
AT = datetime(2026, 3, 1, tzinfo=UTC)
MARK = "canary-{}-9f31"

people = st.integers(0, 5)
rows = st.lists(st.tuples(people, st.integers(0, 3), st.integers(0, 99)), max_size=6)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), rows),
        st.tuples(st.just("again"), st.just(None)),
        st.tuples(st.just("compact"), st.just(None)),
        st.tuples(st.just("erase"), st.sets(people, max_size=3)),
    ),
    max_size=8,
)


def person(number: int) -> bytes:
    return bytes([number * 50]) + b"\xa7" * 14 + bytes([number])


def batch(found) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"pseudonym": person(who), "event_id": str(key), "at": AT, "kind": str(value), "item": MARK.format(who)}
            for who, key, value in found
        ],
        schema=SCHEMAS[EVENTS],
    )


def held(home: Home) -> dict[tuple[bytes, str], str]:
    with service.read(home) as reader:
        found = reader.table(EVENTS).to_pyarrow().to_pylist()
    keyed = {(row["pseudonym"], row["event_id"]): row["kind"] for row in found}
    assert len(keyed) == len(found)
    return keyed


def bytes_of(home: Home) -> bytes:
    """Every byte below the facts folder, and every decoded value of every Parquet file."""
    everything = b""
    for path in home.facts.rglob("*"):
        if path.is_file():
            everything += path.read_bytes()
            if path.suffix == ".parquet":
                for row in pq.ParquetFile(path).read().to_pylist():
                    everything += row["pseudonym"] + row["item"].encode()
    return everything


@settings(max_examples=40, deadline=None)
@given(steps)
def test_facts_are_a_dictionary_by_key(found):
    with tempfile.TemporaryDirectory() as folder:
        uow = SimpleNamespace(home=Home(Path(folder)), now=AT)
        truth: dict[tuple[bytes, str], str] = {}
        last = None
        for number, (what, given_) in enumerate(found):
            if what == "append" or (what == "again" and last is not None):
                load, content = (f"load-{number}", given_) if what == "append" else last
                service.append(uow, EVENTS, batch(content), load_id=load, batch=0)
                truth |= {(person(who), str(key)): str(value) for who, key, value in content}
                last = (load, content)
            elif what == "compact":
                service.compact(uow.home)
            elif what == "erase":
                gone = {person(who) for who in given_}
                service.erase(uow.home, gone)
                truth = {key: value for key, value in truth.items() if key[0] not in gone}
                left = bytes_of(uow.home)
                for who in given_:
                    assert person(who) not in left
                    assert MARK.format(who).encode() not in left
                last = None
            assert held(uow.home) == truth
        service.compact(uow.home)
        assert held(uow.home) == truth
        assert store.Folder.of(uow.home, EVENTS).parts() == []
        for who in range(6):
            mine = {row["event_id"]: row["kind"] for row in service.of_subject(uow.home, person(who))[EVENTS]}
            assert mine == {key[1]: value for key, value in truth.items() if key[0] == person(who)}
