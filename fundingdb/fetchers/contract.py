"""The contract between a fetcher (a datasheet and pure functions) and everything that uses it. No I/O.

A fetcher never touches network, disk or clock. `history.parse` gives FUNDING rows, `current.parse` SNAPSHOTS rows,
`markets.parse` MARKETS rows (all without `month`), from the bytes of ONE answer; an answer that is not as described raises
BadPayload and gives nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fundingdb.fetchers.payload import Reader, decode, decode_lines, shaped  # noqa: F401 - their old name, for the venue files

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

_PATH = re.compile(r"(/[A-Za-z0-9\-_~:@!$&'()*+,;=%.]*)+")
_DOTS = re.compile(r"(/|%2f)(\.|%2e){1,2}(/|%2f|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """What an exchange meters: at most `capacity` weight in any `per_seconds`, `concurrent` requests at once."""

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
    """One perpetual as requests and parsing need it; `multiplier` = base tokens per contract unit."""

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
class ResponseContext:
    """What parse may know beside the bytes.

    `at` is the instant of receipt (it becomes fetched_at / observed_at / first_seen), `market` the market that history was
    asked for, `markets` the known markets of the exchange (symbol -> Market; empty when unknown), `request` what was sent.
    """

    at: datetime
    market: Market | None = None
    markets: Mapping[str, Market] = field(default_factory=dict)
    request: Request | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """Oldest rows first: a window wider than `cap` rows answers its OLDEST `cap`, silently.

    `doubled`: one instant can carry two payments, so that a full page may end between them.
    """

    cap: int
    doubled: bool = False


@dataclass(frozen=True, slots=True)
class Backward:
    """A window wider than `cap` rows answers its NEWEST `cap`, silently (in whatever order).

    `open_start`: the exchange takes no lower bound and fills the page with older rows, so a page of nothing but rows
    before the window proves the window empty.
    """

    cap: int
    open_start: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """Windows of at most `hours`, each then proven like Backward: what is missing at the old end is asked again."""

    hours: int
    cap: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """The answer names its next page; the walk ends where it names none.

    `newest_first`: the pages go back in time without a lower bound, so the walk also ends at a row before the window.
    """

    newest_first: bool = False
    cap: int | None = None  # rows of one page, for people


@dataclass(frozen=True, slots=True)
class Offset:
    """No bounds at all: rows newest first, counted from the newest; the cursor given to `request` is that count."""

    cap: int | None = None  # rows of one page, for people


@dataclass(frozen=True, slots=True)
class Days:
    """One UTC day an answer, all of it, newest first, in as many pages as the answer names cursors.

    With `first` and `last` each day is a file of its own, there from the one up to the other.
    """

    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Months:
    """A file per finished UTC month, all of it, from the month of `first` on, there `published_after` the month's end.

    It is asked in two steps: the cursor that the first answer names leads to the second.
    """

    first: datetime
    published_after: timedelta


Paging = Forward | Backward | Fixed | Cursor | Offset | Days | Months


@dataclass(frozen=True, slots=True)
class History:
    """Settled rates: `request` for a market and a window (funding times wanted, on full hours; the fetcher widens by its own
    slack for early or exclusive stamps; `cursor` is null on first pages and where paging has none), `parse` for one answer.

    `parse` gives FUNDING rows sorted by funding_time, possibly beyond the window; `next_cursor` reads the next page's token.
    """

    paging: Paging
    request: Callable[[Market, Window, str | None], Request]
    parse: Callable[[bytes, ResponseContext], pl.DataFrame]
    depth: str  # how far back, in words
    next_cursor: Callable[[bytes], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Answers that cover many markets at once: `requests` for the known markets, `parse` for one answer.

    Where one round takes several answers, each row may have nulls that another answer of the round fills; `combine` then
    has the last word on the merged rows. `next_page` is the request of the next page of a long list, None at its end.
    """

    requests: Callable[[Sequence[Market]], list[Request]]
    parse: Callable[[bytes, ResponseContext], pl.DataFrame]
    combine: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows
    next_page: Callable[[Request, bytes], Request | None] = lambda _request, _body: None


@dataclass(frozen=True, slots=True)
class Live:
    """The stream of predicted rates: connect to `base_url` + `path`, send what `subscribe` gives for the wanted markets, read.

    The base address is env FUNDINGDB_<EXCHANGE>_WS_URL, else `base_url`. `parse` gives the SNAPSHOTS rows of one frame, none
    for one without rates (greetings, receipts, pongs), and raises BadPayload for what is not as described, BadCall for a
    market that `context.markets` would have to name. `answer` is what a frame wants to hear in return. `keepalive` is sent
    each `keepalive_seconds`.
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
    """One source. `exchange` is its id (and the source of its rows); `history` is None where there is none."""

    exchange: str
    version: int
    base_url: str
    budget: Budget
    markets: Sweep
    current: Sweep
    history: History | None
    market: Callable[[str], Market]  # by symbol alone, for saved answers
    refusal: Callable[
        [int, bytes], FundingdbError | None
    ]  # what a failed or refusing answer means; None: an answer
    headers: Callable[[Mapping[str, str]], dict[str, str]] = lambda _env: {}  # from the environment: keys
    # Base address by environment (plans on hosts of their own). The engine takes env FUNDINGDB_<SOURCE>_URL (the source of
    # its rows, mostly the exchange itself), else base_for(env) where there is one, else base_url.
    base_for: Callable[[Mapping[str, str]], str] | None = None
    # The newest instant a saved answer tells of itself, in place of its receipt; None: it tells none.
    response_time: Callable[[bytes], datetime | None] = lambda _body: None
    live: Live | None = None  # None: it has no stream, or none that tells rates
    unit: str = ""  # of the figure as published, for people
    interval: str = ""
    checked: str = ""  # day the datasheet was checked
    evidence: str = (
        ""  # what the reading of its figures rests on: recorded, documented or inferred; then exceptions
    )
    settle_delay: timedelta = timedelta(minutes=2)  # a payment is surely published this long after its time
    source: str = (
        ""  # whose word its rows are, where it is not the exchange's own; empty: the exchange itself
    )
    by: str = ""  # name and version of what else its figures hang on, for the ledger
    # How it asks where that is no plain HTTP: the body of the answer, else an error of fundingdb. The engine keeps its budget,
    # retries and times; a bridge has its own connection.
    call: Callable[[Request], Awaitable[bytes]] | None = None
    listed_by: Fetcher | None = None  # whose list of markets holds, where it has none of its own

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", self.exchange)


def plain_path(path: str) -> bool:
    """Whether a path can be sent as it is: it begins with /, each part is quoted, none is empty, `.` or `..`."""
    return bool(_PATH.fullmatch(path)) and "//" not in path and not _DOTS.search(path)
