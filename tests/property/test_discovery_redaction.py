"""Whatever surrounds it, a valid number is redacted; redaction is idempotent and takes any text."""

import itertools
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pdms.discovery import checks
from pdms.discovery.folding import fold
from pdms.discovery.recognizers import analyze, find
from pdms.discovery.redact import redact

ANY = st.text(st.characters(), max_size=60)
"""Any code points at all, lone surrogates included."""
CHAT = st.text("我的一二你好了在给王丽娟北京市路号栋，。！ ：()abcXYZ-@.12/·\n", max_size=30)
"""What member texts are made of, in any order."""

DIGITS = st.text("0123456789", min_size=9, max_size=9)
MOBILES = st.builds(lambda second, rest: f"1{second}{rest}", st.sampled_from("3456789"), DIGITS)
EMAILS = st.from_regex(r"[a-z][a-z0-9_]{0,15}@[a-z]{1,12}\.(?:com|cn|net)", fullmatch=True)
BIRTHS = st.dates(
    min_value=__import__("datetime").date(1930, 1, 1), max_value=__import__("datetime").date(2024, 12, 31)
)


def _resident(province: str, birth: object, order: int) -> str:
    body = f"{province}0101{birth:%Y%m%d}{order:03d}"
    return next(body + last for last in "0123456789X" if checks.is_resident_id(body + last))


RESIDENTS = st.builds(_resident, st.sampled_from(sorted(checks.PROVINCES)), BIRTHS, st.integers(0, 999))
SPELT = str.maketrans("0123456789", "零一二三四五六七八九")
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
WRITTEN = st.sampled_from(
    [
        lambda mobile: mobile,
        lambda mobile: f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
        lambda mobile: f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
        lambda mobile: f"+86 {mobile}",
        lambda mobile: mobile.translate(WIDE),
        lambda mobile: mobile.translate(SPELT),
        lambda mobile: "\u200b".join(mobile),
    ]
)


@given(ANY)
@example("<PHONE>" * 3)
@example("138\u200b12345678\u200b")
@settings(max_examples=300, deadline=None)
def test_any_text_is_redacted_and_stays_redacted(text: str) -> None:
    once = redact(text)
    again = redact(once.text)
    assert again.text == once.text
    assert again.counts == {}


@given(st.lists(st.one_of(CHAT, MOBILES, EMAILS, RESIDENTS), max_size=6).map("".join))
@settings(max_examples=300, deadline=None)
def test_texts_of_pieces_are_redacted_and_stay_redacted(text: str) -> None:
    once = redact(text)
    assert redact(once.text).text == once.text


@given(CHAT, MOBILES, WRITTEN, CHAT)
@settings(max_examples=400, deadline=None)
def test_a_mobile_number_never_stays(before: str, mobile: str, written: object, after: str) -> None:
    done = redact(f"{before}，{written(mobile)}，{after}")
    assert mobile not in re.sub("[^0-9]", "", fold(done.text).text.replace("，", "x").translate(BACK))


BACK = str.maketrans("零一二三四五六七八九", "0123456789")


@given(CHAT, EMAILS, CHAT)
@settings(max_examples=300, deadline=None)
def test_an_e_mail_address_never_stays(before: str, email: str, after: str) -> None:
    assert email not in redact(f"{before}，{email}，{after}").text


@given(CHAT, RESIDENTS, CHAT)
@settings(max_examples=300, deadline=None)
def test_a_resident_id_never_stays(before: str, number: str, after: str) -> None:
    assert number not in redact(f"{before}，{number}，{after}").text
    assert number not in redact(f"{before}证{number}号{after}").text


@given(st.one_of(ANY, CHAT))
@settings(max_examples=200, deadline=None)
def test_spans_are_ordered_within_the_text_and_the_same_by_either_path(text: str) -> None:
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= two.start for one, two in itertools.pairwise(spans))
    assert analyze(text) == spans
