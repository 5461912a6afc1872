"""A SoftHSM2 token in a temporary folder, or a clear word why there is none.

SoftHSM2 reads SOFTHSM2_CONF once a process: every token of a test run lies in one folder.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from shutil import which

import pytest

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
           "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")  # fmt: skip
PIN = "246813579"


def module() -> str:
    """Path of the module; skips the test where SoftHSM2 is not installed, but for CI, where it must be."""
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None or which("softhsm2-util") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("SoftHSM2 is not installed, and CI=true: these tests may not be left out")
        pytest.skip("SoftHSM2 is not installed (Debian: apt-get install softhsm2)")
    return str(Path(found).resolve())  # one name: a module is loaded once


def make_token(label: str) -> str:
    """Make a token; return the module's path."""
    path = module()
    if "SOFTHSM2_CONF" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="pdms-softhsm-"))
        (folder / "tokens").mkdir()
        config = folder / "softhsm2.conf"
        config.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        os.environ["SOFTHSM2_CONF"] = str(config)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "97531864"],
        check=True, capture_output=True,
    )  # fmt: skip
    # A module looks for tokens when it is begun; the sessions that it had are gone with a new beginning.
    import pkcs11

    from pdms.crypto import token_root

    token_root._logins.clear()
    pkcs11.lib(path).reinitialize()
    return path
