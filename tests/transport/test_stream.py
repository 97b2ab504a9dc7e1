"""The stream's own waits, against a raw server; what it records is proven in tests/ingest/test_recorder.py."""

import asyncio
from types import SimpleNamespace

import pytest

from fundingdb.errors import RateLimited
from fundingdb.fetchers.registry import fetcher
from fundingdb.transport.stream import Feed


@pytest.mark.parametrize(
    ("header", "waits"), [(b"Retry-After: 90\r\n", [90.0, 90.0]), (b"", [0.5, 1.0])], ids=["header", "none"]
)
def test_a_refused_connection_waits_for_retry_after_and_else_for_the_back_off(header, waits):
    slept = []

    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nConnection: close\r\n" + header + b"\r\n"
        )
        await writer.drain()
        writer.close()

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) == len(waits):
            raise asyncio.CancelledError

    async def markets():
        return {}

    async def run():
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        lighter = fetcher("lighter")
        feed = Feed(
            lighter,
            lighter.live,
            markets,
            lambda _listing: [SimpleNamespace(symbol="BTC")],
            lambda _error: None,
            env={"FUNDINGDB_LIGHTER_WS_URL": f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"},
            sleep=sleep,
            jitter=lambda: 0.5,
        )
        with pytest.raises(asyncio.CancelledError):
            await feed.run()
        server.close()
        return feed.failure

    failure = asyncio.run(run())
    assert type(failure) is RateLimited
    assert str(failure) == "lighter stream: too many connections (429)"
    assert slept == waits
