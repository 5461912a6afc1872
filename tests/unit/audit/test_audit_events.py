"""What an event may hold, its one byte form, and the catalogue."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.audit.catalogue import CATALOGUE, EventKind, Retention
from pdms.audit.events import Event, Outcome, instant, leaf_of, micros
from pdms.errors import IntegrityBroken, InvalidInput

NOW = datetime(2026, 11, 22, 8, 30, 0, 5, tzinfo=UTC)
MEMBER = "0123456789abcdef" * 2

PII = [
    "13812345678",
    "138-1234-5678",
    "m13812345678",
    "tel-138-1234-5678",
    "a1-3-8-1-2-3-4-5-6-7-8",
    "010-62345678",
    "11010519491231002x",
    "6222021234567890",
    "6222021234567890123",
    "wang.fang@example.com",
    "王芳",
    "Wang Fang",
    "wang fang",
    "北京市朝阳区建国路88号",
    "１３８１２３４５６７８",
    "١٣٨١٢٣٤٥٦٧٨",
    "abc\n",
    "a\x00b",
    "",
    "x" * 65,
    "138abcdef0123456",
    '"},{"',
]


def full(**parts) -> Event:
    return Event(
        EventKind.SEND_OUTCOME,
        NOW,
        "op-" + "0f" * 16,
        **{
            "member_id": MEMBER,
            "purpose": "market_email",
            "outcome": Outcome.FAILED,
            "reasons": ("SMTP_REFUSED", "RETRY"),
            "refs": {"release": "rel-" + "ab" * 16, "campaign": "double-eleven.2026", "request": "R-2026-000123"},
            "numbers": {"attempt": 2, "NO_CONSENT": 0, "delta": -3},
            "digest": "9f" * 32,
            "ticket": "PRIV-1042",
            **parts,
        },
    )


def test_canonical_form_is_sorted_ascii_json_without_blanks():
    body = full(event_id="00" * 16).canonical()
    assert body == (
        b'{"actor":"op-0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","at":"2026-11-22T08:30:00.000005Z",'
        b'"digest":"' + b"9f" * 32 + b'","id":"00000000000000000000000000000000","kind":"send.outcome",'
        b'"member":"0123456789abcdef0123456789abcdef","numbers":{"NO_CONSENT":0,"attempt":2,"delta":-3},'
        b'"outcome":"failed","purpose":"market_email","reasons":["SMTP_REFUSED","RETRY"],'
        b'"refs":{"campaign":"double-eleven.2026","release":"rel-abababababababababababababababab",'
        b'"request":"R-2026-000123"},"ticket":"PRIV-1042","v":1}'
    )


@pytest.mark.parametrize("event", [full(), Event(EventKind.INIT, NOW, "system")])
def test_canonical_form_reads_back_to_the_same_event(event):
    assert Event.from_canonical(event.canonical()) == event


@pytest.mark.parametrize("position", range(len(full(event_id="00" * 16).canonical())))
def test_no_changed_byte_reads_back_to_the_same_event(position):
    body = bytearray(full(event_id="00" * 16).canonical())
    original = Event.from_canonical(bytes(body))
    body[position] ^= 1
    changed = None
    with contextlib.suppress(IntegrityBroken):
        changed = Event.from_canonical(bytes(body))
    assert changed != original


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        full().canonical() + b" ",
        full().canonical().replace(b'"v":1', b'"v":2'),
        full().canonical().replace(b'"v":1', b'"v":1,"w":1'),
        full().canonical().replace(b'"v":1', b'"v":1,"v":1'),
        full().canonical().replace(b"000005Z", b"000005+00:00"),
        full().canonical().replace(b'"attempt":2', b'"attempt":2.0'),
        full().canonical().replace(b'"attempt":2', b'"attempt":02'),
        full().canonical().replace(b'"attempt":2', b'"attempt":true'),
        full().canonical().replace(b"send.outcome", b"send.unheard"),
        b"[" * 100_000,
        b'{"v":1,"at":1}',
    ],
)
def test_what_pdms_would_not_write_is_refused(body):
    with pytest.raises(IntegrityBroken) as broken:
        Event.from_canonical(body)
    assert broken.value.code == "EVENT_FORM"


@pytest.mark.parametrize("text", PII)
@pytest.mark.parametrize(
    "where", ["actor", "purpose", "reasons", "ref", "ref_name", "number_name", "ticket", "digest", "id"]
)
def test_PIPL_6_personal_data_fits_nowhere_and_is_not_repeated_in_the_error(where, text):
    parts = {
        "actor": lambda: Event(EventKind.DENIAL, NOW, text),
        "purpose": lambda: Event(EventKind.DENIAL, NOW, "system", purpose=text),
        "reasons": lambda: Event(EventKind.DENIAL, NOW, "system", reasons=(text,)),
        "ref": lambda: Event(EventKind.DENIAL, NOW, "system", refs={"campaign": text}),
        "ref_name": lambda: Event(EventKind.DENIAL, NOW, "system", refs={text: "x"}),
        "number_name": lambda: Event(EventKind.DENIAL, NOW, "system", numbers={text: 1}),
        "ticket": lambda: Event(EventKind.DENIAL, NOW, "system", ticket=text),
        "digest": lambda: Event(EventKind.DENIAL, NOW, "system", digest=text),
        "id": lambda: Event(EventKind.DENIAL, NOW, "system", event_id=text or "0"),
    }
    with pytest.raises(InvalidInput) as refused:
        parts[where]()
    assert len(text) < 3 or text not in str(refused.value)


@pytest.mark.parametrize("number", [13812345678, 10**10, -(10**10), True, 1.5, "3", None])
def test_a_number_that_could_be_a_phone_number_or_is_none_is_refused(number):
    with pytest.raises(InvalidInput):
        Event(EventKind.DENIAL, NOW, "system", numbers={"rows": number})


def test_naive_instants_are_refused_and_others_become_utc():
    with pytest.raises(InvalidInput):
        Event(EventKind.INIT, datetime(2026, 1, 1), "system")  # noqa: DTZ001
    shanghai = timezone(timedelta(hours=8))
    event = Event(EventKind.INIT, datetime(2026, 1, 1, 8, tzinfo=shanghai), "system")
    assert event.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.at.tzinfo is UTC


def test_a_kind_or_outcome_out_of_the_lists_is_refused():
    with pytest.raises(InvalidInput):
        Event("permit", NOW, "system")
    with pytest.raises(InvalidInput):
        Event(EventKind.PERMIT, NOW, "system", outcome="ok")


def test_an_event_cannot_be_changed_through_what_it_was_made_of():
    refs, numbers, reasons = {"view": "member_value"}, {"rows": 1}, ["A"]
    event = Event(EventKind.DENIAL, NOW, "system", refs=refs, numbers=numbers, reasons=reasons)
    body = event.canonical()
    refs["view"], numbers["rows"] = "x", 2
    reasons.append("B")
    assert event.canonical() == body
    with pytest.raises(TypeError):
        event.refs["view"] = "x"


def test_event_ids_ascend_and_differ():
    ids = [Event(EventKind.INIT, NOW, "system").event_id for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids) or ids[0][12:18] > ids[-1][12:18]  # the count may wrap once


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact(at):
    assert instant(micros(at)) == at


def test_the_salt_separates_equal_events():
    body = full().canonical()
    assert leaf_of(bytes(16), body) != leaf_of(b"\x01" + bytes(15), body)


def test_every_kind_is_catalogued_with_a_meaning():
    assert set(CATALOGUE) == set(EventKind)
    for entry in CATALOGUE.values():
        assert entry.meaning.endswith(".")
        assert "\n" not in entry.meaning


def test_only_the_minimal_proof_outlives_its_member():
    kept = {kind for kind, entry in CATALOGUE.items() if not entry.dies_with_member}
    assert {kind for kind in EventKind if CATALOGUE[kind].retention is Retention.PROOF} == kept
    assert {EventKind.CONSENT_RECORDED, EventKind.CONSENT_WITHDRAWN, EventKind.ERASE_DONE} <= kept
    assert not kept & {
        EventKind.REVEAL,
        EventKind.PERMIT,
        EventKind.DENIAL,
        EventKind.SEND_INTENT,
        EventKind.LOGIN_FAILED,
    }
