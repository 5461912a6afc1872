"""One-time codes: a requester proves who they are by reading what was sent to the contact on file (NDR-23).

Guarantees: the code goes to the member's own address and to nobody else, staff included; only a keyed digest of it is
stored; it lasts ten minutes, and wrong tries are counted as those of any other identity check.
"""

import secrets
from datetime import datetime, timedelta

from sqlmodel import col, update

from pdms.crypto import BlindIndex, same_bytes
from pdms.dispatch.channels import Handover, MessageChannel
from pdms.dispatch.messages import Contact, build_notice, sender_of, valid_address
from pdms.errors import Conflict, InvalidInput
from pdms.gate import service as gate
from pdms.rights import checking, intake
from pdms.rights.intake import IdentityMethod, RequestView
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import Channel, Language, MemberId, Operation, RequestState, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault

LABEL = "one-time-codes"
MINUTES = 10
SUBJECTS = {Language.ZH: "身份核验码", Language.EN: "Your verification code"}
BODIES = {
    Language.ZH: "您正在办理个人信息权利请求。核验码：{code}，十分钟内有效。若非本人操作，请忽略本邮件。\n",
    Language.EN: "A request on your personal data is being made. Code: {code}, good for ten minutes. "
    "If this was not you, ignore this message.\n",
}


def send_code(
    units: UnitFactory, *, request_id: str, channel: MessageChannel, public_url: str, language: Language = Language.ZH
) -> datetime:
    """Send a fresh code to the e-mail address on file; returns when it expires.

    :raises Conflict: the request waits for no identity check, or the mail server did not take the message.
    :raises InvalidInput: no address is held, so that another way of checking is needed.
    """
    if channel.channel is not Channel.EMAIL:
        raise InvalidInput("channel: a code goes by e-mail")
    with units() as uow:
        uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
        row = intake.load(uow, request_id)
        checking.members_own(row)
        if row.state != RequestState.IDENTITY_CHECK:
            raise Conflict("state: the request is not waiting for an identity check")
        if checking.corrected_lately(uow, row, "email"):
            raise Conflict("email: corrected lately, so that it proves nobody's identity yet")
        member = MemberId(row.member_id)
        permit = gate.permit(uow, member_id=member, purpose="rights", operation=Operation.REVEAL, fields=("email",))
        address = vault.reveal(uow, permit, member_id=member, fields=("email",)).get("email", "")
        if not valid_address(address):
            raise InvalidInput("email: none is held that can be written to", code="NO_ADDRESS")
        code = f"{secrets.randbelow(10**8):08d}"
        row.code_digest, row.code_expires_at = _digest(uow, row, code), uow.now + timedelta(minutes=MINUTES)
        uow.session.add(row)
        expires, now = row.code_expires_at, uow.now
        sender = sender_of(uow.policy, public_url=public_url)
    # Committed before it leaves: a code that nobody can check would only confuse.
    message = build_notice(
        sender=sender,
        contact=Contact(address=address, name=""),
        language=language,
        subject=SUBJECTS[language],
        body=BODIES[language].format(code=code),
        now=now,
    )
    channel.connect()
    try:
        if channel.hand_over(message) is not Handover.HANDED_OVER:
            raise Conflict("channel: the mail server did not take the message", code="NOT_HANDED_OVER")
    finally:
        channel.close()
    return expires


def enter_code(uow: UnitOfWork, *, request_id: str, code: str) -> RequestView:
    """Check a one-time code. :raises Denied: wrong, expired, or too many tries; all look the same."""
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    row = intake.load(uow, request_id)
    checking.members_own(row)
    row = checking.count_try(uow, row)
    expected = row.code_digest or b"\0" * 32
    alive = row.code_expires_at is not None and uow.now < row.code_expires_at
    if not (same_bytes(_digest(uow, row, code), expected) and alive):
        checking.failed_try(uow, row)
    row.code_digest = None
    intake.accept_identity(uow, row, IdentityMethod.ONE_TIME_CODE)
    return intake.view(uow, row)


def drop_codes(uow: UnitOfWork) -> None:
    """Forget every code that was sent: after a restore one may be there that was used up, or replaced, since."""
    uow.require(Scope.ADMIN)
    waiting = update(SubjectRequestRow).where(col(SubjectRequestRow.code_digest).is_not(None))
    uow.session.exec(waiting.values(code_digest=None, code_expires_at=None))


def _digest(uow: UnitOfWork, row: SubjectRequestRow, text: str) -> bytes:
    return BlindIndex(uow.keys.system_key(LABEL)).digest(f"{row.request_id}:{text}".encode()[:128])
