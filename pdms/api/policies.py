"""`/v1/policies`: the rules in force, in words (PIPL-7, PIPL-48), and what they decide for one member."""

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from pdms.api.caller import AdminOrCompliance, Caller, Known, Needs
from pdms.api.consents import MemberField
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Limit, Name, NamePath, member
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import Page, page
from pdms.errors import NotFound
from pdms.gate import service as gate
from pdms.policy.decide import Decision
from pdms.policy.explain import explain
from pdms.policy.loader import load
from pdms.taxonomy import Channel, ConsentType, Language, LawfulBasis, Operation, Scope

routes = router("policies")
MAY_ASK = Needs((Scope.COMPLIANCE,))
"""Who may ask the gate."""


class PolicyInfo(BaseModel):
    """The policy in force; its digest is in every decision."""

    digest: str
    controller: dict[str, str] = Field(description="Name by language.")
    contact: str
    officer: str
    purposes: list[str]
    views: list[str]
    roles: list[str]


class PurposeInfo(BaseModel):
    """One purpose in short."""

    purpose: str
    label: dict[str, str]
    basis: LawfulBasis
    article: str
    consent: ConsentType
    categories: list[str]
    operations: list[Operation]
    recipients: list[str]


class Explanation(BaseModel):
    """A purpose in words, each sentence with its article."""

    purpose: str
    language: Language
    text: str


class Question(Body):
    """A use about which the gate is asked; nothing is done and no Permit is made."""

    member_id: MemberField
    purpose: Name = Field(examples=["market_email"])
    operation: Operation = Field(examples=["send"])
    fields: list[Name] = Field(default=[], max_length=64)
    categories: list[Name] = Field(default=[], max_length=64)
    channel: Channel | None = None
    recipient: Name | None = None


@routes.get("/current", summary="The policy in force", response_model=PolicyInfo)
def show_policy(caller: Known) -> Any:
    """Who answers for the data, and the names of what the policy defines."""
    policy = caller.app.policy
    return PolicyInfo(
        digest=policy.digest,
        controller={language.value: name for language, name in policy.controller.name.items()},
        contact=policy.controller.contact,
        officer=policy.controller.officer or "",
        purposes=sorted(policy.purposes),
        views=sorted(policy.views),
        roles=sorted(policy.roles),
    )


@routes.get("/difference", summary="What the documents would change", response_model=edge(gate.Difference))
def difference(caller: AdminOrCompliance) -> Any:
    """Every rule in which the documents of the server's folder differ from the policy in force, weaker ones first.

    To be read before their activation is approved by the digest `after`.
    """
    return caller.read(gate.difference, after=load(caller.app.policies))


@routes.get("/purposes", summary="List purposes", response_model=Page[PurposeInfo])
def list_purposes(caller: Known, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """Every purpose with its lawful basis, categories and recipients."""
    found = [
        PurposeInfo(
            purpose=p.name,
            label={language.value: text for language, text in p.label.items()},
            basis=p.basis,
            article=p.article,
            consent=p.consent,
            categories=list(p.categories),
            operations=sorted(p.operations),
            recipients=list(p.recipients),
        )
        for _, p in sorted(caller.app.policy.purposes.items())
    ]
    return page(found, order=lambda p: [p.purpose], cursor=cursor, limit=limit, key=caller.cursor_key, name="purposes")


@routes.get("/purposes/{purpose}/explanation", summary="Explain a purpose", response_model=Explanation)
def explain_purpose(caller: Known, purpose: NamePath, language: Annotated[Language, Query()] = Language.ZH) -> Any:
    """What the policy allows for a purpose, made from the very rules that the gate compares."""
    if purpose not in caller.app.policy.purposes:
        raise NotFound("purpose: the policy has none of that name")
    text = explain(caller.app.policy, purpose=purpose, language=language)
    return Explanation(purpose=purpose, language=language, text=text)


@routes.post("/decisions", summary="Ask the gate", response_model=edge(Decision), openapi_extra=REPEATABLE)
def decide(caller: Annotated[Caller, Depends(MAY_ASK)], body: Question) -> Any:
    """What the gate would say to a use of one member's data now, with every reason."""
    return caller.read(gate.decide_one, **asked(body))


def asked(body: Question) -> dict[str, Any]:
    """Return what `gate.decide_one` is asked."""
    return {
        "member_id": member(body.member_id),
        "purpose": body.purpose,
        "operation": body.operation,
        "fields": tuple(body.fields),
        "categories": tuple(body.categories),
        "channel": body.channel,
        "recipient": body.recipient,
    }
