"""One walk over a window of a fetcher's history against a venue played by the test."""

from datetime import timedelta

import polars as pl

from fundingdb.fetchers.contract import ResponseContext
from fundingdb.schema import FUNDING
from fundingdb.transport.paging import Page, askable, walk


def walked(fetcher, market, serve, window, *, at=None):
    """The FUNDING rows inside `window`, oldest first, as a Polars frame; `serve` makes the bytes of one Request's response.

    The walk steps by `market.interval_hours` (1 hour where it is null); `at` is the instant of receipt, by default an hour
    after the window. Raises what the fetcher and the walk raise.
    """
    at = at or window.stop + timedelta(hours=1)
    history, frames = fetcher.history, []
    for span in askable(history.paging, window, at + timedelta(days=365)):
        walker = walk(history.paging, span, timedelta(hours=market.interval_hours or 1))
        step = next(walker, None)
        while step is not None:
            request = history.request(market, *step)
            body = serve(request)
            context = ResponseContext(at=at, market=market, request=request)
            frames.append(FUNDING.check(history.parse(body, context)))
            cursor = history.next_cursor(body) if history.next_cursor else None
            try:
                step = walker.send(Page(frames[-1]["funding_time"].to_list(), cursor))
            except StopIteration:
                step = None
    rows = pl.concat([FUNDING.empty(), *frames])
    inside = pl.col("funding_time").is_between(window.start, window.stop, closed="left")
    return rows.filter(inside).unique(list(FUNDING.key), keep="last").sort("funding_time")
