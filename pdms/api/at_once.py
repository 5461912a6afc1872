"""The gate's answer to one question, at once: the way of `POST /v1/policies/decisions` where nothing is out of order.

Guarantees: it answers only what the route itself would answer with 200, in the same bytes, after the same checks: the
key is looked up and proved anew for each call, so that one revoked, expired or of a disabled operator decides nothing
more; scope, form of the body and policy in force likewise. Whatever else comes (another kind of credential, the first
use of a key on a day, a body out of form, an error) is passed on untouched to the route, which says and logs why. It
decides by `gate.decide_one` and has no rules of its own. A decision that is to be acted on is a Permit, with its event;
this is none. SQLite only: it reads in microseconds on the event loop, where PostgreSQL would have others wait.
"""

import json
from typing import Final

from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pdms.access import service as access
from pdms.access.service import Recognised
from pdms.api import policies
from pdms.api.edge import edge
from pdms.api.guarded import refusal_of
from pdms.bootstrap.app import App
from pdms.errors import PdmsError
from pdms.gate import service as gate
from pdms.policy.decide import Decision
from pdms.taxonomy import Operation

PATH: Final = f"{policies.routes.prefix}/decisions"
_SHAPE: Final = edge(Decision)


class AtOnce:
    """In front of the routes: answers questions to the gate, and passes everything else on."""

    def __init__(self, app: ASGIApp, *, pdms: App) -> None:
        self.app, self.pdms = app, pdms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a question, or pass the request on."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST" or scope.get("root_path"):
            await self.app(scope, receive, send)
            return
        read: list[Message] = []
        answer = None
        headers = dict(scope["headers"])
        if headers.get(b"content-type") == b"application/json":
            while not read or (read[-1]["type"] == "http.request" and read[-1].get("more_body")):
                read.append(await receive())
            answer = self._answer(headers.get(b"authorization", b""), b"".join(m.get("body", b"") for m in read))
        if answer is None:
            await self.app(scope, _again(read, receive), send)
            return
        length = (b"content-length", str(len(answer)).encode())
        kind = (b"content-type", b"application/json")
        await send({"type": "http.response.start", "status": 200, "headers": [length, kind]})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, credential: bytes, body: bytes) -> bytes | None:
        scheme, _, given = credential.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not given.startswith("pdms_key_"):
            return None
        try:
            question = policies.Question.model_validate(json.loads(body))
            if question.operation is Operation.EXPORT:  # counts people with statements of SQLAlchemy's
                return None
            with self.pdms.glance() as uow:
                found = access.recognise(uow, presented=given.strip())
                if not isinstance(found, Recognised) or found.key_to_note is not None:
                    return None
                if refusal_of(found.actor, policies.MAY_ASK) is not None:
                    return None
                uow.actor = found.actor
                decision = gate.decide_one(uow, **policies.asked(question))
        except (PdmsError, ValidationError, ValueError):
            return None
        body_of: bytes = _SHAPE.model_validate(decision, from_attributes=True).model_dump_json().encode()
        return body_of


def _again(read: list[Message], receive: Receive) -> Receive:
    waiting = iter(read)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return again
