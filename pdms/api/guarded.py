"""The route that guards itself: who calls and whether they may, before parsing; then each write once.

Guarantees: a route that declares a caller admits nobody without one of its scopes, whatever they send, and each refusal
is in the audit log; a write that carries an Idempotency-Key is carried out once; a parameter of the query that the
route does not declare is refused as a key of a body is, since a filter that is misspelt would show more than was asked
for. Failed logins of one address are bounded, so that nobody can flood the log with them; a valid key keeps working
meanwhile. Public routes take any query: links that people open carry what mail programs and portals add to them.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from hashlib import sha256
from inspect import iscoroutinefunction
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from pdms.access import idempotency
from pdms.access.idempotency import Claim, Replay
from pdms.access.service import Unknown
from pdms.api.caller import Caller, Needs, Progress
from pdms.api.middleware import RateLimit, address_of
from pdms.api.problems import RESPONSES, TOO_MANY
from pdms.bootstrap.app import App
from pdms.errors import Denied
from pdms.policy.reasons import reason
from pdms.unit_of_work import Actor, ActorKind

Handle = Callable[[Request], Coroutine[Any, Any, Response]]
KEY = "idempotency-key"
REPEATABLE: dict[str, Any] = {"x-pdms-repeatable": True}
"""`openapi_extra` of a POST that makes nothing (searches, exports): asked twice, it answers twice."""


class GuardedRoute(APIRoute):
    """A route of the API."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _in_a_thread(endpoint), **options)

    def get_route_handler(self) -> Handle:
        """Return FastAPI's handler between our checks."""
        inner = super().get_route_handler()
        needs = needs_of(self)
        once = is_once(self)
        declared = parameters_of(self)

        async def guarded(request: Request) -> Response:
            if needs is None:
                if "authorization" in request.headers and not _allowed_by_address(request):
                    raise HTTPException(TOO_MANY)  # nobody looks at the credential here, so it may be made up each time
                return await inner(request)
            caller: Caller = await run_in_threadpool(admit, request, needs, self)
            request.state.caller = caller
            if not declared.issuperset(request.query_params):
                raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query",)}])  # its name is theirs
            key = request.headers.get(KEY)
            if not once or key is None:
                return _headed(await inner(request), caller.progress)
            body = await request.body()
            claimed = await run_in_threadpool(_claim, caller, key, self, request, body)
            if isinstance(claimed, Replay):
                return _replayed(claimed)
            caller.progress.claim = claimed
            try:
                response = await inner(request)
            except Exception:
                await run_in_threadpool(_end, caller, None)
                raise
            await run_in_threadpool(_end, caller, response)
            return _headed(response, caller.progress)

        return guarded


def _in_a_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Run a plain endpoint in a worker thread ourselves: FastAPI would send its answer through a second one."""
    if iscoroutinefunction(endpoint):
        return endpoint

    @wraps(endpoint)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return await run_in_threadpool(endpoint, *args, **kwargs)

    return awaited


def router(noun: str) -> APIRouter:
    """Return the router of one noun of the API."""
    return APIRouter(prefix=f"/v1/{noun}", tags=[noun], route_class=GuardedRoute, responses=RESPONSES)


def needs_of(route: APIRoute) -> Needs | None:
    """Return what a route asks of its caller; None where it is public."""
    for dependant in route.dependant.dependencies:
        if isinstance(dependant.call, Needs):
            return dependant.call
    return None


def parameters_of(route: APIRoute) -> frozenset[str]:
    """Return the names of the parameters that a route's query may have."""
    asking = (route.dependant, *route.dependant.dependencies)
    return frozenset(field.alias for one in asking for field in one.query_params)


def name_of(route: APIRoute) -> str:
    """Return a route's name as the log writes it: `members.me.show-me`."""
    noun = str(route.tags[0]) if route.tags else "api"
    return f"{noun}.{route.name}".replace("/", ".").replace("_", "-")


def is_once(route: APIRoute) -> bool:
    """Tell whether a route takes an Idempotency-Key."""
    return "POST" in (route.methods or ()) and not (route.openapi_extra or {}).get("x-pdms-repeatable")


def admit(request: Request, needs: Needs, route: APIRoute) -> Caller:
    """Return the caller of a request. Denials are logged with the route's name.

    :raises Unauthenticated: nobody, or nobody any more. :raises Denied: the wrong kind of actor, or no such scope.
    """
    app: App = request.app.state.pdms
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    presented = given.strip() if scheme.lower() == "bearer" else None
    found = app.recognise(presented)
    if isinstance(found, Unknown):
        failures: RateLimit = request.app.state.failures
        if not failures.allows(address_of(request.scope)):
            raise HTTPException(TOO_MANY)
        app.refuse_login(found)
    actor = found.actor
    refusal = refusal_of(actor, needs)
    if refusal is not None:
        with app.unit(actor, read_only=True) as uow:
            uow.refuse(refusal, member=actor.member_id, refs={"route": name_of(route)})
    return Caller(app, actor, Progress(status=route.status_code or 200))


def refusal_of(actor: Actor, needs: Needs) -> Denied | None:
    """Return why an actor may not call what needs this; None where they may."""
    names = " or ".join(needs.scopes)
    if not actor.scopes.intersection(needs.scopes):
        return Denied(f"this needs the scope {names}", reasons=(reason("SCOPE_MISSING", detail=f"needs {names}"),))
    if needs.kind is not None and actor.kind is not needs.kind:
        who = "a member's own session" if needs.kind is ActorKind.MEMBER else "an operator's key"
        return Denied(f"this needs {who}", reasons=(reason("NOT_SELF", detail=f"needs {who}"),))
    return None


def _allowed_by_address(request: Request) -> bool:
    limit: RateLimit = request.app.state.limit
    return limit.allows(sha256(address_of(request.scope)).digest())


def _claim(caller: Caller, key: str, route: APIRoute, request: Request, body: bytes) -> Claim | Replay:
    place = f"POST {route.path}"
    path = f"{request.url.path}?{request.url.query}"
    with caller.app.unit(caller.actor) as uow:
        return idempotency.claim(uow, key=key, route=place, path=path, body=body)


def _end(caller: Caller, response: Response | None) -> None:
    progress = caller.progress
    if progress.settled or progress.claim is None:
        return
    with caller.app.unit(caller.actor) as uow:
        if response is not None and response.status_code < 400:
            idempotency.settle(uow, progress.claim, status=response.status_code, resource=progress.location)
        else:
            # What failed left nothing behind, or (publish, send, erase) goes on where it was when asked again.
            idempotency.release(uow, progress.claim)


def _headed(response: Response, progress: Progress) -> Response:
    if progress.location is not None and response.status_code < 400:
        response.headers["Location"] = progress.location
    return response


def _replayed(replay: Replay) -> Response:
    headers = {"Idempotency-Replayed": "true"}
    if replay.resource is not None:
        headers["Location"] = replay.resource
    return Response(status_code=replay.status, headers=headers)
