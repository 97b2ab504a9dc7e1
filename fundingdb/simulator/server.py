"""The HTTP server of the simulation: one loopback port, its own thread and event loop, stopped at the end of its `with`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from fundingdb.simulator import binance, bybit, coingecko, dydx, extended, hyperliquid, lighter
from fundingdb.simulator.faults import Fault, Faults
from fundingdb.simulator.wire import Call, Reply, Tweaks, html

if TYPE_CHECKING:
    from types import TracebackType

    from fundingdb.simulator.streams import Streams
    from fundingdb.simulator.world import World

EXCHANGES = {
    "extended": extended,
    "lighter": lighter,
    "hyperliquid": hyperliquid,
    "coingecko": coingecko,
    "binance": binance,
    "bybit": bybit,
    "dydx": dydx,
}
_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as served; `status` 0: no whole answer was sent.

    `path` includes the type where one path serves many (`/info#meta`), `weight` is its cost.
    """

    exchange: str
    path: str
    params: tuple[tuple[str, str], ...]
    body: bytes
    status: int
    at: datetime
    weight: float
    faults: tuple[str, ...]


class Simulator:
    """Serves `world` on `host`:`port` (0: a free one) between `__enter__` and `__exit__`.

    `limits=True` enforces each exchange's limit by a sliding window, `scale` times faster;
    arrivals may be a twentieth of the window early, as a loaded loopback makes a punctual client.
    `requests` is the log. `live=True` serves the exchanges' streams too, on a port of their own, `period` seconds
    between their frames; `streams` then has the messages received there.
    """

    def __init__(
        self,
        world: World,
        faults: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        limits: bool = False,
        scale: float = 1.0,
        live: bool = False,
        period: float = 0.2,
    ) -> None:
        self.world, self.faults = world, faults or Faults()
        self.host, self.port = host, port
        self.limits, self.scale = limits, scale
        self.requests: list[Logged] = []
        self._counts: Counter[str] = Counter()
        self._down: set[str] = set()
        self._spent: dict[str, deque[tuple[float, float]]] = {name: deque() for name in EXCHANGES}
        self._connections: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._failed: OSError | None = None
        self.streams: Streams | None = None
        if live:
            from fundingdb.simulator.streams import Streams  # noqa: PLC0415 - websockets only where they are served

            self.streams = Streams(world, self.faults, self._down, period)

    def __enter__(self) -> Self:
        ready = Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, args=(ready,), name="fundingdb-simulator", daemon=True)
        self._thread.start()
        ready.wait()
        if self._failed:
            self._thread.join()
            raise self._failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def env(self) -> dict[str, str]:
        """The environment that points the fetchers at this server."""
        root = f"http://{self.host}:{self.port}"
        env = {
            f"FUNDINGDB_{name.upper()}_URL": root + exchange.PREFIX for name, exchange in EXCHANGES.items()
        }
        return env | (self.streams.env(self.host) if self.streams else {})

    def count(self, exchange: str | None = None, status: int | None = None) -> int:
        """How many requests were served, of one exchange, with one status."""
        return sum(
            (exchange is None or r.exchange == exchange) and (status is None or r.status == status)
            for r in self.requests
        )

    def down(self, exchange: str) -> None:
        """Makes one exchange unreachable: 503 until `up`."""
        self._down.add(exchange)

    def up(self, exchange: str) -> None:
        """Ends `down`."""
        self._down.discard(exchange)

    def _run(self, ready: Event) -> None:
        loop = self._loop
        assert loop is not None
        try:
            server = loop.run_until_complete(
                loop.create_server(lambda: _Connection(self), self.host, self.port)
            )
        except OSError as error:
            self._failed = error
            ready.set()
            loop.close()
            return
        self.port = server.sockets[0].getsockname()[1]
        if self.streams:
            loop.run_until_complete(self.streams.start(self.host))
        ready.set()
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._close(server))
            loop.close()

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        if self.streams:
            await self.streams.stop()
        # connections accepted in this very moment are still tasks of the loop, not yet in our set
        while accepting := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(accepting)
        while self._connections:
            for connection in list(self._connections):
                connection.drop()
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def serve(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[Reply, Fault | None]:
        """The answer to one request, logged, and the fault that spoils its transport."""
        split = urlsplit(target)
        path = unquote(split.path)
        exchange = next((e for e, m in EXCHANGES.items() if path.startswith(m.PREFIX + "/")), None)
        if exchange is None:
            return html(404, "Not Found"), None
        module = EXCHANGES[exchange]
        params = tuple(parse_qsl(split.query, keep_blank_values=True))
        call = Call(method, path.removeprefix(module.PREFIX), params, headers, body)
        self._counts[exchange] += 1
        named, cost = module.name(call), module.weight(call)
        struck = self.faults.of(exchange, self._counts[exchange], named)
        spoiled = next((f for f in struck if f.kind in ("hang", "cut", "truncated")), None)
        wait = self._over(exchange, module.CAPACITY, module.SECONDS, cost)
        if exchange in self._down:
            reply = html(503, "Service Unavailable")
        elif wait is not None:
            reply = module.over_limit(wait)
        else:
            reply = self._failing(exchange, struck) or self._answer(exchange, call, struck)
        if reply.weight and self.limits:
            self._spent[exchange].append((time.monotonic(), reply.weight))
        unsent = (
            spoiled is not None
            and spoiled.kind != "truncated"
            and not (spoiled.kind == "hang" and spoiled.value)
        )
        kinds = tuple(f.kind for f in struck)
        status, total = 0 if unsent else reply.status, cost + reply.weight
        self.requests.append(Logged(exchange, named, params, body, status, datetime.now(UTC), total, kinds))
        return reply, spoiled

    def _answer(self, exchange: str, call: Call, struck: list[Fault]) -> Reply:
        for fault in struck:
            if fault.kind == "restate" and fault.at:
                self.world.restate(fault.exchange or exchange, fault.symbol, fault.at, fault.value)
        kinds = {f.kind: f.value for f in struck}
        cap = kinds.get("cap")
        tweaks = Tweaks(
            cap=None if cap is None else int(cap),
            duplicates="duplicates" in kinds,
            shuffled="shuffled" in kinds,
            late_ms=int(1000 * (kinds.get("late") or 0)),
        )
        return EXCHANGES[exchange].answer(self.world, call, tweaks)

    def _failing(self, exchange: str, struck: list[Fault]) -> Reply | None:
        kinds = {f.kind: f.value for f in struck}
        if "429" in kinds or "429-silent" in kinds:
            limited = EXCHANGES[exchange].over_limit(0)
            after = (("Retry-After", f"{kinds['429'] or 1:g}"),) if "429" in kinds else ()
            return Reply(429, limited.body, limited.content_type, after)
        if "5xx" in kinds:
            return html(int(kinds["5xx"] or 502), "Bad Gateway")
        if "html-403" in kinds:
            return html(403, "Forbidden")
        if "html-405" in kinds:
            return html(405, "Not Allowed")
        if "html-200" in kinds:
            return html(200, "Just a moment...")
        return None

    def _over(self, exchange: str, capacity: float, seconds: float, cost: float) -> float | None:
        """Seconds until this request would pass, None where it passes now."""
        if not self.limits:
            return None
        window, now, spent = seconds / self.scale * 0.95, time.monotonic(), self._spent[exchange]
        while spent and spent[0][0] <= now - window:
            spent.popleft()
        if sum(weight for _, weight in spent) + cost > capacity:
            return max(spent[0][0] + window - now, 0.001) if spent else window
        spent.append((now, cost))
        return None


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length bodies: all that a JSON client needs."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._buffer = b""
        self._hung = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    # pyrefly: ignore [missing-override-decorator] - typing has it from Python 3.12 on
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._simulator._connections.add(self)  # noqa: SLF001 - two halves of one server

    # pyrefly: ignore [missing-override-decorator] - typing has it from Python 3.12 on
    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._simulator._connections.discard(self)  # noqa: SLF001 - two halves of one server
        if self._timer:
            self._timer.cancel()

    def drop(self) -> None:
        """Ends the connection at once."""
        if self._transport:
            self._transport.abort()

    # pyrefly: ignore [missing-override-decorator] - typing has it from Python 3.12 on
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._hung and (request := self._next()):
            reply, spoiled = self._simulator.serve(*request)
            if spoiled and spoiled.kind == "hang":
                self._hung = True
                if spoiled.value:
                    self._timer = asyncio.get_running_loop().call_later(spoiled.value, self._late, reply)
            else:
                self._send(reply, spoiled)

    def _late(self, reply: Reply) -> None:
        self._hung = False
        self._send(reply, None)
        self.data_received(b"")

    def _next(self) -> tuple[str, str, dict[str, str], bytes] | None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {key.strip().lower(): value.strip() for key, _, value in pairs}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        method, target, _ = lines[0].split(" ", 2)
        return method, target, headers, rest[:length]

    def _send(self, reply: Reply, spoiled: Fault | None) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        body = reply.body[: len(reply.body) // 2] if spoiled else reply.body
        promised = len(reply.body) if spoiled and spoiled.kind == "cut" else len(body)
        lines = [
            f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Status')}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {promised}",
            f"Date: {format_datetime(self._simulator.world.now(), usegmt=True)}",
            *(f"{key}: {value}" for key, value in reply.headers),
        ]
        transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if spoiled and spoiled.kind == "cut":
            transport.close()
