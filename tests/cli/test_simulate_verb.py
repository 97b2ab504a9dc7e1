"""`fundingdb simulate`: serves until Ctrl-C, and its output points fundingdb at the server."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from fundingdb.cli import main

HTTP = ["EXTENDED", "LIGHTER", "HYPERLIQUID", "COINGECKO", "BINANCE", "BYBIT", "DYDX"]
STREAMS = ["EXTENDED", "LIGHTER", "HYPERLIQUID"]
NAMES = [*(f"FUNDINGDB_{name}_URL" for name in HTTP), *(f"FUNDINGDB_{name}_WS_URL" for name in STREAMS)]


@pytest.mark.parametrize("words", [[], ["--faults", "--limits", "--json"]])
def test_it_serves_until_it_is_interrupted(words):
    command = [sys.executable, "-m", "fundingdb", "simulate", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline() for _ in NAMES]
            if "--json" in words:
                urls = {row["variable"]: row["value"] for row in map(json.loads, lines)}
            else:
                urls = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
            address = urlsplit(urls["FUNDINGDB_LIGHTER_URL"])
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
            connection.request("GET", f"{address.path}/orderBooks")
            assert connection.getresponse().status == 200
            connection.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
    assert list(urls) == NAMES


def test_a_port_in_use_is_named_with_what_to_do(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["simulate", "--port", str(port)]) == 2
    assert f"--port {port}: " in (err := capsys.readouterr().err)
    assert "give another, or 0 for a free one" in err


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_does_not_exist_is_refused(capsys, port):
    assert main(["simulate", f"--port={port}"]) == 2
    assert "between 0 (a free one) and 65535" in capsys.readouterr().err
