"""Redaction of free text: what goes, what stays, and hostile input."""

import itertools

import pytest

from pdms.discovery.recognizers import find
from pdms.discovery.redact import redact, redact_many
from pdms.discovery.spans import Label


def test_spans_become_placeholders_and_are_counted() -> None:
    done = redact("我叫王丽娟，电话13812345678或１３９１２３４５６７８，邮箱wang@example.com。")
    assert done.text == "我叫<PERSON>，电话<PHONE>或<PHONE>，邮箱<EMAIL>。"
    assert done.counts == {"PERSON": 1, "PHONE": 2, "EMAIL": 1}


def test_text_without_personal_data_stays_as_it_is() -> None:
    text = "运单SF4294762100949停在中转站，订单20240518123456789012，版本8.0.33.1，iPhone 15 Pro 256G，￥1,299.00。"
    assert redact(text).text == text
    assert redact(text).counts == {}


def test_repr_shows_no_text() -> None:
    assert "好评" not in repr(redact("好评"))


def test_a_batch_keeps_order_and_length() -> None:
    texts = ["a@example.com", "", "好", "a@example.com"]
    assert [done.text for done in redact_many(texts)] == ["<EMAIL>", "", "好", "<EMAIL>"]


def test_invisible_characters_do_not_hide_a_number() -> None:
    assert redact("138\u200b1234\u200b5678").text == "<PHONE>"
    assert redact("1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣").text == "<PHONE>"


def test_placeholders_written_by_a_member_are_no_context() -> None:
    assert redact("<WECHAT>abc12345").text == "<WECHAT>abc12345"
    assert redact("<PHONE>13812345678").text == "<PHONE><PHONE>"


def test_every_label_has_a_placeholder_that_is_left_alone() -> None:
    text = "，".join(f"<{label}>" for label in Label)
    assert redact(text).text == text


_MEGABYTE = 1 << 20
_PATHOLOGICAL = {
    "digits": "1" * _MEGABYTE,
    "spaced digits": "1 3 8 " * (_MEGABYTE // 6),
    "numbers": "13812345678" * (_MEGABYTE // 11),
    "letters": "a" * _MEGABYTE,
    "letters before ats": ("a" * 300 + "@") * (_MEGABYTE // 301),
    "ats": "a@" * (_MEGABYTE // 2),
    "domains": "@" + "a." * (_MEGABYTE // 2),
    "capitalised words": "Aa " * (_MEGABYTE // 3),
    "streets": "1 Aaa Aaa Aaa Aaa " * (_MEGABYTE // 18),
    "colons": ":" * _MEGABYTE,
    "dots": "·" * (_MEGABYTE // 4),
    "surname": "王" * (_MEGABYTE // 4),
    "labels": "姓名:" * (_MEGABYTE // 8),
    "birthdays": "生日" * (_MEGABYTE // 8),
    "regions": "北京市" * (_MEGABYTE // 8),
    "roads": "北京市大道路街巷" * (_MEGABYTE // 24),
    "estates": "小区" * (_MEGABYTE // 8),
    "numerals": "一二三四五六七八" * (_MEGABYTE // 24),
    "surrogates": "\ud800" * (_MEGABYTE // 4),
    "zero width": "1\u200b" * (_MEGABYTE // 4),
    "angles": "<" * _MEGABYTE,
    "spaces": " " * _MEGABYTE,
}


_QUARTER = _MEGABYTE // 4


@pytest.mark.parametrize("text", _PATHOLOGICAL.values(), ids=_PATHOLOGICAL.keys())
def test_text_made_to_stall_patterns_comes_through(text: str) -> None:
    """Nothing is timed: a pattern that backtracks without bound would not come back at all."""
    spans = find(text[:_QUARTER])
    assert all(one.end <= two.start for one, two in itertools.pairwise(spans))
    assert all(0 <= span.start < span.end <= _QUARTER for span in spans)


def test_a_large_field_is_redacted() -> None:
    text = "联系王丽娟13812345678，" * (_QUARTER // 17)
    done = redact(text)
    assert done.text == "联系<PERSON><PHONE>，" * (_QUARTER // 17)
    assert done.counts == {"PERSON": _QUARTER // 17, "PHONE": _QUARTER // 17}
