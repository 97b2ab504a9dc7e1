"""Whether new settled rates continue the stored ones of their market, or come in another unit, sign or hour. Pure.

`verdicts` compares the new rows of any number of markets with the stored rows of the weeks beside them, `findings` sums the
verdicts up, one line for an exchange that changed as a whole. What holds rows back:

- base rate: the new rows repeat an exact multiple of the market's base rate (or of all markets of the exchange together), and
  the base rate itself is gone;
- overlap: at common instants all rates differ from the stored ones by one factor, or are those of the settlement before or after;
- settlement hours: the market keeps its interval and pays off its hours; or many markets at once repeat their newest stored rate;
- size and sign: the whole body of the rates is another one from one row to the next, for longer than any real market has been.

A hot market, a crash or a listing changes sizes and signs, never in one step and for good: that is a note at most.
Not decidable from these rows: a factor or turned sign of one market without a base rate while its rates are few or of mixed
sign; a constant series that is shifted; rates that lead by one settlement without overlap.
"""

from __future__ import annotations

import polars as pl

from fundingdb.fetchers.limits import STEPS
from fundingdb.ingest import evidence
from fundingdb.ingest.evidence import ENOUGH, SIGNED
from fundingdb.ingest.intervals import MARKET

PASS, NOTE, HOLD = "pass", "note", "hold"
_SPIKES = 3  # rows of one multiple of the base rate
_SPIKE = 0.25  # share of them among the rates around
_GONE = 20  # times more of them than of the base rate
_CHANCE = 4.0  # times what the repetition of other rates of the market explains
_DUE = 6  # base rates that the stored share lets expect among the rows since
_COMMON = 3  # overlapping rows of different rates
_MOVED = 0.8
_SAME_FACTOR = 0.8
_ROUNDED = 0.02  # of the stored rate: the same rate with other digits
_JUMP = 4.0  # factor of all quartiles
_LIKE = 6.0  # how far the sizes may be from a factor that the grid shows
_FLIP = 0.95
_NOTED = 4.0
_MARKETS = 3  # of one exchange, before they count together
_CROWD = 20
_CROWD_JUMP = 10.0
_WHOLE = 0.5  # share of an exchange's markets that makes a change one of the exchange

_STEPS = pl.DataFrame([*STEPS.items()], schema={"exchange": pl.String(), "step": pl.Float64()}, orient="row")
_REASON = {
    "reason": pl.String(),
    "factor": pl.Float64(),
    "since": pl.Datetime("us", "UTC"),
    "evidence": pl.String(),
}
VERDICTS = pl.Schema({**dict.fromkeys(MARKET, pl.String()), "verdict": pl.String(), **_REASON})
FINDINGS = pl.Schema(
    {
        "exchange": pl.String(),
        "source": pl.String(),
        "verdict": pl.String(),
        **_REASON,
        "markets": pl.Int64(),
        "of": pl.Int64(),
        "symbols": pl.List(pl.String()),
        "whole": pl.Boolean(),
    }
)


def verdicts(new: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """One line a market of the new FUNDING rows: exchange, source, symbol, verdict, reason, factor, since, evidence.

    `stored`: FUNDING rows of the same sources from the weeks beside the new ones (three weeks are plenty), possibly none;
    rows of other markets do no harm. verdict: pass, note (reason `regime`) or hold. reason: `factor`, `sign`, `shifted`, `size`,
    `regime`, null when passed; factor: new / right rate, negative when the sign is turned too, null where it does not apply;
    since: the first new row concerned. Special payments are not compared.
    """
    rows = evidence.hourly(new, stored)
    known = evidence.markets(new).with_row_index("_id")
    bases, sizes = evidence.base_rates(rows), evidence.sizes(rows)
    steps = known.join(_STEPS, on="exchange").select("_id", "step")
    found = evidence.multiples(rows, bases, steps)
    held = [
        _overlapping(new, stored),
        _spiked(found),
        _together(found, rows, bases, known),
        _off(evidence.phases(rows), known),
        _repeated(evidence.repeats(rows, bases), known),
        _jumped(sizes, rows, known),
        _turned(sizes, rows),
        _crowded(sizes, rows, known),
    ]
    first = pl.concat([_line(h, HOLD) for h in held] + [_line(_changed(sizes, rows), NOTE)])
    first = first.unique("_id", keep="first", maintain_order=True)
    both = known.join(first, on="_id", how="left", maintain_order="left")
    return both.with_columns(pl.col("verdict").fill_null(PASS)).select(VERDICTS.names())


def findings(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Verdicts that are not `pass`, summed up: one line an exchange, source, verdict, reason and factor.

    Columns of FINDINGS: since (the earliest), evidence (of the first market), markets (how many), of (markets compared),
    symbols (at most eight), whole (half of at least three markets or more: the exchange itself changed).
    """
    who = ["exchange", "source"]
    compared = verdicts.group_by(who).agg(of=pl.len().cast(pl.Int64))
    lines = (
        verdicts.filter(pl.col("verdict") != PASS)
        .with_columns(_factor=pl.col("factor").round_sig_figs(3))
        .group_by(*who, "verdict", "reason", "_factor", maintain_order=True)
        .agg(
            pl.col("factor").first(),
            pl.col("since").min(),
            pl.col("evidence").first(),
            markets=pl.len().cast(pl.Int64),
            symbols=pl.col("symbol").head(8),
        )
        .join(compared, on=who, how="left", maintain_order="left")
    )
    whole = (pl.col("markets") >= _MARKETS) & (pl.col("markets") >= _WHOLE * pl.col("of"))
    return lines.with_columns(whole=whole).select(FINDINGS.names())


def _line(lines: pl.DataFrame, verdict: str) -> pl.DataFrame:
    return lines.select("_id", pl.lit(verdict).alias("verdict"), *_REASON)


def _named(ratio: pl.Expr) -> pl.Expr:
    """The factor of SIGNED within 2 percent, else the ratio."""
    near = pl.coalesce(*(pl.when((ratio / f - 1).abs() < 0.02).then(f) for f in SIGNED))
    return pl.coalesce(near, ratio)


def _scaled(factor: pl.Expr) -> pl.Expr:
    return pl.when(factor == -1).then(pl.lit("sign")).otherwise(pl.lit("factor"))


def _overlapping(new: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    both = evidence.overlap(new, stored).filter(pl.col("common") >= _COMMON)
    factor = _named(pl.col("ratio"))
    scaled = (
        (pl.col("alike") >= _SAME_FACTOR * pl.col("common"))
        & (pl.col("equal") <= 0.1 * pl.col("common"))
        & (pl.col("different") >= _COMMON)
        & ((factor - 1).abs() > _ROUNDED)
    )
    moved = pl.max_horizontal("before", "after")
    shifted = (
        (pl.col("telling") >= _COMMON)
        & (moved >= _MOVED * pl.col("telling"))
        & (pl.col("stays") <= 0.1 * moved)
    )
    return both.filter(scaled | shifted).select(
        "_id",
        reason=pl.when(shifted).then(pl.lit("shifted")).otherwise(_scaled(factor)),
        factor=pl.when(~shifted).then(factor),
        since="first",
        evidence=pl.when(shifted)
        .then(
            pl.format("{} of {} common rows have the stored rate of the settlement beside", moved, "telling")
        )
        .otherwise(pl.format("{} of {} common rows are {} times the stored rate", "alike", "common", factor)),
    )


def _spiked(found: pl.DataFrame) -> pl.DataFrame:
    """Markets that repeat a multiple of their base rate and have left the base rate itself."""
    repeated = pl.col("chance") * pl.col("stored") >= _SPIKES  # other rates of this market repeat too
    k = pl.col("c_new") + pl.when(repeated).then(0).otherwise(pl.col("c_old"))
    clear = (
        (k >= _SPIKES + _CHANCE * pl.col("chance") * pl.col("n"))
        & (pl.col("c_old") < _SPIKES)
        & (pl.col("share") * pl.col("n") >= _DUE)
        & (pl.col("at_base") * _GONE <= k)
        & (k >= _SPIKE * pl.col("around"))
    )
    best = found.filter(clear).sort("c_new", descending=True).unique("_id", keep="first", maintain_order=True)
    return best.select(
        "_id",
        "factor",
        "since",
        reason=_scaled(pl.col("factor")),
        evidence=pl.format(
            "{} of {} rates are {} an hour; the base rate is {}", "c_new", "n", "value", "base"
        ),
    )


def _together(
    found: pl.DataFrame, rows: pl.DataFrame, bases: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """Markets of an exchange whose new rows as a whole repeat one multiple of their own base rates."""
    who = ["exchange", "source"]
    fresh = rows.filter(pl.col("_new") & (pl.col("value") != 0)).join(bases, on="_id")
    at_base = (pl.col("value") / pl.col("base") - 1).abs() < 1e-5
    by_exchange = fresh.join(known, on="_id").group_by(who)
    whole = by_exchange.agg(
        n=pl.len(), at_base=at_base.sum(), due=pl.col("share").sum(), chance=pl.col("chance").sum()
    )
    by_factor = found.select("_id", "factor", "c_new", "since").join(known, on="_id").group_by(*who, "factor")
    by = by_factor.agg(k=pl.col("c_new").sum(), markets=pl.col("_id").n_unique(), since=pl.col("since").min())
    clear = by.join(whole, on=who).filter(
        pl.col("markets") >= _MARKETS,
        pl.col("due") >= _SPIKES,
        pl.col("k") >= _SPIKES + _CHANCE * pl.col("chance"),
        pl.col("k") * 10 >= pl.col("due"),
        pl.col("at_base") * 10 <= pl.col("k"),
    )
    best = clear.sort("k", descending=True).unique(who, keep="first", maintain_order=True)
    text = pl.format(
        "{} of {} rates of the exchange in {} markets are {} times their base rate",
        "k",
        "n",
        "markets",
        "factor",
    )
    return known.join(best, on=who, how="inner", maintain_order="left").select(
        "_id", "factor", "since", reason=_scaled(pl.col("factor")), evidence=text
    )


def _off(found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    who = ["exchange", "source"]
    both = found.join(known, on="_id").with_columns(_all=pl.len().over(who))
    clear = both.filter((pl.col("n") >= _COMMON) | (pl.col("_all") >= _MARKETS))
    text = pl.format("settlements are {} h off the stored ones, which are {} h apart", "off", "every")
    return clear.select(
        "_id", "since", reason=pl.lit("shifted"), factor=pl.lit(None, pl.Float64), evidence=text
    )


def _repeated(found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Markets of an exchange of which most begin with exactly the newest stored rate."""
    who = ["exchange", "source"]
    by = (
        found.join(known, on="_id")
        .group_by(who)
        .agg(again=pl.col("again").sum(), n=pl.len(), since=pl.col("since").min())
    )
    clear = by.filter(pl.col("again") >= _MARKETS, pl.col("again") >= _MOVED * pl.col("n"))
    text = pl.format("{} of {} markets begin with exactly the newest stored rate", "again", "n")
    return known.join(clear, on=who, how="inner", maintain_order="left").select(
        "_id", "since", reason=pl.lit("shifted"), factor=pl.lit(None, pl.Float64), evidence=text
    )


def _starts(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter("_new").group_by("_id").agg(since=pl.col("at").min())


def _ratios(new: str, old: str) -> tuple[pl.Expr, pl.Expr]:
    """The least and the greatest ratio of quartiles."""
    each = [pl.col(f"q{q}_{new}") / pl.col(f"q{q}_{old}") for q in (25, 50, 75)]
    return pl.min_horizontal(*each), pl.max_horizontal(*each)


def _jumped(sizes: pl.DataFrame, rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Sizes of another order from one row to the next: of all markets of an exchange, or on a grid as coarse as the factor."""
    who = ["exchange", "source"]
    low, high = _ratios("new", "old")
    low_near, high_near = _ratios("early", "late")
    way = (
        pl.when((low >= _JUMP) & (low_near >= _JUMP))
        .then(1)
        .when((high <= 1 / _JUMP) & (high_near <= 1 / _JUMP))
        .then(-1)
    )
    ratio = pl.col("q50_new") / pl.col("q50_old")
    enough = sizes.filter(pl.min_horizontal("n_new", "n_old") >= ENOUGH).join(known, on="_id")
    each = enough.with_columns(_way=way.otherwise(0), _ratio=ratio).with_columns(
        _all=((pl.len() >= _MARKETS) & (pl.col("_way").n_unique() == 1)).over(who),
        _mid=pl.col("_ratio").median().over(who),
    )
    steps = each.filter(ratio >= 2).join(_STEPS, on="exchange").select("_id", "step")
    grid = evidence.grids(rows, steps).rename({"factor": "grid"})
    like = (ratio / pl.col("grid")).is_between(1 / _LIKE, _LIKE)
    both = each.join(grid, on="_id", how="left").join(_starts(rows), on="_id")
    clear = both.filter((pl.col("_all") & (pl.col("_way") != 0)) | like)
    text = pl.format(
        "the median of {} rates is {} times that of {} stored ones", "n_new", ratio.round_sig_figs(3), "n_old"
    )
    coarse = pl.format(", and each is a multiple of {} steps of the exchange", "grid")
    return clear.select(
        "_id",
        "since",
        reason=pl.when(like).then(pl.lit("factor")).otherwise(pl.lit("size")),
        factor=pl.when(like).then("grid").otherwise(_nearest(pl.col("_mid"))),
        evidence=pl.when(like).then(pl.concat_str(text, coarse)).otherwise(text),
    )


def _nearest(ratio: pl.Expr) -> pl.Expr:
    """The factor whose logarithm is nearest."""
    named = [f for f in SIGNED if f > 0]
    away = [(ratio.log() - pl.lit(f).log()).abs() for f in named]
    least = pl.min_horizontal(*away)
    return pl.coalesce(*(pl.when(a == least).then(f) for f, a in zip(named, away, strict=True)))


def _turned(sizes: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    def flipped(new: str, old: str) -> pl.Expr:
        most, least = pl.max_horizontal(f"up_{new}", f"up_{old}"), pl.min_horizontal(f"up_{new}", f"up_{old}")
        return (most >= _FLIP) & (least <= 1 - _FLIP)

    low, high = _ratios("new", "old")
    like = (low >= 1 / _JUMP) & (high <= _JUMP)
    enough = pl.min_horizontal("n_new", "n_old") >= ENOUGH
    clear = sizes.filter(enough, flipped("new", "old"), flipped("early", "late"), like).join(
        _starts(rows), on="_id"
    )
    text = pl.format(
        "{} of the stored rates are positive, {} of the new ones", _percent("up_old"), _percent("up_new")
    )
    return clear.select("_id", "since", reason=pl.lit("sign"), factor=pl.lit(-1.0), evidence=text)


def _percent(name: str) -> pl.Expr:
    return pl.format("{} %", (pl.col(name) * 100).round(0).cast(pl.Int64))


def _crowded(sizes: pl.DataFrame, rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """All markets of an exchange with at least 20, where the sizes of three quarters of them jump ten times the same way."""
    who = ["exchange", "source"]
    ratio = pl.col("q50_new") / pl.col("q50_old")
    by = (
        sizes.filter(pl.col("n_old") >= ENOUGH)
        .join(known, on="_id")
        .join(_starts(rows), on="_id")
        .group_by(who)
        .agg(
            low=ratio.quantile(0.25),
            mid=ratio.median(),
            high=ratio.quantile(0.75),
            n=pl.len(),
            since=pl.col("since").min(),
        )
    )
    clear = by.filter(
        pl.col("n") >= _CROWD, (pl.col("low") >= _CROWD_JUMP) | (pl.col("high") <= 1 / _CROWD_JUMP)
    )
    text = pl.format(
        "the rates of {} markets are at once {} times their stored ones", "n", pl.col("mid").round_sig_figs(3)
    )
    return known.join(clear, on=who, how="inner", maintain_order="left").select(
        "_id", "since", reason=pl.lit("size"), factor=_nearest(pl.col("mid")), evidence=text
    )


def _changed(sizes: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    ratio = pl.col("q50_new") / pl.col("q50_old")
    size = (ratio >= _NOTED) | (ratio <= 1 / _NOTED)
    sign = (pl.col("up_new") - pl.col("up_old")).abs() >= 0.8
    clear = sizes.filter(pl.min_horizontal("n_new", "n_old") >= ENOUGH, size | sign).join(
        _starts(rows), on="_id"
    )
    text = pl.format(
        "the median rate is {} times the stored one; {} were positive, {} are",
        ratio.round_sig_figs(3),
        _percent("up_old"),
        _percent("up_new"),
    )
    return clear.select(
        "_id", "since", reason=pl.lit("regime"), factor=pl.lit(None, pl.Float64), evidence=text
    )
