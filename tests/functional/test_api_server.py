"""The real server on a loopback socket: it starts, answers, stops, and logs no path and no key."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

SERVE = """
import sys
from pathlib import Path
from pdms.api.server import serve
from pdms.bootstrap.app import App
from pdms.clock import SystemClock
from pdms.settings import Settings
with App.open(Settings(home=Path(sys.argv[1])), clock=SystemClock()) as app:
    serve(app, port=int(sys.argv[2]))
"""
SECRET = "canary-link-13800138000"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def first_answer(address: str, server: subprocess.Popen[bytes]) -> httpx.Response:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            return httpx.get(f"{address}/v1/health")
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


def test_serve_answers_on_loopback_and_logs_nothing_of_a_request(world, tmp_path: Path):
    port, log = free_port(), tmp_path / "server.log"
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        arguments = [sys.executable, "-c", SERVE, str(world.app.home.root), str(port)]
        server = subprocess.Popen(arguments, stdout=out, stderr=out, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
        try:
            health = first_answer(address, server)
            assert health.json()["status"] == "ok"
            assert "server" not in health.headers
            assert httpx.post(f"{address}/v1/opt-outs/{SECRET}").status_code == 200
            for path in (f"/v1/packages/{SECRET}", f"/{SECRET}"):
                answer = httpx.post(address + path)
                assert answer.status_code == 404
                assert SECRET not in answer.text
            key = {"Authorization": f"Bearer {SECRET}"}
            assert httpx.get(f"{address}/v1/members/{SECRET}", headers=key).status_code == 401

            def tried(caller: str) -> int:
                return httpx.get(f"{address}/v1/operators", headers=key | {"X-Forwarded-For": caller}).status_code

            # Failed logins of one address, as a proxy on this machine forwards it: nobody else pays for them.
            assert [tried("203.0.113.1") for _ in range(30)][-1] == 429
            assert tried("203.0.113.2") == 401
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(f"{SECRET} is no HTTP\r\n\r\n".encode())
                assert SECRET.encode() not in raw.recv(4096)
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(30) in (0, 130, -signal.SIGINT)
    assert SECRET not in log.read_text()
