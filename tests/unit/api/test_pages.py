"""Pages: complete, without repetition, whatever comes and goes in between; cursors are ours only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.api.pages import page
from pdms.errors import InvalidInput

KEY = b"k" * 32


def walk(names: list[str], limit: int, *, change: dict[int, list[str]] | None = None) -> list[str]:
    seen, cursor, turn = [], None, 0
    while True:
        items = sorted((change or {}).get(turn, names))
        part = page(items, order=lambda n: [n], cursor=cursor, limit=limit, key=KEY, name="names")
        assert len(part["items"]) <= limit
        seen += part["items"]
        cursor, turn = part["next"], turn + 1
        if cursor is None:
            return seen


@given(names=st.sets(st.text(max_size=8), max_size=30), limit=st.integers(1, 12))
def test_pages_put_together_are_the_list(names: set[str], limit: int) -> None:
    assert walk(sorted(names), limit) == sorted(names)


def test_an_item_that_goes_or_comes_shifts_nothing() -> None:
    assert walk(list("abcdef"), 2, change={1: list("acdef")}) == list("abcdef")
    assert walk(list("bdf"), 2, change={1: list("abcdef")}) == ["b", "d", "e", "f"]


@pytest.mark.parametrize("cursor", ["A" * 40, "", "****", "AAAA"])
def test_a_cursor_of_ones_own_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        page(["a"], order=lambda n: [n], cursor=cursor, limit=1, key=KEY, name="names")
    assert caught.value.code == "CURSOR"


def test_a_cursor_of_another_list_or_key_is_refused() -> None:
    cursor = page(list("ab"), order=lambda n: [n], cursor=None, limit=1, key=KEY, name="names")["next"]
    for key, name in ((KEY, "others"), (b"x" * 32, "names")):
        with pytest.raises(InvalidInput):
            page(list("ab"), order=lambda n: [n], cursor=cursor, limit=1, key=key, name=name)
    changed = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    with pytest.raises(InvalidInput):
        page(list("ab"), order=lambda n: [n], cursor=changed, limit=1, key=KEY, name="names")
