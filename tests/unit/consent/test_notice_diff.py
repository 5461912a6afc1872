"""What changed between two versions of a notice is found whole, and said in the notice's language."""

import json
from typing import Any

import pytest

from common.policies import SHIPPED
from pdms.consent.notice_diff import NoticeDiff, compare
from pdms.consent.notices import content_of, render
from pdms.policy.loader import load
from pdms.taxonomy import Language


@pytest.fixture(scope="module")
def contents() -> dict[Language, str]:
    return {language: content_of(one) for language, one in load(SHIPPED).notices["member-notice"].items()}


def changed(content: str, change: Any) -> NoticeDiff:
    after = json.loads(content)
    change(after)
    return compare(content, json.dumps(after, ensure_ascii=False), versions=("a" * 64, "b" * 64))


def test_PIPL_17_2_the_same_twice_has_changed_in_nothing(contents: dict[Language, str]) -> None:
    assert changed(contents[Language.ZH], lambda said: None).items == ()
    assert changed(contents[Language.ZH], lambda said: None).text == "无变化\n"
    assert changed(contents[Language.EN], lambda said: None).text == "nothing changed\n"


def test_PIPL_17_2_a_longer_period_is_told_with_before_and_after(contents: dict[Language, str]) -> None:
    def longer(said: Any) -> None:
        said["purposes"]["order"]["retention"] = "十年"

    found = changed(contents[Language.ZH], longer)
    (item,) = found.items
    was = json.loads(contents[Language.ZH])["purposes"]["order"]["retention"]
    assert (item.kind, item.place, item.before, item.after) == (
        "changed", "purposes.order.retention", was.strip(), "十年",
    )  # fmt: skip
    assert not item.asks_again
    assert found.text == f"[变更] purposes.order.retention\n  - {was.strip()}\n  + 十年\n"


@pytest.mark.parametrize("key", ["categories", "operations"])
def test_PIPL_14_2_more_data_or_another_method_asks_again_and_less_does_not(
    contents: dict[Language, str], key: str
) -> None:
    def more(said: Any) -> None:
        said["purposes"]["segment"][key] = [*said["purposes"]["segment"][key], "something_new"]

    def less(said: Any) -> None:
        said["purposes"]["segment"][key] = said["purposes"]["segment"][key][1:]

    (item,) = changed(contents[Language.EN], more).items
    assert (item.place, item.asks_again) == (f"purposes.segment.{key}", True)
    assert "(we ask for your consent again)" in changed(contents[Language.EN], more).text
    (item,) = changed(contents[Language.EN], less).items
    assert (item.place, item.asks_again) == (f"purposes.segment.{key}", False)


def test_NDR_21_2_a_new_recipient_is_an_item_of_its_own(contents: dict[Language, str]) -> None:
    line = {"name": "New Carrier", "contact": "x@carrier.example", "purpose": "Delivery", "method": "entrusted",
            "categories": ["basic"], "overseas": False}  # fmt: skip

    def added(said: Any) -> None:
        said["recipients"].append(line)

    def removed(said: Any) -> None:
        said["recipients"].pop(0)

    (item,) = changed(contents[Language.EN], added).items
    assert (item.kind, item.place, item.after) == ("added", "recipients.New Carrier", "Delivery")
    (item,) = changed(contents[Language.EN], removed).items
    assert (item.kind, item.place) == ("removed", "recipients.示例快递有限公司")


def test_PIPL_17_2_whatever_changes_the_text_is_found(contents: dict[Language, str]) -> None:
    """Every leaf of the content is changed in turn: where the text shown differs, the list is not empty."""
    content = contents[Language.EN]

    def leaves(value: Any, path: tuple[Any, ...] = ()) -> Any:
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield from leaves(item, (*path, key))
        else:
            yield path

    tried = 0
    for path in leaves(json.loads(content)):
        if path in (("language",), ("id",), ("effective_on",), ("audience",)) or path[0] == "changes":
            continue

        def change(said: Any, path: tuple[Any, ...] = path) -> None:
            for key in path[:-1]:
                said = said[key]
            said[path[-1]] = "quite another"

        after = json.loads(content)
        change(after)
        if render(json.dumps(after, ensure_ascii=False)) != render(content):
            tried += 1
            assert changed(content, change).items, path
    assert tried > 100
