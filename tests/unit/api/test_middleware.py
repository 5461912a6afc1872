"""The guard: what it answers itself, and that an unexpected error leaves neither text nor path, in answer or log."""

import asyncio
import logging
from typing import Any

import pytest

from pdms.api.middleware import Guard, RateLimit

SECRET = "canary-13800138000"


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError(f"{SECRET} in {scope['path']}")


async def broken_late(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError(SECRET)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"private")]})
    await send({"type": "http.response.body", "body": body})


def ask(
    app: Any, *, headers: list[tuple[bytes, bytes]] = (), body: bytes = b"", **options: Any
) -> list[dict[str, Any]]:
    guard = Guard(app, limit=options.pop("limit", RateLimit(1, 100)), **options)
    scope = {"type": "http", "path": f"/v1/packages/{SECRET}", "headers": list(headers), "client": ("127.0.0.1", 5)}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent


def test_an_unexpected_error_is_answered_and_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        start, body = ask(broken)
    assert start["status"] == 500
    assert SECRET.encode() not in body["body"]
    assert "ValueError at " in caplog.text
    assert SECRET not in caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_an_error_after_the_answer_began_sends_nothing_more() -> None:
    assert [message["type"] for message in ask(broken_late)] == ["http.response.start"]


def test_headers_are_added_but_never_overruled() -> None:
    start, _ = ask(echo, body=b"x")
    headers = dict(start["headers"])
    assert headers[b"cache-control"] == b"private"
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("length", [b"11", b"-1", b"x", b"9" * 40, b"1e3"])
def test_a_declared_length_beyond_the_bound_is_refused_unread(length: bytes) -> None:
    start, body = ask(broken, headers=[(b"content-length", length)], max_body=10)
    assert start["status"] == 413
    assert b"BODY_TOO_LARGE" in body["body"]


def test_a_bucket_fills_again_and_callers_have_their_own() -> None:
    now = [0.0]
    limit = RateLimit(rate=2.0, burst=3, clock=lambda: now[0])
    assert [limit.allows(b"a") for _ in range(4)] == [True, True, True, False]
    assert limit.allows(b"b")
    now[0] = 0.5
    assert [limit.allows(b"a") for _ in range(2)] == [True, False]
    now[0] = 100.0
    assert [limit.allows(b"a") for _ in range(4)] == [True, True, True, False]
