import asyncio
import gzip
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

from fundingdb.errors import (
    BadCall,
    BadPayload,
    ExchangeChanged,
    FundingdbError,
    RateLimited,
    Refused,
    Unreachable,
)
from fundingdb.fetchers.contract import Budget, Request
from fundingdb.transport import http
from fundingdb.transport.backoff import REQUEST, Backoff
from fundingdb.transport.budget import HEAD_ROOM
from fundingdb.transport.http import Engine, Timeouts

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "CG-secret-key-1234"
R = Request("fundings", "/fundings", params=(("symbol", "xyz:A&B/../c d"), ("n", "1")))


def fetcher(base_url="https://api.test/v1", refusal=None, **more):
    fields = {
        "exchange": "testex",
        "source": "testex",
        "base_url": base_url,
        "base_for": None,
        "call": None,
        "budget": Budget("testex", 1000, 60, 8),
        "headers": lambda env: {"x-key": env["TEST_KEY"]} if "TEST_KEY" in env else {},
        "refusal": refusal or (lambda status, body: None),
    }
    return SimpleNamespace(**{**fields, **more})


class Clock:
    def __init__(self):
        self.now, self.slept = 0.0, []

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def ask(*replies, who=None, request=R, env=None, jitter=0.5, **more):
    """Ask once against these replies (status, body, headers; or an exception); gives (answer or error, clock, requests)."""
    clock, seen, left = Clock(), [], list(replies)

    def handler(sent):
        seen.append(sent)
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, Exception):
            raise reply
        status, body, headers = (*reply, {})[:3]
        return httpx.Response(status, content=body, headers=headers)

    async def main():
        async with Engine(
            transport=httpx.MockTransport(handler),
            clock=clock.clock,
            sleep=clock.sleep,
            now=lambda: NOW,
            env=env or {},
            jitter=lambda: jitter,
            **more,
        ) as engine:
            return await engine.fetch(who or fetcher(), request)

    try:
        got = asyncio.run(main())
    except FundingdbError as error:
        got = error
    return got, clock, seen


def test_an_answer_tells_body_receipt_seconds_and_tries():
    got, clock, seen = ask((200, b'{"a": 1}'))
    assert (got.body, got.received_at, got.tries, clock.slept) == (b'{"a": 1}', NOW, 1, [])
    assert seen[0].headers["user-agent"].startswith("fundingdb/")
    assert "(+https://pypi.org/project/fundingdb)" in seen[0].headers["user-agent"]


def test_params_are_encoded_and_never_change_the_path():
    _, _, seen = ask((200, b"[]"))
    assert seen[0].url.path == "/v1/fundings"
    assert dict(seen[0].url.params) == dict(R.params)


@pytest.mark.parametrize(
    "path",
    [
        "/info/../x",
        "/info/%2e%2E/x",
        "/info/..",
        "//evil.test/x",
        "/a?b=c",
        "/a#b",
        "info",
        "/a b",
        "/a\nb",
        "/%2F..%2Fx",
        "",
    ],
)
def test_a_path_that_is_not_plain_is_never_sent(path):
    got, _, seen = ask((200, b"[]"), request=Request("info", path))
    assert isinstance(got, BadCall)
    assert "is not a plain path" in str(got)
    assert seen == []


@pytest.mark.parametrize(
    "path", ["/info/markets/BTC-USD/funding", "/f/xyz:XYZ100", "/f/4-USD", "/f/A%2FB", "/f/a..b"]
)
def test_plain_paths_are_sent_verbatim(path):
    _, _, seen = ask((200, b"[]"), request=Request("info", path))
    assert seen[0].url.raw_path.decode() == "/v1" + path


def test_json_is_posted():
    _, _, seen = ask((200, b"[]"), request=Request("info", "/info", "POST", json={"type": "meta"}))
    assert (seen[0].method, json.loads(seen[0].content)) == ("POST", {"type": "meta"})


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((502, b"<html>bad gateway"), "status 502"),
        ((500, b""), "status 500: no text"),
        ((408, b""), "status 408"),
        ((200, b"<!doctype html><p>hi"), "HTML in place of JSON"),
        ((200, b""), "the body is empty"),
        ((200, b'{"data": [{"a": 1}, {"b": 2}'), "the body is incomplete"),
        ((200, b'[{"a": 1},{"b": 2}'), "the body is incomplete"),
        (httpx.ReadTimeout("x"), "time-out"),
        (httpx.ConnectError("x"), "no connection"),
        (httpx.ReadError("x"), "connection lost"),
        (httpx.RemoteProtocolError("x"), "connection lost"),
        (httpx.DecodingError("x"), "could not be unpacked"),
        (httpx.ProxyError("x"), "proxy"),
    ],
    ids=lambda v: None if isinstance(v, str) else repr(v)[:40],
)
def test_what_may_pass_is_tried_again_and_then_told(reply, says):
    got, clock, seen = ask(reply, (200, b"[]"))
    assert (got.tries, len(seen), clock.slept) == (2, 2, [0.25])
    got, clock, seen = ask(reply)
    assert type(got) is Unreachable
    assert str(got).startswith("testex fundings: ")
    assert says in str(got)
    assert "(6 tries); repeat the call later" in str(got)
    assert len(seen) == 6
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0]


def test_the_back_off_is_capped_at_a_minute():
    _, clock, _ = ask((503, b""), backoff=Backoff(12, 0.5, 60.0), jitter=1.0)
    assert max(clock.slept) == 60.0


def test_each_try_pays_its_weight():
    _, clock, seen = ask(
        (503, b""),
        jitter=0.0,
        who=fetcher(budget=Budget("testex", 20, 60)),
        request=Request("x", "/x", cost=20),
    )
    assert len(seen) == 6
    assert clock.now == pytest.approx(5 * 60 * HEAD_ROOM)


@pytest.mark.parametrize(
    ("value", "waits"),
    [
        ("7", 7.0),
        ("0", 2.0),  # the own back-off then: half of a fifteenth of the budget's minute
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 2.0),
        ("soon", 2.0),
        (None, 2.0),
    ],
)
def test_a_429_pauses_for_the_longer_of_header_and_back_off(value, waits):
    headers = {} if value is None else {"Retry-After": value}
    got, clock, seen = ask((429, b"null", headers), (200, b"[]"))
    assert (got.tries, len(seen)) == (2, 2)
    assert clock.now == pytest.approx(waits)


def test_a_429_pauses_everybody_of_the_scope():
    clock, times, first = Clock(), [], []

    def handler(sent):
        times.append(clock.now)
        if not first:
            first.append(1)
            return httpx.Response(429, headers={"Retry-After": "90"})
        return httpx.Response(200, content=b"[]")

    async def main():
        async with Engine(
            transport=httpx.MockTransport(handler), clock=clock.clock, sleep=clock.sleep, env={}
        ) as engine:
            one = fetcher(budget=Budget("testex", 1000, 60, concurrent=1))
            await asyncio.gather(*(engine.fetch(one, R) for _ in range(4)))

    asyncio.run(main())
    assert times[0] == 0.0
    assert [t for t in times[1:] if t < 90] == []
    assert len(times) == 5


def test_a_very_long_retry_after_is_raised_at_once():
    got, clock, seen = ask((429, b"", {"Retry-After": "3600"}))
    assert type(got) is RateLimited
    assert got.retry_after == 3600
    assert "(1 try); repeat the call after 3600 s" in str(got)
    assert (clock.now, len(seen)) == (0.0, 1)


def test_the_last_429_is_raised_as_rate_limited():
    got, _, seen = ask((429, b"", {"Retry-After": "1"}), backoff=replace(REQUEST, tries=3))
    assert type(got) is RateLimited
    assert (got.retry_after, len(seen)) == (1.0, 3)
    assert "testex fundings: too many requests (429) (3 tries)" in str(got)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 301])
def test_other_refusals_are_raised_at_once_with_a_short_excerpt(status):
    got, _, seen = ask((status, b"no " * 500, {"Location": "https://evil.test/"}))
    assert type(got) is Refused
    assert f"{status}" in str(got)
    assert len(str(got)) < 250
    assert len(seen) == 1


def test_the_fetcher_says_what_a_refusal_means():
    def refusal(status, body):
        if status == 500:
            return BadCall("no such coin")
        if b"busy" in body:
            return RateLimited("too many visits", 3.0)
        return BadCall(f"error {body!r}") if b"error" in body else None

    who = fetcher(refusal=refusal)
    got, _, seen = ask((500, b"null"), who=who)
    assert type(got) is BadCall
    assert str(got) == "testex fundings: no such coin"
    assert len(seen) == 1
    got, clock, _ = ask((200, b'{"code": "busy"}'), (200, b"[]"), who=who)
    assert (got.tries, clock.now) == (2, pytest.approx(3.0))
    got, _, seen = ask((200, b'{"error": 1}'), who=who)
    assert type(got) is BadCall
    assert len(seen) == 1


def test_malformed_but_whole_bodies_are_left_to_parse():
    got, _, _ = ask((200, b"{'a': 1}"))
    assert got.body == b"{'a': 1}"


def test_a_huge_body_is_refused(monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY", 1000)
    got, _, seen = ask((200, b"[" + b"1," * 600 + b"1]"))
    assert type(got) is BadPayload
    assert isinstance(got, ExchangeChanged)
    assert got.endpoint == "fundings"
    assert len(seen) == 1


@pytest.mark.parametrize(
    "reply", [(403, KEY.encode()), (429, KEY.encode()), (500, f"bad key {KEY}".encode())]
)
def test_keys_are_sent_and_never_told(reply):
    who = fetcher(refusal=lambda status, body: Refused(f"it says {body!r}") if status == 403 else None)
    got, _, seen = ask(reply, env={"TEST_KEY": KEY}, who=who)
    assert seen[0].headers["x-key"] == KEY
    assert isinstance(got, FundingdbError)
    assert KEY not in f"{got!r} {got.__cause__!r} {got.__context__!r} {vars(got)}"


@pytest.mark.parametrize("key", [KEY + "\n", KEY + "é", " " + KEY])
def test_a_key_that_can_not_be_sent_is_named_not_shown(key):
    got, _, seen = ask((200, b"[]"), env={"TEST_KEY": key})
    assert type(got) is BadCall
    assert "header x-key" in str(got)
    assert KEY not in str(got)
    assert seen == []


def test_the_base_address_comes_from_the_environment_then_from_the_fetcher():
    def host(**kw):
        return ask((200, b"[]"), **kw)[2][0].url.host

    pro = fetcher(base_for=lambda env: "https://pro.test" if "TEST_KEY" in env else None)
    assert host() == "api.test"
    assert host(env={"FUNDINGDB_TESTEX_URL": "http://127.0.0.1:1/x/"}) == "127.0.0.1"
    assert host(who=pro, env={"TEST_KEY": KEY}) == "pro.test"
    assert host(who=pro) == "api.test"
    assert host(who=pro, env={"TEST_KEY": KEY, "FUNDINGDB_TESTEX_URL": "http://own.test"}) == "own.test"


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/y", "http://", "http://x/?k=v", "http://x:99999999/"])
def test_a_bad_base_address_names_its_variable_not_its_value(url):
    got, _, _ = ask((200, b"[]"), env={"FUNDINGDB_TESTEX_URL": url})
    assert type(got) is BadCall
    assert "FUNDINGDB_TESTEX_URL" in str(got)
    assert url not in str(got).replace("http(s)", "")


def test_one_scope_has_one_budget():
    async def main():
        async with Engine(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b"[]")), env={}
        ) as engine:
            await engine.fetch(fetcher(), R)
            await engine.fetch(fetcher(budget=Budget("testex", 1, 1)), R)

    with pytest.raises(BadCall, match="scope 'testex' has two budgets"):
        asyncio.run(main())


# --- over a real socket


@asynccontextmanager
async def serving(*replies):
    """A raw server: each connection gets the next reply (bytes, or seconds of silence); the last one for ever."""
    left, hits = list(replies), []

    async def handle(reader, writer):
        try:
            while (await reader.readuntil(b"\r\n\r\n")) is not None:
                hits.append(time.monotonic())
                reply = left.pop(0) if len(left) > 1 else left[0]
                if isinstance(reply, float):
                    await asyncio.sleep(reply)
                    return
                writer.write(reply)
                await writer.drain()
                if b"keep-alive" not in reply:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", hits
    finally:
        server.close()


def reply(body, *headers, length=None):
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def no_sleep(_seconds):
    await asyncio.sleep(0)


GOOD = reply(b'[{"a":1}]')


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"", "connection lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection lost"),
        (reply(b'[{"a":1', length=9), "connection lost"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b'[{"a":1}', "the body is incomplete"),
        (reply(b'[{"a":1}'), "the body is incomplete"),
        (reply(b"no gzip at all", "Content-Encoding: gzip"), "could not be unpacked"),
        (
            reply(gzip.compress(json.dumps(list(range(999))).encode())[:300], "Content-Encoding: gzip"),
            "the body is incomplete",
        ),
        (reply(b"<html>busy</html>"), "HTML in place of JSON"),
        (0.6, "time-out"),
    ],
    ids=[
        "nothing",
        "half a head",
        "short body",
        "no length",
        "cut JSON",
        "bad gzip",
        "cut gzip",
        "HTML",
        "silence",
    ],
)
def test_a_broken_answer_over_a_socket_is_repeated(bad, says):
    async def one(*replies, tries):
        async with serving(*replies) as (url, hits):
            policy = replace(REQUEST, tries=tries)
            limits, env = Timeouts(1, 0.3, 0.6), {"FUNDINGDB_TESTEX_URL": url}
            async with Engine(env=env, sleep=no_sleep, timeouts=limits, backoff=policy) as engine:
                return await engine.fetch(fetcher(), R), len(hits)

    got, hits = asyncio.run(one(bad, GOOD, tries=6))
    assert (got.body, got.tries, hits) == (b'[{"a":1}]', 2, 2)
    with pytest.raises(Unreachable, match=says):
        asyncio.run(one(bad, tries=1))


def test_nobody_listening_is_unreachable_and_a_proxy_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async def main():
        async with serving(GOOD) as (url, _), Engine(env={"FUNDINGDB_TESTEX_URL": url}) as engine:
            assert (await engine.fetch(fetcher(), R)).tries == 1
        two = replace(REQUEST, tries=2)
        async with Engine(env={"FUNDINGDB_TESTEX_URL": url}, sleep=no_sleep, backoff=two) as engine:
            with pytest.raises(Unreachable, match=r"testex fundings: no connection \(2 tries\)"):
                await engine.fetch(fetcher(), R)

    asyncio.run(main())


def test_a_gzip_body_is_unpacked():
    async def main():
        packed = reply(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")
        async with serving(packed) as (url, _), Engine(env={"FUNDINGDB_TESTEX_URL": url}) as engine:
            return (await engine.fetch(fetcher(), R)).body

    assert asyncio.run(main()) == b'{"a": 1}'


def test_many_requests_fill_the_budget_and_the_server_never_counts_more():
    """300 requests at 100 per second: three windows, of which the last needs no waiting."""

    async def main():
        async with serving(reply(b"[]", "Connection: keep-alive")) as (url, hits):
            who = fetcher(budget=Budget("testex", 100, 1.0, concurrent=16))
            async with Engine(env={"FUNDINGDB_TESTEX_URL": url}) as engine:
                began = time.monotonic()
                await asyncio.gather(*(engine.fetch(who, R) for _ in range(300)))
                return time.monotonic() - began, hits

    took, hits = asyncio.run(main())
    assert len(hits) == 300
    assert 2.0 <= took <= 2 * 300 / 100  # 2.4 to 3.2 s seen; the bound leaves room for a busy machine
    assert max(sum(t <= u < t + 1.0 for u in hits) for t in hits) <= 100


def test_a_fetcher_that_asks_by_itself_has_budget_retries_and_times_of_the_engine():
    replies = [Unreachable("okx ccxt fetch: lost"), RateLimited("okx ccxt fetch: slower", 3.0), b"not json"]
    asked = []

    async def call(request):
        asked.append(request)
        reply = replies[len(asked) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply

    answer, clock, seen = ask((200, b"{}"), who=fetcher(call=call, base_url=""))
    assert (answer.body, answer.tries, answer.received_at) == (b"not json", 3, NOW)
    assert clock.now >= 3.0
    assert not seen
    assert asked == [R, R, R]


def test_what_such_a_fetcher_refuses_is_told_once():
    async def call(_request):
        raise Refused("okx ccxt fetch: blocked by place")

    error, _, _ = ask((200, b"{}"), who=fetcher(call=call, base_url=""))
    assert isinstance(error, Refused)
    assert "blocked by place" in str(error)
