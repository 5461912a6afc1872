"""The three journeys on real purchases, told by the command line itself: every `$ pdms …` below is really run.

Usage: scripts/run [FOLDER]     FOLDER: where the home and the shop's files go; default ./pdms-home-story, made anew.
"""

import contextlib
import io
import json
import os
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

import canary
import demo_data
from pdms.cli import main as pdms
from pdms.clock import FixedClock

ROOT = Path(__file__).resolve().parents[1]
POLICIES = ROOT / "policies"
DAY = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
"""The story is told on this day: 2026-11-02, nine in the morning in Shanghai."""
SEGMENT = """\
name: loyal_recent
view: member_value
label: {zh-CN: 近期活跃的常客, en: Recent and frequent}
rule:
  all:
    - {feature: recency_days, below: 60}
    - {feature: orders, at_least: 20}
"""
CAMPAIGN = """\
name: autumn_thanks
segment: loyal_recent
purpose: market_email
channel: email
min_size: 50
frequency_cap: {messages: 2, days: 30}
template:
  language: zh-CN
  subject: 感谢您的支持
  body: |
    {name}，您好！

    感谢您常来。本周全场满 199 减 20，凭口令 THANKS20，人人可用。

    {sender}
    退订： {opt_out}
"""


@dataclass
class Story:
    """Runs commands as one role after another and prints them as a person would type them."""

    home: Path
    clock: FixedClock
    console: Console = field(default_factory=lambda: Console(width=110, highlight=False))
    keys: dict[str, str] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print a paragraph."""
        self.console.print()
        self.console.print(text)

    def title(self, text: str) -> None:
        """Print a heading."""
        self.console.print()
        self.console.print(Rule(Text(text, style="bold")))

    def run(self, role: str, *words: str, typed: str | None = None, quiet: bool = False, expect: int = 0) -> str:
        """Run one command as the operator in `role`; returns and prints what it printed."""
        shown = " ".join(w if " " not in w else f"'{w}'" for w in words)
        if not quiet:
            pipe = "echo •••• | " if typed is not None else ""
            self.console.print(Text(f"\n[{role}] $ {pipe}pdms {shown}", style="bold cyan"))
        os.environ["PDMS_TOKEN"] = self.keys.get(role, "")
        out, error = io.StringIO(), io.StringIO()
        self.clock.instant += timedelta(seconds=7)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), _typed(typed):
            code = pdms(list(words), clock=self.clock)
        text = out.getvalue() + error.getvalue()
        self.output.append(text)
        if not quiet:
            print(text, end="" if text.endswith("\n") else "\n")
        if code != expect:
            sys.exit(f"unexpected exit code {code} of: pdms {shown}\n{text}")
        return text

    def json(self, role: str, *words: str, typed: str | None = None, expect: int = 0) -> Any:
        """Run a command for its JSON, silently."""
        return json.loads(self.run(role, "--json", *words, typed=typed, quiet=True, expect=expect).splitlines()[0])


@contextlib.contextmanager
def _typed(text: str | None) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.StringIO("" if text is None else text + "\n")
    try:
        yield
    finally:
        sys.stdin = before


def main() -> int:
    """Tell the story; exit 1 where the canary search finds anything."""
    began = time.perf_counter()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "pdms-home-story").resolve()
    _clear(folder)
    for name in ("PDMS_HOME", "PDMS_PASSPHRASE", "PDMS_ROOT_KEY", "PDMS_SMTP_URL", "PDMS_POLICIES", "PDMS_TOKEN"):
        os.environ.pop(name, None)
    os.environ |= {"PDMS_HOME": str(folder / "home"), "PDMS_POLICIES": str(POLICIES), "COLUMNS": "110"}
    story = Story(folder / "home", FixedClock(DAY))
    exports = _prepare(story, folder)
    _set_up(story)
    _ingest(story, exports)
    _marketing(story, folder)
    erased = _member(story, folder, exports)
    _officer(story, folder, exports)
    hits = _canaries(story, exports, erased)
    story.title("What now")
    story.say(
        f"Told in {time.perf_counter() - began:.0f} s. The home lies in {folder}. Look around, for instance:\n\n"
        f"  export PDMS_HOME={folder / 'home'} PDMS_TOKEN=$(cat {folder / 'keys' / 'compliance'})\n"
        "  .venv/bin/pdms report consent\n"
        "  .venv/bin/pdms serve        # then http://127.0.0.1:8000/openapi.json describes the API"
    )
    return 1 if hits else 0


def _clear(folder: Path) -> None:
    marker = folder / ".pdms-story"
    if folder.exists():
        if not marker.exists() and any(folder.iterdir()):
            sys.exit(f"{folder} holds other things; name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    marker.touch()


def _prepare(story: Story, folder: Path) -> demo_data.Exports:
    story.title("The shop")
    story.say(
        "[bold]Real[/bold]: a year of purchases of 2,469 households, the age bands of 801 of them, their coupon "
        "use (The Complete Journey, from PyPI), moved by whole weeks so that the year ends in October 2026.\n"
        "[bold]Made up[/bold]: every name, telephone, e-mail, ID number, address, login, consent and chat. The story "
        "is told on 2026-11-02."
    )
    exports = demo_data.write(folder / "shop", policies=POLICIES)
    story.console.print(
        f"{exports.households:,} households, {exports.lines:,} order lines written as the shop's files."
    )
    return exports


def _set_up(story: Story) -> None:
    made = story.json("nobody", "init")
    story.keys["admin"] = made["api_key"]
    story.console.print(Text("\n[nobody] $ pdms init", style="bold cyan"))
    story.console.print(f"home {made['home']}\nroot key {made['root_key']} (beside the home, never inside)")
    folder = story.home.parent / "keys"
    folder.mkdir(mode=0o700)
    for role in ("compliance", "marketing", "ingest", "support"):
        words = ("access", "create", f"story-{role}", "--role", role, "--trained-until", "2027-12-31")
        story.keys[role] = story.json("admin", *words)["api_key"]
        (folder / role).write_text(story.keys[role])
        (folder / role).chmod(0o600)
    story.run("compliance", "policy", "check")
    story.run("compliance", "policy", "explain", "segment", "--language", "zh-CN")


def _ingest(story: Story, exports: demo_data.Exports) -> None:
    story.title("The shop's files go in")
    story.run("ingest", "scan", str(exports.members))
    for source, path in (
        ("shop-members", exports.members),
        ("shop-orders", exports.orders),
        ("shop-order-lines", exports.order_lines),
        ("shop-events", exports.events),
        ("shop-interactions", exports.interactions),
        ("shop-consents", exports.consents),
    ):
        story.run("ingest", "ingest", source, str(path))
    story.say("The same file again adds nothing:")
    story.run("ingest", "ingest", "shop-members", str(exports.members))


def _marketing(story: Story, folder: Path) -> None:
    story.title("Journey 1 · Marketing: a segment, learned on anonymised rows, and a campaign")
    story.run("compliance", "view", "build", "member_value")
    story.run("compliance", "view", "build", "member_lifecycle")
    story.run("marketing", "release", "list")
    release = story.json("marketing", "release", "list", "--view", "member_value")[0]["release_id"]
    rows = folder / "rows.parquet"
    story.say("Rows leave as a file only when a second operator has approved exactly this:")
    ask = ("access", "approvals", "ask", "bulk_export", "--release", release, "--format", "parquet")
    question = story.json("marketing", *ask)["approval_id"]
    story.run("compliance", "access", "approvals", "approve", question)
    story.run("marketing", "release", "export", release, str(rows))
    _picture(story, rows, folder / "classes.svg")
    story.run("marketing", "segment", "rfm", "member_value")
    (folder / "segment.yaml").write_text(SEGMENT, "utf-8")
    story.run("marketing", "segment", "save", str(folder / "segment.yaml"))
    story.run("marketing", "segment", "preview", "loyal_recent")
    story.say("Marketing asks for a person, and is refused with a reason:")
    story.run("marketing", "member", "show", "shop:H00001", expect=4)
    (folder / "campaign.yaml").write_text(CAMPAIGN, "utf-8")
    story.run("marketing", "campaign", "create", str(folder / "campaign.yaml"))
    story.run("marketing", "campaign", "preview", "autumn_thanks")
    story.run("marketing", "campaign", "send", "autumn_thanks", "--record")
    story.say("The officer alone reads exact counts, and why members were left out:")
    story.run("compliance", "campaign", "officer-counts", "autumn_thanks")


def _member(story: Story, folder: Path, exports: demo_data.Exports) -> str:
    story.title("Journey 2 · A member: what is held, a correction, a withdrawal, a deletion")
    numbers = list(exports.canaries)
    one, phone = f"shop:{numbers[0]}", exports.canaries[numbers[0]][1]
    story.run("support", "member", "show", one)
    request = story.json("support", "request", "submit", one, "--type", "access")["request_id"]
    story.run("support", "request", "verify", request, "--field", "phone", typed=phone)
    executed = story.json("support", "request", "execute", request)
    story.console.print(Text(f"\n[support] $ pdms request execute {request}", style="bold cyan"))
    story.console.print(f"done; one-time link: {executed['link'][:42]}…, until {executed['link_expires_at'][:10]}")
    _open_link(story, executed["link"])
    story.run("support", "member", "correct", one, "address", typed=f"{phone}\n北京市朝阳区示例路8号2栋1203室")
    story.run("support", "consent", "withdraw", one, "--purpose", "market_email")
    story.say("Now another member asks for deletion:")
    other = numbers[1]
    phone = exports.canaries[other][1]
    receipt = str(folder / "receipt.json")
    story.run("support", "member", "erase", f"shop:{other}", "--receipt", receipt, typed=phone)
    story.say("Gone: the member is not found any more, and the shop's old file does not bring them back.")
    story.run("support", "member", "show", f"shop:{other}", expect=5)
    story.run("ingest", "ingest", "shop-members", str(_touched(exports.members)))
    story.run("compliance", "request", "held")
    story.say("The next release has one eligible member less; the one before is withdrawn.")
    story.run("compliance", "view", "build", "member_value")
    story.run("marketing", "release", "list", "--view", "member_value")
    return other


def _open_link(story: Story, link: str) -> None:
    """Open the one-time link as its member would, over HTTP, from the API itself; then a second time."""
    import uvicorn

    from pdms.api.app import create_app
    from pdms.bootstrap.app import App
    from pdms.settings import Settings

    with App.open(Settings(), clock=story.clock) as app, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(create_app(app), log_level="critical", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        request = urllib.request.Request(f"http://127.0.0.1:{port}{link[link.index('/v1/') :]}", method="POST")
        with urllib.request.urlopen(request) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as archive:
            held = json.loads(archive.read("data.json"))
            names = ", ".join(f"{i.filename} ({i.file_size:,} bytes)" for i in archive.infolist())
        story.console.print(Text("\n[the member] opens the link", style="bold cyan"))
        story.console.print(
            f"{names}: {len(held['identity'])} fields, {sum(map(len, held['facts'].values())):,} rows of facts, "
            f"{len(held['consents'])} consent records, {len(held['purposes'])} purposes, {len(held['events'])} uses."
        )
        try:
            urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            story.console.print(f"The same link again: {error.code}, it has served.")
        server.should_exit = True
        thread.join()


def _touched(path: Path) -> Path:
    again = path.with_name("members-again.csv")
    again.write_text(path.read_text("utf-8") + "\n", "utf-8")
    return again


def _officer(story: Story, folder: Path, exports: demo_data.Exports) -> None:
    story.title("Journey 3 · The compliance officer: who agreed, what was refused, and proof")
    one = f"shop:{next(iter(exports.canaries))}"
    story.run("compliance", "consent", "history", one)
    story.run("compliance", "consent", "history", one, "--as-of", "2026-10-01")
    story.run("compliance", "report", "consent")
    story.run("compliance", "audit", "decisions", "--denied", "--limit", "5")
    log = folder / "log.jsonl"
    story.run("compliance", "audit", "head", str(folder / "kept-elsewhere.note"))
    story.run("compliance", "audit", "export", str(log))
    story.run("compliance", "audit", "verify", str(log), "--checkpoint", str(folder / "kept-elsewhere.note"))
    story.say("Someone changes one byte of the export; anyone finds it, and where:")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    broken = folder / "log-tampered.jsonl"
    broken.write_bytes(content)
    story.run("compliance", "audit", "verify", str(broken), expect=7)


def _canaries(story: Story, exports: demo_data.Exports, erased: str) -> list[canary.Hit]:
    story.title("The canary search")
    strings = [s for number in exports.canaries for s in exports.canaries[number]]
    hits = canary.search(story.home, strings)
    hits += canary.search_bytes("terminal output", "".join(story.output).encode(), strings)
    files = sum(1 for p in story.home.rglob("*") if p.is_file())
    size = sum(p.stat().st_size for p in story.home.rglob("*") if p.is_file()) / 1e6
    if hits:
        story.console.print(Panel(canary.summary(hits), title="FOUND", style="red"))
    else:
        story.console.print(
            Panel(
                f"{len(strings)} identifying strings of five members (one of them, {erased}, erased) were looked for "
                f"in {files} files, {size:.0f} MB, and in all that was printed above: as UTF-8, UTF-16, GB18030, JSON, "
                "hex and base64, inside Parquet, SQLite, gzip and zip. [bold]None was found.[/bold]"
            )
        )
    return hits


def _picture(story: Story, rows: Path, path: Path) -> None:
    import pandas as pd

    table = pd.read_parquet(rows)
    sizes = table.groupby(list(table.columns), observed=True).size().sort_values(ascending=False)
    width, height, most = 720, 240, int(sizes.max())
    step = width / len(sizes)
    bars = "".join(
        f'<rect x="{n * step:.2f}" y="{height - size / most * height:.1f}" width="{max(step - 0.5, 0.5):.2f}" '
        f'height="{size / most * height:.1f}"/>'
        for n, size in enumerate(sizes)
    )
    line = height - 10 / most * height
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-50 -30 {width + 70} {height + 60}" '
        f'font-family="sans-serif" font-size="12">'
        f'<rect x="-50" y="-30" width="{width + 70}" height="{height + 60}" fill="#fff"/>'
        f'<g fill="#4a7ab5">{bars}</g><line x1="0" x2="{width}" y1="{line}" y2="{line}" stroke="#b5443a"/>'
        f'<text x="{width - 40}" y="{line - 5}" fill="#b5443a">k = 10</text><text x="0" y="-10">Members in each of '
        f"the {len(sizes)} equivalence classes of member_value, {len(table):,} rows; smallest {int(sizes.min())}</text>"
        f'<text x="-8" y="10" text-anchor="end">{most}</text>'
        f'<text x="-8" y="{height}" text-anchor="end">0</text></svg>',
        "utf-8",
    )
    story.console.print(f"\nPicture: {path} — no class holds fewer than {int(sizes.min())} members.")


if __name__ == "__main__":
    sys.exit(main())
