"""Made `home_of_schema_1.tar.gz`: a home as pdms wrote it before it had migrations (commit e30bf53); run there only.

Argument: the file to write. Everything in it is invented; its root key is of no use elsewhere.
"""

import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path

from common.world import ROOT_VARIABLE, consents_of, orders_of, people
from common.world import World as Base
from pdms.rights import service as rights
from pdms.taxonomy import MemberId


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = Base.make(folder)
        members = people(3)
        orders, lines = orders_of(members)
        world.ingest("shop-members", members)
        world.ingest("shop-orders", orders)
        world.ingest("shop-order-lines", lines)
        world.ingest("shop-consents", consents_of(members))
        gone = world.id_of(members[1]["会员编号"])
        world.run("support", rights.withdraw, member_id=MemberId(gone), purpose="segment")
        world.app.sequence()
        world.close()
        (folder / "told.json").write_text(
            json.dumps({"root": os.environ[ROOT_VARIABLE], "tokens": world.tokens, "members": members}), "utf-8"
        )
        with tarfile.open(sys.argv[1], "w:gz") as out:
            out.add(folder / "told.json", "told.json")
            out.add(world.app.home.root, "home")


if __name__ == "__main__":
    main()
