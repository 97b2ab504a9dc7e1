"""The venues that ccxt may be used for, each with what its figures mean. Any other venue is refused.

Source: ../shared/venues/ccxt.md (read 2026-11-22, for ccxt 4.5.90) and the 54 recorded pairs beside it; `evidence` is "recorded"
where a pair of the venue pins the rule, "documented" where only that page does.

Unit      `rate` is the field of the raw row (ccxt's `info`) that is read; times `scale` it must equal ccxt's own figure, else
          ccxt has changed its meaning and the row is refused. Positive: longs pay shorts, on every venue here.
Interval  `hours` where the venue always pays so often, else what the row itself states, else unknown: ccxt's own `interval` is a
          guess on too many venues (hibachi 8h for 1h, nado the basis) and is never read.
Clock     ccxt's `timestamp` is the settlement; it must lie within a minute of a full hour (Pacifica stamps late: floored).
Paging    ours, by `fundingdb.transport.paging`; ccxt's `paginate` loses rows without an error and is never used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fundingdb.errors import BadCall, UnknownName
from fundingdb.fetchers.contract import Backward, Cursor, Fixed, Forward, Offset
from fundingdb.fetchers.registry import BUILT_IN
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fundingdb.fetchers.contract import Paging
    from fundingdb.window import Window

Span = tuple[int | None, int | None, dict[str, Any]]  # since (ms), limit, params of one call


@dataclass(frozen=True, slots=True)
class IntervalField:
    """What a payment accrued over: `hours` always (since `since`, ms), `name` of the row times `times` hours, or the hours from
    `start` (a field of the row; None: its timestamp) to `name`. Nothing given: unknown.
    """

    hours: float | None = None
    since: int = 0
    name: str | None = None
    times: float | None = None
    start: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """Settled rates: `ask` gives (since, limit, params) for a span of the walk, `follow` the next cursor of a page."""

    paging: Paging
    ask: Callable[[Window, str | None], Span]
    rate: str
    period: IntervalField = IntervalField()
    scale: float = 1.0
    payment: str | None = None  # the field of one payment where ccxt reads one of a longer basis
    follow: str = ""  # "page", "oldest", or a field of `info`
    floor: bool = False  # stamps come late within the hour
    depth: str = "what the venue keeps"


@dataclass(frozen=True, slots=True)
class Now:
    """The coming payment: `calls` (ccxt's method, its params) for all markets, or one call a market with `single`."""

    rate: str
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = (("fetch_funding_rates", {}),)
    period: IntervalField = IntervalField()
    due: str | None = "fundingTimestamp"  # ccxt's key of the next payment; None: it gives none
    single: bool = False
    over: str | None = None  # rate divided by this field is the fraction


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange through ccxt: `kind` is its class there, `only` the markets that are proven (linear, inverse, None: both)."""

    kind: str
    evidence: str
    past: Past
    now: Now | None = None
    only: str | None = None
    linear_now: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


_PAGE = "1"
_SLACK_MS = 60_000  # stamps may come this early; Fixed and Forward walks send a lower bound


def _until(limit: int | None, **params: Any) -> Callable[[Window, str | None], Span]:
    """Newest rows before the span's stop; no lower bound is sent."""
    return lambda span, _cursor: (None, limit, {"until": span.ms[1], **params})


def _both(limit: int | None) -> Callable[[Window, str | None], Span]:
    return lambda span, _cursor: (span.ms[0] - _SLACK_MS, limit, {"until": span.ms[1]})


def _pages(name: str, limit: int | None, **params: Any) -> Callable[[Window, str | None], Span]:
    return lambda _span, cursor: (None, limit, {name: int(cursor or _PAGE), **params})


def _orderly(span: Window, cursor: str | None) -> Span:
    start, last = span.ms
    # never `until`: ccxt divides it by 1000 here and the venue answers nothing
    return (
        None,
        None,
        {"start_t": start - _SLACK_MS, "end_t": last, "page": int(cursor or _PAGE), "size": 500},
    )


def _hibachi(span: Window, cursor: str | None) -> Span:
    start, last = span.seconds
    params = {
        "startTime": start - _SLACK_MS // 1000,
        "endTime": last,
        "limit": 100,
        "offset": int(cursor or 0),
    }
    return None, None, params


def _xt(_span: Window, cursor: str | None) -> Span:
    return None, 200, {"id": cursor, "direction": "NEXT"} if cursor else {}


def _pacifica(_span: Window, cursor: str | None) -> Span:
    return None, 4000, {"cursor": cursor} if cursor else {}


def _back(cap: int) -> Backward:
    return Backward(cap, open_start=True)


_HOURLY = IntervalField(hours=1.0)
_RATES_AND_INTERVALS = (("fetch_funding_rates", {}), ("fetch_funding_intervals", {}))
_BINANCE = Past(Forward(1000, doubled=True), _both(1000), "fundingRate", depth="since listing")
_BINANCE_NOW = Now(
    "lastFundingRate",
    _RATES_AND_INTERVALS,
    IntervalField(name="fundingIntervalHours", times=1.0, optional=True),
    due="fundingTimestamp",
)
_DERIBIT = Past(
    Fixed(744, 744), _both(None), "interest_8h", _HOURLY, payment="interest_1h", depth="since listing"
)
_ORDERLY = Past(
    Cursor(),
    _orderly,
    "funding_rate",
    IntervalField(name="next_funding_time"),
    follow="page",
    depth="since listing",
)
_ORDERLY_NOW = Now(
    "est_funding_rate",
    period=IntervalField(name="next_funding_time", start="last_funding_rate_timestamp", optional=True),
)

VENUES: dict[str, Venue] = {
    "binance": Venue("binanceusdm", "recorded", _BINANCE, _BINANCE_NOW),
    "binance-coinm": Venue("binancecoinm", "recorded", _BINANCE),
    "aster": Venue(
        "aster",
        "recorded",
        _BINANCE,
        Now(
            "lastFundingRate",
            _RATES_AND_INTERVALS,
            IntervalField(name="fundingIntervalHours", times=1.0, optional=True),
            due="nextFundingTimestamp",
        ),
    ),
    "bybit": Venue(
        "bybit",
        "recorded",
        # never `since`: ccxt computes the window's end from today's interval
        Past(_back(200), _until(200), "fundingRate", depth="since listing"),
        Now("fundingRate", period=IntervalField(name="fundingIntervalHour", times=1.0, optional=True)),
        only="linear",
        options={"fetchMarkets": {"types": ["linear"]}},
    ),
    "okx": Venue(
        "okx",
        "recorded",
        Past(
            _back(100),
            lambda span, _cursor: (None, 100, {"after": str(span.ms[1] + 1)}),
            "realizedRate",
            depth="three months only",
        ),
        Now("fundingRate", period=IntervalField(name="nextFundingTime", start="fundingTime")),
        options={"fetchMarkets": {"types": ["swap"]}},
    ),
    "gate": Venue(
        "gate",
        "recorded",
        Past(_back(1000), _until(1000), "r"),
        Now("funding_rate", period=IntervalField(name="funding_interval", times=1 / 3600)),
        only="linear",
        options={"fetchMarkets": {"types": ["swap"]}},
    ),
    "kucoin": Venue(
        "kucoin",
        "documented",
        Past(_back(100), _until(None), "fundingRate"),
        options={"fetchMarkets": {"types": ["swap"]}},
    ),
    "bingx": Venue("bingx", "documented", Past(_back(1000), _until(1000), "fundingRate"), only="linear"),
    "bitget": Venue(
        "bitget",
        "documented",
        Past(Cursor(newest_first=True), _pages("pageNo", 100), "fundingRate", follow="page"),
        Now(
            "fundingRate",
            (("fetch_funding_intervals", {}),),
            IntervalField(name="fundingRateInterval", times=1.0, optional=True),
        ),
    ),
    "mexc": Venue(
        "mexc",
        "recorded",
        Past(
            Cursor(newest_first=True),
            _pages("page_num", 1000),
            "fundingRate",
            IntervalField(name="collectCycle", times=1.0, optional=True),
            follow="page",
        ),
        Now(
            "fundingRate",
            (("fetch_funding_rate", {}),),
            IntervalField(name="collectCycle", times=1.0),
            single=True,
        ),
    ),
    "htx": Venue(
        "htx",
        "recorded",
        Past(Cursor(newest_first=True), _pages("page_index", 50), "funding_rate", follow="page"),
        Now("funding_rate", (("fetch_funding_rates", {"subType": "inverse"}),)),
        only="inverse",
    ),
    "krakenfutures": Venue(
        "krakenfutures",
        "recorded",
        Past(
            Cursor(),
            lambda _span, _cursor: (None, None, {}),
            "relativeFundingRate",
            IntervalField(hours=1.0, since=to_ms(datetime(2022, 9, 29, tzinfo=UTC))),
            depth="since listing; rows before 2022-09-29 without interval",
        ),
        Now("fundingRate", period=_HOURLY, due=None, over="markPrice"),
        linear_now=True,  # inverse: ccxt divides where it must multiply, wrong by mark squared
    ),
    "deribit": Venue("deribit", "recorded", _DERIBIT),
    "coinbaseinternational": Venue("coinbaseinternational", "recorded", _DERIBIT),
    "woo": Venue(
        "woo",
        "documented",
        Past(
            Cursor(),
            _pages("page", None, size=100),
            "fundingRate",
            IntervalField(name="nextFundingTime"),
            follow="page",
        ),
    ),
    "woofipro": Venue("woofipro", "recorded", _ORDERLY, _ORDERLY_NOW),
    "modetrade": Venue("modetrade", "documented", _ORDERLY, _ORDERLY_NOW),
    "dydx": Venue("dydx", "recorded", Past(_back(100), _until(100), "rate", _HOURLY, depth="since listing")),
    "backpack": Venue(
        "backpack",
        "documented",
        Past(
            Offset(),
            lambda _span, cursor: (None, 1000, {"offset": int(cursor or 0)}),
            "fundingRate",
            IntervalField(hours=1.0, since=to_ms(datetime(2025, 8, 21, 1, tzinfo=UTC))),
        ),
    ),
    "pacifica": Venue(
        "pacifica",
        "recorded",
        Past(Cursor(newest_first=True), _pacifica, "funding_rate", _HOURLY, follow="next_cursor", floor=True),
        Now("funding", period=_HOURLY),
    ),
    "grvt": Venue(
        "grvt",
        "recorded",
        Past(
            Cursor(newest_first=True),
            lambda span, cursor: (None, 1000, {"until": int(cursor or span.ms[1])}),
            "funding_rate",
            IntervalField(name="funding_interval_hours", times=1.0),
            scale=0.01,
            follow="oldest",
        ),
    ),
    "apex": Venue("apex", "documented", Past(_back(100), _until(100), "rate", _HOURLY)),
    "hibachi": Venue(
        "hibachi",
        "recorded",
        Past(Offset(), _hibachi, "fundingRate", _HOURLY),
        Now(
            "estimatedFundingRate",
            (("fetch_funding_rate", {}),),
            _HOURLY,
            single=True,
        ),
    ),
    "derive": Venue("derive", "documented", Past(Fixed(168, 168), _both(None), "funding_rate")),
    "cryptocom": Venue("cryptocom", "documented", Past(_back(100), _until(100), "v")),
    "xt": Venue(
        "xt",
        "recorded",
        Past(
            Cursor(newest_first=True),
            _xt,
            "fundingRate",
            IntervalField(
                name="collectionInternal", times=1 / 3600
            ),  # seconds here, hours in the current response
            follow="id",
        ),
    ),
}

# Why a venue is not on the list, and what would prove its figures.
_LACKS: dict[str, tuple[str, str]] = {
    "bitfinex": (
        "its history in ccxt is samples, not settlements",
        "settled payments, which no response of it has",
    ),
    "paradex": (
        "its history in ccxt is samples, and the basis (funding_period_hours) is not beside the rate",
        "settled payments, which it does not publish: funding accrues all the time",
    ),
    "nado": (
        "its figure is per 24 h and paid each hour, ccxt names its markets by number and gives no history",
        "a call of ccxt for its archive, with recorded rows",
    ),
    "delta": (
        "ccxt gives no history and no interval",
        "recorded settled payments, and the field with the interval of a payment",
    ),
    "lbank": ("ccxt gives no history", "recorded settled payments"),
    "phemex": (
        "each row's symbol has to be proven to be the product's fundingRate8hSymbol",
        "a recorded response of history beside that product in the list of markets",
    ),
    "blofin": (
        "no field states the interval of a payment, and no history is recorded",
        "a recorded response of history of more than one page, for its order, cap and intervals",
    ),
    "btse": (
        "order and reach of its history (period=7D) are not recorded",
        "recorded responses of history that show order, cap and how to request older rows",
    ),
    "hashkey": (
        "order and cap of its history are not recorded",
        "a recorded response of history of more than one page",
    ),
    "weex": (
        "it publishes two rates (last, forecast); which one is paid is not proven",
        "a recorded current response with the payment that followed, and a page of history for order and cap",
    ),
}
_NEEDED = "a recorded response with ccxt's reading of it, the unit, the interval's field, the walk (fetchers/ccxt/venues.py)"


def venue(name: str, offered: Callable[[str], str | None] = lambda _name: "") -> Venue:
    """The rules of that exchange; raises BadCall for one that is not on the list, with what would be needed.

    `offered`: what ccxt lacks for an exchange that is not named here, None where ccxt does not have it: then UnknownName
    has the near matches.
    """
    if name in VENUES:
        return VENUES[name]
    for ours, rules in VENUES.items():
        if rules.kind == name:
            raise BadCall(f"ccxt's {name} is called {ours!r} here")
    own = "; it has a fetcher of its own: leave out --source ccxt" if name in BUILT_IN else ""
    refused = f"{name} is not read through ccxt"
    if name in _LACKS:
        why, needed = _LACKS[name]
        raise BadCall(f"{refused}: {why}; needed: {needed}{own}")
    if own:
        raise BadCall(f"{refused}{own}")
    lacks = offered(name)
    if lacks:
        raise BadCall(f"{refused}: {lacks}")
    hint = f"(through ccxt only venues on the list are read; to add one: {_NEEDED})"
    raise UnknownName("exchange", name, VENUES, hint)


def lacking(*, funding: bool, history: bool, swaps: bool) -> str:
    """What an exchange lacks of which ccxt has these: calls for funding, for its history, perpetuals."""
    if not swaps or not funding:
        return (
            "ccxt has no call for funding there" if swaps else "ccxt has no perpetuals there, so no funding"
        )
    if not history:
        return f"ccxt has no call for its settled payments; needed: one, and then {_NEEDED}"
    return f"what ccxt returns there is not proven; needed: {_NEEDED}"
