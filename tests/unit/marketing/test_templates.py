"""Templates: what may be written, and what is refused before anything can be sent."""

from dataclasses import replace

import pytest

from pdms.errors import InvalidInput
from pdms.marketing.templates import Template, check, fields_of, lint, one_line, render
from pdms.taxonomy import Language

GOOD = Template(
    language=Language.ZH,
    subject="春季新品，{name}先看",
    body="尊敬的{name}您好！\n\n新品见 https://shop.example/spring?c=2026 。\n{sender}\n退订： {opt_out}\n",
    html='<p>尊敬的<b>{name}</b>您好！</p><p><a href="https://shop.example/spring">新品</a></p>'
    '<p>{sender}<br><a href="{opt_out}">退订</a></p>',
)


def test_a_good_template_breaks_no_rule():
    assert lint(GOOD) == ()
    check(GOOD)
    assert fields_of(GOOD) == {"name", "sender", "opt_out"}


@pytest.mark.parametrize(
    "body",
    [
        "https://shop.example/?n={name}",
        "https://shop.example/{name}",
        "https://{name}.shop.example/",
        "shop.example/{name}",
        "{name}.shop.example",
        "www{name}",
        "mailto:{name}",
        "{name}@shop.example",
        "https://shop.example/会员/{name}",
        "https：／／shop．example／{name}",
        "http:\\\\shop.example\\{name}",
        "shop.example？n={name}",
        "#{name}",
        "https://shop.example/?o={opt_out}",
        "{opt_out}{name}",
        "{opt_out}?n=1",
        "(https://shop.example/{sender})",
    ],
)
def test_a_merge_field_in_or_beside_a_link_is_refused(body):
    problems = lint(replace(GOOD, body=body + "\n{opt_out}", html=None))
    assert any("link" in p for p in problems), problems
    with pytest.raises(InvalidInput) as caught:
        check(replace(GOOD, body=body + "\n{opt_out}", html=None))
    assert caught.value.code == "TEMPLATE_REFUSED"


@pytest.mark.parametrize(
    "body",
    [
        "Dear {name},",
        "Dear {name}:",
        "亲爱的{name}：",
        "“{name}”",
        "Hello {name}!",
        "({name})",
        "{name}, see https://x.example/",
    ],
)
def test_ordinary_prose_is_accepted(body):
    assert lint(replace(GOOD, body=body + "\n{opt_out}", html=None)) == ()


@pytest.mark.parametrize("body", ["{phone}", "{ name }", "{}", "{name", "name}", "{{name}}", "{Name}", "{member_id}"])
def test_only_the_closed_list_of_merge_fields_exists(body):
    assert lint(replace(GOOD, body=body + "\n{opt_out}", html=None))


def test_EML_14_the_opt_out_link_must_be_there():
    assert lint(replace(GOOD, body="hello")) == ("body: the opt-out link {opt_out} is missing",)
    assert lint(replace(GOOD, html="<p>hello</p>")) == ("html: the opt-out link {opt_out} is missing",)


@pytest.mark.parametrize(
    "subject",
    [
        "广告：春季新品",
        "AD: spring",
        "[AD] spring",
        "ＡＤ spring",
        "ad spring",
        "【广告】春季",
        "非广告",
        "这不是广 告",
        "廣告",
        "Advertisement: spring",
        "",
        "   ",
        "two\nlines",
        "x" * 121,
        "stop: {opt_out}",
        "a\rBcc: x",
        "zero\u200bwidth",
    ],
)
def test_EML_13_subjects_that_forge_the_mark_or_break_the_header_are_refused(subject):
    assert any(p.startswith("subject") for p in lint(replace(GOOD, subject=subject)))


@pytest.mark.parametrize("subject", ["Additional sizes", "春季新品", "Adorable shoes", "加大码 AD-12 型号"])
def test_words_that_only_look_like_the_mark_are_accepted(subject):
    assert lint(replace(GOOD, subject=subject)) == ()


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="http://evil.example/pixel.png">',
        "<script>1</script>",
        "<style>p{background:url(http://x)}</style>",
        '<link rel="stylesheet" href="http://x">',
        '<iframe src="http://x"></iframe>',
        '<p style="background:url(http://x)">a</p>',
        '<p onclick="x()">a</p>',
        '<a href="javascript:alert(1)">a</a>',
        '<a href="https://x.example/{name}">a</a>',
        '<a href="https://x.example/&#123;name}">a</a>',
        '<a href="{name}">a</a>',
        '<a href="https://x.example/">{name}</a>',
        '<a href="{opt_out}?x={name}">a</a>',
        '<p title="{name}">a</p>',
        "<{name}>",
        "</{name}>",
        "<p {name}>a</p>",
        "<!-- {name} -->",
        "<!doctype html>",
        "<?xml ?>",
        "{na<b>me}</b>",
        "{na&#109;e}",
        "<p>https://x.example/<b>{name}</b></p>",
        "<p>&#104;ttps://x.example/{name}</p>",
        "<p>https:&#47;&#47;x.example&sol;{name}</p>",
        '<a href="https://x.example/">open',
        "a < b",
        '<base href="http://x">',
        '<form action="http://x"><p>a</p></form>',
    ],
)
def test_markup_that_loads_runs_or_leaks_is_refused(markup):
    assert lint(replace(GOOD, html=markup + '<a href="{opt_out}">stop</a>'))


def test_rendering_happens_in_one_pass_and_escapes_markup():
    values = {"name": "{sender}<b>&", "sender": "shop", "opt_out": "https://x.example/o/1"}
    assert render("{name} {sender}", values) == "{sender}<b>& shop"
    assert render("<p>{name}</p>", values, markup=True) == "<p>{sender}&lt;b&gt;&amp;</p>"


def test_values_are_one_short_line():
    assert one_line("王\r\nBcc: a@b.example\u202e\x00小明") == "王 Bcc: a@b.example小明"
    assert len(one_line("x" * 500)) == 64


def test_a_refusal_does_not_repeat_the_text():
    with pytest.raises(InvalidInput) as caught:
        check(replace(GOOD, body="{13800138000} secret-words"))
    assert "13800138000" not in str(caught.value)
    assert "secret-words" not in str(caught.value)
