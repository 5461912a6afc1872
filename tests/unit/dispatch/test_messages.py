"""One message: what the law wants on it, and what no value can do to it."""

import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.dispatch.messages import Contact, Sender, build_email, build_text, new_opt_out, valid_address
from pdms.errors import InvalidInput
from pdms.marketing.templates import Template
from pdms.taxonomy import Channel, Language

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
SENDER = Sender(
    name={Language.ZH: "示例商城", Language.EN: "Example Shop"},
    address="privacy@shop.example",
    public_url="https://shop.example/pdms/with/a/rather/long/path/that/would/be/folded/by/the/mail/library",
)
ZH = Template(Language.ZH, "春季新品，{name}先看", "尊敬的{name}：\n退订： {opt_out}\n")
EN = Template(
    Language.EN, "Spring", "Dear {name},\n\nStop: {opt_out}\n", '<p>{name}</p><p><a href="{opt_out}">stop</a></p>'
)


def parsed(template=ZH, name="王小明", address="wang@member.example", opt_out=None):
    outgoing = build_email(
        template, sender=SENDER, contact=Contact(address, name), opt_out=opt_out or new_opt_out(), now=NOW
    )
    raw = outgoing.content.as_bytes()
    return raw, email.message_from_bytes(raw, policy=email.policy.default)


def test_EML_13_it_names_its_sender_and_bears_the_mark():
    _, zh = parsed()
    assert zh["Subject"] == "广告：春季新品，王小明先看"
    assert zh["From"].addresses[0].display_name == "示例商城"
    assert zh["From"].addresses[0].addr_spec == zh["Reply-To"].addresses[0].addr_spec == "privacy@shop.example"
    assert "示例商城" in zh.get_content()
    _, en = parsed(EN)
    assert en["Subject"] == "AD: Spring"
    assert "Example Shop" in en.get_body(("plain",)).get_content()
    assert "Example Shop" in en.get_body(("html",)).get_content()


def test_the_one_click_opt_out_stands_whole_on_one_header_line():
    raw, message = parsed(opt_out="A" * 43)
    link = f"{SENDER.public_url}/v1/opt-outs/{'A' * 43}"
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    assert link in message.get_content()


def test_links_differ_and_hold_nothing_of_the_member():
    links = {new_opt_out() for _ in range(100)}
    assert len(links) == 100
    assert all(len(link) == 43 for link in links)


def test_nothing_remote_is_loaded():
    _, message = parsed(EN)
    page = message.get_body(("html",)).get_content()
    assert "src=" not in page
    assert page.count("http") == 1


@pytest.mark.parametrize(
    "name", ["王\r\nBcc: evil@x.example", "a\nSubject: other", "a\x0b\x0c\x85\u2028Bcc: x", "=?utf-8?q?=0ABcc:_x?="]
)
def test_a_name_cannot_add_a_header(name):
    raw, message = parsed(name=name)
    assert sorted(message.keys()) == sorted(parsed()[1].keys())
    assert b"\nBcc" not in raw
    assert message["Bcc"] is None


@given(st.text(max_size=80))
def test_no_name_whatever_changes_the_headers(name):
    _, message = parsed(name=name)
    assert sorted(message.keys()) == sorted(parsed()[1].keys())
    assert message["Subject"].startswith("广告：")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@given(st.text(max_size=40))
def test_markup_in_a_name_stays_text(name):
    _, message = parsed(EN, name="<img src=http://x>" + name)
    assert "<img" not in message.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b",
        "a@b.example\r\nRCPT TO:<x@y.example>",
        "a b@c.example",
        "<a@b.example>",
        "a@b.example,c@d.example",
        "王@b.example",
        "a..b@c.example",
        ".a@c.example",
        "a.@c.example",
        "a@b..example",
    ],
)
def test_addresses_that_could_become_commands_are_refused(address):
    assert not valid_address(address)
    with pytest.raises(InvalidInput) as caught:
        parsed(address=address)
    assert address == "" or address not in str(caught.value)


def test_neither_contact_nor_message_prints_itself():
    outgoing = build_email(ZH, sender=SENDER, contact=Contact("wang@member.example", "王"), opt_out="x", now=NOW)
    assert "wang" not in repr(outgoing)
    assert "wang" not in repr(Contact("wang@member.example", "王"))


def test_a_short_text_begins_with_sender_and_mark():
    outgoing = build_text(
        ZH, channel=Channel.SMS, sender=SENDER, contact=Contact("+8613800138000", "王"), opt_out="x", now=NOW
    )
    assert outgoing.content.get_content().startswith("【示例商城】广告：尊敬的王：")
