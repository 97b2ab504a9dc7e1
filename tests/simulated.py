"""Requests to a simulator over a socket of their own, and the shapes of answers, for the tests of the simulator."""

import http.client
import json
import re
from urllib.parse import urlencode, urlsplit

AGENT = {"User-Agent": "fundingdb-tests"}


def ask(simulator, exchange, path, params=(), *, method="GET", body=None, headers=AGENT, timeout=10.0):
    """(status, headers, bytes) of one request on a connection of its own."""
    root = urlsplit(simulator.env()[f"FUNDINGDB_{exchange.upper()}_URL"])
    connection = http.client.HTTPConnection(root.hostname, root.port, timeout=timeout)
    try:
        target = root.path + path + (f"?{urlencode(params)}" if params else "")
        connection.putrequest(method, target, skip_accept_encoding=True)
        sent = json.dumps(body).encode() if body is not None else b""
        for key, value in {**headers, "Content-Length": str(len(sent))}.items():
            connection.putheader(key, value)
        connection.endheaders(sent)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def get(simulator, exchange, path, params=(), **more):
    status, _, body = ask(simulator, exchange, path, params, **more)
    assert status == 200, body[:200]
    return json.loads(body)


def shape(value, at="", found=None):
    """Where -> which kinds of values are there; a number as text is another kind than text."""
    found = {} if found is None else found
    if isinstance(value, dict):
        for key, inner in value.items():
            shape(inner, f"{at}.{key}", found)
    elif isinstance(value, list):
        found.setdefault(at, set()).add("list")
        for inner in value:
            shape(inner, f"{at}[]", found)
    else:
        kind = type(value).__name__
        if isinstance(value, str) and re.fullmatch(r"-?\d+\.?\d*", value):
            kind = "decimal text"
        found.setdefault(at, set()).add("number" if kind in ("int", "float") else kind)
    return found


def same_shape(recorded, simulated, more=(), free=()):
    """`more` may be there beyond the recorded (trimmed) answer, `free` may be of any kind."""
    want, have = shape(recorded), shape(simulated)
    assert set(want) <= set(have), set(want) - set(have)
    assert {where for where in have if where not in want} <= set(more)
    for where in want:
        assert where in free or have[where] <= want[where] | {"NoneType"}, (where, want[where], have[where])


def recorded(shared, name):
    return json.loads((shared / "venues" / "payloads" / name).read_text())
