"""The tables of the lake: columns, types, keys, units; `Table.check` checks a frame against one. No I/O.

Everywhere: instants are UTC with microseconds; a rate is a fraction of notional per its own `interval_hours`,
positive when longs pay shorts; prices and open interest are per ONE base token (multiplier taken out), open
interest counts one side. Null means unknown, never zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import UnknownName
from fundingdb.schema.table import TIME, Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ASSET_CLASSES",
    "FETCHES",
    "FUNDING",
    "HELD",
    "HELD_STATES",
    "INTERVAL_FROM",
    "MARKETS",
    "OUTCOMES",
    "RATE_TYPES",
    "RESTATEMENTS",
    "SNAPSHOTS",
    "STATUSES",
    "TABLES",
    "TIME",
    "Column",
    "Table",
    "table",
]

ASSET_CLASSES = ("crypto", "equity", "commodity", "fx", "index")
INTERVAL_FROM = ("row", "declared", "observed", "unknown")
RATE_TYPES = ("regular", "special")
STATUSES = ("active", "reduce_only", "prelisted", "delisted", "inactive", "unknown")
OUTCOMES = ("rows", "none", "empty", "failed")
HELD_STATES = ("held", "released", "dropped")

_TEXT, _FLOAT, _INT = pl.String(), pl.Float64(), pl.Int64()
_WHO = {
    "exchange": Column(_TEXT, "where the perpetual trades, lower case"),
    "source": Column(_TEXT, "who published it: the exchange itself, its archive, coingecko, ccxt, import"),
    "symbol": Column(_TEXT, "the exchange's own name, verbatim"),
}
_WHAT = {
    "base": Column(_TEXT, "canonical token, e.g. PEPE for kPEPE"),
    "quote": Column(_TEXT, "canonical quote, e.g. USDC", null=True),
    "asset_class": Column(_TEXT, "with base the identity across exchanges", among=ASSET_CLASSES),
}
_MONTH = {"month": Column(_TEXT, "YYYY-MM, UTC")}
_PRICES = {
    "mark_price": Column(_FLOAT, "quote per ONE base token", null=True, positive=True),
    "index_price": Column(_FLOAT, "quote per ONE base token", null=True, positive=True),
}

FUNDING = Table(
    name="funding",
    note="one settled payment a row",
    columns={
        **_WHO,
        **_WHAT,
        **_MONTH,
        "funding_time": Column(pl.Datetime("us", "UTC"), "end of the accrual, UTC, on the grid"),
        "interval_hours": Column(
            _FLOAT, "hours this payment accrued over; null = unknown", null=True, positive=True
        ),
        "interval_from": Column(_TEXT, "the evidence for interval_hours", among=INTERVAL_FROM),
        "funding_rate": Column(_FLOAT, "fraction of notional per interval; positive: longs pay shorts"),
        "rate_type": Column(_TEXT, "regular, or special: a one-time payment", among=RATE_TYPES),
        "native_rate": Column(_FLOAT, "the figure as the source wrote it, in the source's unit"),
        **_PRICES,
        "reported_time": Column(TIME, "the source's own stamp, UTC"),
        "fetched_at": Column(TIME, "when fundingdb learned it, UTC"),
    },
    key=("exchange", "source", "symbol", "funding_time", "rate_type"),
    partitions=("exchange", "source", "month"),
    sort=("base", "symbol", "funding_time"),
    time="funding_time",
    stamp=("reported_time", "fetched_at"),
    restated=("funding_rate", "interval_hours"),
    rules={
        "interval_from must be unknown exactly where interval_hours is null": (
            pl.col("interval_hours").is_null() == (pl.col("interval_from") == "unknown")
        ),
    },
)

SNAPSHOTS = Table(
    name="snapshots",
    note="a market at one moment by one source: the predicted rate and the state of the market",
    columns={
        **_WHO,
        **_WHAT,
        **_MONTH,
        "observed_at": Column(TIME, "when it was received, UTC"),
        "funding_rate": Column(
            _FLOAT, "predicted, fraction per interval; positive: longs pay shorts", null=True
        ),
        "interval_hours": Column(
            _FLOAT, "hours of the payment it predicts; null = unknown", null=True, positive=True
        ),
        "native_rate": Column(_FLOAT, "the figure as the source wrote it, in the source's unit", null=True),
        "rate_step": Column(
            _FLOAT, "smallest step the source publishes, as a fraction", null=True, positive=True
        ),
        "next_funding_time": Column(TIME, "when the predicted rate is due, UTC", null=True),
        **_PRICES,
        "open_interest": Column(_FLOAT, "base tokens, one side", null=True, counted=True),
        "open_interest_usd": Column(_FLOAT, "US dollars, one side", null=True, counted=True),
        "volume_24h_usd": Column(_FLOAT, "US dollars", null=True, counted=True),
    },
    key=("exchange", "source", "symbol", "observed_at"),
    partitions=("exchange", "source", "month"),
    sort=("base", "symbol", "observed_at"),
    time="observed_at",
)

MARKETS = Table(
    name="markets",
    note="what an exchange lists",
    columns={
        "exchange": _WHO["exchange"],
        "symbol": _WHO["symbol"],
        **_WHAT,
        "native_id": Column(
            _TEXT, "the exchange's own id where requests need another one than symbol", null=True
        ),
        "collateral": Column(_TEXT, "what margin is paid in", null=True),
        "multiplier": Column(_FLOAT, "base tokens per contract unit, 1000 for kPEPE", positive=True),
        "status": Column(
            _TEXT,
            "whether it trades; unknown: the exchange lists it in words that are not described",
            among=STATUSES,
        ),
        "interval_hours": Column(
            _FLOAT, "declared for now, hours; null = not declared", null=True, positive=True
        ),
        "rate_cap": Column(_FLOAT, "largest |funding_rate|, fraction per interval", null=True, positive=True),
        "max_leverage": Column(_FLOAT, "times", null=True, positive=True),
        "listed_at": Column(TIME, "as the exchange states, UTC", null=True),
        "first_seen": Column(TIME, "first listed to fundingdb, UTC"),
        "last_seen": Column(TIME, "last listed to fundingdb, UTC"),
        "delisted_at": Column(TIME, "first listed as delisted, or listed no longer, UTC", null=True),
    },
    key=("exchange", "symbol"),
    partitions=("exchange",),
    sort=("base", "symbol"),
    time=None,
)

FETCHES = Table(
    name="fetches",
    note="the ledger: one row per requested market and window",
    columns={
        **_WHO,
        **_MONTH,
        "endpoint": Column(_TEXT, "what was requested", among=("history", "current", "markets")),
        "window_start": Column(
            TIME, "first instant requested, UTC; null where no window is requested", null=True
        ),
        "window_stop": Column(TIME, "end of the window, exclusive, UTC", null=True),
        "outcome": Column(
            _TEXT, "rows, none (proven), empty (a response without rows) or failed", among=OUTCOMES
        ),
        "rows": Column(_INT, "rows received in the window", counted=True),
        "pages": Column(_INT, "responses received", counted=True),
        "bytes": Column(_INT, "bytes received", counted=True),
        "seconds": Column(_FLOAT, "wall time", counted=True),
        "error": Column(
            _TEXT, "why it failed, or which rows of the response were left out", null=True, prose=True
        ),
        "asked_at": Column(TIME, "when the first request was sent, UTC"),
        "fetcher_version": Column(_TEXT, "version of fundingdb and of the fetcher"),
    },
    key=("exchange", "source", "symbol", "endpoint", "window_start", "asked_at"),
    partitions=("exchange", "source", "month"),
    sort=("symbol", "window_start", "asked_at"),
    time="asked_at",
)

RESTATEMENTS = Table(
    name="restatements",
    note="settled values that a source later changed; `funding` has the new one",
    columns={
        **_WHO,
        **_MONTH,
        "funding_time": Column(TIME, "UTC"),
        "rate_type": Column(_TEXT, "regular or special", among=RATE_TYPES),
        "old_funding_rate": Column(_FLOAT, "fraction per old interval"),
        "new_funding_rate": Column(_FLOAT, "fraction per new interval"),
        "old_interval_hours": Column(_FLOAT, "hours", null=True),
        "new_interval_hours": Column(_FLOAT, "hours", null=True),
        "old_fetched_at": Column(TIME, "when the old value was learned, UTC"),
        "new_fetched_at": Column(TIME, "when the new value was learned, UTC"),
    },
    key=("exchange", "source", "symbol", "funding_time", "rate_type", "new_fetched_at"),
    partitions=("exchange", "source", "month"),
    sort=("symbol", "funding_time"),
    time="funding_time",
)

HELD = Table(
    name="held",
    note="payments kept apart from `funding` until `fundingdb release` lets them in or drops them",
    columns={
        **FUNDING.columns,
        "reason": Column(_TEXT, "factor xN, sign, shifted, size, interval, finer or beyond"),
        "evidence": Column(_TEXT, "the figures behind the reason"),
        "state": Column(_TEXT, "held, released into `funding`, or dropped", among=HELD_STATES),
        "state_at": Column(TIME, "when it came into this state, UTC"),
    },
    key=FUNDING.key,
    partitions=FUNDING.partitions,
    sort=FUNDING.sort,
    time=FUNDING.time,
    stamp=(*FUNDING.stamp, "state_at"),
    rules=FUNDING.rules,
)

TABLES: Mapping[str, Table] = {t.name: t for t in (FUNDING, SNAPSHOTS, MARKETS, FETCHES, RESTATEMENTS, HELD)}


def table(name: str) -> Table:
    """The table of that name; raises UnknownName."""
    if name not in TABLES:
        raise UnknownName("table", name, TABLES)
    return TABLES[name]
