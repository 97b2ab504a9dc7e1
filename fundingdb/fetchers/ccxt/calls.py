"""Calls of ccxt, which is imported here alone and only when used. Network, one call at a time for each venue.

The response is one JSON envelope: `ccxt` (version), `venue`, `rows` (ccxt's structures, raw rows in `info`), `next` (cursor).
"""

from __future__ import annotations

import asyncio
import re
import threading
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import (
    BadCall,
    BadPayload,
    FundingdbError,
    MissingExtra,
    RateLimited,
    Refused,
    Unreachable,
)
from fundingdb.fetchers.ccxt.venues import lacking

if TYPE_CHECKING:
    from fundingdb.fetchers.ccxt.venues import Venue
    from fundingdb.fetchers.contract import Request

TESTED = ("4.5.90", "4.5.90")  # first and last version against which all recorded pairs pass
HISTORY = "fetch_funding_rate_history"
MARKETS = "load_markets"
_CALLS = {HISTORY, MARKETS, "fetch_funding_rates", "fetch_funding_rate", "fetch_funding_intervals"}
_MARKET = ("id", "symbol", "base", "quote", "settle", "swap", "linear", "inverse", "active")
_ROW = (
    "info",
    "symbol",
    "timestamp",
    "fundingRate",
    "fundingTimestamp",
    "nextFundingTimestamp",
    "markPrice",
    "indexPrice",
)
_TIMEOUT_MS = 30_000


def tested_version() -> str:
    """The version of the installed ccxt, without importing it; raises MissingExtra, BadCall outside the tested range."""
    try:
        installed = version("ccxt")
    except PackageNotFoundError:
        raise MissingExtra(
            "the source ccxt needs an optional package: pip install 'fundingdb[ccxt]'"
        ) from None
    numbers = tuple(int(n) for n in re.findall(r"\d+", installed)[:3])
    low, high = (tuple(map(int, end.split("."))) for end in TESTED)
    if not low <= numbers <= high:
        span = TESTED[0] if low == high else f"{TESTED[0]} to {TESTED[1]}"
        raise BadCall(
            f"ccxt {installed} is not verified: its figures are proven for {span} only, and ccxt changes units within"
            f" minor releases; pip install 'ccxt=={TESTED[1]}'"
        )
    return installed


def offered(name: str) -> str | None:
    """What ccxt lacks for an exchange that is not on the list, None where ccxt has no exchange of that name; "" without ccxt."""
    try:
        ccxt = _ccxt()
    except BadCall:
        return ""
    if name not in ccxt.exchanges:
        return None
    has = getattr(ccxt, name)().has
    now = ("fetchFundingRate", "fetchFundingRates", "fetchFundingIntervals")
    history = bool(has.get("fetchFundingRateHistory"))
    swaps = bool(has.get("swap"))
    return lacking(funding=history or any(has.get(call) for call in now), history=history, swaps=swaps)


class Caller:
    """Calls of one venue, one after the other on one object, which is made at the first call."""

    def __init__(self, name: str, venue: Venue) -> None:
        self._name, self._venue = name, venue
        self._lock = threading.Lock()
        self._exchange: Any = None

    async def __call__(self, request: Request) -> bytes:
        """The envelope; raises errors of fundingdb only, without addresses in their text."""
        return await asyncio.to_thread(self._work, request)

    def _work(self, request: Request) -> bytes:
        call = request.endpoint
        query = request.json or {}
        if call not in _CALLS or query.get("params", {}).get("paginate"):
            raise BadCall(f"{self._name}: {call} with {query.get('params')} is no call that the bridge makes")
        with self._lock:
            ccxt = _ccxt()
            try:
                exchange = self._opened(ccxt)
                rows, raw = self._rows(exchange, call, query)
            except FundingdbError:
                raise
            except Exception as error:  # noqa: BLE001 - ccxt raises many kinds, for a changed response even TypeError
                raise meaning(ccxt, self._name, call, error) from None
        if not rows and call == HISTORY and has_rows(raw):
            bad = BadPayload(self._name, call, "rows", "ccxt returns none of the rows that the response has")
            bad.body = msgspec.json.encode(raw)
            raise bad
        follow = self._venue.past.follow if call == HISTORY else ""
        envelope = {
            "ccxt": ccxt.__version__,
            "venue": self._name,
            "rows": rows,
            "next": _next(follow, rows, query),
        }
        return msgspec.json.encode(envelope)

    def _opened(self, ccxt: Any) -> Any:
        if self._exchange is None:
            options = {"defaultType": "swap", **self._venue.options}
            settings = {"enableRateLimit": True, "timeout": _TIMEOUT_MS, "options": options}
            exchange = getattr(ccxt, self._venue.kind)(settings)
            exchange.requests_trust_env = True  # the proxies of the environment hold for it as for us
            exchange.session.trust_env = True
            exchange.has["fetchCurrencies"] = False  # nothing here reads them
            self._exchange = exchange
        return self._exchange

    @staticmethod
    def _rows(exchange: Any, call: str, query: dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
        if call == MARKETS:
            listed = exchange.load_markets(True)  # noqa: FBT003 - reload; the argument has no name in ccxt
            return [{k: m.get(k) for k in _MARKET} for m in listed.values()], None
        if not exchange.markets:
            exchange.load_markets()
        params = query.get("params", {})
        if call == HISTORY:
            rows = exchange.fetch_funding_rate_history(
                query["symbol"], query["since"], query["limit"], params
            )
        elif call == "fetch_funding_rate":
            rows = [exchange.fetch_funding_rate(query["symbol"], params)]
        else:
            rows = list(getattr(exchange, call)(None, params).values())
        return [{k: row.get(k) for k in _ROW} for row in rows], exchange.last_json_response


@cache  # the version is looked up in files
def _ccxt() -> Any:
    tested_version()
    return import_module("ccxt")


def _next(follow: str, rows: list[dict[str, Any]], query: dict[str, Any]) -> str | None:
    """The cursor of the page after this one; None: this was the last."""
    if not follow or not rows:
        return None
    if follow == "page":
        (page,) = [v for k, v in query["params"].items() if k in ("pageNo", "page_num", "page_index", "page")]
        return str(int(page) + 1)
    if follow == "oldest":
        return str(min(row["timestamp"] for row in rows) - 1)
    named = [row["info"] for row in rows if row["info"].get(follow)]  # oldest first, as ccxt sorts them
    if not named or named[0].get("has_more") in (False, "false"):
        return None
    return str(named[0][follow])


def has_rows(response: Any) -> bool:
    """Whether a raw response has a list of objects anywhere."""
    if isinstance(response, dict):
        return any(has_rows(v) for v in response.values())
    return isinstance(response, list) and any(isinstance(v, dict) for v in response)


def meaning(ccxt: Any, name: str, call: str, error: Exception) -> FundingdbError:
    """The error of our tree for one of ccxt's; its text names kind and status, and no address."""
    text = str(error)
    status = re.search(r"https?://\S+ (\d{3})\b", text)
    code = int(status[1]) if status else None
    body = re.sub(r"\S*://\S+", "(address)", text)
    body = " ".join(body.split())[:160]
    where = f"{name} {call}: ccxt's {type(error).__name__}"
    problem = f"{where}{f' (status {code})' if code else ''}: {body}"
    if code in (401, 403, 451) or (code != 429 and re.search(r"<!doctype|<html", text, re.IGNORECASE)):
        return Refused(f"{problem}; blocked by region or firewall: not repeated")
    if isinstance(error, (ccxt.DDoSProtection, ccxt.RateLimitExceeded)) or code == 429:
        return RateLimited(problem)
    if isinstance(error, ccxt.NetworkError):
        return Unreachable(problem)
    if isinstance(error, (ccxt.NotSupported, ccxt.BadRequest, ccxt.ArgumentsRequired)):
        return BadCall(problem)
    if isinstance(error, ccxt.ExchangeError):
        return Refused(problem)
    return BadPayload(name, call, "(answer)", f"ccxt can't read it: {type(error).__name__}")
