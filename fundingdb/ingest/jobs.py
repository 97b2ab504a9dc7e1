"""Which windows of which markets remain to be requested: of a range for a backfill, since the last run for a round. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fundingdb.ingest import ledger
from fundingdb.transport.paging import pieces, requestable
from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Fetcher, Market


@dataclass(slots=True)
class Jobs:
    """`walks`: market and window, each for one walk. `covered`: markets of which nothing is missing."""

    walks: list[tuple[Market, Window]] = field(default_factory=list)
    covered: int = 0


def of_range(
    fetcher: Fetcher,
    markets: Iterable[Market],
    window: Window,
    complete: Mapping[str, Sequence[Window]],
    now: datetime,
) -> Jobs:
    """What is missing of `window`, from the listing of each market to its last settlement surely published at `now`."""
    jobs = Jobs()
    stop = min(window.stop, ledger.due(now, fetcher.settle_delay))
    for market in markets:
        listed = floor_hour(market.listed_at) if market.listed_at else window.start
        start = max(window.start, listed)
        if start >= stop or fetcher.history is None:
            continue
        wanted = requestable(fetcher.history.paging, Window(start, stop), now, ended=market.delisted_at)
        if market.listed_at:
            wanted = [Window(max(w.start, listed), w.stop) for w in wanted]
        left = [w for part in wanted for w in ledger.missing(part, complete.get(market.symbol, ()))]
        jobs.walks += _walks(fetcher, market, left)
        jobs.covered += bool(wanted) and not left
    return jobs


def since_last_run(
    fetcher: Fetcher,
    markets: Iterable[Market],
    complete: Mapping[str, Sequence[Window]],
    begins: Mapping[str, datetime],
    now: datetime,
) -> Jobs:
    """What has come due since the instant that `begins` has of each market, gaps included; one day for a market without."""
    jobs = Jobs()
    stop = ledger.due(now, fetcher.settle_delay)
    for market in markets:
        done = complete.get(market.symbol, ())
        start = begins.get(market.symbol, floor_hour(stop - ledger.LATE / 2))
        if start < stop:
            left = ledger.missing(Window(start, stop), done)
            jobs.walks += _walks(fetcher, market, left)
            jobs.covered += not left
    return jobs


def _walks(fetcher: Fetcher, market: Market, windows: Iterable[Window]) -> list[tuple[Market, Window]]:
    """Long windows in pieces, so that they take no more memory than short ones."""
    if fetcher.history is None:
        return []
    step = HOUR * (market.interval_hours or 1)
    return [(market, piece) for w in windows for piece in pieces(fetcher.history.paging, w, step)]
