"""The one file with which anybody checks a receipt: what it refuses, and that it stands alone."""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdms.crypto import Signer, verify_receipt
from pdms.crypto.verify_receipt import MANDATORY, ReceiptBroken, canonical, check, parse

SIGNER = Signer.generate()
NOTICE = {"title": "告知", "purposes": {"segment": {"text": "分析"}}}


def receipt(**more: Any) -> dict[str, Any]:
    document: dict[str, Any] = dict.fromkeys(MANDATORY, "said") | {
        "notice": {"id": "member-notice", "version": hashlib.sha256(canonical(NOTICE)).hexdigest()}
    }
    document |= more
    value = SIGNER.sign(canonical(document)).hex()
    signature = {"algorithm": "Ed25519", "public_key": SIGNER.public_key.hex(), "value": value}
    return document | {"signature": signature}


def code_of(document: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ReceiptBroken) as caught:
        check(document, **({"public_key": SIGNER.public_key} | more))
    return caught.value.code


def test_T42574_a_receipt_is_checked_with_its_notice() -> None:
    check(receipt(), public_key=SIGNER.public_key)
    check(receipt(), public_key=SIGNER.public_key, notice=NOTICE)
    assert code_of(receipt(), notice=NOTICE | {"title": "告知 "}) == "NOTICE_DIFFERS"
    assert code_of(receipt(notice=None), notice=NOTICE) == "NOTICE_DIFFERS"


def test_each_field_is_signed_and_none_may_be_added() -> None:
    for name in MANDATORY:
        assert code_of(receipt() | {name: "changed"}) == "BAD_SIGNATURE", name
        assert code_of({k: v for k, v in receipt().items() if k != name}) == "BAD_SIGNATURE", name
    assert code_of(receipt() | {"more": 1}) == "BAD_SIGNATURE"


def test_what_was_signed_without_a_mandatory_field_is_incomplete() -> None:
    for name in MANDATORY:
        document = {key: value for key, value in receipt().items() if key not in (name, "signature")}
        value = SIGNER.sign(canonical(document)).hex()
        block = {"algorithm": "Ed25519", "public_key": SIGNER.public_key.hex(), "value": value}
        assert code_of(document | {"signature": block}) == "RECEIPT_INCOMPLETE", name


def test_another_key_algorithm_or_block_is_refused() -> None:
    whole = receipt()
    other = Signer.generate()
    assert code_of(whole, public_key=other.public_key) == "RECEIPT_KEY"
    assert code_of(whole | {"signature": whole["signature"] | {"algorithm": "none"}}) == "RECEIPT_KEY"
    assert code_of(whole | {"signature": whole["signature"] | {"value": "zz"}}) == "RECEIPT_FORM"
    assert code_of(whole | {"signature": whole["signature"] | {"value": 7}}) == "RECEIPT_FORM"
    assert code_of(whole | {"signature": whole["signature"] | {"value": ""}}) == "BAD_SIGNATURE"
    assert code_of(whole | {"signature": None}) == "RECEIPT_FORM"
    assert code_of(whole | {"signature": whole["signature"] | {"more": ""}}) == "RECEIPT_FORM"


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"a":NaN}', b'{"a":1.5}', b"\xff", b"[" * 100_000,
     b'"' + b"x" * (1 << 20) + b'"'],
)  # fmt: skip
def test_hostile_files_are_refused(content: bytes) -> None:
    with pytest.raises(ReceiptBroken) as caught:
        parse(content)
    assert caught.value.code == "RECEIPT_FORM"


def test_it_stands_alone_and_its_exit_code_is_the_verdict(tmp_path: Path) -> None:
    """Copied elsewhere and run without pdms on the path."""
    program = tmp_path / "verify_receipt.py"
    shutil.copy(verify_receipt.__file__, program)
    (tmp_path / "receipt.json").write_text(json.dumps(receipt(), ensure_ascii=False, indent=2), "utf-8")
    (tmp_path / "broken.json").write_text(json.dumps(receipt() | {"language": "en"}), "utf-8")
    (tmp_path / "notice.json").write_text(json.dumps(NOTICE), "utf-8")

    def run(*words: str) -> tuple[int, str]:
        line = [sys.executable, "-I", str(program), *words]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    key = ("--key", SIGNER.public_key.hex())
    assert run("receipt.json", *key, "--notice", "notice.json") == (0, "whole: said, signed by this key\n")
    assert run("broken.json", *key)[0] == 1
    assert "BAD_SIGNATURE" in run("broken.json", *key)[1]
    assert run("receipt.json", "--key", "00")[0] == 2
    assert run("nothing.json", *key)[0] == 2
    nodes = list(ast.walk(ast.parse(program.read_text("utf-8"))))
    named = {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    named |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in named} <= sys.stdlib_module_names | {"cryptography"}
