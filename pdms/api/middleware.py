"""Plain ASGI middleware: bounded bodies, a rate limit, and headers that keep answers out of caches and frames.

Plain, because Starlette's function middleware costs more than a decision does. It logs nothing.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 4 << 20
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    ),
)


@dataclass
class RateLimit:
    """A token bucket for each caller: `rate` requests a second, bursts of `burst`; callers are told apart by digest."""

    rate: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict, repr=False)

    def allows(self, caller: bytes) -> bool:
        """Take one token; False where none is left."""
        now = self.clock()
        level, then = self._buckets.pop(caller, (float(self.burst), now))
        level = min(self.burst, level + (now - then) * self.rate)
        allowed = level >= 1
        self._buckets[caller] = (level - 1 if allowed else level, now)
        if len(self._buckets) > 100_000:
            self._buckets.popitem(last=False)
        return allowed


class Guard:
    """The outermost layer of the API."""

    def __init__(self, app: ASGIApp, *, limit: RateLimit, docs: bool = True) -> None:
        self.app, self.limit, self.docs = app, limit, docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        client = scope.get("client") or ("-", 0)
        caller = sha256(headers.get(b"authorization", str(client[0]).encode())).digest()
        if not self.limit.allows(caller):
            await _problem(send, 429, "too many requests", "TOO_MANY_REQUESTS")
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await _problem(send, 413, "body too large", "BODY_TOO_LARGE")
            return
        await self.app(scope, _bounded(receive), self._headed(scope, send))

    def _headed(self, scope: Scope, send: Send) -> Send:
        page = self.docs and scope["path"] in ("/docs", "/redoc")

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = list(message["headers"]) + [
                    h for h in HEADERS if h[0] not in present and not (page and h[0] == b"content-security-policy")
                ]
            await send(message)

        return headed


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:  # a chunked body names no length beforehand
                return {"type": "http.disconnect"}
        return message

    return bounded


async def _problem(send: Send, status: int, title: str, code: str) -> None:
    body = {
        "type": f"urn:pdms:problem:{title.replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": title,
        "code": code,
        "reasons": [],
    }
    headers = [(b"content-type", b"application/problem+json"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
