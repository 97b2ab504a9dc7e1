"""A venue played by the test: its responses as bytes, and the requests made to it."""

import json
from dataclasses import replace


def text(body):
    """The bytes of a JSON value; bytes stay as they are."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def played(serve, times, *, rate=0.0001, **how):
    """A function that answers requests with `serve` from one payment of `rate` at each of `times`, and the list of them."""
    world, requests = [(at, rate) for at in sorted(times)], []

    def answer(request):
        requests.append(request)
        return serve(request, world, **how)

    return answer, requests


def capped(fetcher, cap):
    """The fetcher of a venue that gives at most `cap` rows a page, and declares it."""
    history = replace(fetcher.history, paging=replace(fetcher.history.paging, cap=cap))
    return replace(fetcher, history=history)


def whole(parse, body, context):
    """The rows of a response; raises the error of the first row that is left out of them."""
    rows = parse(body, context)
    if context.left_out:
        raise context.left_out[0].error
    return rows
