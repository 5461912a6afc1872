"""The readable summary of a pack: one self-contained HTML file a language, no script, no network, own SVG.

Guarantee: every value is escaped; the page forbids itself all loading by its own content security policy, whose only
exception is the digest of its style. Its numbers are counts of what lies in the pack beside it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from jinja2 import Environment

from pdms.audit.catalogue import CATALOGUE, EventKind
from pdms.audit.pack import Span
from pdms.clock import SHANGHAI
from pdms.consent.standings import NoticeEvidence
from pdms.gate.versions import PolicyText
from pdms.policy.reasons import REASONS
from pdms.reports.pack_tally import Tally
from pdms.reports.pack_words import KINDS_ZH, OUTCOMES_ZH, STATES_ZH, TEXTS
from pdms.taxonomy import Language

MAX_BARS = 400
"""Days a chart shows at most; a longer period is drawn by month."""
WIDTH, HEIGHT = 900, 140

_STYLE = """
body{font:15px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;
text-align:left;vertical-align:top}th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
h2{margin-top:2rem}small,.quiet{color:#666}code{font-size:12px;word-break:break-all}svg{width:100%;height:auto}
rect{fill:#2f6f9f}line{stroke:#999}text{font-size:11px;fill:#555}
"""

_TEMPLATE = """<!doctype html>
<html lang="{{ lang }}"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{{ style_digest }}'">
<title>{{ t.title }}</title><style>{{ style }}</style>
<h1>{{ t.title }}</h1>
<p>{{ t.period }}: <b>{{ since }}</b> {{ t.to }} <b>{{ until }}</b> ({{ t.zone }})<br>
<small>{{ t.log }}: <code>{{ c.origin }}</code> · {{ t.key }}: <code>{{ c.vkey }}</code></small></p>
<p>{{ t.warning }}</p>
<table>
<tr><th>{{ t.leaves }}<td class="n">{{ c.span.first }} – {{ c.span.end - 1 }}
<tr><th>{{ t.events }}<td class="n">{{ c.tally.events }}
<tr><th>{{ t.around }}<td class="n">{{ c.tally.outside }}
<tr><th>{{ t.shredded }}<td class="n">{{ c.tally.shredded }}
<tr><th>{{ t.consents }}<td class="n">{{ c.tally.consents }}
</table>
<h2>{{ t.by_day }}</h2>
{% if bars %}<svg viewBox="0 0 {{ width }} {{ height + 20 }}" role="img" aria-label="{{ t.by_day }}">
{% for bar in bars %}<rect x="{{ bar.x }}" y="{{ bar.y }}" width="{{ bar.w }}" height="{{ bar.h }}">\
<title>{{ bar.label }}: {{ bar.n }}</title></rect>
{% endfor %}<line x1="0" y1="{{ height }}" x2="{{ width }}" y2="{{ height }}"/>
<text x="0" y="{{ height + 15 }}">{{ bars[0].label }}</text>
<text x="{{ width }}" y="{{ height + 15 }}" text-anchor="end">{{ bars[-1].label }}</text>
<text x="0" y="12">{{ t.most }}: {{ most }}</text></svg>{% else %}<p>{{ t.none }}</p>{% endif %}
<h2>{{ t.by_kind }}</h2>
<table><tr><th>{{ t.kind }}<th>{{ t.meaning }}<th class="n">{{ t.count }}<th>
{% for row in kinds %}<tr><td><code>{{ row.kind }}</code><td>{{ row.meaning }}<td class="n">{{ row.n }}\
<td><svg viewBox="0 0 120 10" width="120" height="10" role="presentation">\
<rect x="0" y="0" width="{{ row.w }}" height="10"/></svg>{% endfor %}</table>
<h2>{{ t.decisions }}</h2>
<table><tr><th>{{ t.purpose }}<th>{{ t.outcome }}<th class="n">{{ t.count }}
{% for row in decisions %}<tr><td>{{ row.purpose or "–" }}<td>{{ row.outcome }}<td class="n">{{ row.n }}{% endfor %}
</table>
<h2>{{ t.reasons }}</h2>
<table><tr><th>{{ t.reason }}<th>{{ t.meaning }}<th>{{ t.article }}<th class="n">{{ t.count }}
{% for row in reasons %}<tr><td><code>{{ row.code }}</code><td>{{ row.text }}<td>{{ row.article }}\
<td class="n">{{ row.n }}{% endfor %}</table>
<h2>{{ t.state_at_end }}</h2>
<table><tr><th>{{ t.purpose }}<th>{{ t.state }}<th class="n">{{ t.count }}
{% for row in states %}<tr><td>{{ row.purpose }}<td>{{ row.state }}<td class="n">{{ row.n }}{% endfor %}</table>
<h2>{{ t.policies }}</h2>
<table><tr><th>{{ t.since }}<th>{{ t.digest }}
{% for one in c.policies %}<tr><td>{{ local(one.activated_at) }}<td><code>policies/{{ one.digest }}.json</code>
{% endfor %}</table>
<h2>{{ t.notices }}</h2>
<table><tr><th>{{ t.notice }}<th>{{ t.language }}<th>{{ t.published }}<th>{{ t.digest }}
{% for one in c.notices %}<tr><td>{{ one.notice_id }}<td>{{ one.language }}<td>{{ local(one.published_at) }}\
<td><code>notices/{{ one.version }}.json</code>{% endfor %}</table>
<h2>{{ t.checkpoints }}</h2>
<table>{% if c.span.before %}<tr><th>{{ t.before }}<td class="n">{{ c.span.before.size }}\
<td><code>{{ c.span.before.root.hex() }}</code>{% endif %}
<tr><th>{{ t.after }}<td class="n">{{ c.span.after.size }}<td><code>{{ c.span.after.root.hex() }}</code></table>
<h2>{{ t.verify }}</h2>
<p>{{ t.how }}</p>
<p><code>python -m pip install cryptography</code><br><code>python -I verifier.py PACK.zip --key VKEY</code></p>
</html>
"""

_environment = Environment(autoescape=True)
_page = _environment.from_string(_TEMPLATE.replace("{{ style }}", _STYLE))  # as it is: its digest is told


@dataclass(frozen=True, slots=True)
class Contents:
    """What a summary tells of."""

    origin: str
    vkey: str
    span: Span
    tally: Tally
    policies: tuple[PolicyText, ...]
    notices: tuple[NoticeEvidence, ...]


def page(contents: Contents, language: Language) -> str:
    """Return the summary in one language."""
    zh, tally = language is Language.ZH, contents.tally
    bars = _bars(tally)
    return _page.render(
        c=contents,
        t=TEXTS[language],
        lang=language.value,
        style_digest=base64.b64encode(sha256(_STYLE.encode()).digest()).decode(),
        since=_local(tally.since),
        until=_local(tally.until),
        local=_local,
        bars=bars,
        most=max((bar["n"] for bar in bars), default=0),
        width=WIDTH,
        height=HEIGHT,
        kinds=_kinds(tally, zh=zh),
        decisions=[
            {"purpose": purpose, "outcome": OUTCOMES_ZH.get(outcome, outcome) if zh else outcome, "n": n}
            for (purpose, outcome), n in sorted(tally.decisions.items())
        ],
        reasons=[_reason(code, n, language) for code, n in _by_count(tally.reasons)],
        states=[
            {"purpose": purpose, "state": STATES_ZH.get(state, state) if zh else state, "n": n}
            for (purpose, state), n in sorted(tally.states.items())
        ],
    )


def readme(vkey: str) -> str:
    """Return the README of a pack, both languages."""
    return "\n".join(f"{TEXTS[language]['readme'].format(vkey=vkey)}\n" for language in (Language.ZH, Language.EN))


def _kinds(tally: Tally, *, zh: bool) -> list[dict[str, Any]]:
    most = max(tally.kinds.values(), default=1)
    return [
        {
            "kind": kind,
            "meaning": KINDS_ZH[EventKind(kind)] if zh else CATALOGUE[EventKind(kind)].meaning,
            "n": n,
            "w": max(1, 120 * n // most),
        }
        for kind, n in _by_count(tally.kinds)
    ]


def _reason(code: str, n: int, language: Language) -> dict[str, Any]:
    known = REASONS.get(code)
    return {
        "code": code,
        "text": known.text(language) if known else "",
        "article": known.article if known else "",
        "n": n,
    }


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _bars(tally: Tally) -> list[dict[str, Any]]:
    """Return one bar a day, empty days too; one a month where there would be too many."""
    if not tally.days:
        return []
    first, last = date.fromisoformat(min(tally.days)), date.fromisoformat(max(tally.days))
    counts = {(first + timedelta(days=n)).isoformat(): 0 for n in range((last - first).days + 1)}
    if len(counts) > MAX_BARS:
        counts = {day[:7]: 0 for day in counts}
        for day, n in tally.days.items():
            counts[day[:7]] += n
    else:
        counts |= tally.days
    most, step = max(counts.values()), WIDTH / len(counts)
    drawn = []
    for place, (label, n) in enumerate(sorted(counts.items())):
        height = round((HEIGHT - 20) * n / most, 1)
        bar = {"x": round(place * step, 2), "y": round(HEIGHT - height, 1), "w": round(max(1.0, step * 0.8), 2)}
        drawn.append({**bar, "h": height, "label": label, "n": n})
    return drawn


def _local(at: datetime) -> str:
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
