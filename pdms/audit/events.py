"""Audit events: what may be said in the log, and the one byte form of each.

Guarantee: an event that exists is safe to keep for years. Every text in it is an id, a code or a name by pattern, every
figure is a count, so that no name, address, message, e-mail or phone number can be written down (PIPL-6, PIPL-51-3);
construction refuses anything else and names the field, never the value. `canonical()` is deterministic, and
`from_canonical()` accepts nothing that it would not have written. The patterns cannot know that a well-formed slug is
somebody's name: callers pass ids that pdms made, and names out of `policies/`.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import count
from types import MappingProxyType
from typing import Any, Self

from pdms.audit.catalogue import EventKind
from pdms.audit.verifier import MAX_BODY_BYTES, leaf_of
from pdms.errors import IntegrityBroken, InvalidInput

__all__ = ["MAX_BODY_BYTES", "SALT_BYTES", "Event", "Outcome", "instant", "leaf_of", "micros"]

SALT_BYTES = 16
MAX_ENTRIES = 128
NUMBER_LIMIT = 10**10
"""Numbers stay below it: counts and durations fit, the eleven digits of a mobile number do not."""

_made = count()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RANDOM_ID = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{8})?(?:[0-9a-f]{24})?|[a-z]{1,16}[-_][0-9a-f]{32}")
_SLUG = re.compile(r"(?=.{1,64}\Z)[a-z][a-z0-9]*(?:[._:-][a-z0-9]+)*")
_NUMBERED = re.compile(r"[A-Z]{1,8}(?:-[0-9]{1,6}){1,3}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_FIELD_NAME = re.compile(r"[a-z][a-z_]{0,31}")
_COUNT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TICKET = re.compile(r"[A-Z]{2,10}-[0-9]{1,6}")
_HEX_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_LONG_RUN = re.compile(r"[0-9]{7}")
_DIGITS = re.compile(r"[0-9]")


class Outcome(StrEnum):
    """How what the event tells of ended."""

    DONE = "done"
    PERMITTED = "permitted"
    DENIED = "denied"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    PARTIAL = "partial"
    INTENDED = "intended"


_NO_REFS: Mapping[str, str] = MappingProxyType({})
_NO_NUMBERS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    :param at: aware; kept in UTC to the microsecond. :param actor: operator id, `system`, `member` or `anonymous`.
    :param member_id: 32 hex digits, set only where exactly one member is concerned. :param digest: 64 hex digits, keyed
        digest of a set of member ids. :param refs: names to ids. :param numbers: names to whole numbers.
    :raises InvalidInput: a part is not an id, a code or a number as the patterns say.
    """

    kind: EventKind
    at: datetime
    actor: str
    member_id: str | None = field(default=None, kw_only=True)
    purpose: str | None = field(default=None, kw_only=True)
    outcome: Outcome = field(default=Outcome.DONE, kw_only=True)
    reasons: Sequence[str] = field(default=(), kw_only=True)
    refs: Mapping[str, str] = field(default_factory=lambda: _NO_REFS, kw_only=True)
    numbers: Mapping[str, int] = field(default_factory=lambda: _NO_NUMBERS, kw_only=True)
    digest: str | None = field(default=None, kw_only=True)
    ticket: str | None = field(default=None, kw_only=True)
    event_id: str = field(default="", kw_only=True)
    """32 hex digits: milliseconds of `at`, a count, 56 random bits; ascending, so that the index grows at one end."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        if self.at.tzinfo is not UTC:
            put(self, "at", _utc(self.at))
        if not self.event_id:
            put(self, "event_id", f"{_milliseconds(self.at)}{next(_made) & 0xFFFFFF:06x}{os.urandom(7).hex()}")
        elif not _HEX_ID.fullmatch(self.event_id):
            raise _bad("event_id", "32 lower-case hex digits")
        if not (isinstance(self.kind, EventKind) and isinstance(self.outcome, Outcome)):
            raise _bad("kind and outcome", "members of their closed lists")
        _check_actor(self.actor)
        if self.member_id is not None and not _HEX_ID.fullmatch(self.member_id):
            raise _bad("member_id", "32 lower-case hex digits")
        if self.purpose is not None:
            _check_purpose(self.purpose)
        if self.reasons:
            put(self, "reasons", _checked_reasons(self.reasons))
        if self.refs:
            put(self, "refs", _checked_refs(self.refs))
        if self.numbers:
            put(self, "numbers", _checked_numbers(self.numbers))
        if self.digest is not None and not _DIGEST.fullmatch(self.digest):
            raise _bad("digest", "64 lower-case hex digits")
        if self.ticket is not None and not _TICKET.fullmatch(self.ticket):
            raise _bad("ticket", "letters, a hyphen and at most six digits")

    def canonical(self) -> bytes:
        """Return the one byte form: JSON, ASCII, keys sorted, no blanks, absent parts left out.

        Put together by hand: every part was checked to need no escaping, and this runs once for each event.
        """
        event_id, kind, outcome = self.event_id, self.kind._value_, self.outcome._value_
        digest = "" if self.digest is None else f'"digest":"{self.digest}",'
        member = "" if self.member_id is None else f'"member":"{self.member_id}",'
        purpose = "" if self.purpose is None else f'"purpose":"{self.purpose}",'
        ticket = "" if self.ticket is None else f'"ticket":"{self.ticket}",'
        numbers = reasons = refs = ""
        if self.numbers:
            numbers = '"numbers":{' + ",".join([f'"{name}":{n}' for name, n in self.numbers.items()]) + "},"
        if self.reasons:
            reasons = '"reasons":["' + '","'.join(self.reasons) + '"],'
        if self.refs:
            refs = '"refs":{' + ",".join([f'"{name}":"{ref}"' for name, ref in self.refs.items()]) + "},"
        return (
            f'{{"actor":"{self.actor}","at":"{_instant(self.at)}",{digest}"id":"{event_id}","kind":"{kind}",{member}'
            f'{numbers}"outcome":"{outcome}",{purpose}{reasons}{refs}{ticket}"v":1}}'
        ).encode("ascii")

    @classmethod
    def from_canonical(cls, body: bytes) -> Self:
        """Read what `canonical()` wrote.

        :raises IntegrityBroken: EVENT_FORM, these bytes are not the canonical form of any event.
        """
        try:
            event = cls._read(body)
        except (ValueError, KeyError, TypeError, AttributeError, InvalidInput, RecursionError):
            event = None
        if event is None or event.canonical() != body:
            raise IntegrityBroken("audit event: not in the form that pdms writes", code="EVENT_FORM")
        return event

    @classmethod
    def _read(cls, body: bytes) -> Self | None:
        if len(body) > MAX_BODY_BYTES:
            return None
        parts: dict[str, Any] = json.loads(body)
        if parts["v"] != 1 or not _INSTANT.fullmatch(parts["at"]):
            return None
        return cls(
            EventKind(parts["kind"]),
            datetime.fromisoformat(parts["at"]),
            parts["actor"],
            member_id=parts.get("member"),
            purpose=parts.get("purpose"),
            outcome=Outcome(parts["outcome"]),
            reasons=parts.get("reasons", ()),
            refs=parts.get("refs", _NO_REFS),
            numbers=parts.get("numbers", _NO_NUMBERS),
            digest=parts.get("digest"),
            ticket=parts.get("ticket"),
            event_id=parts["id"],
        )


def micros(at: datetime) -> int:
    """Return microseconds since 1970 of an aware instant."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at_micros: int) -> datetime:
    """Return the instant that `micros` counted."""
    return _EPOCH + at_micros * _MICROSECOND


@lru_cache(maxsize=64)  # a unit of work has one instant for all its events
def _instant(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@lru_cache(maxsize=64)
def _milliseconds(at: datetime) -> str:
    return f"{micros(at) // 1000:012x}"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise _bad("at", "an aware instant")
    return at.astimezone(UTC)


def _bad(name: str, rule: str) -> InvalidInput:
    return InvalidInput(f"audit event, {name}: must be {rule}", code="AUDIT_EVENT")


def _plain_digits(text: str) -> bool:
    """Tell that `text` holds nothing that reads like a phone or document number, with or without separators."""
    return not _LONG_RUN.search(text) and len(_DIGITS.findall(text)) <= 10


def _checker(name: str, rule: str, accepts: Callable[[str], bool]) -> Callable[[str], None]:
    """Return a check of one text. What passed is remembered: the same few ids and names come again and again."""

    @lru_cache(maxsize=8192)
    def check(text: str) -> None:
        if not isinstance(text, str) or not accepts(text):
            raise _bad(name, rule)

    return check


def _is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None and _plain_digits(text)


def _is_id(text: str) -> bool:
    if _RANDOM_ID.fullmatch(text) or _is_slug(text):
        return True
    return _NUMBERED.fullmatch(text) is not None and _plain_digits(text)


def is_reference(text: str) -> bool:
    """Tell whether `text` may stand as a reference in an event: an id, a name or a number such as `GP-2026-118`."""
    return _is_id(text)


_ID_RULE = "a random id, a lower-case name or a numbered reference, without phone-like digits"
_check_actor = _checker("actor", _ID_RULE, _is_id)
_check_ref = _checker("a value in refs", _ID_RULE, _is_id)
_check_purpose = _checker("purpose", "a lower-case name without phone-like digits", _is_slug)
_check_reason = _checker(
    "reasons", "codes of capitals, digits and underscores", lambda t: bool(_CODE.fullmatch(t)) and _plain_digits(t)
)
_check_ref_name = _checker("a name in refs", "a lower-case word", lambda t: bool(_FIELD_NAME.fullmatch(t)))
_check_count_name = _checker(
    "a name in numbers",
    "a word of letters, digits and underscores",
    lambda t: bool(_COUNT_NAME.fullmatch(t)) and _plain_digits(t),
)


def _checked_reasons(reasons: Sequence[str]) -> tuple[str, ...]:
    if isinstance(reasons, str) or len(reasons) > MAX_ENTRIES:
        raise _bad("reasons", f"at most {MAX_ENTRIES} codes")
    for code in reasons:
        _check_reason(code)
    return tuple(reasons)


def _checked_refs(refs: Mapping[str, str]) -> Mapping[str, str]:
    if len(refs) > MAX_ENTRIES:
        raise _bad("refs", f"at most {MAX_ENTRIES} entries")
    for name, value in refs.items():
        _check_ref_name(name)
        _check_ref(value)
    return MappingProxyType(dict(sorted(refs.items())))


def _checked_numbers(numbers: Mapping[str, int]) -> Mapping[str, int]:
    if len(numbers) > MAX_ENTRIES:
        raise _bad("numbers", f"at most {MAX_ENTRIES} entries")
    for name, number in numbers.items():
        _check_count_name(name)
        if type(number) is not int or not -NUMBER_LIMIT < number < NUMBER_LIMIT:
            raise _bad("a value in numbers", "a whole number of at most ten digits")
    return MappingProxyType(dict(sorted(numbers.items())))
