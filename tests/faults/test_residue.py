"""What a killed, spilling or crashing process leaves: no plaintext outside the vault, no core, and soon no spill."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.old_shop import old_sqlite
from common.policies import FOLDER
from common.shell import PROGRAM
from common.world import NOW, ROOT_VARIABLE, World, orders_of, people
from pdms.bootstrap.app import App
from pdms.clock import FixedClock

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("residue_driver.py")
PLACES = ("TMPDIR", "SQLITE_TMPDIR", "HOME")
COUNT = 12


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """Environment of a child: places for temporary files, a home and a working folder that are its own."""
    around = tmp_path / "around"
    for name in (*PLACES, "cwd"):
        (around / name).mkdir(parents=True)
    kept = {name: os.environ[name] for name in ("PATH", ROOT_VARIABLE) if name in os.environ}
    ours = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", FOLDER: tempfile.gettempdir()}
    return kept | {name: str(around / name) for name in PLACES} | ours


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    world = World.make(tmp_path)
    yield world
    world.close()


def child(surroundings: dict[str, str], tmp_path: Path, *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *arguments],
        env=surroundings | {ROOT_VARIABLE: os.environ[ROOT_VARIABLE]} | more,
        cwd=tmp_path / "around" / "cwd", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(condition: Any, process: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def left_around(tmp_path: Path) -> list[str]:
    around = tmp_path / "around"
    return [str(path.relative_to(around)) for path in around.rglob("*") if path.is_file()]


# --- spill ---------------------------------------------------------------------------------------------------------


def test_a_forced_spill_stays_below_the_home_tells_nobody_and_is_gone_after_the_next_start(
    shop: World, surroundings: dict[str, str], tmp_path: Path, canary: Any
) -> None:
    members = people(COUNT)
    _, lines = orders_of(members)
    shop.ingest("shop-members", members)
    shop.ingest("shop-order-lines", lines)
    home = shop.app.home
    process = child(surroundings, tmp_path, "spill", str(home.root))
    try:

        def spilled() -> list[Path]:
            return [path for path in home.spill.rglob("*") if path.is_file() and path.stat().st_size > 1 << 20]

        until(spilled, process)
        opened = written_by(process.pid)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert [path for path in opened if not path.is_relative_to(home.root)] == []
    assert left_around(tmp_path) == []
    left = [path for path in home.spill.rglob("*") if path.is_file()]
    assert left
    needles = [
        row[name] for row in members for name in ("会员编号", "手机号", "邮箱", "身份证号", "收货地址", "登录名")
    ]
    assert canary.search(home.spill, needles) == []
    with App.open(shop.app.settings, clock=FixedClock(NOW)):
        assert list(home.spill.iterdir()) == []


def written_by(process: int) -> list[Path]:
    """Regular files that a process has open for writing."""
    found = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            path = entry.readlink()
            flags = int((Path(f"/proc/{process}/fdinfo") / entry.name).read_text().split("flags:")[1].split()[0], 8)
        except FileNotFoundError:
            continue
        if flags & (os.O_WRONLY | os.O_RDWR) and path.is_file():
            found.append(path)
    return found


# --- killed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["files", "table", "access"])
def test_a_killed_process_leaves_no_plaintext_anywhere(
    shop: World, surroundings: dict[str, str], tmp_path: Path, canary: Any, act: str
) -> None:
    members = people(COUNT)
    sources = tmp_path / "sources"
    sources.mkdir()
    shop.file("members.csv", members).rename(sources / "members.csv")
    old = old_sqlite(sources)
    old.make(columns=list(members[0]))
    old.put(*members)
    if act == "access":
        shop.ingest("shop-members", members[:1])
    shop.app.close()
    template = tmp_path / "template"
    (tmp_path / "home").rename(template)
    needles = [row[name] for row in members for name in ("手机号", "邮箱", "身份证号", "收货地址", "登录名")]
    needles += [row["会员编号"] for row in members]
    keys = {"KEY_INGEST": shop.tokens["ingest"], "KEY_SUPPORT": shop.tokens["support"]}
    at, killed = 3, 0
    while True:
        shutil.copytree(template, tmp_path / "home")
        process = child(surroundings, tmp_path, "act", str(tmp_path), act, str(at), **keys)
        _, said = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), said[-2000:]
        assert canary.search(tmp_path / "home", needles) == []
        assert canary.search_bytes("stderr", said, needles) == []
        assert left_around(tmp_path) == []
        shutil.rmtree(tmp_path / "home")
        if process.returncode == 0:
            break
        killed += 1
        at += max(at, 9)
    assert killed >= 3


# --- core dumps ----------------------------------------------------------------------------------------------------

ABORTS = f"""
import os, sys
sys.argv = ["-", "2026-11-02T01:00:00+00:00", "--version"]
{{}}
try:
    exec({PROGRAM!r})
except SystemExit:
    pass
os.abort()
"""


def with_cores() -> None:
    hard = resource.RLIM_INFINITY if os.geteuid() == 0 else resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def dumped(process: "subprocess.Popen[bytes]") -> bool:
    _, status = os.waitpid(process.pid, 0)
    process.returncode = 0  # it was waited for here: Popen keeps no word of a core
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status)


def test_an_aborted_command_dumps_no_core(tmp_path: Path) -> None:
    allowed = subprocess.Popen(
        [sys.executable, "-c", "import os; os.abort()"], cwd=tmp_path, preexec_fn=with_cores, stderr=subprocess.DEVNULL
    )
    if not dumped(allowed):
        pytest.skip("this machine dumps no core of any process")
    for path in tmp_path.glob("core*"):
        path.unlink()
    process = subprocess.Popen(
        [sys.executable, "-c", ABORTS.format("")], cwd=tmp_path, preexec_fn=with_cores,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert not dumped(process)
    assert list(tmp_path.glob("core*")) == []


def test_an_aborted_server_dumps_no_core(shop: World, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    work = tmp_path / "cwd"
    work.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, NOW.isoformat(), "--home", str(shop.app.home.root), "serve",
         "--port", str(port)],
        cwd=work, preexec_fn=with_cores, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PDMS_TOKEN": shop.tokens["support"]},
    )  # fmt: skip
    try:

        def answers() -> bool:
            with socket.socket() as asking:
                return asking.connect_ex(("127.0.0.1", port)) == 0

        until(answers, process)
        process.send_signal(signal.SIGABRT)
        assert not dumped(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert list(work.iterdir()) == []
