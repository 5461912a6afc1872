"""Files on their way in or out: in the home's spill folder, mode 0600, without a name as soon as they are written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Response
from fastapi.responses import StreamingResponse

from pdms.bootstrap.app import App
from pdms.facts.spill import file_under_way

CHUNK = 1 << 16


@contextmanager
def spilled(app: App, content: bytes) -> Iterator[Path]:
    """Lay `content` down in a file for as long as the context lasts."""
    with file_under_way(app.home) as path:
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield path


def streamed(app: App, write: Callable[[Path], object], *, filename: str, media_type: str) -> Response:
    """Let `write` make a file and answer with it. Its name goes first, so that no client can make it stay."""
    with file_under_way(app.home) as path:
        write(path)
        stream = path.open("rb")
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(_chunks(stream), media_type=media_type, headers=headers)


def attachment(content: bytes, *, filename: str, media_type: str) -> Response:
    """Answer with bytes as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(content, media_type=media_type, headers=headers)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk
