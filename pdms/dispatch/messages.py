"""From a template and one member's contact to one message, with everything that the law wants on it.

Guarantees: From names the sender (ADL-43), Subject begins with 广告 or AD (EML-13), List-Unsubscribe and
List-Unsubscribe-Post carry a one-click opt-out (RFC 8058) that stands in the text too; the link holds 256 random bits
and nothing of the member; no header takes a line break from any value. Signing (DKIM, which RFC 8058 wants to cover
both headers) is the mail server's part.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from typing import Any

from pdms.clock import SHANGHAI
from pdms.dispatch.channels import Outgoing
from pdms.errors import InvalidInput
from pdms.marketing.templates import Template, fields_of, one_line, render
from pdms.policy.definitions import Policy
from pdms.taxonomy import Channel, Language

OPT_OUT_PATH = "/v1/opt-outs/"
"""Public path of the opt-out: POST withdraws; GET shows a page with one button and changes nothing (RFC 8058, 3.1)."""
OPT_OUT_BYTES = 32

MARK: Mapping[Language, str] = {Language.ZH: "广告：", Language.EN: "AD: "}
NAMELESS: Mapping[Language, str] = {Language.ZH: "会员", Language.EN: "member"}

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_PHONE = re.compile(r"\+[0-9]{8,15}")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?")


class _OneLine(UnstructuredHeader, BaseHeader):
    """A header whose value is one unbreakable token: folding or encoding it would break the link."""

    def fold(self, *, policy: Any) -> str:
        return f"{self.name}: {self}{policy.linesep}"


def _policy() -> "EmailPolicy[EmailMessage]":
    registry = HeaderRegistry()
    registry.map_to_type("list-unsubscribe", _OneLine)
    return SMTP.clone(header_factory=registry, cte_type="7bit")


_POLICY = _policy()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, for all messages of a run. Replies and bounces come back to `address`, inside."""

    name: Mapping[Language, str]
    address: str
    public_url: str

    @property
    def domain(self) -> str:
        """Domain of the address."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Contact:
    """What was revealed of one member for one message; it prints nothing."""

    address: str = field(repr=False)
    name: str = field(repr=False)


def sender_of(policy: Policy, *, public_url: str) -> Sender:
    """Return the sender as the policy names it.

    :raises InvalidInput: the controller's contact is no e-mail address, or `public_url` is no plain http(s) address.
    """
    if not valid_address(policy.controller.contact):
        raise InvalidInput("policy: controller.contact must be an e-mail address for messages to be sent")
    if not _URL.fullmatch(public_url):
        raise InvalidInput("public_url: http(s)://host[:port][/path] is needed")
    return Sender(
        name=policy.controller.sender_name, address=policy.controller.contact, public_url=public_url.rstrip("/")
    )


def valid_address(address: str) -> bool:
    """Whether `address` is an ASCII e-mail address that is safe in an envelope and a header."""
    return (
        _ADDRESS.fullmatch(address) is not None and ".." not in address and not address.startswith(".")
    ) and ".@" not in address


def valid_contact(contact: Contact, *, channel: Channel) -> bool:
    """Whether a contact can be written to over `channel`."""
    return valid_address(contact.address) if channel is Channel.EMAIL else _PHONE.fullmatch(contact.address) is not None


def new_opt_out() -> str:
    """Return the random part of a fresh opt-out link: 256 bits, URL-safe."""
    return secrets.token_urlsafe(OPT_OUT_BYTES)


def opt_out_url(sender: Sender, opt_out: str) -> str:
    """Return the address of a link."""
    return f"{sender.public_url}{OPT_OUT_PATH}{opt_out}"


def build_email(template: Template, *, sender: Sender, contact: Contact, opt_out: str, now: datetime) -> Outgoing:
    """Return one e-mail.

    :param opt_out: random part of this message's link. :param now: aware instant of sending.
    :raises InvalidInput: the contact is no address that can be written to.
    """
    if not valid_address(contact.address):
        raise InvalidInput("contact: not an address that can be written to")
    language = template.language
    link = opt_out_url(sender, opt_out)
    values = _values(template, sender=sender, contact=contact, link=link)
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(one_line(sender.name[language]), addr_spec=sender.address)
    message["To"] = Address(addr_spec=contact.address)
    message["Reply-To"] = Address(addr_spec=sender.address)
    message["Subject"] = MARK[language] + _header_line(render(template.subject, values))
    message["Date"] = now.astimezone(SHANGHAI)
    message["Message-ID"] = f"<{secrets.token_hex(16)}@{sender.domain}>"
    message["List-Unsubscribe"] = f"<{link}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Content-Language"] = str(language)
    signature = "" if "sender" in fields_of(template) else "\n\n{sender}\n"
    message.set_content(render(template.body + signature, values), charset="utf-8", cte="base64")
    if template.html is not None:
        tail = "<p>{sender}</p>" if signature else ""
        body = render(template.html + tail, values, markup=True)
        page = f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"></head><body>{body}</body></html>'
        message.add_alternative(page, subtype="html", charset="utf-8", cte="base64")
    return Outgoing(channel=Channel.EMAIL, sender=sender.address, recipient=contact.address, content=message)


def build_notice(
    *, sender: Sender, contact: Contact, language: Language, subject: str, body: str, now: datetime
) -> Outgoing:
    """Return one e-mail in a matter of the member's own: no advertisement, so no mark and no opt-out.

    :param subject: fixed text of the caller, without any value. :raises InvalidInput: the contact is no address.
    """
    if not valid_address(contact.address):
        raise InvalidInput("contact: not an address that can be written to")
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(one_line(sender.name[language]), addr_spec=sender.address)
    message["To"] = Address(addr_spec=contact.address)
    message["Subject"] = _header_line(subject)
    message["Date"] = now.astimezone(SHANGHAI)
    message["Message-ID"] = f"<{secrets.token_hex(16)}@{sender.domain}>"
    message["Content-Language"] = str(language)
    message.set_content(body, charset="utf-8", cte="base64")
    return Outgoing(channel=Channel.EMAIL, sender=sender.address, recipient=contact.address, content=message)


def build_text(
    template: Template, *, channel: Channel, sender: Sender, contact: Contact, opt_out: str, now: datetime
) -> Outgoing:
    """Return one short text (SMS) or notification: sender and mark first, as both are read from the screen's top."""
    language = template.language
    values = _values(template, sender=sender, contact=contact, link=opt_out_url(sender, opt_out))
    message = EmailMessage(policy=_POLICY)
    message["Date"] = now.astimezone(SHANGHAI)
    head = f"【{one_line(sender.name[language])}】{MARK[language]}"
    message.set_content(head + render(template.body, values), charset="utf-8", cte="base64")
    return Outgoing(channel=channel, sender=sender.address, recipient=contact.address, content=message)


def build(
    template: Template, *, channel: Channel, sender: Sender, contact: Contact, opt_out: str, now: datetime
) -> Outgoing:
    """Return one message for `channel`. Parameters and errors as `build_email`."""
    if channel is Channel.EMAIL:
        return build_email(template, sender=sender, contact=contact, opt_out=opt_out, now=now)
    return build_text(template, channel=channel, sender=sender, contact=contact, opt_out=opt_out, now=now)


def _values(template: Template, *, sender: Sender, contact: Contact, link: str) -> dict[str, str]:
    return {
        "name": contact.name or NAMELESS[template.language],
        "sender": sender.name[template.language],
        "opt_out": link,
    }


def _header_line(text: str) -> str:
    """Return header text on one line: control characters cannot reach a header whatever a value holds."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
