"""The page: what must be read first stands first."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from fundingdb.backtest.report import curves, tables
from fundingdb.backtest.report.heat import heat
from fundingdb.backtest.report.text import day, minute, number, percent, safe

if TYPE_CHECKING:
    from fundingdb.backtest.result import Result


def html(result: Result) -> str:
    """One HTML page with everything in it; the same result gives the same page.

    It asks no network (its Content-Security-Policy forbids it), follows the reader's dark or light setting, and its charts
    and tables stand without scripts; a script adds read-outs and sorting. Long curves are thinned, long tables cut
    with a sentence that says by how much, so that a year of hours and many trades stay below 2 MB.
    """
    settings, span = result.settings, curves.span_of(result)
    title = f"Funding backtest {day(settings.start)} to {day(settings.end)}"
    period, by_leg = curves.daily(result, span)
    traded = set(result.trades.select("asset_class", "base").rows())
    sections = [
        ("figures", "Figures", tables.summary(result)),
        ("equity", "Equity, USD", curves.equity(result, span)),
        ("drawdown", "Drawdown, USD", curves.drawdown(result, span)),
        ("legs", f"{period} PnL by leg, USD", by_leg + tables.legs(result)),
        ("exposure", "Exposure by exchange, USD", _EXPOSURE + tables.exposure(result)),
        ("spreads", "Spreads, % a year", curves.spreads(result, span)),
        ("heat", "Funding rates, % a year", heat(result.heat, traded)),
        ("trades", "Trades", tables.trades(result) if traded else _no_trades(result)),
        ("decisions", "Decisions", tables.decisions(result)),
        ("parameters", "Parameters", tables.parameters(settings)),
    ]
    main = "\n".join(f'<section id="{name}"><h2>{head}</h2>{body}</section>' for name, head, body in sections)
    links = "".join(f'<li><a href="#{name}">{head.split(",")[0]}</a></li>' for name, head, _ in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{_part("page.css")}</style>
</head>
<body>
<header>
<h1>Funding backtest <time>{day(settings.start)}</time> to <time>{day(settings.end)}</time></h1>
<p>{_strategy(result)}</p>
<p>From <time>{minute(settings.start)}</time> to <time>{minute(settings.end)}</time> UTC. Fingerprint <code>{safe(result.fingerprint)}</code>.</p>
</header>
<main>
{_warnings(result)}
<nav aria-label="Sections"><ul>{links}</ul></nav>
{main}
</main>
<footer><p>Times are UTC. Rates are positive when longs pay shorts. Money received is positive, paid is negative; 1 unit of the
quote currency is taken as 1 USD. Spreads are known rates, money is settled payments.</p></footer>
<script>{_part("page.js")}</script>
</body>
</html>
"""


_EXPOSURE = '<p class="note">Gross notional standing at each exchange, both kinds of leg.</p>'


@cache
def _part(name: str) -> str:
    return "\n" + files("fundingdb.backtest.report").joinpath(name).read_text("utf-8")


@cache
def _policy() -> str:
    """Nothing may be loaded from anywhere; only the page's own style and script, by their hashes, run."""
    style, script = (
        b64encode(sha256(_part(name).encode()).digest()).decode() for name in ("page.css", "page.js")
    )
    return f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"


def _warnings(result: Result) -> str:
    if not result.warnings:
        return '<section id="warnings"><h2>Warnings</h2><p>None.</p></section>'
    told = "".join(f"<li>{safe(w)}</li>" for w in result.warnings)
    return f'<section id="warnings" class="alert"><h2>Warnings</h2><ul>{told}</ul></section>'


def _strategy(result: Result) -> str:
    s = result.settings
    fees = f"{s.fees} fees" if s.fees in {"taker", "maker"} else f"fees of {s.fees}"
    return (
        f"Long the lower and short the higher funding rate: in from {percent(s.entry_apr, 1)} % a year, "
        f"out below {percent(s.exit_apr, 1)} %, held at least {s.hold_hours:g} h, {number(s.notional_usd, 0)} USD a leg, "
        f"{safe(fees)}."
    )


def _no_trades(result: Result) -> str:
    """That there were none, and the nearest the data came to one."""
    entry = result.settings.entry_apr
    known = result.spreads.drop_nulls("spread_apr")
    if known.is_empty():
        why = "No two exchanges had a known rate of one asset in the same hour."
    else:
        top = known.sort("spread_apr", descending=True).row(0, named=True)
        pair = f"{safe(top['base'])}, long {safe(top['long_exchange'])}, short {safe(top['short_exchange'])}"
        why = (
            f"The widest known spread was {percent(top['spread_apr'])} % a year ({pair}, {minute(top['hour_at'])} UTC); "
            f"entry asks for {percent(entry)} % a year."
        )
    return f"<p>There were no trades. {why}</p>"
