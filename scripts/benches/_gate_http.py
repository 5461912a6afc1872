"""Requests of the gate's benchmark: to an ASGI application in this process, and to a server in one of its own.

usage: _gate_http.py HOME POLICIES INSTANT. Serves the API of a home on a loopback port, which it prints, with the
options of `pdms serve`; beside it in the same server an empty route of a bare FastAPI, and the server's CPU time.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from pdms.api.app import create_app
from pdms.api.middleware import RateLimit
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.settings import Settings

DECISIONS, EMPTY, CPU = "/v1/policies/decisions", "/nothing", "/cpu"
_LOOP = asyncio.new_event_loop()


def api_of(app: App) -> FastAPI:
    """Return the API of a home, with no limit that a benchmark would run into."""
    open_to_all = RateLimit(1e9, 10**9)
    return create_app(app, limit=open_to_all, failures=open_to_all, sequence_seconds=3600)


def bare() -> FastAPI:
    """Return a FastAPI application with one route that does nothing."""
    made = FastAPI(openapi_url=None)

    @made.post(EMPTY)
    async def nothing() -> dict[str, str]:
        return {}

    return made


def called(*calls: Callable[[], object], tries: int) -> list[list[float]]:
    """Return seconds of CPU of each call of each, a hundred at a time in turns; the first hundred warms up."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(tries // 100 + 1):
        for one, times in zip(calls, taken, strict=True):
            for _ in range(100):
                begun = time.process_time()
                one()
                times.append(time.process_time() - begun)
    return [times[100:] for times in taken]


def call(api: FastAPI, path: str, body: dict[str, Any], key: str) -> bytes:
    """Send one request to an ASGI application, as a server would, and return the body of a good answer."""
    data = json.dumps(body).encode()
    headers = [
        (b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", str(len(data)).encode()),
        (b"authorization", b"Bearer " + key.encode()),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    _LOOP.run_until_complete(api(scope, receive, send))
    if sent[0]["status"] >= 300:
        raise RuntimeError(f"{path}: {sent[0]['status']}")
    return b"".join(one.get("body", b"") for one in sent)


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, key: str) -> None:
        self._key = key
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send one request and return what a good answer says."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\nAuthorization: Bearer {self._key}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + data)
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._socket.recv(65536)
        said, _, answer = read.partition(b"\r\n\r\n")
        lines = said.decode().lower().split("\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        while len(answer) < length:
            answer += self._socket.recv(65536)
        if " 200 " not in lines[0]:
            raise RuntimeError(f"{path}: {lines[0]}")
        return json.loads(answer)

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()


@contextmanager
def serving(home: Path, policies: Path, instant: datetime, key: str) -> Iterator[Client]:
    """Serve a home in a process of its own, for the length of a block."""
    command = [sys.executable, __file__, str(home), str(policies), instant.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            client = Client(int(server.stdout.readline()), key)
            yield client
            client.close()
        finally:
            server.terminate()


def server_cpu(client: Client, path: str, bodies: Iterable[dict[str, Any]]) -> float:
    """Return seconds of the server's CPU, user and system, that one request costs it; the request for it aside."""
    client.post(CPU, {})
    begun, count = client.post(CPU, {}), 0
    for body in bodies:
        client.post(path, body)
        count += 1
    ended = client.post(CPU, {})
    return float((ended - begun) / 1e9 / count)


def _serve(home: str, policies: str, instant: str) -> None:
    import uvicorn

    with App.open(
        Settings(home=Path(home), policies=Path(policies)), clock=FixedClock(datetime.fromisoformat(instant))
    ) as app:
        api, empty = api_of(app), bare()

        @empty.post(CPU)
        async def cpu() -> int:
            return time.process_time_ns()

        async def both(scope: Any, receive: Any, send: Any) -> None:
            await (empty if scope.get("path") in (EMPTY, CPU) else api)(scope, receive, send)

        listening = socket.create_server(("127.0.0.1", 0))
        print(listening.getsockname()[1], flush=True)
        options: dict[str, Any] = {"access_log": False, "server_header": False, "proxy_headers": False, "ws": "none"}
        uvicorn.Server(uvicorn.Config(both, log_level="warning", **options)).run(sockets=[listening])


if __name__ == "__main__":
    _serve(*sys.argv[1:])
