"""Spill folders below the home: one for each reader, named by its process; wiped at the next start once that is dead.

What lies there is pseudonymous at most. A process number that is in use again keeps a dead reader's folder until the
next erasure, which wipes them all under the exclusive lock.
"""

import shutil
from pathlib import Path

from pdms.settings import Home


def wipe_orphans(home: Home) -> None:
    """Remove the spill folders of processes that are no more."""
    if not home.spill.is_dir():
        return
    for entry in home.spill.iterdir():
        owner = entry.name.split("-")[0]
        if not (owner.isdigit() and Path(f"/proc/{owner}").exists()):
            shutil.rmtree(entry, ignore_errors=True)
