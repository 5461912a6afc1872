"""What stands for one member in the stores, byte for byte: collected before an erasure, looked for after it."""

import sqlite3
from contextlib import closing

import msgspec

from common.world import World


def bytes_of_member(world: World, number: str) -> list[bytes]:
    """Return sealed values, index digests, pseudonym, source digest and wrapped key of a member of system `shop`."""
    member_id, root = world.id_of(number), world.app.home.root
    with closing(sqlite3.connect(f"file:{root / 'vault.db'}?mode=ro", uri=True)) as vault:
        row_no, pseudonym = vault.execute(
            "SELECT row_no, pseudonym FROM member WHERE member_id = ?", (member_id,)
        ).fetchone()
        sealed, digests, source = vault.execute(
            "SELECT sealed, digests, source_digest FROM sealed_member WHERE row_no = ?", (row_no,)
        ).fetchone()
        external = [r[0] for r in vault.execute("SELECT digest FROM external_index WHERE row_no = ?", (row_no,))]
        blind = [r[0] for r in vault.execute("SELECT digest FROM blind_index WHERE row_no = ?", (row_no,))]
    with closing(sqlite3.connect(f"file:{root / 'keys.db'}?mode=ro", uri=True)) as keys:
        (wrapped,) = keys.execute("SELECT wrapped FROM member_key WHERE member_id = ?", (member_id,)).fetchone()
    values = list(msgspec.msgpack.decode(sealed).values())
    assert len(values) >= 9
    assert (len(external), len(blind)) == (1, 4)
    assert all(digest in digests for digest in external + blind)
    assert pseudonym != member_id
    return [pseudonym, source, wrapped, *values, *external, *blind]
