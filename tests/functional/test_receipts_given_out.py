"""An erasure cannot be undone: where its receipt goes is made sure of first, and the receipt can be had again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.shell import Shell
from common.world import World, people
from pdms.rights import service as rights


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    world = World.make(tmp_path_factory.mktemp("receipts"))
    world.ingest("shop-members", people(4))
    yield Shell(world)
    world.close()


PHONES = {row["会员编号"]: row["手机号"] for row in people(4)}


def erase(shell: Shell, number: str, path: Path, *, expect: int) -> str:
    typed = f"{PHONES[number]}\n"
    return shell("support", "member", "erase", f"shop:{number}", "--receipt", str(path), typed=typed, expect=expect).err


def test_a_receipt_that_cannot_be_written_stops_the_erasure_before_it_begins(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for path, code in (("taken", 6), ("link", 6), (".", 6), ("no-folder/receipt.json", 2)):
        assert "path: " in erase(shell, "H00000", tmp_path / path, expect=code)
    shell("support", "member", "show", "shop:H00000")
    assert shell.json("support", "request", "list") == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "taken"]
    assert (tmp_path / "taken").read_text("utf-8") == "mine"


def test_a_receipt_is_had_again_by_the_number_that_it_tells(shell: Shell, tmp_path: Path) -> None:
    path, again = tmp_path / "receipt.json", tmp_path / "again.json"
    erase(shell, "H00001", path, expect=0)
    number = json.loads(path.read_text("utf-8"))["document"]["request"]
    assert shell("support", "request", "receipt", number).out == path.read_text("utf-8") + "\n"
    shell("support", "request", "receipt", number, str(again))
    assert again.read_bytes() == path.read_bytes()
    assert shell.json("support", "request", "show", number)["number"] == number
    shell("support", "request", "receipt", "R-2026-999999", expect=5)
    shell("marketing", "request", "receipt", number, expect=4)


def test_every_command_on_a_request_takes_its_number(shell: Shell) -> None:
    asked = shell.json("support", "request", "submit", "shop:H00002", "--type", "deletion")["number"]
    shell("support", "request", "verify", asked, typed=f"{PHONES['H00002']}\n")
    shell("support", "request", "plan", asked)
    shell("support", "request", "receipt", asked, expect=5)
    assert shell.json("support", "request", "cancel", asked)["state"] == "cancelled"


def test_a_receipt_lost_after_the_act_is_said_to_be_of_an_erasure_that_was_done(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "receipt.json"
    done = rights.execute

    def taken(*args: object, **named: object) -> object:
        path.write_text("another's", "utf-8")  # another program takes the name while the member is erased
        return done(*args, **named)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(rights, "execute", taken)
    answer = shell(
        "support", "member", "erase", "shop:H00003", "--receipt", str(path), typed=f"{PHONES['H00003']}\n", expect=6
    )
    assert "erased, but the receipt was not written" in answer.err
    assert "erasure receipt" in answer.out
    assert path.read_text("utf-8") == "another's"
    number = answer.err.split("pdms request receipt ")[1].split()[0]
    shell("support", "request", "receipt", number, str(tmp_path / "free.json"))
