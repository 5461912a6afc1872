"""`file:` roots: 256 random bits in a file of their own, sealed under a passphrase stretched by argon2id (RFC 9106).

Guarantee: the file is made whole or not at all, readable by its owner only, and never overwritten; its parameters are
bound to what it seals, so that a lowered cost does not open it. Destroying overwrites and unlinks it. It does not reach
copies that others made, nor blocks that a copying file system or a flash drive kept: keep the folder out of backups.
An empty file `NAME.destroyed` stays beside it: a folder that is merely not mounted is not taken for a destroyed root.
"""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from pdms.crypto.root_key import ROOT_BYTES, Argon2Cost, LocalRoot, RootKey
from pdms.crypto.secret import KeyBytes, new_key
from pdms.crypto.suites import DEFAULT_SUITE, SuiteName, suite_of, suite_of_code
from pdms.crypto.wrap import KeyWrapper
from pdms.disk import bear_name, sync_folder
from pdms.errors import Conflict, IntegrityBroken, InvalidInput, KeyUnavailable

FORMAT: Final = "pdms-root-1"
MIN_PASSPHRASE_BYTES: Final = 12
_SALT_BYTES: Final = 16
_MAX_FILE_BYTES: Final = 4096
_MAX_TIME_COST: Final = 32
_MAX_MEMORY_KIB: Final = 4 * 1024 * 1024
_MAX_PARALLELISM: Final = 64
_LABEL: Final = "root-file"


class FileRoots:
    """Roots in files: `file:/absolute/path`."""

    horizon = True

    def __init__(self, *, suite: SuiteName | str = DEFAULT_SUITE) -> None:
        """:param suite: of the cipher under which new roots are sealed; an existing file names its own."""
        self._suite = suite_of(suite)

    def create(self, uri: str, *, passphrase: bytes | None, cost: Argon2Cost) -> RootKey:
        """Make a root; its folder is made with mode 0700 where absent.

        :raises InvalidInput: `PASSPHRASE_SHORT`, `ROOT_PATH_RELATIVE`. :raises Conflict: `ROOT_EXISTS`.
        :raises KeyUnavailable: `PASSPHRASE_MISSING`, `ROOT_UNWRITABLE`.
        """
        path = _path(uri)
        words = _require(passphrase)
        if len(words) < MIN_PASSPHRASE_BYTES:
            raise InvalidInput(f"passphrase: at least {MIN_PASSPHRASE_BYTES} bytes", code="PASSPHRASE_SHORT")
        secret = new_key(ROOT_BYTES)
        salt = os.urandom(_SALT_BYTES)
        context = _context(cost, salt)
        sealed = self._wrapper(words, salt=salt, cost=cost).wrap(secret, context=context)
        text = json.dumps(
            {
                "format": FORMAT,
                "kdf": "argon2id",
                "suite": self._suite.name.value,
                "cost": cost.name,
                "time_cost": cost.time_cost,
                "memory_kib": cost.memory_kib,
                "parallelism": cost.parallelism,
                "salt": base64.b64encode(salt).decode(),
                "sealed": base64.b64encode(sealed).decode(),
            },
            indent=1,
        )
        try:
            _mark(path).unlink(missing_ok=True)  # of another root that was here once
            _write_new(path, text.encode() + b"\n")
        except OSError:
            raise KeyUnavailable("root key: the file cannot be written", code="ROOT_UNWRITABLE") from None
        return LocalRoot(secret, uri=uri, horizon=True, suite=self._suite.name)

    def _wrapper(self, words: bytes, *, salt: bytes, cost: Argon2Cost) -> KeyWrapper:
        return KeyWrapper(_stretch(words, salt=salt, cost=cost), label=_LABEL, suite=self._suite.name)

    def open(self, uri: str, *, passphrase: bytes | None) -> RootKey:
        """Open a root.

        :raises KeyUnavailable: `ROOT_MISSING`, `ROOT_FILE_PERMISSIONS`, `PASSPHRASE_MISSING`, `WRONG_PASSPHRASE`.
        :raises IntegrityBroken: `ROOT_FILE_BROKEN`.
        """
        path = _path(uri)
        cost, salt, sealed = _parse(read_private(path))
        key = _stretch(_require(passphrase), salt=salt, cost=cost)
        try:
            secret = KeyWrapper(key, label=_LABEL).unwrap(sealed, context=_context(cost, salt))
        except IntegrityBroken as error:
            if error.code != "NOT_AUTHENTIC":
                raise _broken() from None
            # One answer for a wrong passphrase and for an altered file: they cannot be told apart.
            raise KeyUnavailable(
                "root key: the passphrase does not open the file, or the file was altered", code="WRONG_PASSPHRASE"
            ) from None
        return LocalRoot(secret, uri=uri, horizon=True, suite=suite_of_code(sealed[1]).name)

    def find(self, uri: str) -> None:
        """Return if the file is there. :raises KeyUnavailable: `ROOT_MISSING`."""
        if not _path(uri).is_file():
            raise KeyUnavailable("root key: the file is not there", code="ROOT_MISSING")

    def destroy(self, uri: str) -> None:
        """Overwrite and remove the file.

        :raises KeyUnavailable: `ROOT_MISSING`: destroyed before. `ROOT_UNREACHABLE`: it is not there, and was not
            destroyed here: its folder is not mounted, or it was moved.
        """
        path = _path(uri)
        mark = _mark(path)
        try:
            with path.open("r+b") as file:
                size = os.fstat(file.fileno()).st_size
                file.write(os.urandom(size))
                file.flush()
                os.fsync(file.fileno())
        except FileNotFoundError:
            if mark.exists():
                raise KeyUnavailable("root key: the file is not there", code="ROOT_MISSING") from None
            raise KeyUnavailable(
                "root key: the file is not there, and was not destroyed here; mount its folder", code="ROOT_UNREACHABLE"
            ) from None
        mark.touch(mode=0o600)
        sync_folder(path.parent)
        path.unlink()
        sync_folder(path.parent)


def _path(uri: str) -> Path:
    path = Path(uri.removeprefix("file:").removeprefix("//"))
    if not path.is_absolute():
        raise InvalidInput("root key: file: takes an absolute path", code="ROOT_PATH_RELATIVE")
    return path


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.destroyed")


def _require(passphrase: bytes | None) -> bytes:
    if not passphrase:
        raise KeyUnavailable("root key: a passphrase is needed", code="PASSPHRASE_MISSING")
    return passphrase


def _stretch(passphrase: bytes, *, salt: bytes, cost: Argon2Cost) -> KeyBytes:
    from argon2.exceptions import HashingError
    from argon2.low_level import Type, hash_secret_raw

    try:
        key = hash_secret_raw(
            bytes(passphrase), salt, cost.time_cost, cost.memory_kib, cost.parallelism, hash_len=32, type=Type.ID
        )
    except HashingError:  # too little memory for the cost that was chosen
        raise KeyUnavailable(
            "root key: argon2id could not run at the file's cost", code="ROOT_STRETCH_FAILED"
        ) from None
    return KeyBytes(key)


def _context(cost: Argon2Cost, salt: bytes) -> bytes:
    return f"{FORMAT} argon2id t={cost.time_cost} m={cost.memory_kib} p={cost.parallelism} ".encode() + salt


def _broken() -> IntegrityBroken:
    return IntegrityBroken("root key: the file is not a root file of this version", code="ROOT_FILE_BROKEN")


def _parse(raw: bytes) -> tuple[Argon2Cost, bytes, bytes]:
    try:
        parts: dict[str, Any] = json.loads(raw)
        if parts["format"] != FORMAT or parts["kdf"] != "argon2id":
            raise _broken()
        cost = Argon2Cost(
            str(parts["cost"]), int(parts["time_cost"]), int(parts["memory_kib"]), int(parts["parallelism"])
        )
        salt = base64.b64decode(parts["salt"], validate=True)
        sealed = base64.b64decode(parts["sealed"], validate=True)
        # A file of before suites had a name is of the default one; the code inside is what counts, and is authentic.
        if suite_of(str(parts.get("suite", DEFAULT_SUITE))).code != sealed[1]:
            raise _broken()
    except (ValueError, KeyError, TypeError, IndexError, InvalidInput):
        raise _broken() from None
    # The file may have been replaced by someone who wants the process to use up the machine.
    sane = (
        1 <= cost.time_cost <= _MAX_TIME_COST
        and 1 <= cost.parallelism <= _MAX_PARALLELISM
        and 8 * cost.parallelism <= cost.memory_kib <= _MAX_MEMORY_KIB
        and len(salt) == _SALT_BYTES
    )
    if not sane:
        raise _broken()
    return cost, salt, sealed


def read_private(path: Path) -> bytes:
    """Return a small secret file that only its owner may read.

    :raises KeyUnavailable: `ROOT_MISSING`, `ROOT_FILE_PERMISSIONS`, `ROOT_UNREADABLE`.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyUnavailable(
                    "root key: the file may be read by others; its mode must be 0600", code="ROOT_FILE_PERMISSIONS"
                )
            raw = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise KeyUnavailable("root key: the file is not there", code="ROOT_MISSING") from None
    except OSError:
        raise KeyUnavailable("root key: the file cannot be read", code="ROOT_UNREADABLE") from None
    if len(raw) > _MAX_FILE_BYTES:
        raise _broken()
    return raw


def _write_new(path: Path, raw: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.urandom(4).hex()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        bear_name(draft, path)
    except FileExistsError:
        raise Conflict("root key: there is one already", code="ROOT_EXISTS") from None
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
