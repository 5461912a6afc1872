"""The API over a real home, spoken to over HTTP (in process): nothing is patched."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.world import World, populated
from pdms.access import service as access
from pdms.api.app import create_app
from pdms.api.middleware import RateLimit
from pdms.dispatch.channels import RecordingChannel
from pdms.taxonomy import Channel

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Starlette would rather have another client library
    warnings.simplefilter("ignore", UserWarning)
    from starlette.testclient import TestClient

if TYPE_CHECKING:
    from httpx import Response


@dataclass
class Api:
    """The API of one world, and keys for it."""

    world: World
    http: TestClient
    recorder: RecordingChannel
    members: list[dict[str, str]] = field(default_factory=list)

    def key(self, role: str) -> dict[str, str]:
        """Headers with the key of a role."""
        return {"Authorization": f"Bearer {self.world.tokens[role]}"}

    def call(self, role: str | dict[str, str] | None, method: str, path: str, **options: Any) -> "Response":
        """Send one request as a role, with given headers, or as nobody."""
        headers = self.key(role) if isinstance(role, str) else dict(role or {})
        headers |= options.pop("headers", {})
        return self.http.request(method, path, headers=headers, **options)

    def get(self, role: Any, path: str, **options: Any) -> "Response":
        return self.call(role, "GET", path, **options)

    def post(self, role: Any, path: str, body: Any = None, **options: Any) -> "Response":
        if body is not None:
            options["json"] = body
        return self.call(role, "POST", path, **options)

    def session_of(self, number: str) -> dict[str, str]:
        """Headers with a token of the member behind a shop number, as the shop opens their session."""
        made = self.post("shop", f"/v1/members/{self.id_of(number)}/tokens")
        assert made.status_code == 201, made.text
        return {"Authorization": f"Bearer {made.json()['text']}"}

    def id_of(self, number: str) -> str:
        """Hex id of the member behind a shop number."""
        return self.world.id_of(number).hex()


@contextmanager
def serving(world: World, members: list[dict[str, str]], **options: Any) -> Iterator[Api]:
    """Serve a world in process, with a shop's key beside those of staff."""
    if "shop" not in world.tokens:
        issued = world.app.run(world.actor("admin"), access.create_operator, label="shop-website", role="member")
        world.tokens["shop"] = issued.text
    recorder = RecordingChannel(Channel.EMAIL)
    options = {
        "limit": RateLimit(1e6, 1_000_000),
        "failures": RateLimit(1e6, 1_000_000),
        "channel_of": lambda _: recorder,
        "sequence_seconds": 0.05,
    } | options
    with TestClient(create_app(world.app, **options)) as http:
        yield Api(world, http, recorder, members)


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    """The API of an empty home."""
    with serving(world, []) as made:
        yield made


@pytest.fixture
def api_with(world: World) -> Any:
    """The API of an empty home, with limits of one's own: `with api_with(limit=…) as api`."""
    return lambda **options: serving(world, [], **options)


@pytest.fixture(scope="session")
def serve() -> Any:
    """How to serve a world of one's own: `with serve(world, members) as api`."""
    return serving


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of a shop with 300 members, their orders and consents; tests share it and take members of their own."""
    folder: Path = tmp_path_factory.mktemp("shop")
    world, members = populated(folder, count=300)
    with serving(world, members) as made:
        yield made
    world.close()
