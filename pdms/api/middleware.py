"""Plain ASGI middleware, outermost: bounded bodies, a rate limit, headers against caches and frames, the last catch.

Plain, because Starlette's function middleware costs more than a decision does. Guarantee: an error nobody expected is
answered without its text, and its type and place alone are logged: its message, the path and the body may hold a
member's data or a one-time secret. Nothing else is logged here.
"""

import logging
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pdms.api.problems import MEDIA_TYPE, TITLES, TOO_LARGE, TOO_MANY, body_of

MAX_BODY = 4 << 20
MAX_CALLERS = 100_000
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)
log = logging.getLogger("pdms.api")


class BodyTooLarge(HTTPException):
    """More bytes came than any route takes; of a kind that FastAPI lets pass while it reads a body."""

    def __init__(self) -> None:
        super().__init__(TOO_LARGE)


@dataclass
class RateLimit:
    """A bucket for each caller that fills by `rate` a second up to `burst`; callers are told apart by digest."""

    rate: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def allows(self, caller: bytes) -> bool:
        """Take one from the caller's bucket; False where it is empty."""
        with self._lock:
            now = self.clock()
            level, then = self._buckets.pop(caller, (float(self.burst), now))
            level = min(self.burst, level + (now - then) * self.rate)
            allowed = level >= 1
            self._buckets[caller] = (level - 1 if allowed else level, now)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
            return allowed


class Guard:
    """The outermost layer of the API."""

    def __init__(
        self, app: ASGIApp, *, limit: RateLimit, max_body: int = MAX_BODY, larger: Mapping[str, int] | None = None
    ) -> None:
        self.app, self.limit, self.max_body, self.larger = app, limit, max_body, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if not self.limit.allows(caller_of(scope)):
            await _answer(send, TOO_MANY)
            return
        bound = self.larger.get(scope["path"], self.max_body)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > bound:
            await _answer(send, TOO_LARGE)
            return
        started = False

        async def headed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in HEADERS if h[0] not in present)]
            await send(message)

        try:
            await self.app(scope, _bounded(receive, bound), headed)
        except Exception as error:
            log.error("internal error: %s", place_of(error))  # noqa: TRY400 - the text may hold data
            if not started:
                await _answer(send, 500)


def _bounded(receive: Receive, bound: int) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > bound:  # a chunked body names no length beforehand
                raise BodyTooLarge
        return message

    return bounded


def caller_of(scope: Scope) -> bytes:
    """Return the digest under which a caller's requests are counted: the credential, else the address.

    The credential as it is read further in: the first one, whatever the blanks around it and the case of its scheme.
    """
    given = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    if given is None:
        return sha256(address_of(scope)).digest()
    scheme, _, credential = given.decode("latin-1").partition(" ")
    return sha256(f"{scheme.lower()} {credential.strip()}".encode()).digest()


def address_of(scope: Scope) -> bytes:
    """Return the address that a request came from."""
    client = scope.get("client")
    return str(client[0]).encode() if client else b"-"


def place_of(error: BaseException) -> str:
    """Return type and place of an error, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-type", MEDIA_TYPE.encode()), *HEADERS]
    if status == TOO_MANY:
        headers.append((b"retry-after", b"1"))
    detail = "see the server's log" if status == 500 else ""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body_of(status=status, title=TITLES[status], detail=detail)})
