"""Keys of writes on a real store: claimed once, settled with the write, released when it failed."""

import pytest

from common.world import World
from pdms.access import idempotency
from pdms.access.idempotency import Claim, Replay
from pdms.errors import Conflict, InvalidInput
from pdms.unit_of_work import UnitOfWork

REQUEST = {"key": "k-1", "route": "POST /v1/x", "path": "/v1/x", "body": b"{}"}


def claim(world: World, **changes: object) -> Claim | Replay:
    return world.run("admin", idempotency.claim, **(REQUEST | changes))


def test_a_claim_is_settled_and_replayed(world: World) -> None:
    claimed = claim(world)
    assert isinstance(claimed, Claim)
    with pytest.raises(Conflict, match="has not ended"):
        claim(world)
    world.run("admin", idempotency.settle, claimed, status=201, resource="/v1/x/1")
    assert claim(world) == Replay(201, "/v1/x/1")
    world.run("admin", idempotency.settle, claimed, status=200, resource="/v1/x/2")
    assert claim(world) == Replay(201, "/v1/x/1"), "the first outcome stays"


@pytest.mark.parametrize("change", [{"body": b"{ }"}, {"path": "/v1/y"}, {"route": "POST /v1/y"}])
def test_another_request_under_the_key_is_refused(world: World, change: dict[str, object]) -> None:
    claim(world)
    with pytest.raises(InvalidInput) as caught:
        claim(world, **change)
    assert caught.value.code == "IDEMPOTENCY_KEY_REUSED"


def test_settling_goes_with_the_unit_that_does_the_work(world: World) -> None:
    claimed = claim(world)

    def killed(uow: UnitOfWork) -> None:
        idempotency.settle(uow, claimed, status=201, resource=None)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        world.run("admin", killed)
    with pytest.raises(Conflict):
        claim(world)


def test_a_released_key_can_be_claimed_again_but_a_settled_one_stays(world: World) -> None:
    claimed = claim(world)
    world.run("admin", idempotency.release, claimed)
    again = claim(world)
    assert isinstance(again, Claim)
    world.run("admin", idempotency.settle, again, status=204, resource=None)
    world.run("admin", idempotency.release, again)
    assert claim(world) == Replay(204, None)


def test_nothing_of_a_claim_is_printed(world: World) -> None:
    assert repr(claim(world)) == "Claim(…)"
