"""Files on their way in or out: in the home's spill folder, mode 0600, without a name as soon as they are written."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Response
from fastapi.responses import StreamingResponse

from pdms.bootstrap.app import App

CHUNK = 1 << 16


@contextmanager
def spilled(app: App, content: bytes) -> Iterator[Path]:
    """Lay `content` down in a file for as long as the context lasts."""
    path = fresh(app)
    try:
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield path
    finally:
        path.unlink(missing_ok=True)


def streamed(app: App, write: Callable[[Path], object], *, filename: str, media_type: str) -> Response:
    """Let `write` make a file and answer with it. Its name goes first, so that no client can make it stay."""
    path = fresh(app)
    try:
        write(path)
        stream = path.open("rb")
    finally:
        path.unlink(missing_ok=True)
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(_chunks(stream), media_type=media_type, headers=headers)


def fresh(app: App) -> Path:
    """Return a path in the spill folder that nobody uses."""
    app.home.spill.mkdir(mode=0o700, exist_ok=True)
    return app.home.spill / f"api-{secrets.token_hex(16)}"


def attachment(content: bytes, *, filename: str, media_type: str) -> Response:
    """Answer with bytes as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(content, media_type=media_type, headers=headers)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk
