"""What needs no key: health, the rules, the opt-out of a message, the one-time link of an access package.

Guarantees: a GET changes nothing and looks nothing up (mail scanners follow links), so that its page is the same for
every link; the opt-out's POST gives one constant answer (RFC 8058), whatever the link; a package leaves once. The pages
load nothing from anywhere. Paths here hold secrets: nothing logs them.
"""

import base64
import hashlib
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from pdms import __version__
from pdms.api.edge import edge
from pdms.api.files import attachment
from pdms.api.guarded import GuardedRoute
from pdms.api.problems import MEDIA_TYPE, PUBLIC_RESPONSES
from pdms.bootstrap.app import ANONYMOUS, App
from pdms.bootstrap.plain import plain
from pdms.errors import NotFound
from pdms.reports.rules import PublicRules, public_rules
from pdms.rights import service as rights
from pdms.taxonomy import Language

routes = APIRouter(prefix="/v1", tags=["public"], route_class=GuardedRoute, responses=PUBLIC_RESPONSES)
Secret = Annotated[str, Path(max_length=256, description="The random part of the link.")]

STYLE = (
    'body{font:17px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;'
    "color:#222}button{font:inherit;padding:.6rem 1.4rem;border:1px solid #444;border-radius:.4rem;background:#fff}"
    "small{color:#555}pre{font:inherit;white-space:pre-wrap;overflow-wrap:anywhere}"
)
CSP = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
Wanted = Annotated[Language, Query(description="zh-CN or en.")]
HEADS = {
    Language.ZH: {
        "algorithms": "算法公示",
        "principle": "基本原理",
        "intent": "目的意图",
        "mechanism": "主要运行机制",
        "inputs": "所用数据种类",
        "off_switch": "您可以随时关闭，即时生效。",
        "human_review": "自动作出的结果由人工复核。",
        "policy": "现行规则摘要值",
    },
    Language.EN: {
        "algorithms": "Algorithms",
        "principle": "principle",
        "intent": "intent",
        "mechanism": "how it works",
        "inputs": "data used",
        "off_switch": "You may switch it off at any time, at once.",
        "human_review": "People look at what it decides.",
        "policy": "digest of the rules in force",
    },
}
NO_BODY = {"requestBody": {"required": False, "content": {"application/x-www-form-urlencoded": {"schema": {}}}}}
HTML = {"content": {"text/html": {"schema": {"type": "string"}}}}


class Health(BaseModel):
    """That the service answers, and its version."""

    status: str = Field(examples=["ok"])
    version: str


def page(*paragraphs: str, button: str | None = None, status: int = 200) -> HTMLResponse:
    """Return a small page, zh-CN beside English, with at most one button that posts to the page's own address."""
    texts = "".join(f"<p>{text}</p>" for text in paragraphs)
    form = f'<form method="post"><button>{button}</button></form>' if button else ""
    html = (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>pdms</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{STYLE}</style>{texts}{form}</html>"
    )
    return HTMLResponse(html, status_code=status, headers={"Content-Security-Policy": CSP})


def rules_html(rules: PublicRules) -> str:
    """Return the rules as a page; every text in it is text, whatever it looks like."""
    heads = HEADS[rules.language]
    other = next(one for one in Language if one is not rules.language)
    parts = [f"<h1>{escape(rules.controller)}</h1><p>{escape(rules.contact)} · {escape(rules.officer)}</p>"]
    parts.append(f'<p><a href="?language={other}">{other}</a></p>')
    parts += [
        f"<h2>{escape(notice.title)}</h2><pre>{escape(notice.text)}</pre><small>{notice.version}</small>"
        for notice in rules.notices
    ]
    parts.append(f"<h2>{heads['algorithms']}</h2>")
    for card in rules.algorithms:
        lines = [f"{heads[name]}: {getattr(card, name)}" for name in ("principle", "intent", "mechanism")]
        lines.append(f"{heads['inputs']}: {'; '.join(card.inputs)}")
        lines += [heads[name] for name in ("off_switch", "human_review") if getattr(card, name)]
        parts.append(f"<h3>{escape(card.label)}</h3><pre>{escape(chr(10).join(lines))}</pre>")
    parts.append(f"<p><small>{heads['policy']} {rules.policy}</small></p>")
    return (
        f'<!doctype html><html lang="{rules.language}"><meta charset="utf-8"><title>{escape(rules.controller)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>{"".join(parts)}</html>'
    )


@routes.get("/health", summary="Is it alive?", response_model=Health)
def health() -> Health:
    """Answers while the service can answer; tells nothing of what it holds."""
    return Health(status="ok", version=__version__)


@routes.get("/rules", summary="The rules in force", response_model=edge(PublicRules))
def rules(request: Request, language: Wanted = Language.ZH) -> Any:
    """The notices in force, word for word, and what is told of each algorithm (PIPL-7, ALG-16)."""
    return plain(request.app.state.pdms.run(ANONYMOUS, public_rules, language=language))


@routes.get("/rules/page", summary="The rules in force, as a page", response_class=HTMLResponse)
def rules_page(request: Request, language: Wanted = Language.ZH) -> Response:
    """The same as a page that loads nothing from anywhere."""
    found = request.app.state.pdms.run(ANONYMOUS, public_rules, language=language)
    return HTMLResponse(rules_html(found), headers={"Content-Security-Policy": CSP})


@routes.get("/opt-outs/{link}", summary="Opt-out page", response_class=HTMLResponse)
def opt_out_page(link: Secret) -> Response:  # noqa: ARG001 - the page is the same for every link
    """A page with one button. Opening it changes nothing."""
    return page(
        "退订后，我们将不再通过此渠道向您发送营销信息。订单与服务通知不受影响。",
        "After opting out you get no more marketing over this channel. Messages about orders are not affected.",
        button="退订 · Opt out",
    )


@routes.post("/opt-outs/{link}", summary="Opt out", response_class=HTMLResponse, openapi_extra=NO_BODY)
def opt_out(request: Request, link: Secret) -> Response:
    """Withdraws the consent to the message's channel (RFC 8058 one-click). The answer is constant: it tells nobody
    whether the link exists or was used."""
    app: App = request.app.state.pdms
    app.run(ANONYMOUS, rights.opt_out, link=link)
    return page(
        "已退订。您可随时在会员中心重新订阅。", "You have opted out. You may subscribe again in the member centre."
    )


@routes.get("/packages/{secret}", summary="Access package page", response_class=HTMLResponse)
def package_page(secret: Secret) -> Response:  # noqa: ARG001 - the page is the same for every link
    """A page with one button. Opening it changes nothing."""
    return page(
        "点击下载您的个人信息副本。此链接只能使用一次。",
        "Download the copy of your personal data. This link works once.",
        button="下载 · Download",
    )


@routes.post(
    "/packages/{secret}",
    summary="Open an access package",
    response_class=Response,
    openapi_extra=NO_BODY,
    responses={
        200: {"description": "The package, once.", "content": {"application/zip": {"schema": {"type": "string"}}}},
        404: {
            "description": "The link opens nothing, or nothing any more.",
            "content": {**HTML["content"], MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    },
)
def open_package(request: Request, secret: Secret) -> Response:
    """Hands the package out and forgets it. Unknown, expired and used links look the same."""
    app: App = request.app.state.pdms
    try:
        package = app.run(ANONYMOUS, rights.open_package, secret=secret)
    except NotFound:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        return page("此链接已失效。", "This link opens nothing (any more).", status=404)
    return attachment(package.content, filename=package.filename, media_type="application/zip")
