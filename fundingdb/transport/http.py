"""The one engine: a Request of a fetcher -> the bytes of its answer. Budgets, retries, time-outs; the only httpx.

Nothing that it raises or returns holds a key, a header or an address.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self

import httpx
import msgspec

from fundingdb.errors import (
    BadCall,
    BadPayload,
    FundingdbError,
    RateLimited,
    Refused,
    RetryLater,
    Unreachable,
)
from fundingdb.settings import url_variable, version
from fundingdb.transport.budget import Limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fundingdb.fetchers.contract import Fetcher, Request

USER_AGENT = f"fundingdb/{version()} (+https://pypi.org/project/fundingdb)"
MAX_BODY = 256 * 2**20
LONGEST_PAUSE = 600.0  # seconds; who says to come back later than that is not waited for
_MAX_BACKOFF = 60.0
_PATH = re.compile(r"(/[A-Za-z0-9\-_~:@!$&'()*+,;=%.]*)+")
_DOTS = re.compile(r"(/|%2f)(\.|%2e){1,2}(/|%2f|$)", re.IGNORECASE)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WHOLE = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Response:
    """The body of one good answer, when it was received (UTC), the seconds that its last try took, and how many tries."""

    body: bytes
    received_at: datetime
    seconds: float
    tries: int


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two pieces of an answer, for one try as a whole."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 120.0


@dataclass(frozen=True, slots=True)
class _RawResponse:
    status: int
    headers: httpx.Headers
    body: bytes


class Engine:
    """Asks exchanges, inside `async with`; one for all sources of an event loop.

    `clock` (monotonic seconds), `sleep`, `now` and `jitter` (0..1) are arguments so that tests take no time; `env` gives
    base addresses (FUNDINGDB_<EXCHANGE>_URL) and keys; `user_agent` is the header of that name.
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
        tries: int = 6,
        timeouts: Timeouts = Timeouts(),
        user_agent: str = USER_AGENT,
    ) -> None:
        if tries < 1:
            raise BadCall(f"tries={tries}: at least one is needed")
        self._transport, self._env, self._timeouts = transport, env, timeouts
        self._user_agent = user_agent
        self._clock, self._sleep, self._now, self._jitter, self._tries = clock, sleep, now, jitter, tries
        self._limiters: dict[str, Limiter] = {}
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        while self._clients:
            await self._clients.popitem()[1].aclose()

    async def ask(self, fetcher: Fetcher, request: Request) -> Response:
        """The answer to `request`; each try pays its weight.

        Lost connections, time-outs, cut or HTML bodies, 5xx and 429 are tried again, with jittered back-off; a 429 pauses
        the whole scope. Raises Unreachable or RateLimited after the last try, or at once when told to wait longer than
        LONGEST_PAUSE; what `fetcher.refusal` makes of the answer; Refused for other 3xx and 4xx; BadPayload for a body
        beyond MAX_BODY; BadCall for a request that can't be sent.
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
                    got = await self._call(fetcher, request, where)
                else:
                    got = await self._try(fetcher, prepared, where)
                received, seconds = self._now(), self._clock() - began
            if isinstance(got, _RawResponse):
                return Response(got.body, received, seconds, tried)
            error, headers = got
            wait = _retry_after(headers, received)
            if isinstance(error, RateLimited):
                error.retry_after = wait = error.retry_after if wait is None else wait
            final = tried >= self._tries or (wait or 0.0) > LONGEST_PAUSE
            if final or not isinstance(error, RetryLater):
                raise _told(error, where, tried, self._secrets(fetcher))
            await self._rest(limiter, error, wait, tried)

    async def _try(
        self, fetcher: Fetcher, prepared: httpx.Request, where: str
    ) -> _RawResponse | tuple[FundingdbError, httpx.Headers]:
        """A good answer, or what is wrong and the headers that came with it."""
        try:
            said = await self._send(prepared, where)
        except RetryLater as lost:
            return lost, httpx.Headers()
        error = self._meaning(fetcher, where, said)
        return said if error is None else (error, said.headers)

    async def _call(
        self, fetcher: Fetcher, request: Request, where: str
    ) -> _RawResponse | tuple[FundingdbError, httpx.Headers]:
        """As `_try`, for a fetcher that asks by itself."""
        if fetcher.call is None:
            raise BadCall(f"{where}: has no call of its own")
        try:
            async with asyncio.timeout(self._timeouts.total):
                return _RawResponse(200, httpx.Headers(), await fetcher.call(request))
        except TimeoutError:
            return Unreachable(f"{where}: time-out"), httpx.Headers()
        except FundingdbError as error:
            return error, httpx.Headers()

    async def _rest(self, limiter: Limiter, error: FundingdbError, wait: float | None, tried: int) -> None:
        """Back off: the whole scope when the exchange said so, else this request alone."""
        limited = isinstance(error, RateLimited)
        # a budget used up by others comes back within its own window, so start from a part of that
        first = max(0.5, limiter.budget.per_seconds / 15) if limited else 0.5
        pause = self._jitter() * min(_MAX_BACKOFF, first * 2 ** (tried - 1))
        if limited or wait is not None:
            limiter.pause(max(pause, wait or 0.0))
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
        if not _PATH.fullmatch(path) or "//" in path or _DOTS.search(path):
            raise BadCall(
                f"{fetcher.exchange} {request.endpoint}: {path!r} is no plain path; quote the symbol"
            )
        name = url_variable(fetcher.source)
        own = self._env.get(name)
        base = (own or request.base_url or _base_for(fetcher, self._env)).rstrip("/")
        try:
            url = httpx.URL(base + path)
        except httpx.InvalidURL:
            url = httpx.URL()
        plain = url.scheme in ("http", "https") and url.host and not url.query and not url.fragment
        if not plain or (url.port or 0) > 65535:
            hint = f"see the environment variable {name}" if own else "see its fetcher"
            raise BadCall(f"{fetcher.exchange}: its base address is no plain http(s) address; {hint}")
        if request.params:
            url = url.copy_with(params=request.params)
        headers = {"User-Agent": self._user_agent, "Accept": "application/json", **fetcher.headers(self._env)}
        for key, value in headers.items():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise BadCall(
                    f"{fetcher.exchange}: header {key} has a blank at an end, a line break or a foreign letter; "
                    "look at the key in the environment"
                )
        client = self._client(loopback=url.host in _LOOPBACK)
        if request.json is None:
            return client.build_request(request.method, url, headers=headers)
        return client.build_request(request.method, url, headers=headers, json=request.json)

    def _client(self, *, loopback: bool) -> httpx.AsyncClient:
        """Proxies of the environment hold for exchanges, not for a simulator on this machine."""
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
                answer = await client.send(prepared, stream=True)
                try:
                    body = bytearray()
                    async for piece in answer.aiter_bytes():
                        body += piece
                        if len(body) > MAX_BODY:
                            problem = f"is larger than {MAX_BODY // 2**20} MiB"
                            exchange, _, endpoint = where.partition(" ")
                            raise BadPayload(exchange, endpoint, "(body)", problem)
                finally:
                    await answer.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise Unreachable(f"{where}: time-out") from None
        except httpx.ConnectError:
            raise Unreachable(f"{where}: no connection") from None
        except httpx.DecodingError:
            raise Unreachable(f"{where}: the body could not be unpacked") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            raise BadCall(f"{where}: the request can't be sent as it is") from None
        except httpx.ProxyError:
            raise Unreachable(f"{where}: the proxy of the environment (HTTPS_PROXY) refused") from None
        except httpx.TransportError:
            raise Unreachable(f"{where}: connection lost before the answer was whole") from None
        return _RawResponse(answer.status_code, answer.headers, bytes(body))

    def _meaning(self, fetcher: Fetcher, where: str, said: _RawResponse) -> FundingdbError | None:
        """None for an answer; else what is wrong with it."""
        good = 200 <= said.status < 300
        if good and _is_cut(said.body):
            return Unreachable(f"{where}: the body is {'cut' if said.body.strip() else 'empty'}")
        meant = fetcher.refusal(said.status, said.body)
        if meant is not None:
            return meant
        if good and said.body.lstrip()[:1] == b"<":
            return Unreachable(f"{where}: HTML where JSON was due: {_excerpt(said)}")
        return None if good else _by_status(where, said)


def _by_status(where: str, said: _RawResponse) -> FundingdbError:
    """What a status means where the fetcher does not know better."""
    if said.status == 429:
        return RateLimited(f"{where}: too many requests (429)")
    if said.status >= 500 or said.status == 408:
        return Unreachable(f"{where}: status {said.status}: {_excerpt(said)}")
    if 300 <= said.status < 400:
        return Refused(f"{where}: redirects ({said.status}), which is not followed; has it moved?")
    return Refused(f"{where}: status {said.status}: {_excerpt(said)}")


def _base_for(fetcher: Fetcher, env: Mapping[str, str]) -> str:
    return (fetcher.base_for(env) if fetcher.base_for else None) or fetcher.base_url


def _is_cut(body: bytes) -> bool:
    """Whether the JSON ends before it is whole; what is no JSON at all is not cut."""
    try:
        _WHOLE.decode(body)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    return False


def _excerpt(said: _RawResponse) -> str:
    text = " ".join(said.body[:400].decode("utf-8", "replace").split())
    return repr(text if len(text) <= 120 else text[:117] + "...") if text else "no text"


def _retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds that Retry-After asks for (a count or an HTTP date), None where it says nothing readable."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def _told(error: FundingdbError, where: str, tried: int, secrets: list[str]) -> FundingdbError:
    """The error with exchange, endpoint, tries and next step in its text, and no key in it."""
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
