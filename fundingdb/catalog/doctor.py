"""What is not well in a lake, on one page: lost rows, the reading views and the quarantine, as findings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.catalog.catalog import connect
from fundingdb.errors import LakeError
from fundingdb.lake import Finding, Lake
from fundingdb.settings import default_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

# Files do not age, imported ones or those of an archive, and nothing new comes from an exchange of which every market has ended.
_FRESHNESS = """
select
    exchange, source as subject,
    source <> 'import' and source not like '%-archive' and coalesce(row_age_hours > $stale, false)
        and coalesce(exchange not in (
            select exchange from markets group by exchange having min(case when status = 'delisted' then 1 else 0 end) = 1
        ), true) as alarm,
    coalesce('newest row ' || round(row_age_hours, 1) || ' h old', 'no row') as detail
from freshness
order by alarm desc, row_age_hours desc nulls first, exchange, source
"""
_FAILURES = """
with newest as (
    select exchange, source, symbol, endpoint, max_by(outcome, asked_at) as outcome,
        max_by(coalesce(error, ''), asked_at) as error, max(asked_at) as asked_at
    from fetches
    group by exchange, source, symbol, endpoint
)
select
    exchange, source as subject, true as alarm,
    count(*) || ' ' || endpoint || ' failed at the newest request, the newest: '
        || max_by(symbol || ': ' || error, asked_at) as detail
from newest
where outcome = 'failed'
group by exchange, source, endpoint
order by exchange, source, endpoint
"""
# Rows of a list of markets or of current rates that the newest response had and fundingdb could not read in full.
_LEFT_OUT = """
with newest as (
    select exchange, source, endpoint, max_by(outcome, asked_at) as outcome, max_by(coalesce(error, ''), asked_at) as error
    from fetches
    where symbol = '*'
    group by exchange, source, endpoint
)
select exchange, source as subject, true as alarm, endpoint || ': ' || error as detail
from newest
where outcome <> 'failed' and error <> ''
order by exchange, source, endpoint
"""
# What has merely come due since the last round is a matter of freshness.
# Responses without rows of one day alarm only where other rows contradict them: payments beside, or of other markets.
_HOLES = """
with stored as (
    select base, exchange, symbol, min(funding_time) as first_time, max(funding_time) as last_time
    from funding
    group by base, exchange, symbol
),
spans as (
    select gaps.*, reason <> 'none unconfirmed' or place = 'between' or exists (
        select 1
        from stored
        inner join markets on markets.base = stored.base
        where markets.exchange = gaps.exchange and markets.symbol = gaps.symbol
            and stored.first_time < gap_stop and stored.last_time >= gap_start
    ) as contradicted
    from gaps
    where reason in ('failed', 'none confirmed', 'none unconfirmed') or (reason = 'not asked' and place <> 'after')
)
select
    exchange, reason as subject, reason <> 'none confirmed' and contradicted as alarm,
    count(*) || ' spans of ' || count(distinct symbol) || ' markets'
        || coalesce(', ' || sum(missing) || ' payments', '') as detail
from spans
group by exchange, reason, contradicted
order by alarm desc, exchange, reason
"""
_RESTATEMENTS = """
select
    exchange, source as subject, true as alarm,
    count(*) || ' settled values changed in ' || $days || ' days, the newest: '
        || max_by(symbol || ' ' || old_funding_rate || ' -> ' || new_funding_rate, new_fetched_at) as detail
from restatements
where epoch(new_fetched_at) > epoch(now()) - 86400 * $days
  and (old_funding_rate <> new_funding_rate or old_interval_hours <> new_interval_hours)
group by exchange, source
order by exchange, source
"""
_RECONCILIATION = """
select
    exchange, left_source || ' ' || left_kind || ' / ' || right_source || ' ' || right_kind as subject, true as alarm,
    verdict || ': ' || count(*) || ' markets, ' || sum(compared) || ' payments compared, e.g. ' || min(symbol) as detail
from reconciliation_summary
where verdict not in ('agree', 'rounded', 'unclear')
group by exchange, left_source, left_kind, right_source, right_kind, verdict
order by exchange, 2, verdict
"""
_IDENTITY = """
select
    exchange, symbol as subject, verdict in ('mismatch', 'scale') as alarm,
    verdict || ': ' || asset_class || ' ' || base || ' at ' || round(ratio, 6) || ' of the price: ' || reason as detail
from identity_checks
order by alarm desc, exchange, symbol
"""
_HELD = """
select
    exchange, reason as subject, true as alarm,
    count(distinct symbol) || ' markets, ' || count(*) || ' payments of source ' || source || ' are held since '
        || strftime(min(funding_time), '%Y-%m-%d %H:%M') || ', ' || min(symbol) || ': ' || min_by(evidence, symbol)
        || '; see: fundingdb release ' || exchange as detail
from held
where state = 'held'
group by exchange, source, reason
order by exchange, source, reason
"""
_SECTIONS = {
    "freshness": (_FRESHNESS, ("stale",)),
    "failures": (_FAILURES, ()),
    "left out": (_LEFT_OUT, ()),
    "holes": (_HOLES, ()),
    "restatements": (_RESTATEMENTS, ("days",)),
    "reconciliation": (_RECONCILIATION, ()),
    "identity": (_IDENTITY, ()),
    "held": (_HELD, ()),
}
SECTIONS = ("lake", *_SECTIONS, "quarantine")


@dataclass(frozen=True, slots=True)
class HealthNote:
    """One line of the page; `alarm`: something is to be done, else it is for information."""

    section: str  # one of SECTIONS
    exchange: str
    subject: str  # the source, symbol, reason or file it is about
    alarm: bool
    detail: str


def examine(
    warehouse: Path | str | None = None, *, stale_hours: float = 24, restated_days: float = 7
) -> list[HealthNote]:
    """Every finding, in the order of SECTIONS, alarms first.

    Alarms: every fault that `Lake.check` reports and a lake without rows, and nothing else where a file can't be read; a
    source whose newest row is older than `stale_hours`; a market whose newest request failed; settlements missing because a
    request failed or none was sent for the time between; rows of a list that could not be read; settled values changed
    within `restated_days`; a named fault of reconciliation_summary; mismatch or scale of identity_checks; held payments; a
    response in quarantine. Files of tables in quarantine are a note. Raises LakeError, also where there is no lake.
    """
    folder = default_warehouse() if warehouse is None else Path(warehouse)
    must_exist(folder)
    report = Lake(folder).check()
    faults = report.findings
    if not report.rows and report.clean:
        faults = [Finding("lake", str(folder), "no table has a row")]
    notes = [HealthNote("lake", one.table, one.where, alarm=True, detail=one.problem) for one in faults]
    if not report.readable:
        return [*notes, *_quarantined(folder)]
    limits = {"stale": stale_hours, "days": restated_days}
    with connect(folder, only=["freshness", "gaps", "reconciliation_summary", "identity_checks"]) as con:
        for section, (query, needs) in _SECTIONS.items():
            rows = con.sql(query, params={name: limits[name] for name in needs} or None).fetchall()
            notes += [
                HealthNote(section, exchange, subject, bool(alarm), detail)
                for exchange, subject, alarm, detail in rows
            ]
    return [*notes, *_quarantined(folder)]


def must_exist(folder: Path) -> None:
    """Raise LakeError, with what to do, for a folder that has no lake, such as a mistyped one."""
    if not Lake(folder).exists():
        what = "has no lake" if folder.exists() else "does not exist"
        raise LakeError(
            f"{folder} {what}: --warehouse names another folder, 'fundingdb backfill EXCHANGE ...' fills this one"
        )


def _withdrawn(home: Path) -> Iterator[HealthNote]:
    """A note on the files of each table that `check --repair` took out."""
    for table in sorted(p for p in home.iterdir() if p.is_dir()) if home.is_dir() else ():
        count = len([*table.rglob("*.json")])
        detail = f"{count} files of the table were withdrawn by 'check --repair'; each has its span and reason in a .json file"
        yield HealthNote("quarantine", "lake", table.name, alarm=False, detail=detail)


def _quarantined(folder: Path) -> Iterator[HealthNote]:
    home = folder / "quarantine"
    for exchange in sorted(p for p in home.iterdir() if p.is_dir()) if home.is_dir() else ():
        bodies = sorted(exchange.glob("*.body"))
        if bodies:
            newest = bodies[-1]  # names begin with the instant
            detail = f"{len(bodies)} refused answers, the newest: {_reason(newest)}"
            yield HealthNote("quarantine", exchange.name, newest.name, alarm=True, detail=detail)
        if reports := sorted(exchange.glob("*.error.txt")):
            detail = f"{len(reports)} errors of fundingdb itself: please send the files to the developers"
            yield HealthNote("quarantine", exchange.name, reports[-1].name, alarm=True, detail=detail)
    yield from _withdrawn(home / "lake")


def _reason(body: Path) -> str:
    try:
        reason = json.loads(body.with_suffix(".json").read_text())["reason"]
    except (OSError, ValueError, KeyError, TypeError):
        return "its reason can't be read"
    return " ".join(str(reason).split())
