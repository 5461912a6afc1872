"""Cuts one act off before one effect after another, does it again as a person would, and writes what then holds.

Arguments: folder, act (send, withdraw, correct, access, publish), form (`common.crash_images.try_out`).
Each run is a forked child.
"""

import contextlib
import io
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from common.autumn import CAMPAIGN, SEGMENT
from common.crash_images import Trial, try_out
from common.deadly import in_child, preload, remember_policies
from common.world import NOW, POLICIES, ROOT_VARIABLE, World, consents_of, orders_of, people
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.consent import service as consent
from pdms.crypto import new_root_text
from pdms.dispatch import service as dispatch
from pdms.dispatch.channels import Handover, Outgoing
from pdms.marketing import service as marketing
from pdms.publish import service as publish
from pdms.reports import evidence
from pdms.segments import service as segments
from pdms.settings import Settings
from pdms.taxonomy import Channel
from pdms.vault import service as vault

COUNT = 56
NUMBER = "H00005"
CONFLICT = 6
ADDRESS = "四川省成都市武侯区新迁路9号"


class Post:
    """A channel that notes whom it was given a message for, durably, outside the home."""

    channel = Channel.EMAIL

    def __init__(self, path: Path) -> None:
        self.path = path

    def connect(self) -> None:
        """Always there."""

    def close(self) -> None:
        """Nothing is held."""

    def hand_over(self, outgoing: Outgoing) -> Handover:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(outgoing.recipient + "\n")
            file.flush()
            os.fsync(file.fileno())
        return Handover.HANDED_OVER


def prepare(folder: Path) -> None:
    world = World.make(folder)
    members = people(COUNT)
    orders, _ = orders_of(members)
    for source, rows in (("shop-members", members), ("shop-orders", orders), ("shop-consents", consents_of(members))):
        assert world.ingest(source, rows).rejected == 0
    publish.publish(world.app.units(world.actor("compliance")), view="member_lifecycle")
    world.run_anon("marketing", segments.save, document=SEGMENT | {"view": "member_lifecycle"})
    world.run_anon("marketing", marketing.create, document=CAMPAIGN)
    world.app.sequence()
    known = {
        "tokens": world.tokens,
        "phone": members[5]["手机号"],
        "member": world.id_of(NUMBER).hex(),
        "addresses": [m["邮箱"] for m in members],
    }
    world.close()
    (folder / "known.json").write_text(json.dumps(known), "utf-8")


def pdms(home: Path, token: str, *words: str, typed: str = "") -> tuple[int, str]:
    os.environ["PDMS_TOKEN"] = token
    sys.stdin, out, error = io.StringIO(typed), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = run(["--home", str(home), "--json", *words], clock=FixedClock(NOW))
    return code, out.getvalue() or error.getvalue()


def done(answer: tuple[int, str]) -> Any:
    assert answer[0] == 0, answer
    return json.loads(answer[1].splitlines()[0])


def opened(home: Path) -> App:
    return App.open(Settings(home=home, policies=POLICIES), clock=FixedClock(NOW))


def send(home: Path, known: dict[str, Any]) -> None:
    with opened(home) as app:
        units = app.units(app.authenticate(known["tokens"]["marketing"]))
        dispatch.send(
            units, campaign="autumn", channel=Post(home.with_name("post.txt")), public_url="https://x.example"
        )


def withdraw(home: Path, known: dict[str, Any]) -> None:
    done(pdms(home, known["tokens"]["support"], "consent", "withdraw", f"shop:{NUMBER}", "--purpose", "segment"))


def correct(home: Path, known: dict[str, Any]) -> None:
    """Where an earlier run left the request open, goes on with it."""
    token = known["tokens"]["support"]
    typed = f"{known['phone']}\n{ADDRESS}\n"
    answer = pdms(home, token, "member", "correct", f"shop:{NUMBER}", "address", typed=typed)
    if answer[0] == CONFLICT:
        (request,) = [r for r in done(pdms(home, token, "request", "list")) if r["type"] == "correction"]
        finish(home, known, request)
    else:
        done(answer)


def access(home: Path, known: dict[str, Any]) -> None:
    """Goes on with the request that is there, as whoever sees the list of open requests would."""
    token = known["tokens"]["support"]
    requests = [r for r in done(pdms(home, token, "request", "list")) if r["type"] == "access"]
    request = (
        requests[0] if requests else done(pdms(home, token, "request", "submit", f"shop:{NUMBER}", "--type", "access"))
    )
    finish(home, known, request)


def publish_again(home: Path, known: dict[str, Any]) -> None:
    """Publish the view once more; the release that is there is withdrawn for it."""
    done(pdms(home, known["tokens"]["compliance"], "view", "build", "member_lifecycle"))


def finish(home: Path, known: dict[str, Any], request: dict[str, Any]) -> None:
    token, number = known["tokens"]["support"], request["request_id"]
    if request["state"] in ("received", "identity_check"):
        done(pdms(home, token, "request", "verify", number, "--field", "phone", typed=known["phone"] + "\n"))
    done(pdms(home, token, "request", "execute", number))


def state(home: Path, known: dict[str, Any], act: str) -> dict[str, Any]:
    """What must be the same however often it was cut off, after the nightly sweep."""
    done(pdms(home, known["tokens"]["compliance"], "sweep"))
    with opened(home) as app:
        officer = app.authenticate(known["tokens"]["compliance"])
        app.sequence()
        with app.unit(officer) as uow:
            report = evidence.verify(uow)
            member = bytes.fromhex(known["member"])
            standing = consent.state_of(uow, member, purpose="segment").state.value
            masked = vault.masked(uow, member)["address"]
        counts = dict(app.run(officer, dispatch.officer_counts, campaign="autumn").members) if act == "send" else {}
    with closing(sqlite3.connect(home / "vault.db")) as database:
        requests = database.execute("SELECT type, state, receipt IS NOT NULL FROM subject_request").fetchall()
        packages = database.execute("SELECT count(*) FROM access_package").fetchone()[0]
    with closing(sqlite3.connect(home / "anon.db")) as database:
        releases = sorted(r[0] for r in database.execute("SELECT state FROM release"))
        campaign = [r[0] for r in database.execute("SELECT state FROM campaign")]
    post = home.with_name("post.txt")
    given = Counter(post.read_text("utf-8").split()) if post.exists() else Counter[str]()
    live = [path.name for path in (home / "releases" / "member_lifecycle").iterdir() if path.name != ".lock"]
    rows = len(list((home / "releases").rglob("data.parquet")))
    return {
        "release folders": len(live), "with rows": rows,
        "requests": sorted(map(list, requests)), "packages": [packages, len(list((home / "packages").iterdir()))],
        "segment": standing, "address": masked, "releases": releases, "campaign": campaign,
        "twice": [a for a, n in given.items() if n > 1], "strangers": sorted(set(given) - set(known["addresses"])),
        "given": len(given), "counts": counts, "log": [list(map(str, report.problems)), report.unsequenced],
    }  # fmt: skip


ACTS: dict[str, Callable[[Path, dict[str, Any]], None]] = {
    "send": send, "withdraw": withdraw, "correct": correct, "access": access,
    "publish": publish_again,
}  # fmt: skip


def main() -> None:
    folder, act, form = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.environ.setdefault(ROOT_VARIABLE, new_root_text())
    preload()
    remember_policies(POLICIES)
    made, place = folder / "made", folder / "run"
    made.mkdir()
    place.mkdir()
    assert in_child(lambda: prepare(made)) == 0
    known, work = json.loads((made / "known.json").read_text("utf-8")), ACTS[act]
    (made / "home").rename(place / "home")
    home = place / "home"

    def again(_number: int) -> str:
        work(home, known)
        return "the same again"

    trial = Trial(place, act=lambda: work(home, known), again=again, state=lambda: state(home, known, act))
    try_out(trial, folder, form)


if __name__ == "__main__":
    main()
