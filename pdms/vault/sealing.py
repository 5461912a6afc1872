"""A member's fields as one blob of separately sealed values, and their index digests.

Guarantees: each value is sealed on its own, bound to member, field code and write sequence; a change seals all of a
member's values anew under the next sequence, so that a value put back from an older write does not open. Values come in
normalised: one rule for storing and looking up is `ingest`'s. Nothing here reads or writes a database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pdms.crypto import BlindIndex, Dek, SealError, open_fields, seal_fields, suite_of_key
from pdms.errors import IntegrityBroken, InvalidInput, KeyUnavailable
from pdms.policy.definitions import Policy
from pdms.taxonomy import MemberId
from pdms.unit_of_work import Keyring

EXTERNAL: Final = "external"
"""Index kind and reserved name of the external id."""
REGISTERED: Final = "registered_at"
"""Reserved name of the instant of registration, ISO 8601."""

EXTERNAL_CODE: Final = 0
REGISTERED_CODE: Final = 0xFFFF
_CODE_BYTES: Final = 2
_SEPARATOR: Final = "\x1f"
_FORMER: Final = "former."
INDEX_BYTES: Final = 32

encode_map: Final = msgspec.msgpack.Encoder().encode


class SealedMap:
    """The bytes around sealed values in a member's blob: a msgpack map of field codes, as `encode_map` writes it."""

    def begin(self, count: int) -> bytes:
        """Return the head of a map of so many values."""
        return bytes((0x80 | count,)) if count < 16 else b"\xde" + count.to_bytes(2, "big")

    def before(self, field: bytes, size: int) -> bytes:
        """Return a key and the head of its value."""
        return _bytes_head(len(field)) + field + _bytes_head(size)


def _bytes_head(size: int) -> bytes:
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1, "big")
    return b"\xc5" + size.to_bytes(2, "big") if size < 1 << 16 else b"\xc6" + size.to_bytes(4, "big")


_decode_sealed: Final = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


class FieldCodes:
    """Two-way table of field names and the code bytes bound into associated data.

    A code whose field the policy no longer names keeps a name of its own: what is stored is not lost by an edit of
    `policy.yaml`.
    """

    def __init__(self, policy: Policy) -> None:
        numbers = {EXTERNAL: EXTERNAL_CODE, REGISTERED: REGISTERED_CODE}
        numbers |= {field.name: field.code for field in policy.fields.values()}
        self._code_of = {name: number.to_bytes(_CODE_BYTES, "big") for name, number in numbers.items()}
        self._name_of = {code: name for name, code in self._code_of.items()}

    def code(self, name: str) -> bytes:
        """Return the code of a field. :raises InvalidInput: the policy knows none of that name."""
        code = self._code_of.get(name)
        if code is not None:
            return code
        if name.startswith(_FORMER):
            return bytes.fromhex(name.removeprefix(_FORMER))
        raise InvalidInput(f"member: the policy knows no field {name}", code="UNKNOWN_FIELD")

    def name(self, code: bytes) -> str:
        """Return the name of a code."""
        return self._name_of.get(code) or f"{_FORMER}{code.hex()}"

    def named(self, opened: Mapping[bytes, str]) -> dict[str, str]:
        """Return opened values by field name."""
        return {self.name(code): value for code, value in opened.items()}

    def coded(self, fields: Mapping[str, str]) -> dict[bytes, str]:
        """Return values by code."""
        return {self.code(name): value for name, value in fields.items()}


@dataclass(frozen=True, slots=True)
class SealedMember:
    """What is stored of one member; `fields` are still sealed."""

    member_id: MemberId
    key_version: int
    write_seq: int
    blob: bytes


def seal_member(dek: bytes, *, member_id: MemberId, fields: Mapping[bytes, str], write_seq: int) -> bytes:
    """Return the blob of a member's values. :param fields: code → value; empty values are left out."""
    present = [(code, value.encode()) for code, value in fields.items() if value]
    sealed = seal_fields(
        dek, member=member_id, fields=present, key_version=Dek.version_of(dek), write_seq=write_seq,
        suite=suite_of_key(dek).name,
    )  # fmt: skip
    return encode_map({pair[0]: value for pair, value in zip(present, sealed, strict=True)})


def open_member(dek: bytes, stored: SealedMember, *, codes: Iterable[bytes] | None = None) -> dict[bytes, str]:
    """Open a member's values, all or those of `codes` (absent ones stay absent).

    :raises IntegrityBroken: something was altered, moved or put back; or the key was rotated between reading the one
        and the other, and the same question opens it a moment later (`WRONG_KEY_VERSION`).
    """
    opened = _open(dek, stored.member_id, stored.key_version, stored.write_seq, stored.blob, codes)
    return {code: value.decode() for code, value in opened}


def open_named(
    dek: bytes, member_id: MemberId, key_version: int, write_seq: int, blob: bytes, *, codes: FieldCodes
) -> dict[str, str]:
    """Open all of a member's values, by field name, at once; errors as in `open_member`."""
    name = codes.name
    return {name(code): value.decode() for code, value in _open(dek, member_id, key_version, write_seq, blob, None)}


def _open(
    dek: bytes, member_id: MemberId, key_version: int, write_seq: int, blob: bytes, codes: Iterable[bytes] | None
) -> Iterable[tuple[bytes, bytes]]:
    key = Dek.at(dek, key_version)
    if key is None:
        raise IntegrityBroken(
            "sealed member: under another key version than the member has now", code=SealError.WRONG_KEY_VERSION.value
        )
    try:
        sealed = _decode_sealed(blob)
    except msgspec.DecodeError as error:
        raise IntegrityBroken("sealed member: not a map of sealed values", code="SEALED_MAP") from error
    wanted = sealed if codes is None else {code: sealed[code] for code in codes if code in sealed}
    opened = open_fields(key, member=member_id, fields=wanted.items(), key_version=key_version, write_seq=write_seq)
    return zip(wanted, opened, strict=True)


def dek_of(keys: Keyring, member_id: MemberId) -> bytes:
    """Return the key of one member. :raises KeyUnavailable: it was destroyed, or never made."""
    dek = keys.deks([member_id]).get(member_id)
    if dek is None:
        raise KeyUnavailable("member: its key is gone", code="MEMBER_KEY_GONE")
    return dek


def join_digests(digests: Mapping[int, bytes]) -> bytes:
    """Return index digests by field code as stored: code byte and digest, one after the other."""
    return b"".join([bytes((code,)) + digest for code, digest in digests.items()])


def split_digests(stored: bytes) -> dict[int, bytes]:
    """Return stored index digests by field code."""
    step = INDEX_BYTES + 1
    return {stored[at]: stored[at + 1 : at + step] for at in range(0, len(stored), step)}


class Indexes:
    """The blind indexes of one policy, opened."""

    def __init__(self, keys: Keyring, policy: Policy) -> None:
        self._keys = keys
        self._opened: dict[str, list[BlindIndex]] = {}
        self.field_of = {field.index: field.name for field in policy.fields.values() if field.index}
        """Index → field name."""
        self.code_of = {field.index: field.code for field in policy.fields.values() if field.index}
        """Index → field code, by which its entries are kept."""

    def digests(self, kind: str, values: Sequence[str]) -> list[bytes]:
        """Return the digests of values under one index."""
        return self.digests_of(kind, [value.encode() for value in values])

    def digests_of(self, kind: str, values: Sequence[bytes]) -> list[bytes]:
        """Return the digests of encoded values under one index."""
        return self._index(f"index:{_label(kind)}").digest_many(values)

    def external(self, system: str, external_ids: Sequence[str]) -> list[bytes]:
        """Return the identity digests of external ids of one system."""
        start = system + _SEPARATOR
        return self.digests(EXTERNAL, [start + one for one in external_ids])

    def several(self, kind: str) -> bool:
        """Tell whether an index has entries under more than one key: its rotation goes on."""
        return len(self._versions(f"index:{_label(kind)}")) > 1

    def looked_up(self, kind: str, values: Sequence[str], *, retired: bool = False) -> list[tuple[bytes, int]]:
        """Return (digest, place of its value) under every version of an index: while a rotation goes on, both are held.

        The newest version first, so that a reader who takes the first takes what writers write.

        :param retired: also under those whose rotation is over, for who was overtaken by it.
        """
        encoded = [value.encode() for value in values]
        found: list[tuple[bytes, int]] = []
        for index in self._versions(f"index:{_label(kind)}", retired=retired):
            found += zip(index.digest_many(encoded), range(len(encoded)), strict=True)
        return found

    def opened(self, kind: str) -> tuple[BlindIndex, ...]:
        """Return the index under every version, newest first, for who looks up again and again."""
        return tuple(self._versions(f"index:{_label(kind)}"))

    def external_looked_up(
        self, system: str, external_ids: Sequence[str], *, retired: bool = False
    ) -> list[tuple[bytes, int]]:
        """Return (digest, place of its external id) under every version of the identity index. Otherwise as above."""
        start = system + _SEPARATOR
        return self.looked_up(EXTERNAL, [start + one for one in external_ids], retired=retired)

    def suppressions(self, kind: str, values: Sequence[str], *, system: str) -> list[bytes]:
        """Return the digests by which an erased member would be known again, under all suppression keys nested."""
        return self._nested(self._suppressed(kind, values, system=system), depth=len(self._chain()))

    def suppressions_looked_up(
        self, kind: str, values: Sequence[str], *, system: str, least: int, by_index: bool
    ) -> list[tuple[bytes, int]]:
        """Return (digest, place of its value) at every depth of nesting from `least` on.

        :param by_index: also of entries that were made from an index digest.
        """
        forms = [self._suppressed(kind, values, system=system)]
        if by_index:
            start = f"{system}{_SEPARATOR}" if kind == EXTERNAL else ""
            code = EXTERNAL_CODE if kind == EXTERNAL else self.code_of[kind]
            encoded = [(start + value).encode() for value in values]
            forms += [
                [indexed_form(code, digest) for digest in index.digest_many(encoded)]
                for index in self._versions(f"index:{_label(kind)}", retired=True)
            ]
        found: list[tuple[bytes, int]] = []
        for form in forms:
            for depth in range(max(1, least), len(self._chain()) + 1):
                found += zip(self._nested(form, depth=depth), range(len(values)), strict=True)
        return found

    def suppressed_by_index(self, digests: Mapping[int, bytes]) -> list[bytes]:
        """Return suppression entries for a member whose plaintext is gone, from what it was indexed by."""
        forms = [indexed_form(code, digest) for code, digest in digests.items()]
        return self._nested(forms, depth=len(self._chain()))

    @property
    def suppression_version(self) -> int:
        """How many suppression keys are nested around a new entry."""
        return len(self._chain())

    def nest(self, digests: Sequence[bytes], *, depth: int) -> list[bytes]:
        """Return entries of `depth` nested keys under the keys that came since."""
        for index in self._chain()[depth:]:
            digests = index.digest_many(digests)
        return list(digests)

    def _nested(self, values: Sequence[bytes], *, depth: int) -> list[bytes]:
        found = list(values)
        for index in self._chain()[:depth]:
            found = index.digest_many(found)
        return found

    def _suppressed(self, kind: str, values: Sequence[str], *, system: str) -> list[bytes]:
        start = f"{kind}{_SEPARATOR}" + (f"{system}{_SEPARATOR}" if kind == EXTERNAL else "")
        return [(start + value).encode() for value in values]

    def _chain(self) -> list[BlindIndex]:
        """The suppression keys, oldest first."""
        return self._versions("suppression", retired=True)[::-1]

    def row(self, member_id: MemberId, row: bytes) -> bytes:
        """Return the digest that tells a changed source row from an unchanged one."""
        return self._index("row-digest").digest(member_id + row)

    def rows(self) -> BlindIndex:
        """Return the index behind `row`, for loops."""
        return self._index("row-digest")

    def _index(self, label: str) -> BlindIndex:
        return self._versions(label)[0]

    def _versions(self, label: str, *, retired: bool = False) -> list[BlindIndex]:
        """The keys of one use, newest first; asked for once, so that one operation sees one state of a rotation."""
        name = f"{label}+retired" if retired else label
        if name not in self._opened:
            self._opened[name] = [BlindIndex(key) for key in self._keys.system_keys(label, retired=retired)]
        return self._opened[name]


def indexed_form(code: int, digest: bytes) -> bytes:
    """Return what a suppression entry is made of where only an index digest is left."""
    return b"index" + _SEPARATOR.encode() + bytes((code,)) + digest


def _label(kind: str) -> str:
    return "external-id" if kind == EXTERNAL else kind.replace("_", "-")
