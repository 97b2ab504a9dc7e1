"""The common frame of all report pages: warnings before figures, and a policy that forbids loading anything."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from fundingdb.charts.text import day, minute, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.backtest.grids import Grid
    from fundingdb.backtest.result import Result


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its name in links, its heading (with the unit behind a comma), its markup."""

    name: str
    head: str
    body: str


def page(title: str, about: str, run: Result | Grid, sections: Sequence[Section]) -> str:
    """The whole page: title, what it is about (escaped already), span and fingerprint, then warnings, links and the sections."""
    main = "\n".join(f'<section id="{s.name}"><h2>{s.head}</h2>{s.body}</section>' for s in sections)
    links = "".join(f'<li><a href="#{s.name}">{s.head.split(",")[0]}</a></li>' for s in sections)
    start, end = (at.astimezone(UTC) for at in (run.settings.start, run.settings.end))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title} {day(start)} to {day(end)}</title>
<style>{_part("page.css")}</style>
</head>
<body>
<header>
<h1>{title} <time>{day(start)}</time> to <time>{day(end)}</time></h1>
<p>{about}</p>
<p>From <time>{minute(start)}</time> to <time>{minute(end)}</time> UTC. Fingerprint <code>{safe(run.fingerprint)}</code>.</p>
</header>
<main>
{_warnings(run.warnings)}
<nav aria-label="Sections"><ul>{links}</ul></nav>
{main}
</main>
<footer><p>Times are UTC. Rates are positive when longs pay shorts. Money received is positive, paid is negative; 1 unit of the
quote currency counts as 1 USD. Spreads are known rates, money is settled payments. The run knows no prices: notional stays as
entered; basis, margin, liquidation and depth are not in it.</p></footer>
<script>{_part("page.js")}</script>
</body>
</html>
"""


@cache
def _part(name: str) -> str:
    return "\n" + files("fundingdb.report").joinpath(name).read_text("utf-8")


@cache
def _policy() -> str:
    """Only the page's own style and script, by their hashes."""
    style, script = (
        b64encode(sha256(_part(name).encode()).digest()).decode() for name in ("page.css", "page.js")
    )
    own = f"style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return '<section id="warnings"><h2>Warnings</h2><p>None.</p></section>'
    items = "".join(f"<li>{safe(w)}</li>" for w in warnings)
    return f'<section id="warnings" class="alert"><h2>Warnings</h2><ul>{items}</ul></section>'
