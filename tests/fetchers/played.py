"""A venue played by the test: its responses as bytes, and the requests made to it."""

import json


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
