"""The market of each row: its symbol as the exchange writes it, its base, quote and asset class."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.registry import fetcher
from fundingdb.fetchers.registry import names as sources
from fundingdb.importing import reading
from fundingdb.importing.files import ROW

if TYPE_CHECKING:
    from pathlib import Path

# How an exchange writes the linear perpetual of a base and a quote: for aggregators' columns base and target, and for ccxt's
# unified symbols (BTC/USDT:USDT; fundingdb/fetchers/, and for the others their documentation).
_FORMS = {
    "lighter": "{base}", "hyperliquid": "{base}", "pacifica": "{base}", "variational": "{base}", "extended": "{base}-USD",
    "dydx": "{base}-USD", "drift": "{base}-PERP", "velocity": "{base}-PERP", "paradex": "{base}-USD-PERP",
    "backpack": "{base}_{quote}_PERP", "grvt": "{base}_{quote}_Perp", "binance": "{base}{quote}", "bybit": "{base}{quote}",
    "aster": "{base}{quote}", "bitget": "{base}{quote}", "gate": "{base}_{quote}", "mexc": "{base}_{quote}",
    "okx": "{base}-{quote}-SWAP", "htx": "{base}-{quote}", "bingx": "{base}-{quote}", "binance-coinm": "{base}{quote}_PERP",
}  # fmt: skip
_UNIFIED = re.compile(r"([^/:\s]+)/([^/:\s]+?)(?::([^/:\s]+?))?(-\d{6}.*)?")
_COIN_MARGINED = {"binance": "binance-coinm"}
_WEBSITE = re.compile(r"^([A-Z0-9]+) Perpetual$")  # Binance's export of funding rates: BTCUSDT Perpetual
# What no base ends with: the quote was not parted from it. A base is more than a quote.
_UNPARTED = re.compile(r"(?i)[-_/:\s.]$|.[-_/:\s](USDT?|USDC|PERP|SWAP|PERPETUAL)$|.(USDT|USDC)$|/")
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
        form = _FORMS.get(exchange, "").replace("quote", "target")
        if not form:
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


def unified(names: pl.Series) -> bool:
    """Whether the names of markets are those of ccxt: BTC/USDT:USDT."""
    return names.len() > 0 and names.str.contains(r"^[^/:\s]+/[^/:\s]+:[^/:\s]+$").all()


def spelled(path: Path, rows: pl.DataFrame, exchange: str) -> tuple[pl.DataFrame, list[str]]:
    """Rows (_row, symbol) with symbols as the exchange writes them, from those of ccxt and of websites; and the evidence.

    Raises BadData for names with control, direction or separator characters, BadCall for one that can't be respelled.
    """
    _refuse_invisible(path, rows)
    names = rows["symbol"].unique(maintain_order=True)
    respelled = {name: _spelled(path, name, exchange) for name in names}
    changed = [f"{old} is {new}" for old, new in respelled.items() if old != new]
    if not changed:
        return rows, []
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return rows.with_columns(pl.col("symbol").replace_strict(respelled)), [
        f"symbols as {exchange} writes them: {', '.join(changed[:3])}{more}"
    ]


def _refuse_invisible(path: Path, rows: pl.DataFrame) -> None:
    for name in rows["symbol"].unique(maintain_order=True):
        bad = next((c for c in name if unicodedata.category(c)[0] in "CZ" and c != " "), None)
        if bad is not None:
            row = rows.filter(pl.col("symbol") == name)[ROW][0]
            raise BadData(
                f"{path}: row {row}: the name of the market {name!a} has the character U+{ord(bad):04X} "
                f"({unicodedata.name(bad, 'a control character').lower()}), which no exchange uses; correct the name"
            )


def _spelled(path: Path, name: str, exchange: str) -> str:
    if match := _WEBSITE.match(name):
        return f"{match[1]}_PERP" if exchange == "binance-coinm" else match[1]
    match = _UNIFIED.fullmatch(name)
    if match is None:
        return name
    base, quote, settle, dated = match.groups()
    if dated:
        raise BadCall(f"{path}: {name} is a dated future, which pays no funding; choose rows with --where")
    if settle == base and exchange in _COIN_MARGINED:
        raise BadCall(f"{path}: {name} is margined in {base}: give --exchange {_COIN_MARGINED[exchange]}")
    if exchange == "bybit" and quote == "USDC":
        return f"{base}PERP"
    if exchange == "hyperliquid":
        base = re.sub(r"^K(?=(PEPE|SHIB|BONK|FLOKI|LUNC|DOGS|NEIRO)$)", "k", base)
    form = _FORMS.get(exchange)
    if form is None:
        raise BadCall(
            f"{path}: {name} is a symbol of ccxt, and how {exchange} itself writes that market is unknown: "
            "give --symbol S, one import for each market"
        )
    return form.format(base=base, quote=quote)


def with_market(path: Path, rows: pl.DataFrame, exchange: str, *, respelled: bool) -> pl.DataFrame:
    """+ base, quote, asset_class, declared (hours, null where the exchange states none for all times)."""
    listed = []
    for name in rows["symbol"].unique():
        market = _market(path, exchange, name, respelled=respelled)
        if _UNPARTED.search(market.base):
            raise BadCall(
                f"{path}: {exchange}: {name!r} is no market name: its base would be {market.base!r}; give --symbol S or "
                "--symbol-form as the exchange writes it (fundingdb markets {exchange})".replace(
                    "{exchange}", exchange
                )
            )
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
