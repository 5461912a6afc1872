"""The rules that everybody may read (PIPL-7, ALG-16): the notices in force, and a card of each algorithm.

Guarantees: made of the policy in force and of nothing else, so that a change of the policy is a change of what is read
here, under another digest; a notice is rendered as members are shown it, under the version that their consents name.
"""

from dataclasses import dataclass
from datetime import date

from pdms.consent.notices import content_of, render
from pdms.policy.definitions import Policy
from pdms.taxonomy import Language
from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class PublicNotice:
    """One notice in force, word for word."""

    notice: str
    version: str
    audience: str
    title: str
    effective_on: date
    text: str


@dataclass(frozen=True, slots=True)
class PublicAlgorithm:
    """What is told of the algorithm behind one purpose."""

    purpose: str
    label: str
    principle: str
    intent: str
    mechanism: str
    inputs: tuple[str, ...]
    """Data categories that go into it."""
    off_switch: bool
    """A member may switch it off (ALG-17)."""
    human_review: bool
    """People look at what it decided (PIPL-24-3)."""


@dataclass(frozen=True, slots=True)
class PublicRules:
    """All of it, in one language."""

    policy: str
    """Digest of the policy in force."""
    language: Language
    controller: str
    contact: str
    officer: str
    notices: tuple[PublicNotice, ...]
    algorithms: tuple[PublicAlgorithm, ...]


def public_rules(uow: UnitOfWork, *, language: Language = Language.ZH) -> PublicRules:
    """Return the rules in force. Anybody may read them."""
    return rules_of(uow.policy, language=language)


def rules_of(policy: Policy, *, language: Language) -> PublicRules:
    """Return the rules of one policy. Pure."""
    return PublicRules(
        policy=policy.digest,
        language=language,
        controller=policy.controller.name[language],
        contact=policy.controller.contact,
        officer=policy.controller.officer,
        notices=tuple(
            PublicNotice(
                found.id, found.version, found.audience, found.title, found.effective_on, render(content_of(found))
            )
            for _, versions in sorted(policy.notices.items())
            if (found := versions.get(language)) is not None
        ),
        algorithms=tuple(
            PublicAlgorithm(
                purpose.name,
                purpose.label[language],
                purpose.algorithm.principle[language],
                purpose.algorithm.intent[language],
                purpose.algorithm.mechanism[language],
                tuple(policy.categories[name].label[language] for name in purpose.categories),
                purpose.opt_out,
                purpose.human_review,
            )
            for purpose in policy.purposes.values()
            if purpose.algorithm is not None
        ),
    )
