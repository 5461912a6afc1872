"""Ways out: a mail server, and a recorder for development and tests.

Guarantees: a channel says of each message whether the other side took it, refused it, put it off, or that nobody can
know; only what surely was not taken may be tried again. Nothing here writes a message to disk or into a log, and no
error names an address or a server's words. It does not decide who gets a message.
"""

import smtplib
import ssl
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum
from typing import Protocol, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pdms.errors import Conflict, InvalidInput
from pdms.taxonomy import Channel

TIMEOUT_SECONDS = 30.0


class Handover(StrEnum):
    """What became of one message at the other side."""

    HANDED_OVER = "handed_over"
    REFUSED = "refused"
    """Refused for good: this address, or this message."""
    DEFERRED = "deferred"
    """Surely not taken; may be tried again."""
    UNKNOWN = "unknown"
    """It may have been taken; never sent again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message ready to leave; it prints nothing of itself."""

    channel: Channel
    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    content: EmailMessage = field(repr=False)


class MessageChannel(Protocol):
    """Hands messages over, one at a time. `hand_over` never raises for what the other side says or does."""

    channel: Channel

    def connect(self) -> None:
        """Make sure that the other side can be reached. :raises Conflict: it cannot (code CHANNEL_UNREACHABLE)."""
        ...

    def hand_over(self, outgoing: Outgoing) -> Handover:
        """Hand one message over and say what became of it."""
        ...

    def close(self) -> None:
        """Let go of the other side."""
        ...


@dataclass
class RecordingChannel:
    """Keeps messages in memory instead of sending them. `answer` is what it says of each."""

    channel: Channel = Channel.EMAIL
    answer: Handover = Handover.HANDED_OVER
    messages: list[Outgoing] = field(default_factory=list, repr=False)

    def connect(self) -> None:
        """Nothing to reach."""

    def hand_over(self, outgoing: Outgoing) -> Handover:
        """Keep the message."""
        self.messages.append(outgoing)
        return self.answer

    def close(self) -> None:
        """Nothing to let go of; what was recorded stays until the object goes."""

    def summary(self) -> dict[str, int]:
        """Return how many messages were recorded per domain of the recipient, fit for showing."""
        return dict(Counter("…@" + one.recipient.rpartition("@")[2] for one in self.messages))


class SmtpChannel:
    """Speaks SMTP to one server: `smtp://[name:word@]host[:port][?tls=required|never]` or `smtps://…`.

    `smtp` uses STARTTLS where the server offers it; `tls=required` refuses a server that does not, and so does a login,
    unless `tls=never` says that an open line is meant.
    """

    channel = Channel.EMAIL

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        options = parse_qs(parts.query)
        tls = options.pop("tls", ["offered"])[-1]
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or options:
            raise InvalidInput("smtp_url: smtp://[name:word@]host[:port] or smtps://… is needed")
        if tls not in ("offered", "required", "never"):
            raise InvalidInput("smtp_url: tls is required or never, or left out")
        self._implicit = parts.scheme == "smtps"
        self._tls = tls
        self._host = parts.hostname
        self._port = parts.port or (465 if self._implicit else 25)
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._timeout = timeout
        self._server: smtplib.SMTP | None = None

    def __repr__(self) -> str:
        return "SmtpChannel()"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Open the connection where none is. :raises Conflict: code CHANNEL_UNREACHABLE."""
        if self._server is not None:
            return
        server: smtplib.SMTP | None = None
        try:
            context = ssl.create_default_context()
            if self._implicit:
                server = smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout, context=context)
            else:
                server = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
            server.ehlo_or_helo_if_needed()
            if not self._implicit and self._tls != "never":
                if server.has_extn("starttls"):
                    server.starttls(context=context)
                    server.ehlo()
                elif self._tls == "required" or self._login is not None:
                    raise smtplib.SMTPNotSupportedError
            if self._login is not None:
                server.login(*self._login)
        except (OSError, smtplib.SMTPException) as error:
            if server is not None:
                server.close()
            kind = type(error).__name__
            raise Conflict(f"the mail server cannot be reached ({kind})", code="CHANNEL_UNREACHABLE") from None
        self._server = server

    def hand_over(self, outgoing: Outgoing) -> Handover:
        """Hand one message over."""
        try:
            self.connect()
        except Conflict:
            return Handover.DEFERRED
        server = self._server
        if server is None:
            return Handover.DEFERRED
        content = outgoing.content.as_bytes()
        begun = False
        try:
            for code, _ in (server.mail(outgoing.sender), server.rcpt(outgoing.recipient)):
                if code not in (250, 251):
                    server.rset()
                    return _answer(code)
            begun = True
            code, _ = server.data(content)
        except smtplib.SMTPDataError as error:
            # The server declined DATA itself: not a byte of the message was sent.
            self.close()
            return _answer(error.smtp_code)
        except (OSError, smtplib.SMTPException):
            # The connection broke. Once the text was under way the server may have taken it.
            self.close()
            return Handover.UNKNOWN if begun else Handover.DEFERRED
        if code != 250:
            self._reset()
        return _answer(code)

    def close(self) -> None:
        """End the session politely where that is still possible."""
        server, self._server = self._server, None
        if server is None:
            return
        try:
            server.quit()
        except (OSError, smtplib.SMTPException):
            server.close()

    def _reset(self) -> None:
        try:
            if self._server is not None:
                self._server.rset()
        except (OSError, smtplib.SMTPException):
            self.close()


def open_channel(channel: Channel, *, smtp_url: str | None, recording: bool = False) -> MessageChannel:
    """Return the way out for `channel`.

    :raises InvalidInput: no mail server is set, or the channel has no carrier yet (SMS and push: recording only).
    """
    if recording:
        return RecordingChannel(channel)
    if channel is not Channel.EMAIL:
        raise InvalidInput(f"channel: {channel} has no carrier yet; it can only be recorded")
    if not smtp_url:
        raise InvalidInput("smtp_url: no mail server is set (PDMS_SMTP_URL)")
    return SmtpChannel(smtp_url)


def _answer(code: int) -> Handover:
    """Read an SMTP reply code (RFC 5321, 4.2.1)."""
    if code == 250:
        return Handover.HANDED_OVER
    return Handover.DEFERRED if 400 <= code < 500 else Handover.REFUSED
