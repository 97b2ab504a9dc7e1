"""The market of each row: its symbol as the exchange writes it, its base, quote and asset class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.registry import fetcher
from fundingdb.fetchers.registry import names as sources
from fundingdb.importing import reading

if TYPE_CHECKING:
    from pathlib import Path

# How an exchange writes the market of a base and a target, the columns of aggregators' files.
_FORMS = {
    "lighter": "{base}", "hyperliquid": "{base}", "pacifica": "{base}", "extended": "{base}-USD", "dydx": "{base}-USD",
    "drift": "{base}-PERP", "binance": "{base}{target}", "bybit": "{base}{target}", "aster": "{base}{target}",
    "gate": "{base}_{target}", "okx": "{base}-{target}-SWAP",
}  # fmt: skip
_ENDINGS = re.compile(r"(?<=[A-Z0-9])[-_/]?(USDT|USDC|USD)([-_:]?(PERP|SWAP|Perp|USDT|USDC|USD))?$|-PERP$")
_ALIASES = {"XBT": "BTC"}


def symbol(
    path: Path, raw: pl.DataFrame, column: str | None, exchange: str, *, stated: str | None, form: str | None
) -> pl.Expr:
    """Column `symbol` of the rows: as stated, else a form filled from columns, else the column of names.

    Raises BadCall where there is none of them.
    """
    if stated is not None:
        return pl.lit(stated).alias("symbol")
    pair = {"base", "target"} <= set(raw.columns)
    if form is None and pair and column is None:
        form = _FORMS.get(exchange)
        if form is None:
            raise BadCall(
                f"{path}: it is not known how {exchange} writes a market: give --symbol-form, such as '{{base}}-{{target}}'"
            )
    if form is not None and not re.fullmatch(r"([^{}]|\{\w*\})*\{\w*\}([^{}]|\{\w*\})*", form):
        raise BadCall(
            f"--symbol-form {form!r}: write text with {{}} for the name, or {{column}}: '{{}}USDT', '{{base}}-{{target}}'"
        )
    if form is not None and "{}" not in form:
        names = re.findall(r"\{(\w+)\}", form)
        for name in names:
            if name not in raw.columns:
                raise BadCall(f"{path}: --symbol-form {form}: no column is called {name!r}")
        blank = re.sub(r"\{\w+\}", "{}", form)
        return pl.format(blank, *(pl.lit(reading.text(raw, path, n)) for n in names)).alias("symbol")
    if column is None:
        raise BadCall(f"{path}: no column names the market: give --symbol S or --symbol-column COLUMN")
    if form is not None and form.count("{") > 1:
        raise BadCall(f"--symbol-form {form!r}: write one {{}}, or names of columns")
    name = pl.lit(reading.text(raw, path, column))
    return (name if form is None else pl.format(form, name)).alias("symbol")


def with_market(path: Path, rows: pl.DataFrame, exchange: str, *, respelled: bool) -> pl.DataFrame:
    """+ base, quote, asset_class, declared (hours, null where the exchange states none for all times)."""
    listed = []
    for name in rows["symbol"].unique():
        market = _market(path, exchange, name, respelled=respelled)
        hours = market.interval_hours
        listed.append((name, market.base, market.quote, market.asset_class, hours))
    schema = {
        "symbol": pl.String,
        "base": pl.String,
        "quote": pl.String,
        "asset_class": pl.String,
        "declared": pl.Float64,
    }
    return rows.join(
        pl.DataFrame(listed, schema, orient="row"), on="symbol", how="left", maintain_order="left"
    )


def _market(path: Path, exchange: str, symbol: str, *, respelled: bool) -> Market:
    if exchange in sources():
        try:
            return fetcher(exchange).market(symbol)
        except BadCall as error:
            hint = "" if respelled else "; --symbol-form '{}USDT' makes it from the name in the file"
            raise BadCall(f"{path}: {error}{hint}") from None
    ending = _ENDINGS.search(symbol)
    name = symbol[: ending.start()] if ending else symbol
    what = identify(exchange, _ALIASES.get(name, name))
    quote = ending[1] if ending else None
    return Market(exchange, symbol, what.base, quote, what.asset_class, what.multiplier)
