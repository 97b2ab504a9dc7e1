"""Units of rates, and what in the figures themselves proves one.

Calm markets pay the base rate, 0.01 percent per 8 hours: 0.0000125 an hour, 0.00005 in 4 hours, 0.0001 in 8. A mass of
figures that are exactly this under one unit and under no other proves the unit, and by its own sign the sign of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.errors import BadCall, BadData, UnknownName
from fundingdb.fetchers.limits import STEPS
from fundingdb.importing.files import ROW
from fundingdb.window import YEAR_HOURS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Per hour. Lighter publishes the calm 0.00125 percent cut to 0.0012.
_BASE_1H = {"lighter": 0.000012}
# Hyperliquid's rate per hour from the premium beside it: (premium + clamp(0.0001 - premium, -most, most)) / over. The main dex
# pays so since 2024; of the builder dexes the terms of xyz are known, whose base rate is half the usual one.
_BY_PREMIUM = {"": (0.0005, 8.0), "xyz": (0.0003, 16.0)}
_BY_PREMIUM_SINCE = datetime(2024, 1, 1, tzinfo=UTC)
_PREMIUM_STEP = 1e-8  # collectors round both to eight decimals; the exchange publishes ten
# Recorded series of Lighter by other collectors have 7 % of rows between its steps.
_ROUNDED = frozenset({"lighter"})
_TURNED, _MONEY = "-turned", "money"
_BASES = {
    "fraction": None,
    "percent": None,
    "bps": None,
    "fraction-per-hour": 1.0,
    "percent-per-hour": 1.0,
    "fraction-per-8h": 8.0,
    "percent-per-8h": 8.0,
    "fraction-per-year": YEAR_HOURS,
    "percent-per-year": YEAR_HOURS,
    _MONEY: None,
}
UNITS = tuple(_BASES)
_ENOUGH, _FEW, _LEAST = 0.03, 0.002, 20
_MOST_1H = 0.05  # fraction per hour; real extremes are 0.025 (Hyperliquid, 21,796 percent a year)
_MIDDLE_1H = 1e-3
_CHUNK = 60
_SPLIT = 5
_SCALED = [("fraction", "percent"), ("fraction", "bps"), ("percent", "bps")] + [
    (f"fraction-per-{span}", f"percent-per-{span}") for span in ("hour", "8h", "year")
]


@dataclass(frozen=True, slots=True)
class Unit:
    """How a figure becomes a fraction per interval; `turned`: positive means that shorts pay longs."""

    name: str
    turned: bool = False

    @property
    def shown(self) -> str:
        """As --unit takes it."""
        return self.name + _TURNED * self.turned

    def fraction(self) -> pl.Expr:
        """The rate per interval of rows (value, hours, and price for money); null where hours are needed and unknown.

        Money is quote currency per contract unit and payment: value / price.
        """
        value, basis = pl.col("value"), _BASES[self.name]
        if self.name == _MONEY:
            rate = value / pl.col("price")
        else:
            over = 100 if self.name.startswith("percent") else 10_000 if self.name == "bps" else 1
            rate = value / over
            if basis is not None:
                # One division by a whole number, so that 10.95 percent a year is 0.0000125 an hour.
                rate = value / (over * basis / pl.col("hours"))
        return (-rate if self.turned else rate) + 0.0

    @property
    def tolerance(self) -> float:
        """The relative distance from the base rate that counts as equal; the price of money is not the one of the settlement."""
        return 0.02 if self.name == _MONEY else 1e-6


def unit(text: str) -> Unit:
    """The unit of that name, with `-turned` behind it for figures that are positive when shorts pay; raises UnknownName."""
    name = text.removesuffix(_TURNED)
    if name not in _BASES:
        raise UnknownName("unit", text, [*UNITS, *(u + _TURNED for u in UNITS)])
    return Unit(name, turned=name != text)


@dataclass(frozen=True, slots=True)
class Mass:
    """The share of the non-zero figures that are the base rate under a unit, and how many they are."""

    unit: Unit
    share: float
    count: int


def masses(rows: pl.DataFrame, exchange: str) -> list[Mass]:
    """For each unit its mass at the base rate in rows (value, hours, price), the greatest first; none without rows."""
    rows = rows.filter((pl.col("value") != 0) & pl.col("hours").is_not_null())
    if rows.is_empty():
        return []
    priced = rows["price"].null_count() < rows.height
    every = [Unit(n, turned=t) for n in UNITS for t in (False, True) if n != _MONEY or priced]
    counts = rows.select(_at_base(u, exchange).sum().alias(u.shown) for u in every).row(0)
    every_mass = [Mass(u, count / rows.height, count) for u, count in zip(every, counts, strict=True)]
    return sorted(every_mass, key=lambda m: -m.count)


def _at_base(one: Unit, exchange: str) -> pl.Expr:
    base = pl.col("hours") * _base_1h(exchange)
    return ((one.fraction() / base - 1).abs() < one.tolerance).fill_null(value=False)


def _base_1h(exchange: str) -> pl.Expr:
    usual = pl.lit(_BASE_1H.get(exchange, 0.0001 / 8))
    if exchange != "hyperliquid":
        return usual
    return pl.when(_dex() == "xyz").then(0.0001 / _BY_PREMIUM["xyz"][1]).otherwise(usual)


def _dex() -> pl.Expr:
    return pl.col("symbol").str.extract(r"^(.*):", 1).fill_null("")


def by_premium(rows: pl.DataFrame, exchange: str) -> tuple[pl.DataFrame, pl.Expr]:
    """Of rows (symbol, hour, premium, ...) those whose rate per hour follows from their premium, and that rate."""
    premium = pl.col("premium")
    expected = pl.lit(None, pl.Float64)
    for dex, (most, over) in _BY_PREMIUM.items():
        rate = (premium + (0.0001 - premium).clip(-most, most)) / over
        expected = pl.when(_dex() == dex).then(rate).otherwise(expected)
    if exchange != "hyperliquid" or rows["premium"].null_count() == rows.height:
        return rows.clear(), expected
    listed = (pl.col("value") != 0) | (premium != 0)  # a delisted market has zeros in both
    since = pl.col("hour") >= _BY_PREMIUM_SINCE
    return rows.filter(premium.is_not_null(), listed, since, expected.is_not_null()), expected


def refuse_against_premium(rows: pl.DataFrame, path: Path, exchange: str) -> str | None:
    """Evidence from the premiums of a file of Hyperliquid; raises BadData where the rates do not follow from them."""
    own, expected = by_premium(rows, exchange)
    if own.is_empty():
        return None
    wrong = own.with_columns(_expected=expected).filter(
        (pl.col("rate") - pl.col("_expected")).abs() > _PREMIUM_STEP
    )
    if wrong.height > 0.01 * own.height:
        row = wrong.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} has the rate {row['rate']:g}, but its premium "
            f"{row['premium']:g} makes {row['_expected']:g} ({wrong.height:,} of {own.height:,} rows differ): another unit or "
            "sign, or rates that were not paid; compare some rows, or give --unit"
        )
    return f"{1 - wrong.height / own.height:.1%} of {own.height:,} rates follow from the premium beside them"


def proven_by_premium(rows: pl.DataFrame, exchange: str) -> Unit | None:
    """The unit under which the rates of a file of Hyperliquid follow from its premiums; None where none does."""
    own, expected = by_premium(rows.filter(pl.col("value") != 0), exchange)
    if own.height < _SPLIT:
        return None
    own = own.with_columns(_expected=expected)
    for one in (Unit(n, turned=t) for n in UNITS if n != _MONEY for t in (False, True)):
        if own.select(((one.fraction() - pl.col("_expected")).abs() <= _PREMIUM_STEP).mean()).item() >= 0.99:
            return one
    return None


def evidence(mass: Mass) -> str:
    """One line of evidence."""
    return f"{mass.share:.1%} of the non-zero rates ({mass.count:,}) are the base rate if the unit is {mass.unit.shown}"


def proven(masses: list[Mass], rows: pl.DataFrame, exchange: str) -> Unit | None:
    """The one unit that the mass at the base rate proves; None where it proves none."""
    if not masses or masses[0].share < _ENOUGH or masses[0].count < _LEAST:
        return None
    first = masses[0]
    for other in masses[1:]:
        if other.share <= first.share / 5 or same(first.unit, other.unit, rows):
            continue
        # Fractions per interval and per 8 hours are one in 8-hour rows: the other rows decide.
        mine, its = _at_base(first.unit, exchange), _at_base(other.unit, exchange)
        alone, against = rows.select(
            (mine & ~its).sum().alias("alone"), (its & ~mine).sum().alias("against")
        ).row(0)
        if alone <= 5 * against:
            return None
    return first.unit


def same(one: Unit, other: Unit, rows: pl.DataFrame) -> bool:
    """True where two units read these rows as the same rates."""
    ratio = (
        rows.filter(pl.col("value") != 0).select((one.fraction() / other.fraction() - 1).abs().max()).item()
    )
    return ratio is not None and ratio < 1e-9


def of_one_size(rows: pl.DataFrame, pool: pl.DataFrame) -> bool:
    """Whether the typical figure of rows (value) is near that of the pool, so that both can have one unit."""
    sizes = [part.filter(pl.col("value") != 0)["value"].abs().median() for part in (rows, pool)]
    own, every = sizes
    return isinstance(own, float) and isinstance(every, float) and every / 5 < own < every * 5


def contradicted(given: Unit, masses: list[Mass], rows: pl.DataFrame) -> Mass | None:
    """The mass that contradicts the unit given; None where none does."""
    if not masses or masses[0].share < 0.1 or masses[0].count < _LEAST:
        return None
    own = next((m.share for m in masses if m.unit == given), 0.0)
    return masses[0] if own < masses[0].share / 50 and not same(given, masses[0].unit, rows) else None


def refuse_change(rows: pl.DataFrame, path: Path, exchange: str) -> None:
    """Raise BadData with the row where the unit of rows (_row, symbol, hour, value, hours, price) changes.

    Three signs of it: the mass at the base rate moves from one unit to another; the base rate of one unit occurs only
    before an instant and that of another, at least 50 times it, only after; all figures before an instant are ten times
    smaller (or larger) than all after it, by the medians of their chunks.
    """
    rows = rows.filter(pl.col("value") != 0).sort("hour", ROW)
    size = max(_CHUNK, rows.height // 400)
    chunks = rows.with_columns(_chunk=pl.int_range(pl.len()) // size)
    _refuse_moved_mass(chunks, path, exchange)
    _refuse_split_mass(rows, path, exchange)
    middles = (
        chunks.group_by("_chunk").agg(pl.col("value").abs().median().alias("m"), pl.len()).sort("_chunk")
    )
    middles = middles.filter(pl.col("len") >= size / 2)
    for at in range(3, middles.height - 2):
        before, after = middles["m"][:at], middles["m"][at:]
        low, high = _range(before), _range(after)
        if high[0] > 30 * low[1] or low[0] > 30 * high[1]:
            row = chunks.filter(pl.col("_chunk") == middles["_chunk"][at]).row(0, named=True)
            raise BadData(
                f"{path}: row {row[ROW]} ({row['symbol']} {row['hour']:%Y-%m-%d %H:%M}): about here the unit changes: all "
                f"typical rates before lie in {low[0]:.2g}..{low[1]:.2g}, after in {high[0]:.2g}..{high[1]:.2g}; "
                "import each part with its own --unit (--where, --map, or files of their own)"
            )


def _range(values: pl.Series) -> tuple[float, float]:
    ordered = values.sort()
    return ordered[0], ordered[-1]


def _refuse_moved_mass(chunks: pl.DataFrame, path: Path, exchange: str) -> None:
    plain = [Unit(n) for n in UNITS if n != _MONEY]
    flags = chunks.with_columns(_at_base(u, exchange).alias(u.name) for u in plain)
    total = flags.select(pl.col(u.name).sum() for u in plain).row(0)
    # Units that read the same rows as base (8 h: fraction and fraction-per-8h) count once.
    strong: list[Unit] = []
    for one, count in sorted(zip(plain, total, strict=True), key=lambda p: -p[1]):
        if count >= _LEAST and all((flags[one.name] & flags[o.name]).sum() < count / 2 for o in strong):
            strong.append(one)
    if len(strong) < 2:
        return
    by = flags.group_by("_chunk").agg(pl.len(), *(pl.col(u.name).sum() for u in strong)).sort("_chunk")
    labels = [label for row in by.iter_rows(named=True) for label in _label(row, strong)]
    for (_, first), (chunk, second) in pairwise(labels):
        if first != second:
            near = flags.filter(pl.col("_chunk").is_between(chunk - 1, chunk))
            hours = (
                near.group_by("hour")
                .agg(pl.col(first).sum().alias("a"), pl.col(second).sum().alias("b"))
                .sort("hour")
            )
            hour = hours.filter(pl.col("b") > 0)["hour"][0]
            row = near.filter((pl.col("hour") == hour) & pl.col(second)).row(0, named=True)
            raise _changes(path, row, first, second)


def _refuse_split_mass(rows: pl.DataFrame, path: Path, exchange: str) -> None:
    # For a file of one chunk: no market pays exactly 100 times the base rate, so a few such figures are enough.
    for one, other in _SCALED:
        at = rows.select("hour", a=_at_base(Unit(one), exchange), b=_at_base(Unit(other), exchange))
        first, second = at.filter("a")["hour"], at.filter("b")["hour"]
        if min(first.len(), second.len()) < _SPLIT:
            continue
        for early, late, units in ((first, second, (one, other)), (second, first, (other, one))):
            if early[-1] < late[0]:
                hits = rows.filter(_at_base(Unit(units[1]), exchange))
                raise _changes(path, hits.row(0, named=True), *units)


def _changes(path: Path, row: dict[str, Any], first: str, second: str) -> BadData:
    return BadData(
        f"{path}: row {row[ROW]} ({row['symbol']} {row['hour']:%Y-%m-%d %H:%M}, {row['value']:g}): the unit changes "
        f"from {first} to {second} here; import each part with its own --unit (--where, --map, or files of their own)"
    )


def _label(row: dict[str, int], units: list[Unit]) -> Iterator[tuple[int, str]]:
    counts = sorted(((row[u.name], u.name) for u in units), reverse=True)
    if counts[0][0] >= max(3, 0.05 * row["len"]) and counts[1][0] <= counts[0][0] / 10:
        yield row["_chunk"], counts[0][1]


def refuse_impossible(rows: pl.DataFrame, path: Path, given: Unit) -> None:
    """Raise BadData where rates (rate, hours) are too large to be fractions per interval: their unit is another one."""
    rates = rows.with_columns(_hourly=pl.col("rate").abs() / pl.col("hours").fill_null(8.0))
    wild = rates.filter(pl.col("_hourly") > _MOST_1H)
    middle = rates.filter(pl.col("rate") != 0)["_hourly"].median()
    if wild.height or (isinstance(middle, float) and middle > _MIDDLE_1H):
        row = (wild if wild.height else rates.filter(pl.col("_hourly") > _MIDDLE_1H)).row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['value']:g} as {given.shown} is {row['rate']:g} of the notional, "
            "more than any exchange pays: its unit is another one; give --unit"
        )


def refuse_finer(rows: pl.DataFrame, path: Path, exchange: str) -> None:
    """Raise BadData where rates (rate) are finer than the exchange's settled ones: then they are samples or means."""
    step = STEPS.get(exchange)
    if step is None or exchange in _ROUNDED:
        return
    steps = pl.col("rate") / step
    fine = rows.filter((steps - steps.round()).abs() > 0.01)
    if fine.height > 0.01 * rows.height:
        row = fine.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['rate']!r}: {fine.height:,} of {rows.height:,} rates are finer than "
            f"{step:g}, the step of what {exchange} settles: samples or means of the predicted rate, no settlements"
        )


def refuse_unsigned(rows: pl.DataFrame, path: Path, *, signed: bool) -> str | None:
    """Evidence on the sign, from rows (symbol, value); raises where a whole market list or a long series has no negative.

    BadData where many markets have none; BadCall (give --signed) where a single series may really have had none.
    """
    moving = rows.filter(pl.col("value") != 0)
    below = moving.filter(pl.col("value") < 0).height
    symbols = moving["symbol"].n_unique()
    if below or moving.height < _LEAST:
        return f"{below:,} of {moving.height:,} non-zero rates are negative" if below else None
    rule = f"{path}: row {moving[ROW][0]}: none of {moving.height:,} rates in {symbols} market{'s' * (symbols > 1)} is negative"
    if symbols >= _LEAST and moving.height >= 500:
        raise BadData(
            f"{rule}: the sign was lost (a rate without its direction), and nothing in the file restores it"
        )
    if not signed and moving.height >= 200:
        raise BadCall(f"{rule}: if they do have their sign, give --signed")
    return f"no rate is negative, of {moving.height:,}"


def unproven(path: Path, masses: list[Mass], exchange: str) -> BadCall:
    """The error for a unit that neither the user states nor the figures prove."""
    best = [evidence(m) for m in masses[:3] if m.share > _FEW]
    lines = "; ".join(best) or f"under no unit are many rates the base rate of {exchange}"
    return BadCall(
        f"{path}: the unit is not proven ({lines}): give --unit {'|'.join(UNITS)}, with {_TURNED} if shorts pay"
    )
