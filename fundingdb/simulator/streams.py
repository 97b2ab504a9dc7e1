"""Simulated WebSocket streams of Extended, Lighter and Hyperliquid, implemented independently of the fetchers.

Extended: no subscription, one frame a market each period (a minute there). Lighter: `connected`, then by subscription a whole
`subscribed/market_stats` and parts as `update/market_stats`, and pings that want a pong. Hyperliquid: a receipt for each
subscription, a context at once and each period, a pong for a ping.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from fundingdb.simulator import hyperliquid
from fundingdb.simulator.world import HOUR_MS, ms_of

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

    from fundingdb.simulator.faults import Fault, Faults
    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIXES = {
    "extended": "/extended/stream.extended.exchange/v1",
    "lighter": "/lighter",
    "hyperliquid": "/hyperliquid",
}
_SUBSCRIPTIONS = 1000


class Streams:
    """The WebSocket server of a simulator; `received` has the messages of clients, by exchange, `opened` counts connections."""

    def __init__(self, world: World, faults: Faults, down: set[str], period: float) -> None:
        self.world, self.faults, self.period = world, faults, period
        self.port = 0
        self.received: list[tuple[str, Any]] = []
        self.opened: Counter[str] = Counter()
        self._down = down
        self._server: Server | None = None

    async def start(self, host: str) -> None:
        """Listens on a free port."""
        self._server = await serve(
            self._serve, host, 0, process_request=self._admit, ping_interval=None, close_timeout=0.1
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Ends every connection."""
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def env(self, host: str) -> dict[str, str]:
        """The environment that points the streams at this server."""
        root = f"ws://{host}:{self.port}"
        return {f"FUNDINGDB_{name.upper()}_WS_URL": root + prefix for name, prefix in PREFIXES.items()}

    def _exchange(self, path: str) -> str | None:
        return next((e for e, prefix in PREFIXES.items() if path.startswith(prefix + "/")), None)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        exchange = self._exchange(request.path)
        if exchange is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "Not Found")
        if exchange in self._down:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")
        if exchange == "extended" and not request.headers.get("User-Agent"):
            return connection.respond(HTTPStatus.FORBIDDEN, "Forbidden")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path
        exchange = self._exchange(path)
        assert exchange is not None
        self.opened[exchange] += 1
        struck = self.faults.of(exchange, self.opened[exchange], f"ws{path}")
        kind = {"extended": _Extended, "lighter": _Lighter, "hyperliquid": _Hyperliquid}[exchange]
        talk = kind(self, _Client(connection, {f.kind: f for f in struck}))
        sending = asyncio.create_task(talk.send_frames(path.removeprefix(PREFIXES[exchange])))
        try:
            async for message in connection:
                value = json.loads(message)
                self.received.append((exchange, value))
                await talk.receive(value)
        except ConnectionClosed:
            return
        finally:
            sending.cancel()
            await asyncio.wait([sending])


class _Client:
    """One connection with its faults, which count the frames with figures."""

    def __init__(self, connection: ServerConnection, faults: dict[str, Fault]) -> None:
        self.connection, self._faults, self._sent = connection, faults, 0

    async def send(self, value: Any) -> None:
        """A frame that no fault spoils."""
        await self.connection.send(json.dumps(value, separators=(",", ":")))

    async def send_figures(self, value: Any) -> None:
        """A frame with figures."""
        if (drop := self._faults.get("ws-drop")) and self._sent >= (drop.value or 1):
            self.connection.transport.abort()
            await asyncio.sleep(0)
        silence = self._faults.get("ws-silence")
        if silence and self._sent >= (silence.value or 0):
            return
        self._sent += 1
        if (garbage := self._faults.get("ws-garbage")) and self._sent <= (garbage.value or 1):
            await self.connection.send('{"data":{"coin":"BTC","f":')
            return
        await self.send(value)


def _trading(world: World, exchange: str) -> list[Listing]:
    return [x for x in world.listed(exchange) if x.status in ("active", "reduce_only")]


class _Extended:
    def __init__(self, streams: Streams, client: _Client) -> None:
        self.streams, self.client, self.world = streams, client, streams.world

    async def send_frames(self, path: str) -> None:
        market = path.removeprefix("/funding").strip("/")
        seq = 0
        while path.startswith("/funding"):
            for x in _trading(self.world, "extended"):
                if market in ("", x.symbol):
                    seq += 1
                    now = ms_of(self.world.now())
                    data = {"m": x.symbol, "T": now, "f": f"{self.world.estimate(x) / 1e6:.6f}"}
                    await self.client.send_figures({"ts": now, "data": data, "seq": seq})
            await asyncio.sleep(self.streams.period)

    async def receive(self, value: Any) -> None:
        """Ignored: this stream has no messages of clients."""


class _Lighter:
    def __init__(self, streams: Streams, client: _Client) -> None:
        self.streams, self.client, self.world = streams, client, streams.world
        self._subscribed = False

    async def send_frames(self, path: str) -> None:
        if not path.startswith("/stream"):
            return
        await self.client.send({"session_id": "6b27e9ee-3ec0-4321-8832-993fde229187", "type": "connected"})
        await self.client.send({"type": "ping"})
        turn = 0
        while True:
            await asyncio.sleep(self.streams.period)
            if self._subscribed:
                turn += 1
                await self._send(
                    "update", [x for i, x in enumerate(_trading(self.world, "lighter")) if (i + turn) % 2]
                )

    async def receive(self, value: Any) -> None:
        match value:
            case {"type": "ping"}:
                await self.client.send({"type": "pong"})
            case {"type": "pong"}:
                return
            case {"type": "subscribe", "channel": "market_stats/all"}:
                self._subscribed = True
                await self._send("subscribed", _trading(self.world, "lighter"))
            case _:
                await self.client.send({"error": {"code": 30005, "message": "Invalid Channel"}})

    async def _send(self, kind: str, markets: list[Listing]) -> None:
        stats = {str(x.native_id): self._stats(x) for x in markets}
        frame = {"channel": "market_stats:all", "market_stats": stats, "type": f"{kind}/market_stats"}
        await self.client.send_figures(frame)

    def _stats(self, x: Listing) -> dict[str, Any]:
        now = ms_of(self.world.now())
        mark, index = self.world.price(x, now, "mark"), self.world.price(x, now, "index")
        held = self.world.open_interest(x)
        paid = self.world.payments(x, 0, now, most=-1)
        return {
            "market_id": x.native_id,
            "symbol": x.symbol,
            "index_price": index,
            "mark_price": mark,
            "open_interest": f"{held * float(mark):.6f}",
            "open_interest_limit": "72057594037927936.000000",
            "funding_clamp_small": "0.0500",
            "funding_clamp_big": "4.0000",
            "last_trade_price": mark,
            "current_funding_rate": f"{self.world.estimate(x) / 1e4:.4f}",
            "funding_rate": f"{paid[0].ticks / 1e4 if paid else 0:.4f}",
            "funding_timestamp": (self.world.coming_hour() - 1) * HOUR_MS + 1,
            "daily_base_token_volume": round(held * 2.7, 4),
            "daily_quote_token_volume": round(held * 2.7 * float(mark), 6),
            "daily_price_change": 2.12,
        }


class _Hyperliquid:
    def __init__(self, streams: Streams, client: _Client) -> None:
        self.streams, self.client, self.world = streams, client, streams.world
        self._coins: dict[str, None] = {}
        self._all = False

    async def send_frames(self, path: str) -> None:
        while path == "/ws":
            await asyncio.sleep(self.streams.period)
            await self._send(list(self._coins))
            if self._all:
                await self._send_all()

    async def receive(self, value: Any) -> None:
        match value:
            case {"method": "ping"}:
                await self.client.send({"channel": "pong"})
            case {"method": "subscribe", "subscription": {"type": "allDexsAssetCtxs"}}:
                self._all = True
                await self.client.send({"channel": "subscriptionResponse", "data": value})
                await self._send_all()
            case {"method": "subscribe", "subscription": {"type": "activeAssetCtx", "coin": str(coin)}} if (
                self.world.listing("hyperliquid", coin) and len(self._coins) < _SUBSCRIPTIONS
            ):
                self._coins[coin] = None
                await self.client.send({"channel": "subscriptionResponse", "data": value})
                await self._send([coin])
            case _:
                await self.client.send({"channel": "error", "data": f"Invalid subscription {value}"})

    async def _send(self, coins: list[str]) -> None:
        for coin in coins:
            listing = self.world.listing("hyperliquid", coin)
            assert listing is not None
            data = {"coin": coin, "ctx": hyperliquid.context(self.world, listing)}
            await self.client.send_figures({"channel": "activeAssetCtx", "data": data})

    async def _send_all(self) -> None:
        dexes = [
            [dex, [hyperliquid.context(self.world, x) for x in hyperliquid.of_dex(self.world, dex)]]
            for dex in hyperliquid.DEXES
        ]
        await self.client.send_figures({"channel": "allDexsAssetCtxs", "data": {"ctxs": dexes}})
