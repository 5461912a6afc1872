"""Epoch rotation of members' keys (`vault.py`): what a member costs, and what the root's provider takes once an epoch.

No field is sealed anew, and the provider wraps one key, the epoch's: the figure for a member is of a whole rotation by
the public operation, log included, less making the new root. A provider's figure is of making a root and wrapping one
key under it; `pkcs11:` needs SoftHSM2, whose work is done in this process and so counts.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

from pdms.bootstrap.app import App
from pdms.crypto import RootsOf, new_key
from pdms.keystore import rotation as keys
from pdms.rotation import service as rotation
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind

ADMIN = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.ADMIN}))
GOAL = 5.0
PIN = "246813579"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
Timed = Callable[[Callable[[], Any]], float]


def measured(app: App, folder: Path, timed: Timed) -> Iterator[tuple[str, float, str, str, float, float | None, Any]]:
    """Yield case, value, unit, peer, ratio, goal, met. :param timed: CPU seconds of a piece of work."""
    notes = []
    for name, roots, uri in _providers(folder):
        making = timed(lambda: roots.create(uri(1)))  # noqa: B023
        root = roots.open(uri(1))
        wrapping = timed(lambda: [root.wrap(new_key(), context=b"epoch") for _ in range(100)]) / 100  # noqa: B023
        notes.append((name, making, wrapping))
        if name == "file:":
            own = making
    members = keys.counts(app.keys)[-1].members
    used = timed(lambda: rotation.rotate_epoch(app.units(ADMIN))) - own
    if keys.left(app.keys) or keys.counts(app.keys)[-1].members != members:
        raise RuntimeError("not every key was taken over")
    mine = used / members * 1e6
    case = f"epoch rotation, SQLite, {members:,} members, beyond the provider's own cost"
    yield case, mine, "us CPU/member", "budget of the design", GOAL / mine, GOAL, mine <= GOAL
    for name, making, wrapping in notes:
        case = f"the provider's own cost, {name} one root made, one epoch key wrapped"
        peer = f"a key wrapped: {wrapping * 1e6:,.0f} us"
        yield case, (making + wrapping) * 1e3, "ms CPU/epoch", peer, 1.0, None, None


def _providers(folder: Path) -> Iterator[tuple[str, RootsOf, Callable[[int], str]]]:
    """Yield the name of each provider that can be tried here, what makes its roots, and an address by number."""
    words = RootsOf(b"correct horse battery staple")
    yield "file:", words, lambda number: f"file:{folder}/roots/bench-{number}.json"
    module = next((one for one in MODULES if Path(one).exists()), None)
    if module is None or which("softhsm2-util") is None or "SOFTHSM2_CONF" in os.environ:
        return
    tokens = folder / "tokens"
    tokens.mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(config)
    words_of_token = ["--label", "bench", "--pin", PIN, "--so-pin", PIN]
    subprocess.run(["softhsm2-util", "--init-token", "--free", *words_of_token], check=True, capture_output=True)
    path = str(Path(module).resolve())
    yield (
        "pkcs11: (SoftHSM2)",
        RootsOf(PIN.encode()),
        lambda number: f"pkcs11:token=bench;object=bench-{number}?module-path={path}",
    )
