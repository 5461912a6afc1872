"""The application: every router, the guard around it, the sequencer beside it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from pdms import __version__
from pdms.api import (
    audit,
    campaigns,
    consents,
    hierarchies,
    imports,
    me,
    members,
    notices,
    operators,
    policies,
    problems,
    public,
    releases,
    reports,
    requests,
    segments,
    views,
)
from pdms.api.at_once import AtOnce
from pdms.api.guarded import name_of
from pdms.api.middleware import MAX_BODY, Guard, RateLimit
from pdms.api.openapi import description_of
from pdms.api.sequencer import Sequencer
from pdms.bootstrap.app import App
from pdms.db import on_postgres
from pdms.dispatch.channels import MessageChannel, open_channel
from pdms.taxonomy import Channel

# `me` and `imports` before `members`: the first route that fits answers, and they are no member ids.
NOUNS = (
    me,
    imports,
    members,
    notices,
    consents,
    policies,
    views,
    hierarchies,
    releases,
    segments,
    campaigns,
    requests,
    audit,
    reports,
    operators,
    public,
)
REQUESTS_PER_SECOND, BURST = 50.0, 200
FAILED_LOGINS_PER_SECOND, FAILED_LOGINS_BURST = 0.2, 20


def create_app(
    app: App,
    *,
    channel_of: Callable[[Channel], MessageChannel] | None = None,
    limit: RateLimit | None = None,
    failures: RateLimit | None = None,
    max_body: int = MAX_BODY,
    sequence_seconds: float = 1.0,
) -> FastAPI:
    """Return the API over an opened home; whoever opened it closes it.

    :param channel_of: way out of messages; default: the mail server of the settings. :param limit: requests of one
    caller. :param failures: failed logins of one address. :param sequence_seconds: how often events go into the log.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sequencer = Sequencer(app, seconds=sequence_seconds)
        sequencer.start()
        try:
            yield
        finally:
            sequencer.stop()

    app.follow_policy()
    limit = limit or RateLimit(REQUESTS_PER_SECOND, BURST)
    guard = Middleware(
        Guard,
        limit=limit,
        max_body=max_body,
        larger={imports.routes.prefix: imports.MAX_FILE},
    )
    ahead = [guard] if on_postgres(app.main) else [guard, Middleware(AtOnce, pdms=app)]
    api = _bare(lifespan=lifespan, middleware=ahead)
    api.state.pdms = app
    api.state.limit = limit
    api.state.failures = failures or RateLimit(FAILED_LOGINS_PER_SECOND, FAILED_LOGINS_BURST)
    api.state.open_channel = channel_of or _channel_of(app)
    return api


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document; it is the same for every home, and needs none."""
    return _bare().openapi()


def _bare(**options: Any) -> FastAPI:
    api = FastAPI(
        title="pdms",
        version=__version__,
        docs_url=None,  # Swagger UI comes from a CDN
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # spans and records hold paths and messages
        **options,
    )
    problems.install(api)
    for noun in NOUNS:
        _add(api, noun.routes)
    api.openapi = lambda: description_of(api)  # type: ignore[method-assign]  # how FastAPI has it extended
    return api


def _add(api: FastAPI, routes: APIRouter) -> None:
    # The routes themselves, not a router in a router: one flat list that a test can walk.
    for route in routes.routes:
        if isinstance(route, APIRoute):
            route.operation_id = name_of(route)
        api.router.routes.append(route)


def _channel_of(app: App) -> Callable[[Channel], MessageChannel]:
    url = app.settings.smtp_url
    return lambda channel: open_channel(channel, smtp_url=url.get_secret_value() if url else None)
