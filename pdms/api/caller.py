"""Who calls, and what they may: every route declares the scopes it needs by the type of its caller.

Guarantee: scopes are checked before anything of the request is parsed (see `guarded`), so that a key without the scope
gets the same refusal whatever it sends. A result becomes plain, and can leave, only after its unit has committed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pdms.access import idempotency
from pdms.access.idempotency import Claim
from pdms.bootstrap.app import App
from pdms.bootstrap.plain import plain
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork, UnitFactory, UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key (`pdms_key_…`) or a member token (`pdms_mem_…`), shown once when it was issued.",
)


@dataclass(slots=True)
class Progress:
    """What becomes of one request: the key it holds, where its result lies, and whether that is noted already."""

    status: int = 200
    claim: Claim | None = None
    location: str | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The opened home and the actor of this request."""

    app: App
    actor: Actor
    progress: Progress = field(default_factory=Progress)
    template: str | None = None

    def made(self, template: str) -> "Caller":
        """Return this caller, with the path of what the next operation makes: `/v1/requests/{request_id}`."""
        return replace(self, template=template)

    def run(self, service: Callable[Concatenate[UnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run one operation of the identified side that may write."""
        with self.app.unit(self.actor) as uow:
            result = plain(service(uow, *args, **kwargs))
            self.place(result)
            if self.progress.claim is not None:
                idempotency.settle(
                    uow, self.progress.claim, status=self.progress.status, resource=self.progress.location
                )
        self.progress.settled = True
        return result

    def read(self, service: Callable[Concatenate[UnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run one operation of the identified side that only reads; its events are committed before it returns."""
        with self.app.unit(self.actor, read_only=True) as uow:
            result = service(uow, *args, **kwargs)
        return plain(result)

    def file(self, service: Callable[Concatenate[UnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As `read`, with the result as the service gave it: for files."""
        with self.app.unit(self.actor, read_only=True) as uow:
            return service(uow, *args, **kwargs)

    def run_anon(
        self, service: Callable[Concatenate[AnonUnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Any:
        """Run one operation of the anonymised side that may write."""
        result = plain(self.app.run_anon(self.actor, service, *args, **kwargs))
        self.place(result)
        return result

    def read_anon(
        self, service: Callable[Concatenate[AnonUnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Any:
        """Run one operation of the anonymised side that only reads; its events are committed before it returns."""
        return plain(self.file_anon(service, *args, **kwargs))

    def file_anon(
        self, service: Callable[Concatenate[AnonUnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """As `read_anon`, with the result as the service gave it: for files."""
        with self.app.anon_unit(self.actor, read_only=True) as uow:
            return service(uow, *args, **kwargs)

    def take_anon(
        self, service: Callable[Concatenate[AnonUnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """As `file_anon`, for what is made of a release's rows: that they were taken is entered."""
        with self.app.anon_unit(self.actor) as uow:
            return service(uow, *args, **kwargs)

    def long(self, service: Callable[Concatenate[UnitFactory, P], R], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run one long operation, which makes its own units."""
        result = plain(service(self.app.units(self.actor), *args, **kwargs))
        self.place(result)
        return result

    def place(self, result: Any) -> None:
        """Note where the result lies."""
        if self.template is not None:
            self.progress.location = self.template.format(**result)

    @property
    def cursor_key(self) -> bytes:
        """Key under which the cursors of pages are signed."""
        return self.app.keys.system_key("cursor")

    @property
    def member_id(self) -> MemberId:
        """The member who acts for themself."""
        if self.actor.member_id is None:
            raise AssertionError("a member's route was called by another actor")
        return self.actor.member_id


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks of its caller: one of `scopes`, and a kind of actor (None: operators and members alike)."""

    scopes: tuple[Scope, ...]
    kind: ActorKind | None = ActorKind.OPERATOR

    async def __call__(
        self,
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None,  # noqa: ARG002 - for OpenAPI
    ) -> Caller:
        """Return the caller whom `guarded` admitted."""
        caller: Caller = request.state.caller
        return caller


Anyone = Annotated[Caller, Depends(Needs(tuple(Scope)))]
"""Every operator, whatever their scope."""
Known = Annotated[Caller, Depends(Needs(tuple(Scope), kind=None))]
"""Every operator and every member: for what is published anyway (PIPL-7)."""
Compliance = Annotated[Caller, Depends(Needs((Scope.COMPLIANCE,)))]
Marketing = Annotated[Caller, Depends(Needs((Scope.MARKETING,)))]
MarketingOrCompliance = Annotated[Caller, Depends(Needs((Scope.MARKETING, Scope.COMPLIANCE)))]
ReleaseReader = Annotated[Caller, Depends(Needs((Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)))]
Ingest = Annotated[Caller, Depends(Needs((Scope.INGEST,)))]
Shop = Annotated[Caller, Depends(Needs((Scope.MEMBER, Scope.SUPPORT)))]
"""The shop's own key, with which it opens sessions for members whom it has logged in, or its service desk's."""
SupportOrCompliance = Annotated[Caller, Depends(Needs((Scope.SUPPORT, Scope.COMPLIANCE)))]
Finder = Annotated[Caller, Depends(Needs((Scope.SUPPORT, Scope.COMPLIANCE, Scope.MEMBER)))]
Admin = Annotated[Caller, Depends(Needs((Scope.ADMIN,)))]
AdminOrCompliance = Annotated[Caller, Depends(Needs((Scope.ADMIN, Scope.COMPLIANCE)))]
Asker = Annotated[Caller, Depends(Needs((Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN, Scope.SUPPORT)))]
"""Whoever may ask another operator for an approval."""
Member = Annotated[Caller, Depends(Needs((Scope.MEMBER,), kind=ActorKind.MEMBER))]
"""A member acting for themself, with a member token."""
