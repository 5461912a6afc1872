"""The background worker that puts committed events into the signed log, every second while the API serves.

Guarantee: it stops when told and sequences once more; a failure is logged by type and tried again, it never ends the
worker. Writers never wait for it: it runs in transactions of its own.
"""

import logging
import threading

from pdms.api.middleware import place_of
from pdms.bootstrap.app import App

log = logging.getLogger("pdms.api")


class Sequencer:
    """Calls `app.sequence()` every `seconds`."""

    def __init__(self, app: App, *, seconds: float) -> None:
        self._app, self._seconds = app, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pdms-sequencer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is committed has been sequenced."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            last = self._stop.wait(self._seconds)
            try:
                self._app.sequence()
            except Exception as error:
                log.error("sequencing failed: %s", place_of(error))  # noqa: TRY400 - the text may hold data
