"""`/v1/audit`: the officer's access to the log. Ids, codes and numbers only; no event holds a member's value."""

from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import BaseModel, Field

from pdms.api.caller import Compliance
from pdms.api.edge import edge
from pdms.api.fields import Body, EventPath, Instant, Limit, Name, Position, member
from pdms.api.files import spilled, streamed
from pdms.api.guarded import REPEATABLE, router
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import parse_signed_checkpoint
from pdms.audit.note import NoteKey, verify_note
from pdms.audit.verify import VerifyReport
from pdms.errors import IntegrityBroken, InvalidInput
from pdms.reports import evidence, pack
from pdms.reports import replay as replays

routes = router("audit")
MemberFilter = Annotated[str | None, Query(pattern="^[0-9a-f]{32}$", description="Member id, 32 hex digits.")]
Since = Annotated[Instant | None, Query(description="From this instant on.")]
Until = Annotated[Instant | None, Query(description="Before this instant.")]


class Earlier(Body):
    """What a verification is held against."""

    checkpoint: str | None = Field(
        default=None,
        max_length=4096,
        description="A checkpoint (C2SP signed note) that was kept outside: with it a rewritten history is found too.",
    )


class Cosigned(Body):
    """What a witness gave back."""

    checkpoint: str = Field(
        max_length=4096,
        description="A checkpoint of this log (C2SP signed note) that the witness cosigned.",
        examples=["pdms.example\n6\nYWJj…\n\n— witness.example 7p…\n"],
    )
    witness: str = Field(
        max_length=512, description="The witness's public key (vkey).", examples=["witness.example+0c1d2e3f+BAEC…"]
    )


class Purge(Body):
    """Which openings are shredded."""

    retention: Literal["network_log", "record", "proof"] = Field(description="Class of the catalogue of events.")
    before: Instant = Field(description="Older than this instant.", examples=["2023-01-01T00:00:00+08:00"])


class Purged(BaseModel):
    """What went."""

    openings: int = Field(description="Openings shredded; their leaves stay.")


class Period(Body):
    """A period of the log."""

    since: Instant = Field(description="From this instant on.", examples=["2026-01-01T00:00:00+08:00"])
    until: Instant = Field(description="Before this instant.", examples=["2027-01-01T00:00:00+08:00"])


@routes.get("/events", summary="List events", response_model=edge(evidence.LogPage))
def list_events(
    caller: Compliance,
    kind: Annotated[list[EventKind] | None, Query(max_length=20)] = None,
    member_id: MemberFilter = None,
    purpose: Name | None = None,
    since: Since = None,
    until: Until = None,
    cursor: Position = None,
    limit: Limit = 100,
) -> Any:
    """Events of the log, newest first."""
    return caller.read(
        evidence.list_events,
        kinds=tuple(kind or ()),
        member_id=member(member_id) if member_id else None,
        purpose=purpose,
        since=since,
        until=until,
        after=cursor,
        limit=limit,
    )


@routes.get("/decisions", summary="List decisions", response_model=edge(evidence.LogPage))
def list_decisions(
    caller: Compliance,
    purpose: Name | None = None,
    denied: Annotated[bool | None, Query(description="Refusals only, or permits only.")] = None,
    since: Since = None,
    until: Until = None,
    cursor: Position = None,
    limit: Limit = 100,
) -> Any:
    """Which use was permitted or refused, and why; newest first."""
    return caller.read(
        evidence.decisions, purpose=purpose, denied=denied, since=since, until=until, after=cursor, limit=limit
    )


@routes.get("/checkpoint", summary="Newest checkpoint", response_model=edge(evidence.LogHead))
def show_checkpoint(caller: Compliance) -> Any:
    """The signed head of the log and the key that checks it. Keep it outside: it convicts whoever rewrites the log."""
    return caller.read(evidence.head)


@routes.get("/events/{event_id}/proof", summary="Prove an event", response_model=dict[str, Any])
def prove_event(caller: Compliance, event_id: EventPath) -> Any:
    """The RFC 9162 inclusion proof of an event under the newest checkpoint, to be checked offline."""
    return caller.read(evidence.prove, event_id=event_id)


@routes.post("/verifications", summary="Verify the log", response_model=edge(VerifyReport), openapi_extra=REPEATABLE)
def verify(caller: Compliance, body: Earlier) -> Any:
    """Computes the whole log again and compares. The verdict that counts is the offline one, on an export."""
    if body.checkpoint is None:
        return caller.run(evidence.verify)
    note = body.checkpoint.encode()
    try:
        parse_signed_checkpoint(note)
    except IntegrityBroken:  # what a client sends is input, whatever it is where it was stored
        raise InvalidInput("checkpoint: a C2SP signed note is needed") from None
    with spilled(caller.app, note) as path:
        return caller.run(evidence.verify, earlier=path)


@routes.post(
    "/replays", summary="Replay decisions", response_model=edge(replays.ReplayReport), openapi_extra=REPEATABLE
)
def replay(caller: Compliance, body: Period) -> Any:
    """Decides again what was decided in a period, by the policy and consents of then; each difference says why. The
    answer comes when all is decided: for long periods take `pdms audit replay`, which shows how far it is."""
    return caller.long(replays.replay, since=body.since, until=body.until)


@routes.post("/cosignatures", summary="Take in a cosignature", response_model=edge(evidence.LogHead))
def cosign(caller: Compliance, body: Cosigned) -> Any:
    """Keeps a witness's cosignature of a checkpoint of this log; exports and packs carry it from then on."""
    note, key = body.checkpoint.encode(), NoteKey.from_vkey(body.witness)
    try:
        verify_note(parse_signed_checkpoint(note).note, key)
    except IntegrityBroken:  # as above
        raise InvalidInput("checkpoint: a C2SP signed note is needed that this witness cosigned") from None
    with spilled(caller.app, note) as path:
        return caller.run(evidence.cosign, path=path, witness=body.witness)


@routes.post("/purges", summary="Shred old openings", response_model=Purged)
def purge(caller: Compliance, body: Purge) -> Any:
    """Shreds openings whose time is over; what the law keeps longer is refused (409). Their leaves stay, so that the
    log is proved as before."""
    return Purged(openings=caller.run(evidence.purge, retention=body.retention, before=body.before))


@routes.post(
    "/exports",
    summary="Export the log",
    openapi_extra=REPEATABLE,
    response_class=Response,
    responses={200: {"description": "The log.", "content": {"application/jsonl": {"schema": {"type": "string"}}}}},
)
def export(caller: Compliance) -> Response:
    """The whole log as one JSON Lines file; `python -m pdms.audit.verifier FILE` checks it anywhere."""
    return streamed(
        caller.app,
        lambda path: caller.run(evidence.export, path=path),
        filename="audit-log.jsonl",
        media_type="application/jsonl",
    )


@routes.post(
    "/packs",
    summary="Make a pack for a regulator",
    openapi_extra=REPEATABLE,
    response_class=Response,
    responses={200: {"description": "The pack.", "content": {"application/zip": {"schema": {"type": "string"}}}}},
)
def make_pack(caller: Compliance, body: Period) -> Response:
    """Events of a period, policies, notices, consents, proofs and a summary; the verifier in it checks it anywhere."""
    caller.app.sequence()
    return streamed(
        caller.app,
        lambda path: caller.run(pack.pack, since=body.since, until=body.until, path=path),
        filename="audit-pack.zip",
        media_type="application/zip",
    )
