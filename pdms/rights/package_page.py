"""The readable page of an access package: one self-contained HTML file, zh-CN beside English, no script, no network."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment

TEMPLATE = """<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><title>我的个人信息 · My personal data</title>
<style>
body{font:15px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;
text-align:left;vertical-align:top}th{font-weight:600;white-space:nowrap}h2{margin-top:2rem}small{color:#666}
</style>
<h1>我的个人信息 · My personal data</h1>
<p>{{ d.controller.name["zh-CN"] }} · {{ d.controller.name["en"] }}<br>
<small>{{ d.controller.contact }} · {{ d.made_at }}</small></p>
<p>{{ d.rights["zh-CN"] }}<br>{{ d.rights["en"] }}</p>
<h2>身份信息 · Identity <small>个人信息保护法第45条 · PIPL art. 45</small></h2>
<table>{% for name, value in d.identity.items() %}<tr><th>{{ name }}<td>{{ value }}{% endfor %}</table>
<h2>处理目的 · Purposes</h2>
<table><tr><th>目的<th>Purpose<th>依据 · Basis<th>保存期限 · Retention<th>接收方 · Recipients
{% for p in d.purposes %}<tr><td>{{ p.label["zh-CN"] }}<td>{{ p.label["en"] }}<td>{{ p.basis }} ({{ p.article }})
<td>{{ p.retention | join("; ") }}<td>{{ p.recipients | join(", ") or "–" }}{% endfor %}</table>
<h2>同意记录 · Consent records</h2>
{% if d.consents %}<table><tr>{% for c in d.consents[0] %}<th>{{ c }}{% endfor %}
{% for row in d.consents %}<tr>{% for v in row.values() %}<td>{{ v if v is not none else "–" }}{% endfor %}{% endfor %}
</table>{% else %}<p>无 · none</p>{% endif %}
{% for table, rows in d.facts.items() if rows %}
<h2>{{ table }} <small>{{ rows | length }}</small></h2>
<table><tr>{% for c in rows[0] %}<th>{{ c }}{% endfor %}
{% for row in rows %}<tr>{% for v in row.values() %}<td>{{ v if v is not none else "–" }}{% endfor %}{% endfor %}
</table>{% endfor %}
<h2>处理记录 · What was done <small>{{ d.events | length }}</small></h2>
<table><tr><th>时间 · When<th>事件 · Event<th>目的 · Purpose
{% for e in d.events %}<tr><td>{{ e.at }}<td>{{ e.kind }}<td>{{ e.purpose or "–" }}{% endfor %}</table>
</html>
"""

_template = Environment(autoescape=True).from_string(TEMPLATE)


def page(document: Mapping[str, Any]) -> str:
    """Return the page for a collected document; every value is escaped."""
    return _template.render(d=document)
