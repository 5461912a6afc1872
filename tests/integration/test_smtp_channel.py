"""The SMTP channel against a real local server: what it says of each message is true."""

import asyncio
import email
import email.policy
import socket
from datetime import UTC, datetime

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from pdms.dispatch.channels import Handover, RecordingChannel, SmtpChannel, open_channel
from pdms.dispatch.messages import Contact, Sender, build_email
from pdms.errors import Conflict, InvalidInput
from pdms.marketing.templates import Template
from pdms.taxonomy import Channel, Language

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
SENDER = Sender({Language.ZH: "示例商城", Language.EN: "Shop"}, "privacy@shop.example", "http://127.0.0.1:8000")
TEMPLATE = Template(Language.ZH, "春季新品", "{name}您好\n.\n.. 点开头的行\n退订： {opt_out}\n")


class Server:
    """What the server did: envelopes taken, and the answer it gives for a recipient's local part."""

    def __init__(self):
        self.taken = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.partition("@")[0]
        if local == "gone":
            return "550 no such mailbox"
        if local == "full":
            return "452 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        local = envelope.rcpt_tos[0].partition("@")[0]
        if local == "spam":
            return "554 refused"
        if local == "greylisted":
            return "451 try later"
        self.taken.append((envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content))
        if local == "cut":
            server.transport.abort()
            await asyncio.sleep(0)
        return "250 OK"


class DropsBeforeData(SMTP):
    """Hangs up when it hears MAIL."""

    async def smtp_MAIL(self, arg):
        self.transport.abort()


@pytest.fixture
def server():
    handler = Server()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield handler, f"smtp://127.0.0.1:{controller.port}"
    controller.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def message(local="wang", name="王小明"):
    return build_email(
        TEMPLATE, sender=SENDER, contact=Contact(f"{local}@member.example", name), opt_out="A" * 43, now=NOW
    )


def test_a_message_arrives_as_it_was_built(server):
    handler, url = server
    with SmtpChannel(url) as channel:
        channel.connect()
        assert channel.hand_over(message()) is Handover.HANDED_OVER
        assert channel.hand_over(message("li")) is Handover.HANDED_OVER
    (sender, recipients, content), _ = handler.taken
    assert (sender, recipients) == ("privacy@shop.example", ("wang@member.example",))
    arrived = email.message_from_bytes(content, policy=email.policy.default)
    assert arrived["Subject"] == "广告：春季新品"
    assert arrived["List-Unsubscribe"] == f"<http://127.0.0.1:8000/v1/opt-outs/{'A' * 43}>"
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert ".\n.. 点开头的行\n" in arrived.get_content().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("gone", Handover.REFUSED),
        ("full", Handover.DEFERRED),
        ("spam", Handover.REFUSED),
        ("greylisted", Handover.DEFERRED),
    ],
)
def test_answers_are_told_apart_and_the_session_goes_on(server, local, expected):
    handler, url = server
    with SmtpChannel(url) as channel:
        assert channel.hand_over(message(local)) is expected
        assert channel.hand_over(message()) is Handover.HANDED_OVER
    assert len(handler.taken) == 1


def test_a_connection_cut_after_the_text_is_unknown_and_the_next_message_goes_out(server):
    handler, url = server
    with SmtpChannel(url) as channel:
        assert channel.hand_over(message("cut")) is Handover.UNKNOWN
        assert channel.hand_over(message()) is Handover.HANDED_OVER
    assert len(handler.taken) == 2


def test_a_connection_cut_before_the_text_surely_took_nothing():
    class Dropping(Controller):
        def factory(self):
            return DropsBeforeData(self.handler)

    handler = Server()
    controller = Dropping(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        with SmtpChannel(f"smtp://127.0.0.1:{controller.port}") as channel:
            assert channel.hand_over(message()) is Handover.DEFERRED
    finally:
        controller.stop()
    assert handler.taken == []


def test_a_server_that_is_not_there_is_named_before_anything_is_intended():
    channel = SmtpChannel(f"smtp://127.0.0.1:{free_port()}", timeout=2)
    with pytest.raises(Conflict) as caught:
        channel.connect()
    assert caught.value.code == "CHANNEL_UNREACHABLE"
    assert channel.hand_over(message()) is Handover.DEFERRED


def test_required_encryption_is_not_given_up(server):
    with pytest.raises(Conflict), SmtpChannel(server[1] + "?tls=required") as channel:
        channel.connect()


def test_a_login_is_used_and_never_printed():
    seen = []

    def check(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss", handled=False)

    handler = Server()
    controller = Controller(
        handler, hostname="127.0.0.1", port=free_port(), authenticator=check, auth_require_tls=False
    )
    controller.start()
    try:
        good = SmtpChannel(f"smtp://shop:p%40ss@127.0.0.1:{controller.port}?tls=never")
        with good:
            assert good.hand_over(message()) is Handover.HANDED_OVER
        assert "p@ss" not in repr(good)
        with pytest.raises(Conflict) as caught:
            SmtpChannel(f"smtp://shop:wrong@127.0.0.1:{controller.port}?tls=never").connect()
        assert "wrong" not in str(caught.value)
        tried = len(seen)
        with pytest.raises(Conflict):
            SmtpChannel(f"smtp://shop:p%40ss@127.0.0.1:{controller.port}").connect()
        assert len(seen) == tried, "a password went over an open line unasked"
    finally:
        controller.stop()
    assert seen[0] == (b"shop", b"p@ss")


@pytest.mark.parametrize("url", ["", "http://x", "smtp://", "smtp://x?tls=maybe", "smtp://x?debug=1"])
def test_an_address_of_no_server_is_refused(url):
    with pytest.raises(InvalidInput):
        SmtpChannel(url)


def test_channels_without_carrier_say_so():
    for channel in (Channel.SMS, Channel.PUSH):
        with pytest.raises(InvalidInput, match="no carrier yet"):
            open_channel(channel, smtp_url="smtp://127.0.0.1")
        assert isinstance(open_channel(channel, smtp_url=None, recording=True), RecordingChannel)
    with pytest.raises(InvalidInput, match="PDMS_SMTP_URL"):
        open_channel(Channel.EMAIL, smtp_url=None)


def test_the_recorder_keeps_messages_and_shows_domains_only():
    channel = RecordingChannel()
    assert channel.hand_over(message()) is Handover.HANDED_OVER
    assert channel.messages[0].recipient == "wang@member.example"
    assert channel.summary() == {"…@member.example": 1}
    assert "wang" not in repr(channel)
