"""The only WebSocket client: keeps the stream of one source open and collects its newest row by symbol. Network only, no disk."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from fundingdb.errors import (
    BadCall,
    BadPayload,
    FundingdbError,
    RateLimited,
    Refused,
    RetryLater,
    Unreachable,
)
from fundingdb.fetchers.contract import Live, ResponseContext
from fundingdb.fetchers.payload import translated_errors
from fundingdb.settings import own_stream_url, stream_url_variable
from fundingdb.transport.backoff import RECONNECT, retry_after
from fundingdb.transport.http import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fundingdb.fetchers.contract import Fetcher, Market

BAD_IN_A_ROW = 20
_MAX_FRAME = 16 * 2**20
_LISTING_SECONDS = 600.0  # a reconnect requests the list of markets again when it is older
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class NewestRow:
    """The newest row of one market (columns of SNAPSHOTS without month) and the frame that had it."""

    row: dict[str, object]
    observed_at: datetime
    frame: bytes


@dataclass(slots=True)
class Frames:
    """What was received since the last `take`: the newest row by symbol, and counts. `bad`: frames that were refused."""

    newest: dict[str, NewestRow] = field(default_factory=dict)
    frames: int = 0
    bytes: int = 0
    bad: int = 0
    reconnects: int = 0
    first_at: datetime | None = None


@dataclass(slots=True)
class Feed:
    """One source's stream. `markets` requests its list, `wanted` selects from it, `on_bad` is called with each refused frame.

    The connection is made anew after `stale_after` seconds without a rate, and after `relist_after` seconds in any case.
    `failure` is why nothing is received at present, None when all is well; `ready` is set by the first rate, and by the
    first failure.
    """

    fetcher: Fetcher
    live: Live
    markets: Callable[[], Awaitable[dict[str, Market]]]
    wanted: Callable[[Mapping[str, Market]], list[Market]]
    on_bad: Callable[[BadPayload], None]
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    stale_after: float = 90.0
    relist_after: float = 6 * 3600.0
    listing: dict[str, Market] = field(default_factory=dict)
    failure: FundingdbError | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _received: Frames = field(default_factory=Frames)
    _listed_at: float | None = None
    _chosen: frozenset[str] = frozenset()
    _bad_in_a_row: int = 0
    _had_rates: bool = False

    async def run(self) -> None:
        """Keep the stream open until cancelled; ends by itself when none of its markets is wanted.

        It also ends, with `failure` set, for what no reconnect can cure: a refusal, a wrong address, BAD_IN_A_ROW bad frames.
        """
        failures = 0
        try:
            while True:
                self._had_rates = False
                try:
                    await self._list()
                    if not self._chosen:
                        return
                    await self._session()
                except RetryLater as lost:
                    self.failure = lost
                    self.ready.set()
                    failures = 1 if self._had_rates else failures + 1
                    after = lost.retry_after if isinstance(lost, RateLimited) else None
                    await self.sleep(RECONNECT.wait(failures, self.jitter(), after))
                self._received.reconnects += 1
        except FundingdbError as error:
            self.failure = error
        finally:
            self.ready.set()

    @property
    def waiting(self) -> bool:
        """Whether a rate was received since the last `take`."""
        return bool(self._received.newest)

    def take(self) -> Frames:
        """What was received since the last call."""
        frames, self._received = self._received, Frames()
        return frames

    def give_back(self, frames: Frames) -> None:
        """Undo a `take`; rows received since then are newer and stay."""
        self._received.newest = frames.newest | self._received.newest

    async def _list(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._listed_at is None or now - self._listed_at > _LISTING_SECONDS:
            try:
                self.listing = await self.markets()
            except FundingdbError:
                if not self.listing:  # else the older list still names the markets
                    raise
            else:
                self._listed_at = now
        self._chosen = frozenset(m.symbol for m in self.wanted(self.listing))

    async def _session(self) -> None:
        """One connection; returns after `relist_after` seconds. Raises Unreachable, RateLimited, Refused, BadCall, BadPayload."""
        where, url = f"{self.fetcher.exchange} stream", self._url()
        proxy = None if urlsplit(url).hostname in _LOOPBACK else True
        try:
            async with connect(
                url,
                user_agent_header=USER_AGENT,
                proxy=proxy,
                max_size=_MAX_FRAME,
                close_timeout=1,
                ping_interval=None,  # the watchdog and the exchange's own pings do it
            ) as socket:
                for message in self.live.subscribe([self.listing[s] for s in sorted(self._chosen)]):
                    await socket.send(message)
                await self._listen(socket)
        except InvalidStatus as refused:
            response = refused.response
            after = retry_after(response.headers.get("Retry-After"), self.now())
            raise _by_status(where, response.status_code, after) from None
        except InvalidURI:
            raise BadCall(
                f"{where}: its address is not a ws:// or wss:// address; correct {stream_url_variable(self.fetcher.exchange)}"
            ) from None
        except ConnectionClosed as closed:
            reason = closed.rcvd and f"{closed.rcvd.code} {closed.rcvd.reason}".strip()
            raise Unreachable(f"{where}: connection lost{f' ({reason})' if reason else ''}") from None
        except (OSError, WebSocketException, TimeoutError) as lost:
            raise Unreachable(f"{where}: no connection{_why(lost)}") from None

    async def _listen(self, socket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.relist_after
        keeping = asyncio.create_task(self._keep(socket))
        try:
            async with asyncio.timeout(self.stale_after) as watchdog:
                while loop.time() < ends:
                    frame = await socket.recv(decode=False)
                    reply = self.live.answer(frame)
                    if reply is not None:
                        await socket.send(reply)
                    if self._read(frame):
                        watchdog.reschedule(loop.time() + self.stale_after)
        except TimeoutError:
            problem = f"{self.fetcher.exchange} stream: no rate for {self.stale_after:g} s"
            raise Unreachable(problem) from None
        finally:
            keeping.cancel()
        self._listed_at = None

    async def _keep(self, socket: ClientConnection) -> None:
        while self.live.keepalive is not None:
            await self.sleep(self.live.keepalive_seconds)
            try:
                await socket.send(self.live.keepalive)
            except ConnectionClosed:  # the reader's recv raises it too, and that one is reported
                return

    def _read(self, frame: bytes) -> bool:
        """Whether the frame had rates."""
        at = self.now()
        self._received.frames += 1
        self._received.bytes += len(frame)
        self._received.first_at = self._received.first_at or at
        context = ResponseContext(at=at, markets=self.listing)
        try:
            with translated_errors(self.fetcher.exchange, "stream"):
                rows = self.live.parse(frame, context)
        except BadPayload as error:
            error.body = frame
            self._bad(error)
            return False
        except BadCall as unnamed:
            self._listed_at = None
            raise Unreachable(f"{unnamed}; the list of markets is requested again") from None
        self._received.bad += len(context.left_out)
        if not rows.height:
            return False
        self._bad_in_a_row, self._had_rates, self.failure = 0, True, None
        self.ready.set()
        newest = self._received.newest
        for row in rows.iter_rows(named=True):
            symbol, observed_at = row["symbol"], row["observed_at"]
            before = newest.get(symbol)
            if symbol in self._chosen and (before is None or before.observed_at <= observed_at):
                newest[symbol] = NewestRow(row, observed_at, frame)
        return True

    def _bad(self, error: BadPayload) -> None:
        self._received.bad += 1
        self._bad_in_a_row += 1
        self.on_bad(error)
        if self._bad_in_a_row >= BAD_IN_A_ROW:
            raise error

    def _url(self) -> str:
        return (own_stream_url(self.fetcher.exchange, self.env) or self.live.base_url).rstrip(
            "/"
        ) + self.live.path


def _why(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return f" ({text})" if text else ""


def _by_status(where: str, status: int, after: float | None) -> FundingdbError:
    """The error for a connection that the server refuses with an HTTP status."""
    if status == 429:
        return RateLimited(f"{where}: too many connections (429)", after)
    if status >= 500 or status == 408:
        return Unreachable(f"{where}: status {status}")
    return Refused(
        f"{where}: status {status} in place of a stream; has its address changed? See its datasheet"
    )
