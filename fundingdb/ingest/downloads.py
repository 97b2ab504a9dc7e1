"""How a download of many markets goes: a log line and a progress report for each market, an error only when none succeeds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, FundingdbError, UnknownName
from fundingdb.ingest.listing import select_markets
from fundingdb.schema import FUNDING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Market

LOG = logging.getLogger("fundingdb")


@dataclass(frozen=True, slots=True)
class MarketDownload:
    """One market of a download, number `done` of `total`: its rows and their first and last funding_time, or its error.

    `symbol` is the token as given where the exchange lists no such market.
    """

    exchange: str
    symbol: str
    done: int
    total: int
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    error: FundingdbError | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.exchange} {self.symbol}: failed: {self.error}"
        span = f", {self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M} UTC" if self.rows else ""
        return f"{self.exchange} {self.symbol}: {self.rows:,} rows{span}"


@dataclass(slots=True)
class Downloads:
    """The markets of one download that are finished; `progress` is called for each."""

    exchange: str
    total: int
    progress: Callable[[MarketDownload], object]
    _frames: list[pl.DataFrame] = field(default_factory=list)
    _errors: dict[str, FundingdbError] = field(default_factory=dict)

    def add(self, symbol: str, rows: pl.DataFrame) -> None:
        """Count a market with its FUNDING rows in order of time."""
        self._frames.append(rows)
        times = rows["funding_time"].cast(pl.Datetime("us", "UTC")).to_list()
        first, last = (times[0], times[-1]) if times else (None, None)
        one = MarketDownload(self.exchange, symbol, self._done, self.total, len(times), first, last)
        LOG.info("%s", one)
        self.progress(one)

    def fail(self, symbol: str, error: FundingdbError) -> None:
        """Count a market that could not be downloaded."""
        self._errors[symbol] = error
        one = MarketDownload(self.exchange, symbol, self._done, self.total, error=error)
        LOG.warning("%s", one)
        self.progress(one)

    def rows(self) -> pl.DataFrame:
        """The FUNDING rows of all markets by symbol and time; raises the first error when every market failed."""
        if self._errors and not self._frames:
            first, *others = self._errors.values()
            if others:
                first.add_note(f"{self.exchange}: all {len(self._errors)} markets of this download failed")
            raise first
        return pl.concat([FUNDING.empty(), *self._frames]).sort("symbol", "funding_time")

    @property
    def _done(self) -> int:
        return len(self._frames) + len(self._errors)


def chosen(
    exchange: str, listed: Mapping[str, Market], tokens: Sequence[str], quote: str | None
) -> tuple[list[Market], dict[str, FundingdbError]]:
    """The markets of `tokens` that are quoted in `quote` (None: in any), and the errors of the tokens that have none.

    Raises BadCall when no market of the exchange has that quote.
    """
    quotes = sorted({m.quote for m in listed.values() if m.quote})
    if quote is not None and quote.upper() not in {q.upper() for q in quotes}:
        raise BadCall(f"{exchange} has no market quoted in {quote}; its quotes: {', '.join(quotes)}")
    markets: dict[str, Market] = {}
    errors: dict[str, FundingdbError] = {}
    for token in tokens:
        try:
            (found,) = select_markets({exchange: listed}, [token]).values()
        except UnknownName as error:
            errors[token] = error
            continue
        fits = [m for m in found if quote is None or (m.quote or "").upper() == quote.upper()]
        markets |= {m.symbol: m for m in fits}
        if not fits:
            its = ", ".join(sorted({m.quote or "unknown" for m in found}))
            errors[token] = BadCall(f"{exchange} {token}: no market quoted in {quote}; its quotes: {its}")
    return list(markets.values()), errors
