"""The only HTTP client: sends the requests of fetchers, within budgets, with retries and time-outs.

No error and no response of it contains a key, a header or an address.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self

import httpx
import msgspec

from fundingdb.errors import (
    BadCall,
    BadPayload,
    ClockWrong,
    FundingdbError,
    RateLimited,
    Refused,
    RetryLater,
    Unreachable,
)
from fundingdb.fetchers.contract import plain_path
from fundingdb.settings import own_url, url_variable, version
from fundingdb.transport.backoff import REQUEST, Backoff, retry_after
from fundingdb.transport.budget import Limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fundingdb.fetchers.contract import Fetcher, Request

USER_AGENT = f"fundingdb/{version()} (+https://pypi.org/project/fundingdb)"
MAX_BODY = 256 * 2**20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CLOCK_WARN, _CLOCK_STOP = timedelta(seconds=30), timedelta(minutes=10)
_WHOLE = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Response:
    """The body of one successful response, when it was received (UTC), the seconds of its last try, and the number of tries.

    server_time: the server's own clock, UTC, its `Date` header; None where there is none.
    """

    body: bytes
    received_at: datetime
    seconds: float
    tries: int
    server_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two pieces of a response, for one try as a whole."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 120.0


@dataclass(frozen=True, slots=True)
class _RawResponse:
    status: int
    headers: httpx.Headers
    body: bytes


class Engine:
    """Sends requests to exchanges, inside `async with`; one engine serves all sources of an event loop.

    `clock` (monotonic seconds), `sleep`, `now` and `jitter` (0..1) are arguments so that tests take no time. `env` has the
    keys, and other base addresses (FUNDINGDB_<SOURCE>_URL). `backoff` is the retry policy, `user_agent` the header of that name.
    """

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        env: Mapping[str, str] = os.environ,
        jitter: Callable[[], float] = random.random,
        backoff: Backoff = REQUEST,
        timeouts: Timeouts = Timeouts(),
        user_agent: str = USER_AGENT,
    ) -> None:
        self._transport, self._env, self._timeouts = transport, env, timeouts
        self._clock, self._sleep, self._now, self._jitter, self._backoff = clock, sleep, now, jitter, backoff
        self._user_agent = user_agent
        self._warned = False
        self._limiters: dict[str, Limiter] = {}
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        while self._clients:
            await self._clients.popitem()[1].aclose()

    async def fetch(self, fetcher: Fetcher, request: Request) -> Response:
        """The response to `request`; each try costs its weight of the budget.

        Lost connections, time-outs, incomplete or HTML bodies, 5xx and 429 are tried again by `backoff`; a 429 pauses the
        whole scope. Raises Unreachable or RateLimited where `backoff` gives up; the error that `fetcher.refusal` finds in the
        response; ClockWrong for a machine clock off by minutes; Refused for other 3xx and 4xx; BadPayload for a body above
        MAX_BODY; BadCall for a request that can't be sent.
        """
        prepared = None if fetcher.call else self._prepare(fetcher, request)
        limiter = self._limiter(fetcher)
        where = f"{fetcher.exchange} {request.endpoint}"
        tried = 0
        while True:
            tried += 1
            async with limiter.turn(request.cost):
                began = self._clock()
                if prepared is None:
                    result = await self._call(fetcher, request, where)
                else:
                    result = await self._try(fetcher, prepared, where)
                received, seconds = self._now(), self._clock() - began
            if isinstance(result, _RawResponse):
                server_time = _date(result.headers)
                self._compare(server_time, result.headers, received, seconds, where)
                return Response(result.body, received, seconds, tried, server_time)
            error, headers = result
            wait = retry_after(headers.get("retry-after"), received)
            if isinstance(error, RateLimited):
                error.retry_after = wait = error.retry_after if wait is None else wait
            if not isinstance(error, RetryLater) or self._backoff.gives_up(tried, wait):
                raise _complete_text(error, where, tried, self._secrets(fetcher))
            await self._rest(limiter, error, wait, tried)

    def _compare(
        self,
        stated: datetime | None,
        headers: httpx.Headers,
        received: datetime,
        seconds: float,
        where: str,
    ) -> None:
        """Compare this machine's clock with the server's; raises ClockWrong beyond _CLOCK_STOP."""
        if stated is None:
            return
        age = headers.get("age", "")
        off = received - stated - timedelta(seconds=int(age) if age.isdecimal() else 0)
        if off > timedelta(0):  # the header is written before a long body is sent
            off = max(timedelta(0), off - timedelta(seconds=seconds))
        text = f"the clock of this machine is {abs(off)} {'ahead of' if off > timedelta(0) else 'behind'} that of {where}"
        if abs(off) > _CLOCK_STOP:
            raise ClockWrong(f"{text}; set the clock right (UTC), then repeat the call")
        if abs(off) > _CLOCK_WARN and not self._warned:
            self._warned = True
            sys.stderr.write(f"warning: {text}; set it right, or new payments may be late\n")

    async def _try(
        self, fetcher: Fetcher, prepared: httpx.Request, where: str
    ) -> _RawResponse | tuple[FundingdbError, httpx.Headers]:
        """A successful response, or the error and the headers of the response."""
        try:
            raw = await self._send(prepared, where)
        except RetryLater as lost:
            return lost, httpx.Headers()
        error = self._error_in(fetcher, where, raw)
        return raw if error is None else (error, raw.headers)

    async def _call(
        self, fetcher: Fetcher, request: Request, where: str
    ) -> _RawResponse | tuple[FundingdbError, httpx.Headers]:
        """As `_try`, for a fetcher with a client of its own."""
        if fetcher.call is None:
            raise BadCall(f"{where}: has no client of its own")
        try:
            async with asyncio.timeout(self._timeouts.total):
                return _RawResponse(200, httpx.Headers(), await fetcher.call(request))
        except TimeoutError:
            return Unreachable(f"{where}: time-out"), httpx.Headers()
        except FundingdbError as error:
            return error, httpx.Headers()

    async def _rest(self, limiter: Limiter, error: FundingdbError, wait: float | None, tried: int) -> None:
        """Wait before the next try: the whole scope where the exchange demands it, else this request alone."""
        limited = isinstance(error, RateLimited)
        # a budget that others used up returns within its own window, so the first bound is a part of that
        first = limiter.budget.per_seconds / 15 if limited else 0.0
        pause = self._backoff.wait(tried, self._jitter(), wait, first=first)
        if limited or wait is not None:
            limiter.pause(pause)
        else:
            await self._sleep(pause)

    def _limiter(self, fetcher: Fetcher) -> Limiter:
        budget = fetcher.budget
        limiter = self._limiters.get(budget.scope)
        if limiter is None:
            limiter = Limiter(budget, clock=self._clock, sleep=self._sleep)
            self._limiters[budget.scope] = limiter
        elif limiter.budget != budget:
            raise BadCall(f"scope {budget.scope!r} has two budgets: {limiter.budget} and {budget}")
        return limiter

    def _secrets(self, fetcher: Fetcher) -> list[str]:
        return [v for v in fetcher.headers(self._env).values() if len(v) >= 6]

    def _prepare(self, fetcher: Fetcher, request: Request) -> httpx.Request:
        path = request.path
        if not plain_path(path):
            raise BadCall(
                f"{fetcher.exchange} {request.endpoint}: {path!r} is not a plain path; percent-encode the symbol"
            )
        name = url_variable(fetcher.source)
        own = own_url(fetcher.source, self._env)
        base = (own or request.base_url or _base_for(fetcher, self._env)).rstrip("/")
        try:
            url = httpx.URL(base + path)
        except httpx.InvalidURL:
            url = httpx.URL()
        plain = url.scheme in ("http", "https") and url.host and not url.query and not url.fragment
        if not plain or (url.port or 0) > 65535:
            hint = f"see the environment variable {name}" if own else "see its fetcher"
            raise BadCall(f"{fetcher.exchange}: its base address is not a plain http(s) address; {hint}")
        if request.params:
            url = url.copy_with(params=request.params)
        headers = {"User-Agent": self._user_agent, "Accept": "application/json", **fetcher.headers(self._env)}
        for key, value in headers.items():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise BadCall(
                    f"{fetcher.exchange}: header {key} has a blank at an end, a line break or a letter beyond ASCII; "
                    "correct the key in the environment"
                )
        client = self._client(loopback=url.host in _LOOPBACK)
        if request.json is None:
            return client.build_request(request.method, url, headers=headers)
        return client.build_request(request.method, url, headers=headers, json=request.json)

    def _client(self, *, loopback: bool) -> httpx.AsyncClient:
        """Proxies of the environment are used for exchanges, not for a simulator on this machine."""
        if loopback not in self._clients:
            limits = self._timeouts
            self._clients[loopback] = httpx.AsyncClient(
                transport=self._transport,
                trust_env=not loopback,
                timeout=httpx.Timeout(limits.read, connect=limits.connect, pool=None),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=30),
                follow_redirects=False,
            )
        return self._clients[loopback]

    async def _send(self, prepared: httpx.Request, where: str) -> _RawResponse:
        """One try; raises Unreachable without the library's error behind it, which may show addresses and headers."""
        client = self._client(loopback=prepared.url.host in _LOOPBACK)
        try:
            async with asyncio.timeout(self._timeouts.total):
                response = await client.send(prepared, stream=True)
                try:
                    body = bytearray()
                    async for piece in response.aiter_bytes():
                        body += piece
                        if len(body) > MAX_BODY:
                            problem = f"is larger than {MAX_BODY // 2**20} MiB"
                            exchange, _, endpoint = where.partition(" ")
                            raise BadPayload(exchange, endpoint, "(body)", problem)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise Unreachable(f"{where}: time-out") from None
        except httpx.ConnectError:
            raise Unreachable(f"{where}: no connection") from None
        except httpx.DecodingError:
            raise Unreachable(f"{where}: the compressed body could not be unpacked") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            raise BadCall(f"{where}: the request can't be sent as it is") from None
        except httpx.ProxyError:
            raise Unreachable(f"{where}: the proxy of the environment (HTTPS_PROXY) refused") from None
        except httpx.TransportError:
            raise Unreachable(f"{where}: connection lost before the response was complete") from None
        return _RawResponse(response.status_code, response.headers, bytes(body))

    def _error_in(self, fetcher: Fetcher, where: str, raw: _RawResponse) -> FundingdbError | None:
        """The error of a failed response; None for a successful one."""
        good = 200 <= raw.status < 300
        if good and _is_incomplete(raw.body):
            return Unreachable(f"{where}: the body is {'incomplete' if raw.body.strip() else 'empty'}")
        refusal = fetcher.refusal(raw.status, raw.body)
        if refusal is not None:
            return refusal
        if good and raw.body.lstrip()[:1] == b"<":
            return Unreachable(f"{where}: HTML in place of JSON: {_excerpt(raw)}")
        return None if good else _by_status(where, raw)


def _by_status(where: str, raw: _RawResponse) -> FundingdbError:
    """The error for a status that the fetcher leaves to the engine."""
    if raw.status == 429:
        return RateLimited(f"{where}: too many requests (429)")
    if raw.status >= 500 or raw.status == 408:
        return Unreachable(f"{where}: status {raw.status}: {_excerpt(raw)}")
    if 300 <= raw.status < 400:
        return Refused(
            f"{where}: status {raw.status}: a redirect, which is not followed; has the address changed? See its datasheet"
        )
    return Refused(f"{where}: status {raw.status}: {_excerpt(raw)}")


def _date(headers: httpx.Headers) -> datetime | None:
    """The instant of the `Date` header, UTC; None where there is none that can be read."""
    try:
        at = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _base_for(fetcher: Fetcher, env: Mapping[str, str]) -> str:
    return (fetcher.base_for(env) if fetcher.base_for else None) or fetcher.base_url


def _is_incomplete(body: bytes) -> bool:
    """Whether the JSON ends too early; what is not JSON at all is left to the fetcher."""
    try:
        _WHOLE.decode(body)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    return False


def _excerpt(raw: _RawResponse) -> str:
    text = " ".join(raw.body[:400].decode("utf-8", "replace").split())
    return repr(text if len(text) <= 120 else text[:117] + "...") if text else "no text"


def _complete_text(error: FundingdbError, where: str, tried: int, secrets: list[str]) -> FundingdbError:
    """The error with exchange, endpoint, tries and next step in its text, and without any key."""
    text = str(error)
    if not text.startswith(where):
        text = f"{where}: {text}"
    if isinstance(error, RetryLater):
        text += f" ({tried} {'try' if tried == 1 else 'tries'}); "
        after = error.retry_after if isinstance(error, RateLimited) else None
        text += f"repeat the call after {after:.0f} s" if after else "repeat the call later"
    for secret in secrets:
        text = text.replace(secret, "***")
    error.args = (text,)
    return error
