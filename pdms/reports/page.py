"""A report as one self-contained page: no script, no network, no inline style that a strict policy would refuse.

Guarantees: every value is escaped; the page carries its own Content-Security-Policy, which lets in nothing but its one
style sheet, by digest; charts are SVG drawn here, with the same numbers beside them in the table.
"""

import hashlib
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pdms.reports.document import NO_EVIDENCE, Cell, Report, Section, both, numbers, text_of
from pdms.taxonomy import Language

if TYPE_CHECKING:
    from jinja2 import Template

MOST_BARS = 15
STYLE = """
body{font:14px/1.55 system-ui,"Noto Sans CJK SC","Noto Sans SC",sans-serif;color:#1d2733;background:#fff;
max-width:72rem;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2.2rem 0 .4rem;border-bottom:2px solid #d5dde6;
padding-bottom:.2rem}
p.about{color:#44535f;max-width:52rem}p.note{color:#44535f;margin:.2rem 0 .6rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .9rem;color:#44535f;margin:.8rem 0}
dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:.4rem 0 .8rem}
th,td{border-bottom:1px solid #e3e9ef;padding:.32rem .5rem;text-align:left;vertical-align:top}
th{font-weight:600;color:#44535f;background:#f5f8fa}td.n{text-align:right;font-variant-numeric:tabular-nums}
td.e{font:11px/1.5 ui-monospace,monospace;color:#5b6b78;white-space:nowrap}
span.state{display:inline-block;border-radius:.6rem;padding:0 .5rem;font-size:12px;white-space:nowrap}
.fine{background:#e2f3e6;color:#195c2c}.finding,.overdue{background:#fbe3e1;color:#8c1d18}.due{background:#fdf0d5;color:#714b00}
.no_evidence{background:#e9edf1;color:#44535f}
svg{display:block;max-width:46rem;width:100%;margin:.5rem 0}svg text{font-size:12px;fill:#1d2733}
svg .bar{fill:#3b6ea5}svg .value{fill:#44535f}
tr.empty td{color:#5b6b78}footer{margin:3rem 0 1rem;color:#5b6b78;font-size:12px}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}
"""
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
_PAGE = """<!doctype html>
<html lang="{{ language }}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<title>{{ t(r.title) }}</title><style>{{ style }}</style></head><body>
<h1>{{ t(r.title) }}</h1>
<p class="about">{{ t(r.about) }}</p>
<dl>
<dt>{{ t(w.controller) }}</dt><dd>{{ t(r.controller) }}</dd>
<dt>{{ t(w.made_at) }}</dt><dd>{{ t(r.made_at) }}</dd>
{% if r.since or r.until %}<dt>{{ t(w.period) }}</dt><dd>{{ t(r.since) }} … {{ t(r.until) }}</dd>{% endif %}
<dt>{{ t(w.policy) }}</dt><dd>{{ r.policy }}</dd>
</dl>
{% for s in r.sections %}
<section><h2>{{ t(s.title) }}</h2>
{% if s.note %}<p class="note">{{ t(s.note) }}</p>{% endif %}
{% set c = chart(s) %}{% if c.bars %}
<svg viewBox="0 0 {{ c.width }} {{ c.height }}" role="img" aria-label="{{ t(s.title) }}">
{% for b in c.bars %}<text x="0" y="{{ b.y + 13 }}">{{ b.label }}</text>
<rect class="bar" x="{{ c.left }}" y="{{ b.y }}" width="{{ b.width }}" height="16" rx="2"></rect>
<text class="value" x="{{ c.left + b.width + 6 }}" y="{{ b.y + 13 }}">{{ b.value }}</text>
{% endfor %}</svg>{% endif %}
<table><thead><tr>{% for column in s.columns %}<th>{{ t(column.title) }}</th>{% endfor %}
{% if states(s) %}<th>{{ t(w.state) }}</th>{% endif %}
<th>{{ t(w.articles) }}</th><th>{{ t(w.evidence) }}</th></tr></thead>
<tbody>{% for row in s.rows %}<tr>
{% for cell in row.cells %}<td{% if number(cell) %} class="n"{% endif %}>{{ t(cell) }}</td>{% endfor %}
{% if states(s) %}<td>{% if row.state %}<span class="state {{ row.state.value }}">{{ t(state[row.state.value]) }}</span>
{% endif %}</td>{% endif %}<td>{{ row.articles | join(", ") }}</td>
<td class="e">{% for one in row.evidence %}{{ short(one) }}{% if not loop.last %}<br>{% endif %}
{% else %}{{ t(nothing) }}{% endfor %}</td>
</tr>{% else %}<tr class="empty"><td colspan="{{ s.columns | length + 3 }}">{{ t(w.empty) }}</td></tr>{% endfor %}
</tbody></table></section>
{% endfor %}
<footer>{{ t(w.footer) }}</footer>
</body></html>
"""
_WORDS = {
    "controller": both("个人信息处理者", "Controller"),
    "made_at": both("生成时间", "Made at"),
    "period": both("期间", "Period"),
    "policy": both("现行政策摘要", "Policy in force"),
    "state": both("状态", "State"),
    "articles": both("条款", "Articles"),
    "evidence": both("证据", "Evidence"),
    "empty": both("无", "none"),
    "footer": both(
        "证据为审计日志的事件编号（pdms audit prove 可出具证明）或政策摘要。本报告不构成法律意见。",
        "Evidence: ids of the audit log (pdms audit prove) or the digest of the policy. This is not legal advice.",
    ),
}
_STATES = {
    "fine": both("符合", "fine"),
    "finding": both("发现问题", "finding"),
    "due": both("待办", "due"),
    "overdue": both("已逾期", "overdue"),
    "no_evidence": both("无证据", "no evidence"),
}
_LEFT, _WIDTH, _STEP = 260, 760, 24


def page(report: Report, *, language: Language) -> bytes:
    """Return the page in one language, UTF-8."""

    def told(cell: Cell) -> str:
        return text_of(cell, language)

    return (
        _template()
        .render(
            r=report,
            t=told,
            w=_WORDS,
            state=_STATES,
            nothing=NO_EVIDENCE,
            language=language.value,
            policy=POLICY,
            style=_unescaped(STYLE),
            chart=lambda section: _chart(section, language),
            states=lambda section: any(row.state for row in section.rows),
            number=lambda cell: isinstance(cell, int),
            short=lambda text: text[:19] + "…" if text.startswith("policy:") else text,
        )
        .encode()
    )


def _chart(section: Section, language: Language) -> dict[str, Any]:
    shown = numbers(section)[:MOST_BARS]
    most = max((value for _, value in shown), default=0)
    bars = [
        {
            "label": _cut(text_of(label, language)),
            "value": f"{value:,}",
            "width": max(1, round((_WIDTH - _LEFT - 80) * value / most)),
            "y": place * _STEP + 4,
        }
        for place, (label, value) in enumerate(shown)
    ]
    return {"bars": bars, "left": _LEFT, "width": _WIDTH, "height": len(bars) * _STEP + 8}


def _cut(text: str) -> str:
    """As much of a label as fits: a Chinese character is as wide as two Latin ones."""
    room, cut = 36, ""
    for one in text:
        room -= 2 if ord(one) > 0x2E80 else 1
        if room < 0:
            return cut + "…"
        cut += one
    return cut


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_PAGE)


def _unescaped(style: str) -> Any:
    """Our own constant; escaping its quotes would change its digest."""
    from markupsafe import Markup

    return Markup(style)  # noqa: S704 - a constant of this module
