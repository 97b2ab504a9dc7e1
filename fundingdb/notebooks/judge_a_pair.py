"""Choose and evaluate a pair of exchanges, from an empty folder on: a marimo notebook, an app and a script.

marimo edit|run "$(python -m fundingdb.notebooks)", or python -m fundingdb.notebooks.judge_a_pair, which prints the
judgement. Needs `pip install 'fundingdb[notebook]'`. The lake it makes holds simulated rows only.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="fundingdb: judge a pair")

with app.setup:
    import subprocess
    import sys
    import tempfile
    from datetime import timedelta
    from pathlib import Path

    import altair as alt
    import marimo as mo
    import polars as pl

    import fundingdb
    from fundingdb import backtest
    from fundingdb.errors import BadCall

    HOUR = timedelta(hours=1)
    YEAR = 8760  # hours
    NOTIONAL = 10_000.0  # USD, each leg


@app.function
def table(frame: pl.DataFrame) -> mo.Html:
    """A frame without the tools around it."""
    return mo.ui.table(
        frame,
        selection=None,
        pagination=False,
        show_data_types=False,
        show_column_summaries=False,
        show_download=False,
        show_search=False,
    )


@app.function
def demo_lake(home: Path, days: int) -> Path:
    """A new lake in an empty folder, filled by `fundingdb demo`: simulated exchanges over a real socket."""
    command = [sys.executable, "-m", "fundingdb", "demo", "--days", str(days), "--warehouse", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"fundingdb demo failed:\n{done.stderr[-2000:]}")
    return home / "demo"


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Is this pair worth holding?

    A perpetual future has no expiry. So that its price stays near the index, one side pays the other: **funding**.
    Where two exchanges pay unlike rates on one asset, one can be **long where the rate is low and short where it is
    high**: the two prices nearly cancel, the difference of the rates stays. This page goes from an empty folder to
    a judgement of one such pair:

    lake → spreads → carry → costs → backtest → judgement.

    **Units.** A rate is a *fraction of notional*: 0.0001 on 10,000 USD is 1 USD. **Positive: longs pay shorts.**
    Exchanges pay every 1, 2, 4 or 8 hours, so rates are compared *per hour*, and shown here as *percent a year*
    (per hour x 8,760, not compounded). All times are UTC; a payment is stamped with the end of its interval.

    /// warning | The data is simulated
    This page fills a *demo lake* from a simulated world of three exchanges. Names of tokens are real, rates and
    prices are not. To judge real data, run `fundingdb backfill`, open this page with `marimo edit` and set
    `warehouse` in the next cell to that folder.
    ///
    """)
    return


@app.cell
def _():
    # a temporary folder; a lake of your own: warehouse = Path("warehouse")
    home = tempfile.TemporaryDirectory(prefix="fundingdb-notebook-", ignore_cleanup_errors=True)
    with mo.status.spinner("filling a demo lake ..."):
        warehouse = demo_lake(Path(home.name), days=30)
    con = fundingdb.connect(warehouse)
    simulated = (warehouse / "simulated.txt").is_file()
    return con, simulated, warehouse


@app.cell(hide_code=True)
def _(con, warehouse):
    held = con.sql("""
        select exchange, count(distinct symbol) as markets, count(*) as payments,
               min(funding_time) as first_payment, max(funding_time) as last_payment
        from funding group by exchange order by exchange
    """).pl()
    mo.stop(held.is_empty(), mo.md(f"**No payments in `{warehouse}`**: run `fundingdb backfill` first."))
    last = held["last_payment"].min().replace(minute=0, second=0, microsecond=0)
    first = held["first_payment"].max()
    middle = (first + (last - first) / 2).replace(minute=0, second=0, microsecond=0)
    mo.vstack(
        [
            mo.md(f"""
    ## 1. The lake

    {held["payments"].sum():,} settled payments of {held["markets"].sum()} markets in `{warehouse}`. They are cut in
    two: a pair is **chosen** by what it did before {middle:%d %B %H:%M} and **evaluated** by what it did after,
    {middle:%d %B} to {last:%d %B}. Evaluated on the days it was chosen on, the best of many pairs always looks good.
    """),
            table(held),
        ]
    )
    return first, last, middle


@app.cell(hide_code=True)
def _(con, first, middle):
    before = con.sql(
        "from pair_stats_over(start := ?, stop := ?) order by mean_1h desc",
        params=[str(first), str(middle)],
    ).pl()
    mo.stop(
        before.is_empty(), mo.md("**No pair**: it takes one asset with settled payments on two exchanges.")
    )
    shown = before.head(8).select(
        pl.col("base").alias("asset"),
        pl.col("long_exchange").alias("long on"),
        pl.col("short_exchange").alias("short on"),
        (pl.col("mean_1h") * YEAR * 100).round(1).alias("mean, % a year"),
        (pl.col("median_1h") * YEAR * 100).round(1).alias("median, % a year"),
        (pl.col("same_sign_share") * 100).round(0).alias("paid, % of hours"),
        pl.col("missing_hours").alias("missing hours"),
    )
    top = before.row(0, named=True)
    mo.vstack(
        [
            mo.md(f"""
    ## 2. Spreads

    What each pair of exchanges earned in the first half, by settled payments and before costs. The widest was
    **{top["base"]}, long on {top["long_exchange"]}, short on {top["short_exchange"]}**: {top["mean_1h"]:.7f} of
    notional per hour on average, which is {top["mean_1h"] * YEAR:.1%} a year, and it paid in
    {top["same_sign_share"]:.0%} of the hours. Where the median is far below the mean, few hours earn most of it.
    """),
            table(shown),
        ]
    )
    return (before,)


@app.cell(hide_code=True)
def _(before):
    pairs = {
        f"{row['base']}: long {row['long_exchange']}, short {row['short_exchange']}": row
        for row in before.head(8).iter_rows(named=True)
    }
    chosen = mo.ui.dropdown(pairs, value=next(iter(pairs)), label="Pair to judge", full_width=True)
    chosen
    return (chosen,)


@app.cell(hide_code=True)
def _(chosen, last, middle, warehouse):
    base, long, short = (chosen.value[key] for key in ("base", "long_exchange", "short_exchange"))
    provider = fundingdb.FundingRateBacktestDataProvider(warehouse)
    provider.load_data(
        middle, last, exchanges=[long, short], tokens=[base], asset_class=chosen.value["asset_class"]
    )
    rates = provider.matrix(base)
    apr = rates.select("timestamp", pl.col(long, short) * YEAR).unpivot(
        index="timestamp", variable_name="exchange", value_name="rate"
    )
    spread = (rates[short] - rates[long]) * YEAR
    known = spread.drop_nulls()
    mo.stop(known.is_empty(), mo.md(f"**No rate of {base} was known** on both exchanges in the second half."))
    rates_chart = (
        alt.Chart(apr)
        .mark_line(interpolate="step-after", strokeWidth=1.3)
        .encode(
            x=alt.X("timestamp:T", scale=alt.Scale(type="utc"), title="UTC"),
            y=alt.Y("rate:Q", axis=alt.Axis(format="%"), title="known rate, a year"),
            color=alt.Color("exchange:N", title=None, legend=alt.Legend(orient="top")),
        )
        .properties(height=220, width="container")
    )
    mo.vstack(
        [
            mo.md(f"""
    ## 3. What was known: {base}

    The rate *known* at each hour is the last one settled by then, never a later one. In the second half {long} paid
    its shorts {rates[long].mean() * YEAR:.1%} a year on average, {short} {rates[short].mean() * YEAR:.1%}; the
    difference, what this pair earns while it lasts, was {known.mean():.1%}, from {known.min():.1%} to {known.max():.1%}. No rate
    was known in {spread.null_count()} of {len(spread)} hours.
    """),
            rates_chart,
        ]
    )
    return base, long, provider, short


@app.cell(hide_code=True)
def _(base, last, long, middle, provider, short):
    paid = provider.carry(base, long, short, middle, last)
    legs = paid.group_by("leg").agg(pl.col("cash").sum(), pl.len().alias("payments"))
    cash = {leg: money for leg, money, _ in legs.iter_rows()}
    gross = sum(cash.values()) if paid.height else None
    hours = (last - middle) / HOUR
    carry_chart = (
        alt.Chart(paid.select("funding_time", (pl.col("cash").cum_sum()).alias("sum")))
        .mark_line(interpolate="step-after", color="#2a7f62")
        .encode(
            x=alt.X("funding_time:T", scale=alt.Scale(type="utc"), title="UTC"),
            y=alt.Y("sum:Q", axis=alt.Axis(format=".2%"), title="of notional, both legs"),
        )
        .properties(height=200, width="container")
    )

    def leg_text(leg: str, exchange: str) -> str:
        money = cash.get(leg, 0.0)
        return f"the {leg} on {exchange} {'received' if money >= 0 else 'paid'} {abs(money):.3%} of notional"

    mo.vstack(
        [
            mo.md(f"""
    ## 4. Carry: what was paid

    Money moves only at settlements after entry. Held from {middle:%d %B %H:%M} to {last:%d %B %H:%M},
    {paid.height:,} payments came: {leg_text("long", long)}, {leg_text("short", short)}. Together
    **{gross or 0:+.3%} of notional in {hours:.0f} hours**, on {NOTIONAL:,.0f} USD a leg
    {NOTIONAL * (gross or 0):+,.2f} USD, before costs. Positive: we received. A payment is on the value of the leg at
    that time, where the lake has its mark price; the backtest below keeps the notional as entered.
    """),
            carry_chart,
        ]
    )
    return gross, hours


@app.cell(hide_code=True)
def _(base, chosen, con, gross, hours, last, long, middle, short):
    fees = con.sql(
        "from carry_net where asset_class = ? and base = ? and long_exchange in (?, ?) and short_exchange in (?, ?)",
        params=[chosen.value["asset_class"], base, long, short, long, short],
    ).pl()
    unknown = {"costs": None, "reason": "no rate of both legs is known now"}
    cost = fees.row(0, named=True) if fees.height else unknown
    quality = con.sql(
        "from pair_stats_over(start := ?, stop := ?, token := ?)"
        " where asset_class = ? and long_exchange in (?, ?) and short_exchange in (?, ?)",
        params=[str(middle), str(last), base, chosen.value["asset_class"], long, short, long, short],
    ).pl()
    missing = quality["missing_hours"][0] if quality.height else hours
    capacity = quality["capacity_usd"][0] if quality.height else None
    costs = cost["costs"]
    hourly = (gross or 0) / hours
    break_even = costs / hourly if costs is not None and hourly > 0 else None
    if costs is None:
        costs_text = f"**Unknown**: {cost['reason']}. Add the fee to `fees.csv` in the warehouse."
    else:
        paid_back = "never earned back" if break_even is None else f"earned back after {break_even:.0f} hours"
        costs_text = (
            "Getting in and out takes four fills, two on each exchange. At taker fees of the base tier "
            f'(`con.sql("from fees")` has their sources) they cost **{costs:.3%} of notional**, {NOTIONAL * costs:,.2f} USD '
            f"on {NOTIONAL:,.0f} USD a leg. At the pace of the second half that is {paid_back}."
        )
    mo.md(f"""
    ## 5. Costs

    {costs_text}

    Not in it: slippage, the two prices drifting apart between entry and exit, margin, and what the money would earn
    elsewhere.
    """)
    return break_even, capacity, cost, costs, missing


@app.cell(hide_code=True)
def _():
    entry = mo.ui.slider(
        0.0, 0.5, 0.05, value=0.1, label="enter at a known spread of (a year, 0.1 = 10 %)", show_value=True
    )
    leave = mo.ui.slider(-0.5, 0.0, 0.05, value=-0.2, label="leave below (a year)", show_value=True)
    hold = mo.ui.slider(8, 168, 8, value=72, label="hold at least (hours)", show_value=True)
    slippage = mo.ui.slider(
        0.0, 5.0, 0.5, value=0.0, label="slippage at each fill (1 = 0.01 %)", show_value=True
    )
    mo.vstack(
        [
            mo.md("""
    ## 6. Backtest: a rule instead of always

    Enter when the spread *known at that hour* is wide, leave when it has turned. The same pair of exchanges, either
    way round, 10,000 USD a leg, taker fees at each fill. Move the sliders: leaving early saves bad hours and costs
    four more fills.
    """),
            entry,
            leave,
            hold,
            slippage,
        ]
    )
    return entry, hold, leave, slippage


@app.cell(hide_code=True)
def _(base, entry, hold, last, leave, long, middle, short, slippage, warehouse):
    settings = backtest.Settings(
        start=middle,
        end=last,
        entry_apr=entry.value,
        exit_apr=leave.value,
        hold_hours=float(hold.value),
        notional_usd=NOTIONAL,
        slippage_bps=slippage.value,
        tokens=(base,),
        exchanges=(long, short),
    )
    result, refused = None, ""
    try:
        with mo.status.spinner("walking the hours; the first time the walk is compiled ..."):
            result = backtest.run(settings, warehouse)
    except BadCall as error:  # such as an unknown fee
        refused = str(error)
    rule_net = None if result is None else result.summary["net_usd"] / NOTIONAL
    return refused, result, rule_net


@app.cell(hide_code=True)
def _(hours, refused, result):
    mo.stop(result is None, mo.callout(mo.md(f"No backtest: {refused}"), kind="warn"))
    figures = result.summary
    equity = result.equity.unpivot(
        ["funding_usd", "fees_usd", "net_usd"], index="hour_at", variable_name="part", value_name="usd"
    ).with_columns(pl.col("usd").cum_sum().over("part"), pl.col("part").str.replace("_usd", ""))
    parts = alt.Color("part:N", title=None, legend=alt.Legend(orient="top"), sort=["funding", "fees", "net"])
    equity_chart = (
        alt.Chart(equity)
        .mark_line(interpolate="step-after", strokeWidth=1.3)
        .encode(
            x=alt.X("hour_at:T", scale=alt.Scale(type="utc"), title="UTC"),
            y=alt.Y("usd:Q", title="USD, summed"),
            color=parts,
        )
        .properties(height=220, width="container")
    )
    columns = ["entered_at", "exited_at", "long_exchange", "short_exchange", "held_hours", "funding_usd"]
    trips = result.trades.select(*columns, "fees_usd", "net_usd", "exit_reason")
    mo.vstack(
        [
            *(mo.callout(mo.md(warning), kind="warn") for warning in result.warnings),
            mo.md(f"""
    Round trips: {figures["trades"]}; {figures["held_hours"]} of {hours:.0f} hours held:
    {figures["funding_usd"]:+,.2f} USD funding, {figures["fees_usd"]:+,.2f} USD fees, **{figures["net_usd"]:+,.2f}
    USD net**. The deepest fall from a peak was {-figures["max_drawdown_usd"]:,.2f} USD. Fingerprint of rows and
    code: `{result.fingerprint[:16]}`; equal fingerprints mean equal figures.
    """),
            equity_chart,
            mo.accordion({"Each round trip, with the reason it ended": trips}),
        ]
    )
    return


@app.function
def judge(
    gross: float | None, costs: float | None, hours: float, missing_hours: float, rule_net: float | None
) -> tuple[str, list[str]]:
    """The verdict on a pair held for `hours`, and its reasons.

    `gross` received, `costs` of four fills and `rule_net` of the backtest are fractions of notional over the span;
    None: unknown. Verdicts: `no`, `worth a closer look`, `unknown`.
    """
    if gross is None or costs is None:
        return "unknown", ["no payment is in the lake" if gross is None else "a fee is unknown"]
    if missing_hours > hours / 20:
        return "unknown", [f"{missing_hours:.0f} of {hours:.0f} hours are missing"]
    net, reasons = gross - costs, []
    if gross <= 0:
        reasons.append(f"it paid instead of earning: {gross:+.3%}")
    elif net <= 0:
        reasons.append(f"costs of {costs:.3%} eat the {gross:.3%} earned")
    elif costs / gross > 0.5:
        reasons.append(f"costs eat {costs / gross:.0%} of what it earned: a worse month and nothing is left")
    if rule_net is not None and rule_net <= 0:
        reasons.append(f"the rule lost {-rule_net:.3%} after costs")
    if net <= 0 or len(reasons) > 1:
        return "no", reasons
    return "worth a closer look", [*reasons, f"held all the time it left {net:+.3%} of notional after costs"]


@app.cell(hide_code=True)
def _(
    base,
    break_even,
    capacity,
    cost,
    costs,
    gross,
    hours,
    last,
    long,
    middle,
    missing,
    rule_net,
    short,
    simulated,
):
    verdict, reasons = judge(gross, costs, hours, missing, rule_net)

    def of_notional(value: float | None) -> str:
        if value is None:
            return "unknown"
        return f"{value:+.3%} of notional ({NOTIONAL * value:+,.2f} USD on {NOTIONAL:,.0f})"

    pace = "never" if break_even is None else f"{break_even:.0f} hours at the pace of these days"
    net = None if gross is None or costs is None else gross - costs
    a_year = "unknown"
    if net is not None:
        a_year = f"{net / hours * YEAR:+.1%}, not compounded, from {hours / 24:.0f} days"
    lines = {
        "gross": of_notional(gross),
        "costs": f"unknown: {cost['reason']}" if costs is None else of_notional(-costs),
        "net": of_notional(net),
        "net a year": a_year,
        "break-even": "unknown" if costs is None else pace,
        "rule, net": of_notional(rule_net),
        "size": "unknown: the lake has no open interest"
        if capacity is None
        else f"{capacity:,.0f} USD a leg, 1 % of the thinner",
        "missing": f"{missing:.0f} of {hours:.0f} hours",
        "verdict": verdict,
        "because": "; ".join(reasons),
    }
    what = f"{base}: long {long}, short {short}, {middle:%Y-%m-%d} to {last:%Y-%m-%d}"
    data = "simulated data" if simulated else "settled payments of the lake"
    if mo.app_meta().mode == "script":
        text = "\n".join(f"{name:<11} {figure}" for name, figure in lines.items())
        sys.stdout.write(f"{what}, {data}\n{text}\n")
    rows = "\n".join(f"| {name} | {figure} |" for name, figure in lines.items())
    kind = "success" if verdict == "worth a closer look" else "warn"
    mo.vstack(
        [
            mo.md(f"## 7. Judgement\n\n{what}, on **{data}**.\n\n| figure | value |\n|:---|:---|\n{rows}"),
            mo.callout(mo.md(f"**{verdict.capitalize()}**: {'; '.join(reasons)}."), kind=kind),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
