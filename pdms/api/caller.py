"""Who calls, and what they may: every route declares the scopes it needs by the type of its caller."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pdms.bootstrap.app import App
from pdms.bootstrap.plain import plain
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, AnonUnitOfWork, UnitFactory, UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")

bearer = HTTPBearer(auto_error=False, description="An API key or a member token: `Authorization: Bearer pdms_…`")


@dataclass(frozen=True, slots=True)
class Caller:
    """The opened home and the actor of this request."""

    app: App
    actor: Actor

    def run(self, service: Callable[Concatenate[UnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs) -> object:
        """Run one operation of the identified side; the result is plain only after the commit."""
        return plain(self.app.run(self.actor, service, *args, **kwargs))

    def run_anon(
        self, service: Callable[Concatenate[AnonUnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> object:
        """Run one operation of the anonymised side."""
        return plain(self.app.run_anon(self.actor, service, *args, **kwargs))

    @property
    def units(self) -> UnitFactory:
        """Units for a long operation."""
        return self.app.units(self.actor)


def needs(*scopes: Scope) -> Callable[..., Caller]:
    """Return a dependency that authenticates and requires one of `scopes`; a refusal is in the audit log."""

    def caller(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None
    ) -> Caller:
        app: App = request.app.state.pdms
        actor = app.authenticate(given.credentials if given else None)
        if not actor.scopes.intersection(scopes):
            with app.unit(actor) as uow:
                uow.require(*scopes)
        return Caller(app, actor)

    caller.scopes = scopes  # type: ignore[attr-defined]
    return caller


Compliance = Annotated[Caller, Depends(needs(Scope.COMPLIANCE))]
Marketing = Annotated[Caller, Depends(needs(Scope.MARKETING))]
MarketingOrCompliance = Annotated[Caller, Depends(needs(Scope.MARKETING, Scope.COMPLIANCE))]
Ingest = Annotated[Caller, Depends(needs(Scope.INGEST))]
Support = Annotated[Caller, Depends(needs(Scope.SUPPORT))]
SupportOrCompliance = Annotated[Caller, Depends(needs(Scope.SUPPORT, Scope.COMPLIANCE))]
Admin = Annotated[Caller, Depends(needs(Scope.ADMIN))]
AdminOrCompliance = Annotated[Caller, Depends(needs(Scope.ADMIN, Scope.COMPLIANCE))]
Member = Annotated[Caller, Depends(needs(Scope.MEMBER))]
