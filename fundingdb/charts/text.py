"""Figures, instants and names from outside as escaped text for HTML pages."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

UNKNOWN = "unknown"
_MINUS = "\N{MINUS SIGN}"


def safe(text: object) -> str:
    """Text from outside, escaped for elements and quoted attributes.

    Control, format, private and lone surrogate characters (which hide, reverse or break text) are spelled out.
    """
    return escape("".join(_visible(c) for c in str(text)))


def _visible(character: str) -> str:
    if character == " " or unicodedata.category(character)[0] not in "CZ":
        return character
    return f"\\u{ord(character):04x}"


def number(value: float | None, decimals: int = 2, *, sign: bool = False) -> str:
    """1,234.50 with a real minus sign; `sign` writes a plus too; null, NaN and infinity are unknown."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    value = round(value, decimals) + 0.0  # no minus zero
    return f"{value:{'+' if sign and value else ''},.{decimals}f}".replace("-", _MINUS)


def decimals_for(value: float | None, least: int = 2) -> int:
    """Decimals that show two digits of a small figure, so that it is never written as zero."""
    if not value or not math.isfinite(value) or abs(value) >= 0.01:
        return least
    return max(least, min(12, 1 - math.floor(math.log10(abs(value)))))


def percent(value: float | None, decimals: int = 2, *, sign: bool = False) -> str:
    """A fraction as percent, without the percent sign."""
    return number(None if value is None else value * 100, decimals, sign=sign)


def figure(unit: str, value: float | None) -> str:
    """A figure of `FIGURES` with its unit, as markup."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    texts = {
        "usd": lambda: f"{number(value, decimals_for(value) if abs(value) < 1e6 else 0)} <small>USD</small>",
        "fraction a year": lambda: f"{percent(value)} <small>% a year</small>",
        "fraction": lambda: f"{percent(value, 1)} <small>%</small>",
        "hours": lambda: f"{number(value, 0)} <small>h</small>",
        "count": lambda: number(value, 0),
    }
    return texts.get(unit, lambda: number(value))()


def minute(at: datetime | None) -> str:
    """2026-03-01 08:00, in UTC."""
    return UNKNOWN if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def instant(at: datetime | None) -> str:
    """The minute as markup that never breaks."""
    return f"<time>{minute(at)}</time>"


def day(at: date) -> str:
    """2026-03-01."""
    return f"{at:%Y-%m-%d}"


def asset(asset_class: str, base: str) -> str:
    """The asset's name, escaped; its class too where it is no coin, for one name can mean two things."""
    return safe(base) if asset_class == "crypto" else f"{safe(base)} <small>{safe(asset_class)}</small>"
