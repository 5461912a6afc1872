"""Files on their way in or out: in the home's spill folder, mode 0600, removed whatever happens."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from pdms.bootstrap.app import App


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


def kept_until_sent(app: App, write: Callable[[Path], object], *, filename: str, media_type: str) -> Response:
    """Let `write` make a file and answer with it; it is removed once it was sent."""
    path = fresh(app)
    try:
        write(path)
        path.chmod(0o600)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    done = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, filename=filename, media_type=media_type, background=done)


def fresh(app: App) -> Path:
    """Return a path in the spill folder that nobody uses."""
    app.home.spill.mkdir(mode=0o700, exist_ok=True)
    return app.home.spill / f"api-{secrets.token_hex(16)}"


def attachment(content: bytes, *, filename: str, media_type: str) -> Response:
    """Answer with bytes as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(content, media_type=media_type, headers=headers)
