"""Folding keeps a way back to the original offsets, whatever it folds."""

from pdms.discovery.folding import BARRIER, fold


def test_plain_text_is_left_alone() -> None:
    text = "电话13812345678, ok。"
    assert fold(text).text is text
    assert fold(text).origin is None


def test_full_width_and_other_digits_become_ascii_in_place() -> None:
    folded = fold("电话：１３８－𝟏𝟐𝟑𝟒　٥٦٧٨")
    assert folded.text == "电话:138-1234 5678"
    assert folded.origin is None


def test_invisible_characters_go_and_offsets_lead_back() -> None:
    text = "a1\u200b3\ufe0f\u20e38b"
    folded = fold(text)
    assert folded.text == "a138b"
    start, end = folded.locate(1, 4)
    assert text[start:end] == "1\u200b3\ufe0f\u20e38"


def test_circled_numbers_and_hanzi_digits_stay() -> None:
    assert fold("①138 李四").text == "①138 李四"


def test_accents_fold_to_their_base_letter() -> None:
    assert fold("Renée Müller, Łódź").text == "Renee Muller, Lodz"


def test_placeholders_become_barriers_of_the_same_length() -> None:
    assert fold("x<PHONE>y<NOTHING>").text == "x" + BARRIER * 7 + "y<NOTHING>"


def test_lone_surrogates_are_folded() -> None:
    assert fold("a\ud800b").text == "a?b"
