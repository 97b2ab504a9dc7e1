"""The deterministic world of the simulator: a rate for each exchange, symbol and hour, by hash."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.simulator.listings import DEPTH, TOKENS, Listing, listings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

HOUR_MS = 3_600_000
TICKS = {
    "extended": 10**6,
    "lighter": 10**6,
    "hyperliquid": 10**10,
    "binance": 10**8,
    "bybit": 10**8,
    "dydx": 10**10,
}  # published steps in a rate of 1 (per interval)
_CHUNK = 512  # hours made at once
_KEPT = 1000  # such chunks kept, about 100 MB
_MASK = (1 << 64) - 1
_HYPERLIQUID_HOURLY = 468_385  # 2023-06-08T01:00Z, the first hourly payment, in hours since 1970
_PUBLISHED_LATE_MS = {"lighter": 2_000}  # its stamps are the full hour, the row comes a little later
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SimulatedPayment:
    """One settled payment: its stamp as published (ms), its hour (since 1970), rate and premium in ticks."""

    stamp: int
    hour: int
    ticks: int
    premium: int


def ms_of(at: datetime) -> int:
    """Unix milliseconds."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def mix(value: int) -> int:
    """64 well mixed bits (splitmix64): the only source of chance in the world."""
    z = (value + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def unit(value: int) -> float:
    """A number in [-1, 1) from `value`."""
    return mix(value) / (1 << 63) - 1.0


class World:
    """The markets and payments of the simulation; deterministic in `seed`, stores nothing but changes made by hand.

    `start` is the earliest listing (default: each exchange's own depth), `stop` the end of all payments,
    exclusive (default: none, so that settlements appear as `now` moves on). `now` returns the present as an
    aware datetime and may be replaced. `intervals` overrides the schedule of a market: (exchange, symbol)
    -> ((from, hours), ...), oldest first. Hyperliquid loses one hour in `missing_one_in` (0: none).
    """

    def __init__(
        self,
        seed: int = 7,
        start: datetime | None = None,
        stop: datetime | None = None,
        tokens: Iterable[str] = TOKENS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        intervals: Mapping[tuple[str, str], Sequence[tuple[datetime, int]]] | None = None,
        missing_one_in: int = 2000,
    ) -> None:
        self.seed, self.start, self.stop, self.now = seed, start, stop, now
        self.tokens = tuple(dict.fromkeys(tokens))
        self._intervals = dict(intervals or {})
        self._missing_one_in = missing_one_in
        self._listings = {(x.exchange, x.symbol): x for x in listings(self.tokens)}
        self._restated: dict[tuple[str, str, int], int] = {}
        self._dropped: set[tuple[str, str, int]] = set()
        self._chunks: dict[tuple[str, str, int], list[SimulatedPayment]] = {}
        self._lock = Lock()

    # what is listed

    def listing(self, exchange: str, symbol: str) -> Listing | None:
        """The market of that name with its state as of now; None where there is none (case matters)."""
        listing = self._listings.get((exchange, symbol))
        return listing and self._as_of_now(listing)

    def listed(self, exchange: str) -> list[Listing]:
        """Every perpetual of `exchange` that is listed by now, delisted ones too, in the exchange's own order."""
        now = self.now()
        mine = [x for (e, _), x in self._listings.items() if e == exchange]
        return [self._as_of_now(x) for x in mine if self.listed_at(x) <= now]

    def symbols(self, exchange: str) -> list[str]:
        """The symbols that have paid funding, delisted ones too."""
        return [x.symbol for x in self.listed(exchange) if x.status != "prelisted"]

    def listed_at(self, listing: Listing) -> datetime:
        """When the market was listed."""
        born = listing.listed_at or DEPTH[listing.exchange]
        return max(born, self.start) if self.start else born

    def _as_of_now(self, listing: Listing) -> Listing:
        if listing.delisted_at and self.now() < listing.delisted_at:
            return replace(listing, status="active")
        return listing

    def delist(self, exchange: str, symbol: str, at: datetime) -> None:
        """Delists a market at `at`: no payment after it, and its status changes then."""
        old = self._listings[exchange, symbol]
        self._listings[exchange, symbol] = replace(old, status="delisted", delisted_at=at)
        self._forget(exchange, symbol)

    # what was paid

    def restate(self, exchange: str, symbol: str, at: datetime, rate: float | None = None) -> float:
        """Changes the payment of hour `at` from now on; returns the new rate (default: 0.000025 higher)."""
        hour = ms_of(at) // HOUR_MS
        steps = TICKS[exchange]
        listing = self._listings[exchange, symbol]
        old = next(self._made(listing, range(hour, hour + 1)), None)
        if old is None:
            raise LookupError(f"{exchange} {symbol} pays nothing at {at}")
        new = old.ticks + steps // 40_000 if rate is None else round(rate * steps)
        self._restated[exchange, symbol, hour] = new
        self._forget(exchange, symbol)
        return self._restated[exchange, symbol, hour] / steps

    def drop(self, exchange: str, symbol: str, *hours: datetime) -> None:
        """Removes the payments of these hours."""
        self._dropped |= {(exchange, symbol, ms_of(at) // HOUR_MS) for at in hours}
        self._forget(exchange, symbol)

    def _forget(self, exchange: str, symbol: str) -> None:
        with self._lock:
            for key in [k for k in self._chunks if k[:2] == (exchange, symbol)]:
                del self._chunks[key]

    def payments(
        self, listing: Listing, first_ms: int, last_ms: int, late_ms: int = 0, *, most: int = 0
    ) -> list[SimulatedPayment]:
        """The published payments with first_ms <= stamp <= last_ms, oldest first; `late_ms` delays them.

        `most` > 0 returns the oldest so many, `most` < 0 the newest, 0 all.
        """
        exchange, symbol = listing.exchange, listing.symbol
        published = ms_of(self.now()) - _PUBLISHED_LATE_MS.get(exchange, 0) - late_ms
        last_ms = min(last_ms, published)
        first_ms = max(first_ms, ms_of(self.listed_at(listing)))
        # a stamp lies at most an hour after its own hour
        chunks = range((first_ms // HOUR_MS - 1) // _CHUNK, last_ms // HOUR_MS // _CHUNK + 1)
        parts: list[list[SimulatedPayment]] = []
        count = 0
        for chunk in chunks if most >= 0 else reversed(chunks):
            rows = self._chunk(exchange, symbol, chunk)
            low = bisect_left(rows, first_ms, key=_stamp)
            parts.append(rows[low : bisect_right(rows, last_ms, lo=low, key=_stamp)])
            count += len(parts[-1])
            if most and count >= abs(most):
                break
        rows = list(chain.from_iterable(parts if most >= 0 else reversed(parts)))
        return rows[:most] if most > 0 else rows[most:]

    def _chunk(self, exchange: str, symbol: str, chunk: int) -> list[SimulatedPayment]:
        key = (exchange, symbol, chunk)
        made = self._chunks.get(key)
        if made is None:
            with self._lock:
                listing = self._listings[exchange, symbol]
                if len(self._chunks) >= _KEPT:
                    del self._chunks[next(iter(self._chunks))]
                made = list(self._made(listing, range(chunk * _CHUNK, (chunk + 1) * _CHUNK)))
                self._chunks[key] = made
        return made

    def _made(self, listing: Listing, hours: range) -> Iterator[SimulatedPayment]:
        exchange, symbol = listing.exchange, listing.symbol
        if listing.status == "prelisted":
            return
        born = -(-ms_of(self.listed_at(listing)) // HOUR_MS)
        end = ms_of(self.stop) // HOUR_MS if self.stop else hours.stop
        if listing.delisted_at:
            end = min(end, ms_of(listing.delisted_at) // HOUR_MS + 1)
        odds, premium = self._key("chance", exchange, symbol), self._premium(listing)
        every = self._missing_one_in if exchange == "hyperliquid" else 0
        for hour in range(max(born, hours.start), min(end, hours.stop)):
            interval = self.interval(listing, hour)
            chance = mix(odds + hour)
            if (
                hour % interval
                or (every and chance % every == 0)
                or (exchange, symbol, hour) in self._dropped
            ):
                continue
            average = premium(hour)
            ticks = self._restated.get((exchange, symbol, hour))
            if ticks is None:
                ticks = _ticks(listing, average, interval, chance)
            elif exchange == "hyperliquid":
                average = _premium_of(listing, ticks, interval)
            stamp = hour * HOUR_MS + _lateness_ms(exchange, chance >> 20)
            yield SimulatedPayment(stamp, hour, ticks, round(average * 10**10))

    def interval(self, listing: Listing, hour: int) -> int:
        """Hours over which the payment of `hour` accrued."""
        schedule = self._intervals.get((listing.exchange, listing.symbol))
        if schedule:
            at = hour * HOUR_MS
            return [h for since, h in schedule if since == schedule[0][0] or ms_of(since) <= at][-1]
        return 8 if listing.exchange == "hyperliquid" and hour < _HYPERLIQUID_HOURLY else listing.hours

    def premium(self, listing: Listing, hour: float) -> float:
        """The average premium in 8-hour terms: the token's mood, the exchange's lasting lean, and noise."""
        return self._premium(listing)(hour)

    def _premium(self, listing: Listing) -> Callable[[float], float]:
        mood = self._key("mood", listing.base)
        lean = 0.0006 * unit(self._key("lean", listing.exchange, listing.base))
        noise = self._key("noise", listing.exchange, listing.symbol)
        calm = 0.5 if listing.base in ("BTC", "ETH") else 1.0
        days: dict[int, float] = {}

        def mood_of(day: int) -> float:
            if day not in days:
                days[day] = 0.0005 * unit(mood + day)
            return days[day]

        def at(hour: float) -> float:
            day = math.floor(hour / 24)
            part = hour / 24 - day
            level = (1 - part) * mood_of(day) + part * mood_of(day + 1)
            return calm * (0.0001 + level + lean) + 0.0003 * unit(noise + math.floor(hour * 60))

        return at

    # the expected truth

    def settled(self, exchange: str, symbol: str, start: datetime, stop: datetime) -> pl.DataFrame:
        """The settled rows that a correct fetcher returns for funding times in [start, stop), as of now.

        Columns symbol, funding_time (UTC, on the grid), interval_hours, funding_rate (fraction per
        interval, positive: longs pay shorts). Hours never paid or not published yet are absent; restated
        values are the new ones.
        """
        listing = self._listings[exchange, symbol]
        first, last = ms_of(start), ms_of(stop)
        rows = self.payments(listing, first, last + HOUR_MS)
        rows = [r for r in rows if first <= r.hour * HOUR_MS < last]
        frame = pl.DataFrame(
            {
                "symbol": [symbol] * len(rows),
                "funding_time": [r.hour * HOUR_MS for r in rows],
                "interval_hours": [float(self.interval(listing, r.hour)) for r in rows],
                "funding_rate": [rate_of(exchange, r.ticks) for r in rows],
            },
            schema={
                "symbol": pl.String,
                "funding_time": pl.Int64,
                "interval_hours": pl.Float64,
                "funding_rate": pl.Float64,
            },
        )
        time = pl.from_epoch("funding_time", "ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return frame.with_columns(funding_time=time)

    def current(self, exchange: str) -> pl.DataFrame:
        """The snapshot rows that a correct fetcher returns now: one row a market that trades.

        Columns symbol, funding_rate (estimate of the coming payment, fraction per interval), interval_hours,
        next_funding_time, mark_price and index_price (per ONE base token), open_interest (base tokens).
        """
        rows = []
        for x in self.listed(exchange):
            if x.status not in ("active", "reduce_only"):
                continue
            coming = self.next_hour(x)
            rows.append(
                {
                    "symbol": x.symbol,
                    "funding_rate": rate_of(exchange, self.estimate(x)),
                    "interval_hours": float(self.interval(x, coming)),
                    "next_funding_time": _EPOCH + timedelta(hours=coming),
                    "mark_price": float(self.price(x, ms_of(self.now()), "mark")) / x.multiplier,
                    "index_price": float(self.price(x, ms_of(self.now()), "index")) / x.multiplier,
                    "open_interest": self.open_interest(x) * x.multiplier,
                }
            )
        kinds = dict.fromkeys(
            ("funding_rate", "interval_hours", "mark_price", "index_price", "open_interest"), pl.Float64
        )
        schema = {"symbol": pl.String, **kinds, "next_funding_time": pl.Datetime("us", "UTC")}
        return pl.DataFrame(rows, schema=schema)

    def coming_hour(self) -> int:
        """The coming hour (since 1970), at which an hourly market pays."""
        return ms_of(self.now()) // HOUR_MS + 1

    def next_hour(self, listing: Listing) -> int:
        """The hour (since 1970) of the next payment of a market."""
        hour = self.coming_hour()
        while hour % self.interval(listing, hour):
            hour += 1
        return hour

    def estimate(self, listing: Listing) -> int:
        """The running estimate of the coming payment in ticks; moves every minute."""
        minute = ms_of(self.now()) / 60_000
        hours = self.interval(listing, self.next_hour(listing))
        return _ticks(listing, self.premium(listing, math.floor(minute) / 60), hours, 0)

    def price(self, listing: Listing, at_ms: int, kind: str = "mark") -> str:
        """US dollars per CONTRACT unit as text on the price tick; `kind` is mark or index."""
        hour = at_ms // HOUR_MS
        key = self._key("price", listing.base)
        level = 1 + 0.04 * math.sin(hour / 97 + key % 7) + 0.01 * unit(key + hour)
        gap = 0.0004 * unit(self._key(kind, listing.exchange, listing.symbol) + hour)
        return f"{listing.price * listing.multiplier * level * (1 + gap):.{listing.decimals}f}"

    def open_interest(self, listing: Listing) -> float:
        """Contract units, one side."""
        if listing.status != "active":
            return 0.0
        size = 10 ** (6.5 + unit(self._key("size", listing.exchange, listing.symbol)))
        return round(size / (listing.price * listing.multiplier), 3)

    def _key(self, *words: str) -> int:
        return _key(self.seed, *words)


def rate_of(exchange: str, ticks: int) -> float:
    """The fraction that a right reader makes of the published figure: the double nearest to it."""
    return ticks / TICKS[exchange]


def _ticks(listing: Listing, premium: float, interval: int, chance: int) -> int:
    """The published figure: (premium + clamp(interest - premium)) / 8 an hour, in steps."""
    clamp = _clamp(listing)
    eight = premium + min(max(0.0001 - premium, -clamp), clamp)
    hourly = min(max(eight * listing.factor / 8, -listing.cap), listing.cap)
    exact = hourly * interval * TICKS[listing.exchange]
    if listing.exchange == "lighter":
        return math.trunc(exact + math.copysign(1e-9, exact))  # cut, not rounded
    if abs(exact - round(exact)) > 0.499999:  # 0.0000125 appears as 0.000013 and as 0.000012
        return math.floor(exact) + (chance >> 40) % 2
    return round(exact)


def _clamp(listing: Listing) -> float:
    """How far the interest can move the rate, in 8-hour terms; narrower on Hyperliquid's dex xyz."""
    return 0.0003 if listing.symbol.startswith("xyz:") else 0.0005


def _premium_of(listing: Listing, ticks: int, interval: int) -> float:
    """A premium from which the rate of so many ticks follows."""
    eight = ticks / TICKS[listing.exchange] / interval * 8 / listing.factor
    clamp = _clamp(listing)
    return eight + clamp if eight > 0.0001 else eight - clamp


def _stamp(payment: SimulatedPayment) -> int:
    return payment.stamp


def _lateness_ms(exchange: str, chance: int) -> int:
    if exchange == "extended":
        return 800 + chance % 901
    if exchange in ("lighter", "bybit"):
        return 0
    if exchange in ("binance", "dydx"):
        return chance % (10 if exchange == "binance" else 800)
    rare = (chance >> 12) % 3000
    if rare == 0:
        return 60_000 * (1 + chance % 24) + chance % 60_000  # such as 08:23:53
    return 500 + chance % 5000 if rare < 15 else chance % 500


_KEYS: dict[tuple[int, tuple[str, ...]], int] = {}


def _key(seed: int, *words: str) -> int:
    number = _KEYS.get((seed, words))
    if number is None:
        text = "\0".join((str(seed), *words)).encode()
        number = _KEYS[seed, words] = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
    return number
