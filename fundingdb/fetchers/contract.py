"""What a fetcher declares: its exchange, budget, requests, parse functions and paging. No I/O.

A fetcher is a datasheet and pure functions; it never touches network, disk or clock. `history.parse` returns FUNDING rows,
`current.parse` SNAPSHOTS rows, `markets.parse` MARKETS rows (all without `month`), from the bytes of ONE response; a response
that is not as the datasheet describes it raises BadPayload. A history is about one market, and one bad row refuses it; of a list
of markets or current rates a bad row alone is left out (`rows.markets_of`, `rows.snapshots_of`).
`fundingdb.fetchers.testing` holds the tests of this contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import polars as pl

    from fundingdb.errors import BadPayload, FundingdbError
    from fundingdb.window import Window

_PATH = re.compile(r"(/[A-Za-z0-9\-_~:@!$&'()*+,;=%.]*)+")
_DOTS = re.compile(r"(/|%2f)(\.|%2e){1,2}(/|%2f|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """The rate limit of an exchange: at most `capacity` weight in any `per_seconds`, `concurrent` requests at once.

    Fetchers with the same `scope` share one budget.
    """

    scope: str
    capacity: float
    per_seconds: float
    concurrent: int = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, relative to the exchange's base address. `cost` is its weight in the budget."""

    endpoint: str  # the exchange's own name of it, for messages
    path: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    json: Any = None
    cost: float = 1.0
    base_url: str | None = None  # of this request alone, where an exchange has more than one host
    sha256: str | None = None  # of the body to come, where the exchange publishes it; parse compares


@dataclass(frozen=True, slots=True)
class Market:
    """One perpetual as requests and parsing need it; `multiplier`: base tokens per contract unit (1000 for kPEPE)."""

    exchange: str
    symbol: str
    base: str
    quote: str | None
    asset_class: str
    multiplier: float = 1.0
    native_id: str | None = None
    status: str = "active"
    interval_hours: float | None = None
    rate_cap: float | None = None  # fraction per interval
    listed_at: datetime | None = None
    delisted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row of a response over many markets that is not as described: its symbol (None: it names none), and the reason."""

    symbol: str | None
    error: BadPayload


@dataclass(frozen=True, slots=True)
class ResponseContext:
    """What parse knows of a response beside its bytes, and the list in which it reports rows that it leaves out.

    `at` is the instant of receipt (it becomes fetched_at, observed_at, first_seen), `market` the market whose history was
    requested, `markets` the exchange's listed markets (symbol -> Market; empty when unknown), `request` the request itself.
    `left_out` belongs to the caller: parse appends the rows of a list of markets or of current rates that it can't read in full.
    """

    at: datetime
    market: Market | None = None
    markets: Mapping[str, Market] = field(default_factory=dict)
    request: Request | None = None
    left_out: list[LeftOut] = field(default_factory=list, compare=False)


# --- kinds of paging: what the exchange does when a window holds more rows than one page


@dataclass(frozen=True, slots=True)
class Forward:
    """Takes both bounds; a page holds the OLDEST `cap` rows of the window, without saying that there are more.

    `doubled`: one instant can have two payments, so that a full page may end between them.
    """

    cap: int
    doubled: bool = False


@dataclass(frozen=True, slots=True)
class Backward:
    """Takes both bounds; a page holds the NEWEST `cap` rows of the window, in any order, without saying that there are more.

    `open_start`: takes only an upper bound and fills the page with older rows; a page with rows before the window alone
    proves the window empty.
    """

    cap: int
    open_start: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """Takes both bounds, at most `hours` apart; a page holds the NEWEST `cap` rows of them, as Backward's does."""

    hours: int
    cap: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Names the next page in the response (`next_cursor` reads it); the last page names none.

    `newest_first`: takes no lower bound and its pages go back in time, so the walk ends at a row before the window.
    """

    newest_first: bool = False
    cap: int | None = None  # rows of one page, for people


@dataclass(frozen=True, slots=True)
class Offset:
    """Takes no bounds, only a count of rows to skip from the newest; the `cursor` of `request` is that count, None at first."""

    cap: int | None = None  # rows of one page, for people


@dataclass(frozen=True, slots=True)
class Days:
    """Takes one UTC day and returns all its rows, newest first, in pages that name the next one where a day has several.

    With `first` and `last` each day is a file of its own, published from the one day to the other; days without payments
    have none.
    """

    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Months:
    """Publishes one file per UTC month from the month of `first` on, `published_after` the month's end.

    Each file takes two requests: the cursor in the first response (a checksum) leads to the file.
    """

    first: datetime
    published_after: timedelta


Paging = Forward | Backward | Fixed | Cursor | Offset | Days | Months


@dataclass(frozen=True, slots=True)
class History:
    """Settled rates of one market.

    `request` takes the market, the window of funding times (bounds on full hours; the fetcher widens it where stamps come
    early or a bound is exclusive) and the cursor of the page (None for the first, and where paging has none). `parse` returns
    the FUNDING rows of one response by funding_time, also those outside the window. `next_cursor` reads the next page's cursor.
    """

    paging: Paging
    request: Callable[[Market, Window, str | None], Request]
    parse: Callable[[bytes, ResponseContext], pl.DataFrame]
    depth: str  # how far back, in words
    next_cursor: Callable[[bytes], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Responses that cover many markets at once: `requests` for the listed markets, `parse` for one response.

    Where a sweep takes several requests, nulls in the rows of one response are filled from the others, by key; `combine` gets
    the merged rows and returns the final ones. `next_page`: the request of the next page of a long list, None at its end.
    """

    requests: Callable[[Sequence[Market]], list[Request]]
    parse: Callable[[bytes, ResponseContext], pl.DataFrame]
    combine: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows
    next_page: Callable[[Request, bytes], Request | None] = lambda _request, _body: None


@dataclass(frozen=True, slots=True)
class Live:
    """A WebSocket stream of predicted rates at `base_url` + `path`; `subscribe` makes the messages for the selected markets.

    The base address is env FUNDINGDB_<EXCHANGE>_WS_URL, else `base_url`. `parse` returns the SNAPSHOTS rows of one frame, none
    for one without rates (greetings, receipts, pongs); it raises BadPayload for a frame that is not as described, BadCall
    where `context.markets` lacks its market. `answer`: the reply that a frame requires (a pong), None for none. `keepalive` is
    sent each `keepalive_seconds`.
    """

    base_url: str
    path: str
    parse: Callable[[bytes, ResponseContext], pl.DataFrame]
    subscribe: Callable[[Sequence[Market]], list[str]] = lambda _markets: []
    answer: Callable[[bytes], str | None] = lambda _frame: None
    keepalive: str | None = None
    keepalive_seconds: float = 50.0


@dataclass(frozen=True, slots=True)
class Fetcher:
    """One source of rates. `exchange` is its id (and the source of its rows); `history` is None where there is none."""

    exchange: str
    version: int
    base_url: str
    budget: Budget
    markets: Sweep
    current: Sweep
    history: History | None
    market: Callable[[str], Market]  # by symbol alone, for saved responses
    # HTTP status and body -> the error that they mean; None for an ordinary response
    refusal: Callable[[int, bytes], FundingdbError | None]
    headers: Callable[[Mapping[str, str]], dict[str, str]] = lambda _env: {}  # from the environment: keys
    # Base address by environment (plans on hosts of their own). The engine uses env FUNDINGDB_<SOURCE>_URL (the source of
    # its rows, mostly the exchange itself), else base_for(env) where there is one, else base_url.
    base_for: Callable[[Mapping[str, str]], str] | None = None
    # The newest instant stated in a saved response, in place of its receipt; None: none is stated.
    response_time: Callable[[bytes], datetime | None] = lambda _body: None
    live: Live | None = None  # None: no stream, or none with rates
    unit: str = ""  # of the figure as published, for people
    interval: str = ""
    checked: str = ""  # day the datasheet was checked
    evidence: str = ""  # of unit, sign and clock: recorded, documented or inferred; then exceptions
    settle_delay: timedelta = timedelta(
        minutes=2
    )  # a payment is published within this time of its settlement
    source: str = ""  # of its rows, where they are not the exchange's own; empty: the exchange itself
    by: str = ""  # name and version of another package that reads its figures, for the ledger
    # Sends a request where that is no plain HTTP; returns the body, raises errors of fundingdb. The engine keeps budget,
    # retries and time-outs; the bridge has its own connection.
    call: Callable[[Request], Awaitable[bytes]] | None = None
    listed_by: Fetcher | None = None  # the fetcher with its list of markets, where it has none of its own

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", self.exchange)


def plain_path(path: str) -> bool:
    """Whether a path can be sent as it is: it begins with /, each part is quoted, none is empty, `.` or `..`."""
    return bool(_PATH.fullmatch(path)) and "//" not in path and not _DOTS.search(path)
