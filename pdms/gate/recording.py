"""Recording what a member says: the one place where a consent event meets the member's age (PIPL-31)."""

from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.consent.service import ConsentReceipt
from pdms.taxonomy import AgeStage, ConsentState, ConsentType, Language, MemberId, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage


def record_consent(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    purpose: str,
    state: ConsentState,
    type: ConsentType = ConsentType.CONSENT,  # noqa: A002 - the word of the standard
    channel: str = "web",
    language: Language = Language.ZH,
    recipient: str = "",
    evidence: str = "",
    guardian: str = "",
    preticked: bool = False,
    ui_hash: str = "",
) -> ConsentReceipt:
    """Record one live consent event of a living member; the age stage is read here (PIPL-31). Returns the receipt.

    :raises NotFound: no such member. :raises InvalidInput: a rule is broken; `code` names it.
    """
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE, Scope.INGEST)
    held = vault.state(uow, member_id)
    today = uow.now.astimezone(SHANGHAI).date()
    age: AgeStage = age_stage(held.turns_14, held.turns_18, today)
    return consent.record(
        uow,
        member_id,
        purpose=purpose,
        state=state,
        age=age,
        type=type,
        channel=channel,
        language=language,
        recipient=recipient,
        evidence=evidence,
        guardian=guardian,
        preticked=preticked,
        ui_hash=ui_hash,
    )
