"""Arguments that several verbs share, read once."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall, BadWindow

if TYPE_CHECKING:
    from argparse import Namespace

    from fundingdb.fetchers.contract import Fetcher
    from fundingdb.window import Window


def words(text: str | None) -> list[str] | None:
    """The parts of a comma-separated list without repeats; None for None."""
    if text is None:
        return None
    parts = [p.strip() for p in text.split(",")]
    if not all(parts):
        raise BadCall(f"list {text!r} has an empty part: write A,B,C")
    return list(dict.fromkeys(parts))


def fetchers(names: list[str], *, history: bool = False) -> list[Fetcher]:
    """The fetchers of these ids, or of all sources; broken plugins are named on stderr. `history`: only those with settled
    history.

    Raises UnknownName; BadCall for a source named without history.
    """
    from fundingdb.fetchers.registry import fetcher, usable

    if names:
        chosen = [fetcher(n) for n in dict.fromkeys(names)]
    else:
        chosen, broken = usable()
        for error in broken:
            sys.stderr.write(f"left out: {error}\n")
    if not history:
        return chosen
    for one in chosen:
        if one.history is None and names:
            raise BadCall(
                f"{one.exchange} has no funding history: use 'fundingdb collect --source {one.exchange}'"
            )
    return [f for f in chosen if f.history is not None]


def bridged(names: list[str] | None) -> list[Fetcher]:
    """The fetchers of these exchanges through ccxt.

    Raises BadCall where none is named and for an unsupported one, MissingExtra without ccxt.
    """
    from fundingdb.fetchers.ccxt.bridge import bridged as through
    from fundingdb.fetchers.ccxt.bridge import names as known

    if not names:
        raise BadCall(f"--source ccxt: name the exchanges; supported are {', '.join(known())}")
    return [through(n) for n in dict.fromkeys(names)]


def archives(names: list[str] | None) -> list[Fetcher]:
    """The fetchers of these exchanges' archives of finished months (none given: all).

    Raises UnknownName for an exchange without one.
    """
    from fundingdb.fetchers.registry import ARCHIVES, archive

    return [archive(n) for n in dict.fromkeys(names or ARCHIVES)]


def window(args: Namespace) -> Window:
    """The window of --days, --since and --until; raises BadWindow for reversed or future ones and for two starts."""
    from fundingdb.window import HOUR, Window, floor_hour, instant

    now = datetime.now(UTC)
    if args.days is not None and args.since is not None:
        raise BadWindow("--days and --since both set the start: give one")
    stop = instant(args.until, "--until") if args.until else floor_hour(now) + HOUR
    if args.since is not None:
        start = instant(args.since, "--since")
    else:
        days = 90 if args.days is None else args.days
        if not 0 < days < 10_000:
            raise BadWindow(f"--days {days}: must be above 0 and below 10000")
        start = stop - timedelta(days=days)
    if start > now:
        raise BadWindow(f"--since {args.since}: is in the future; it is {now:%Y-%m-%d %H:%M}Z now")
    return Window(floor_hour(start), stop)


def hours(text: str) -> float:
    """Hours of a span such as 90s, 15m, 1h or 2d; raises BadCall."""
    units = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0}
    try:
        value = float(text[:-1]) * units[text[-1]]
    except (KeyError, ValueError, IndexError):
        raise BadCall(f"span {text!r}: write a number and s, m, h or d, such as 1h") from None
    if not 0 < value < 1e6:
        raise BadCall(f"span {text!r}: must be above 0")
    return value
