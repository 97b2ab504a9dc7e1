"""Every error of fundingdb, named by what the caller should do.

FundingdbError
|-- RetryLater          the same call may succeed later
|   |-- RateLimited     a budget of the exchange is used up; `retry_after` seconds, where the exchange states them
|   `-- Unreachable     connection lost, time-out, 5xx
|-- BadCall             fix the call
|   |-- UnknownName     exchange, token, symbol, table, endpoint, view; with near matches
|   |-- BadWindow       dates that don't exist, reversed or future windows, a wrong unit of time
|   |-- ClockWrong      the clock of this machine contradicts that of an exchange
|   |-- MissingExtra    an optional package is not installed
|   `-- BadPlugin       the fetcher of another package breaks the contract
|-- BadData             fix the data
|   |-- SchemaError     a frame does not fit its table; every reason is named
|   `-- LakeError       the warehouse can't be used
|       |-- LakeConflict    other writers always committed first; repeat
|       `-- VersionGone     the pinned version does not exist (any more)
|-- InternalError       report it: fundingdb itself is wrong
`-- ExchangeChanged     report it: the exchange is not what its datasheet says
    |-- BadPayload      a response is not as described; nothing of it was stored
    |-- Refused         the exchange refuses the request (401, 403, 4xx)
    `-- WalkNotProven   the pages of a window may be incomplete

One warning: NoRowsWarning, where a read has no rows because the warehouse does not exist or nothing is stored in the span.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Iterable

INVISIBLE = ("Cc", "Cf", "Zl", "Zp")
"""Unicode categories of characters that no name may have: control (C0, C1), format (bidi controls, zero-width), line and
paragraph separators. They forge lines and cells, or make two names look alike."""


def escaped(text: str) -> str:
    """The text with its INVISIBLE characters written as escapes, as a name is safe to print."""
    if text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if category(c) in INVISIBLE else c for c in text)


def escaped_lines(text: str) -> str:
    """As `escaped`, but with the line breaks of the text."""
    return "\n".join(map(escaped, text.split("\n")))


class NoRowsWarning(UserWarning):
    """A read has no rows: the warehouse does not exist, or nothing is stored in the span."""


class FundingdbError(Exception):
    """The root of the tree; `exit_code` is that of the command line. Its text has no INVISIBLE character but line breaks."""

    exit_code = 1

    # pyrefly: ignore [missing-override-decorator] - typing has it from Python 3.12 on
    def __str__(self) -> str:
        """The message, safe for a terminal, a log and a page: names of others in it are escaped."""
        return escaped_lines(super().__str__())

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles every error, though the constructors take other arguments than the message."""
        return _unpickled, (type(self), self.args), self.__dict__


def _unpickled(kind: type[FundingdbError], args: tuple[object, ...]) -> FundingdbError:
    error = kind.__new__(kind)
    error.args = args
    return error


class RetryLater(FundingdbError):
    """The same call may succeed later."""


class RateLimited(RetryLater):
    """A budget of the exchange is used up."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(RetryLater):
    """No response: connection lost, time-out, 5xx."""


class BadCall(FundingdbError):
    """Fix the call."""

    exit_code = 2


class UnknownName(BadCall):
    """A name that does not exist; the message has near names, else the existing ones."""

    def __init__(self, kind: str, name: str, names: Iterable[str], hint: str = "") -> None:
        existing = sorted(set(names))
        folded = {n.casefold(): n for n in existing}
        near = [folded[n] for n in get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
        if near:
            rest = f"did you mean {', '.join(near)}?"
        elif not existing:
            rest = "there is none yet."
        else:
            others = f" and {len(existing) - 12} more" if len(existing) > 12 else ""
            rest = f"choose from {', '.join(existing[:12])}{others}."
        super().__init__(f"unknown {kind} {name!r}: {rest}{' ' + hint if hint else ''}")
        self.kind, self.name, self.near = kind, name, tuple(near)


class BadWindow(BadCall):
    """An instant or a span of time that can't be requested."""


class ClockWrong(BadCall):
    """The clock of this machine is off by minutes from that of an exchange; set it right."""


class MissingExtra(BadCall):
    """An optional package is not installed."""


class BadPlugin(BadCall):
    """The fetcher of another package breaks the contract; names the package and the rule."""

    def __init__(self, package: str, rule: str) -> None:
        super().__init__(f"plugin {package}: breaks the rule: {rule}; repair it, or pip uninstall it")
        self.package, self.rule = package, rule


class BadData(FundingdbError):
    """Fix the data."""


class SchemaError(BadData):
    """A frame does not fit its table; `reasons` names column, row and value of each misfit."""

    def __init__(self, table: str, reasons: list[str]) -> None:
        super().__init__(f"the frame does not fit table {table}:\n  " + "\n  ".join(reasons))
        self.table, self.reasons = table, reasons


class LakeError(BadData):
    """The warehouse can't be used as it is."""


class LakeConflict(LakeError):
    """Other writers always committed first; nothing was written, repeat the call."""


class VersionGone(LakeError):
    """The pinned version does not exist, or was vacuumed."""


class InternalError(FundingdbError):
    """Report it: fundingdb itself is wrong; the market or source at work fails, others go on."""


class ExchangeChanged(FundingdbError):
    """The exchange is not what its datasheet says: report it."""


class BadPayload(ExchangeChanged):
    """A response is not as described; nothing of it was stored.

    `excerpt` is a short piece of the response, safe to print; `body` the whole response, where it was at hand.
    """

    body: bytes = b""

    def __init__(self, exchange: str, endpoint: str, field: str, problem: str, excerpt: str = "") -> None:
        short = excerpt if len(excerpt) <= 120 else excerpt[:117] + "..."
        where = f" near {short!r}" if short else ""
        super().__init__(f"{exchange} {endpoint}: field {field}: {problem}{where}")
        self.exchange, self.endpoint, self.field, self.problem, self.excerpt = (
            exchange,
            endpoint,
            field,
            problem,
            short,
        )


class Refused(ExchangeChanged):
    """The exchange refuses the request."""


class WalkNotProven(ExchangeChanged):
    """The pages of a window may be incomplete; the window does not count as covered."""
