"""The gate's answer to one question, at once: the way of `POST /v1/policies/decisions` where nothing is out of order.

Guarantees: it answers only what the route itself would answer with 200, in the same bytes, after the same checks. What
it remembers from one question to the next (keys that proved themselves, notices, the policy in force) is forgotten when
any process commits anything: a key revoked, a consent withdrawn, a policy put in force count from the next question on.
Whatever else comes (another kind of credential, the first use of a key on a day, a query, a body that is long, of
untold length or out of form, an error) is passed on untouched to the route, which says and logs why; nothing of a
stranger's is parsed. It decides by `gate.decide_one` and has no rules of its own. A decision that is to be acted on is
a Permit, with its event; this is none. SQLite only: it reads in microseconds on the event loop, where PostgreSQL would
have others wait.
"""

from typing import Final

from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pdms.access import service as access
from pdms.api import policies
from pdms.api.guarded import refusal_of
from pdms.bootstrap.app import App
from pdms.gate import service as gate
from pdms.policy.decide import Decision
from pdms.taxonomy import Operation

PATH: Final = f"{policies.routes.prefix}/decisions"
LONGEST: Final = 16_384
"""Bytes of a question; a longer one is the route's, which asks for the key before it reads."""
_validated: Final = policies.Question.model_validate_json
_written: Final = TypeAdapter(Decision).dump_json


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
        length = headers.get(b"content-length", b"")  # its form was looked at before
        short = length.isdigit() and int(length) <= LONGEST and b"transfer-encoding" not in headers
        if short and not scope.get("query_string") and headers.get(b"content-type") == b"application/json":
            while not read or (read[-1]["type"] == "http.request" and read[-1].get("more_body")):
                read.append(await receive())
            answer = self._answer(headers.get(b"authorization", b""), b"".join(m.get("body", b"") for m in read))
        if answer is None:
            await self.app(scope, _again(read, receive), send)
            return
        told = [(b"content-length", str(len(answer)).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": told})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, credential: bytes, body: bytes) -> bytes | None:
        scheme, _, given = credential.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            with self.pdms.glance() as uow:
                actor = access.recognise_operator(uow, presented=given.strip())
                if actor is None or refusal_of(actor, policies.MAY_ASK) is not None:
                    return None
                question = _validated(body)
                if question.operation is Operation.EXPORT:  # counts people with statements of SQLAlchemy's
                    return None
                uow.actor = actor
                decision = gate.decide_one(uow, **policies.asked(question))
        except Exception:
            return None
        return _written(decision)


def _again(read: list[Message], receive: Receive) -> Receive:
    waiting = iter(read)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return again
