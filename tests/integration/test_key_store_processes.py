"""Several processes on one key store: one key per member, none behind a fence, nothing lost when one is killed."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from pdms.clock import FixedClock
from pdms.crypto import create_root, new_root_text
from pdms.db.parts import Databases, Part
from pdms.keystore import KeyStore
from pdms.settings import Home

WORKER = """
import hashlib, json, os, sys
from datetime import UTC, datetime
from pathlib import Path
from pdms.clock import FixedClock
from pdms.crypto import open_root
from pdms.db.parts import Databases, Part
from pdms.settings import Home
from pdms.errors import Conflict
from pdms.keystore import KeyStore

def digest(key):
    return hashlib.sha256(key).hexdigest()

keys = KeyStore(
    Databases(Home(Path(sys.argv[1])), sys.argv[2] or None).open(Part.KEYS),
    root=open_root("env:PDMS_TEST_ROOT"),
    clock=FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
)
keys.initialise()
job = json.loads(sys.stdin.readline())
members = [bytes.fromhex(one) for one in job["members"]]
print("ready", flush=True)
sys.stdin.readline()
minted, refused = {}, 0
for at in range(0, len(members), job["batch"]):
    batch = members[at : at + job["batch"]]
    if job["fence"]:
        keys.fence(batch)
        keys.destroy(batch)
        continue
    try:
        minted |= {m.hex(): digest(k) for m, k in zip(batch, keys.mint(batch), strict=True)}
    except Conflict:
        refused += 1
uses = {label: digest(keys.system_key(label)) for label in ("index:phone", "index:email", "suppression")}
uses["month"] = digest(keys.held_month_key("2029-05"))
print(json.dumps({"minted": minted, "refused": refused, "uses": uses}), flush=True)
"""


@pytest.fixture
def where(tmp_path, monkeypatch, database):
    monkeypatch.setenv("PDMS_TEST_ROOT", new_root_text())
    return Databases(Home(tmp_path), database)


def store(where):
    return KeyStore(
        where.open(Part.KEYS),
        root=create_root("env:PDMS_TEST_ROOT"),
        clock=FixedClock(datetime(2026, 3, 1, tzinfo=UTC)),
    )


def start(where, members, *, batch=7, fence=False):
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(where.home.root), where.url or ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(json.dumps({"members": [m.hex() for m in members], "batch": batch, "fence": fence}) + "\n")
    process.stdin.flush()
    return process


def run_together(processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = []
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        results.append(json.loads(output))
    return results


def test_processes_agree_on_every_key(where):
    members = [os.urandom(16) for _ in range(400)]
    a, b, c = run_together([start(where, order) for order in (members, members[::-1], members[200:] + members[:200])])
    assert a["minted"] == b["minted"] == c["minted"]
    assert len(a["minted"]) == 400
    assert a["uses"] == b["uses"] == c["uses"]
    keys = store(where)
    assert len(keys.deks(members)) == 400
    keys.engine.dispose()


def test_no_key_behind_a_fence_whoever_comes_first(where):
    members = [os.urandom(16) for _ in range(300)]
    minter, eraser = run_together([start(where, members, batch=3), start(where, members[::-1], batch=5, fence=True)])
    assert minter["uses"] == eraser["uses"]
    keys = store(where)
    assert list(keys.member_ids()) == []
    assert keys.fenced(members) == set(members)
    keys.engine.dispose()


def test_killed_while_minting(where):
    members = [os.urandom(16) for _ in range(20_000)]
    process = start(where, members, batch=50)
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    keys = store(where)
    while not any(True for _ in keys.member_ids()):
        assert process.poll() is None, "it must not have ended by itself"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    survivors = list(keys.member_ids())
    assert 0 < len(survivors) < len(members)
    assert len(survivors) % 50 == 0, "a batch is whole or absent"
    before = keys.deks(survivors)
    deks = dict(zip(members, keys.mint(members), strict=True))
    assert {one: deks[one] for one in survivors} == before
    keys.purge()
    keys.engine.dispose()
