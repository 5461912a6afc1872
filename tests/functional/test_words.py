"""The words of a command line: wrong ones are told by rule, never repeated; ids and secrets come out to be copied."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from common.commands import commands, group
from common.shell import PROGRAM, Shell, command_line, program
from common.world import NOW, ROOT_VARIABLE, World
from pdms.crypto import new_root_text

CANARY = "张三13812345678"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory):
    world = World.make(tmp_path_factory.mktemp("words"))
    yield Shell(world)
    world.close()


def lines() -> list[list[str]]:
    """Each command with the canary as its arguments, one too many too, as each option's value, and as an option."""
    found = [[CANARY], [f"--{CANARY}"], [f"-{CANARY}"]]
    nouns = [name for name, one in group().commands.items() if hasattr(one, "commands")]
    found += [[noun, CANARY] for noun in (*nouns, "view hierarchy", "access approvals", "report incident")]
    for name, command in commands().items():
        arguments = [CANARY for one in command.params if one.param_type_name == "argument"]
        found += [[name, f"--{CANARY}"], [name, *arguments, CANARY]]
        found += [[name, *arguments]] if arguments else []
        found += [[name, *arguments, f"{one.opts[0]}={CANARY}"] for one in command.params
                  if one.param_type_name == "option" and one.type_descriptor.annotation is not bool]  # fmt: skip
    return [[word for part in line for word in (part.split() if part != CANARY else [part])] for line in found]


def test_no_answer_repeats_a_word_that_was_typed(tmp_path):
    refused = 0
    for number, line in enumerate(lines()):
        form = ["--json"] if number % 2 else []
        answer = command_line(tmp_path / "nowhere", None, *line, *form)
        assert CANARY not in answer.text, line
        assert "13812345678" not in answer.text, line
        assert "internal error" not in answer.err, (line, answer.err)
        if answer.code == 2 and not answer.out:
            refused += 1
            assert not form or set(json.loads(answer.err)) == {"error", "code", "detail", "reasons"}, line
    assert refused > 250
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("request submit shop:1 --type x", "--type: one of access, "),
        ("request list --limit 0", "--limit: a whole number at least 1 and at most 1000"),
        ("report refusals --since x", "--since: a date as YYYY-MM-DD"),
        ("view lits", "no such command; one of build, compare,"),
        ("view list --jsn", "no such option; "),
        ("view list more", "more arguments than the command takes"),
        ("member show", "Missing argument 'member'"),
        ("serve --port 99999", "--port: a whole number at least 0 and at most 65535"),
    ],
)
def test_wrong_words_are_told_by_their_rule(tmp_path, line, told):
    answer = command_line(tmp_path / "nowhere", None, *line.split())
    assert answer.code == 2
    assert answer.err.startswith(f"pdms: usage: {told}"), answer.err
    assert "--help)" in answer.err


def test_what_is_hinted_at_runs_and_shared_options_stand_anywhere(tmp_path, monkeypatch):
    monkeypatch.setenv(ROOT_VARIABLE, os.environ.get(ROOT_VARIABLE, new_root_text()))
    home = tmp_path / "new-home"
    hint = command_line(home, None, "view", "list").err
    words = re.search(r"make one with: pdms (.+)", hint)
    assert words is not None
    run = program(tmp_path / "other", None, *words[1].split(), environment={"PDMS_ROOT_KEY": f"env:{ROOT_VARIABLE}"})
    assert run.code == 0, run.err
    assert (home / "home.yaml").exists()
    key = run.out.rstrip().splitlines()[-1]
    answer = program(tmp_path / "other", key, "view", "list", "--home", str(home), "--json")
    assert json.loads(answer.out)


def test_a_key_is_copied_whole_from_any_width(shell):
    for width in ("40", None):
        environment = {"COLUMNS": width} if width else {}
        done = bare(shell, "admin", "access", "create", f"w-{width or 0}", "--role", "ingest", **environment)
        key = done.rstrip().splitlines()[-1]
        assert re.fullmatch(r"pdms_key_\S{30,}", key), done
        listed = bare(shell, "admin", "access", "list", **environment)
        for one in shell.json("admin", "access", "list"):
            (line,) = [each for each in listed.splitlines() if one["keys"][0]["key_id"] in each]
            assert one["operator_id"] in line


def bare(shell: Shell, who: str, *words: str, **environment: str) -> str:
    """Run as a program whose output is piped, without a width unless one is given."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith("PDMS_") or k == ROOT_VARIABLE}
    settings.pop("COLUMNS", None)
    settings |= {"PDMS_TOKEN": shell.world.tokens[who], **environment}
    command = [sys.executable, "-c", PROGRAM, NOW.isoformat(), "--home", str(shell.world.app.home.root), *words]
    done = subprocess.run(command, capture_output=True, check=False, env=settings, timeout=300, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_serve_says_why_it_cannot(shell):
    home, token = shell.world.app.home.root, shell.world.tokens["admin"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = program(home, token, "serve", "--port", port)
        assert (answer.code, answer.err) == (6, "pdms: conflict: port: something else listens there already\n")
    for host in ("999.1.1.1", "192.0.2.1", "a..b"):
        answer = program(home, token, "serve", "--host", host, "--port", "0")
        assert answer.code == 2
        assert answer.err == "pdms: invalid input: host, port: cannot be listened on by this machine\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_or_closed_output_has_a_documented_end(shell):
    settings = {k: v for k, v in os.environ.items() if not k.startswith("PDMS_") or k == ROOT_VARIABLE}
    settings["PDMS_TOKEN"] = shell.world.tokens["compliance"]
    for json_form in ([], ["--json"]):
        words = [*json_form, "audit", "list", "--limit", "500"]
        command = [sys.executable, "-c", PROGRAM, NOW.isoformat(), "--home", str(shell.world.app.home.root), *words]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, env=settings, text=True)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert "output: cannot be written" in done.stderr
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, env=settings, text=True)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, "")
