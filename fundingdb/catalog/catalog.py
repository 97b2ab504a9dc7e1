"""The DuckDB catalog: the views and macros of sql/*.sql over the exact files of one version of the lake.

`connect` opens an in-memory DuckDB connection with them, `rebuild` writes the same into `fundingdb.duckdb` for a
DuckDB shell, `ask` answers one query behind a lock. Nothing holds data or downloads an extension. Base relations,
made here, one per table of the lake: `lake_funding` (all sources), `snapshots`, `markets`, `fetches`,
`restatements`, `held`; `lake_funding` split in two, `lake_funding_first` (each exchange's preferred source) and
`lake_funding_rest` (its other sources; usually empty, so that the view `funding` costs nothing); `source_preference`
(exchange, source, preference), the order of each exchange's sources; and `fees`, whose rows are in the view itself: the
shipped table and the warehouse's own `fees.csv` (module fees). The files of sql/ are read by module headers.
"""

from __future__ import annotations

import os
import re
import warnings
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from fundingdb.catalog import fees as costs
from fundingdb.catalog.headers import View, views
from fundingdb.errors import BadCall, BadData, LakeError, NoRowsWarning
from fundingdb.schema import TABLES, Table
from fundingdb.settings import default_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Connection = duckdb.DuckDBPyConnection  # what readers take; only this module opens one
Unreadable = duckdb.IOException
FILE = "fundingdb.duckdb"
_STORAGE = "v1.0.0"  # a file with 2.0's default storage can't be opened by the 1.5 shell that PyPI has
_SOURCED = ("funding", "snapshots")  # tables whose rows come from one source or another
_PREFERENCE_NOTE = (
    "One row per exchange, source: which source of an exchange is used where several have the same payment. The exchange itself "
    "comes first, then others by name, import last."
)
_PREFERENCE_NOTES: Mapping[str, str] = {
    "exchange": "where the perpetual trades",
    "source": "who the rows come from: the exchange itself, its archive, coingecko, ccxt, import",
    "preference": "1 = used first",
}
_TYPES: Mapping[pl.DataType, str] = {
    pl.String(): "VARCHAR",
    pl.Float64(): "DOUBLE",
    pl.Int64(): "BIGINT",
    pl.Datetime("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
}


def connect(
    warehouse: Path | str | None = None,
    version: int | datetime | None = None,
    fees: Path | str | None = None,
    *,
    only: Iterable[str] | None = None,
) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with all views over the files of `version` (None = newest), session time zone UTC.

    `only` these views, and those that they read, are made in a third of the time. It keeps seeing that version while others
    write. Nothing is downloaded. `fees` is a table of the user's own, in place of the warehouse's `fees.csv`. Raises
    VersionGone, LakeError, and BadCall or BadData where `fees` can't be read. Warns (NoRowsWarning) of a folder without a lake.
    """
    folder = default_warehouse() if warehouse is None else Path(warehouse)
    has_lake(folder)
    listed, as_of = pinned(folder, version)
    known = _known_fees(folder) if fees is None else costs.fees(fees)
    con = session()
    build(con, listed, as_of, known, only=only)
    return con


def has_lake(folder: Path) -> bool:
    """Whether there is a lake; warns (NoRowsWarning), at the caller of the caller, where not: its tables read as empty."""
    if (folder / "lake").exists():
        return True
    what = "has no lake" if folder.exists() else "does not exist"
    warnings.warn(
        f"{folder} {what}: all tables read as empty; is the path right?", NoRowsWarning, stacklevel=3
    )
    return False


def session() -> duckdb.DuckDBPyConnection:
    """An in-memory connection without views, session time zone UTC, that downloads nothing."""
    con = duckdb.connect()
    con.sql("SET TimeZone = 'UTC'")
    con.sql("SET autoinstall_known_extensions = false")
    con.sql("SET autoload_known_extensions = false")
    con.sql(f"SET temp_directory = {text(gettempdir())}")  # not the folder that the user works in
    return con


def rebuild(warehouse: Path | str) -> Path:
    """Writes `fundingdb.duckdb` over the newest version beside the old one and renames it over; returns its path.

    A shell that has the old file open keeps the older version. Raises LakeError when the folder can't be written.
    """
    target = Path(warehouse).resolve() / FILE
    if not target.parent.is_dir():
        raise LakeError(f"{target.parent} is no folder: nothing was stored there yet")
    draft = target.with_name(f"{FILE}.{os.getpid()}.draft")
    listed, as_of = pinned(target.parent, None)
    known = _known_fees(target.parent)
    try:
        draft.unlink(missing_ok=True)
        with session() as con:
            con.sql(f"ATTACH {text(str(draft))} AS draft (STORAGE_VERSION '{_STORAGE}')")
            con.sql("USE draft")
            build(con, listed, as_of, known)
        draft.replace(target)
    except (OSError, duckdb.IOException) as error:
        raise LakeError(f"{target} can't be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return target


def ask(warehouse: Path | str | None, query: str, version: int | datetime | None = None) -> pl.DataFrame:
    """The rows of one reading statement, which can touch nothing but the files of the lake, and these not write.

    Raises BadCall with DuckDB's message (and its near names), or where the statement does not only read.
    """
    folder = default_warehouse() if warehouse is None else Path(warehouse)
    listed, as_of = pinned(folder, version)
    known = _known_fees(folder)
    with session() as con:
        build(con, listed, as_of, known)
        _lock(con, chain.from_iterable(listed.values()))
        try:
            _reads_only(con, query)
            return con.sql(query).pl()
        except duckdb.Error as error:
            raise BadCall(str(error)) from None
        except pl.exceptions.PolarsError as error:
            raise BadCall(
                f"a column has a type that can't be shown ({error}): cast it, e.g. x::varchar"
            ) from None


def _lock(con: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> None:
    con.sql(f"SET allowed_paths = [{', '.join(text(str(path)) for path in paths)}]")
    con.sql("SET enable_external_access = false")
    con.sql("SET lock_configuration = true")


def _reads_only(con: duckdb.DuckDBPyConnection, query: str) -> None:
    # the lock still lets a COPY overwrite the lake's own files
    kinds = [statement.type.name for statement in con.extract_statements(query)]
    if len(kinds) != 1:
        raise BadCall(f"{len(kinds)} statements: give exactly one query")
    if kinds == ["EXPLAIN"]:
        inner = re.sub(r"(?i)^\s*explain(\s+analyze)?\b", "", query)
        kinds = [statement.type.name for statement in con.extract_statements(inner)]
    if kinds != ["SELECT"]:
        raise BadCall(f"{kinds[0]} is refused: this only reads (SELECT, FROM, WITH, DESCRIBE, SHOW, EXPLAIN)")


def pinned(warehouse: Path, version: int | datetime | None) -> tuple[dict[str, list[Path]], datetime | None]:
    """Table -> the absolute paths of the Parquet files that count in that version, and when it was committed."""
    from fundingdb.lake import Lake  # noqa: PLC0415 - deltalake loads in 0.2 s; only the file list is read

    lake = Lake(warehouse)
    at = lake.learned_at(version)
    return {name: [Path(f).absolute() for f in lake.files(name, version)] for name in TABLES}, at


def build(
    con: duckdb.DuckDBPyConnection,
    listed: Mapping[str, Sequence[Path]],
    as_of: datetime | None = None,
    fees: pl.DataFrame | str | None = None,
    *,
    known_by: datetime | None = None,
    only: Iterable[str] | None = None,
) -> None:
    """Creates base relations, views, macros and their comments in the current database of `con`.

    `lake_as_of()` is the instant up to which these files are known (None: no bound); `fees` as costs.fees returns
    them (None: the shipped ones), or why they can't be read: every query that asks for a fee then fails with that text.
    `known_by`: settlements and snapshots fetched later are hidden, and a settlement restated later has the value of
    that instant. `only`: the views and macros to make, with those that they read, without comments; None: all.
    """
    if known_by is not None:
        as_of = known_by if as_of is None else min(as_of, known_by)
    bound = datetime(9999, 12, 31, tzinfo=UTC) if as_of is None else as_of
    script = [f"CREATE OR REPLACE MACRO lake_as_of() AS {_timestamp(bound)}"]
    first, rest = split(listed["funding"])
    files = {f"lake_{n}" if n == "funding" else n: listed[n] for n in TABLES}
    files |= {"lake_funding_first": first, "lake_funding_rest": rest}
    script += relations({name: _rows(table_of(name), paths) for name, paths in files.items()}, known_by)
    sources = [(partition(p, "exchange"), partition(p, "source")) for n in _SOURCED for p in listed[n]]
    script.append(preference_view(sources))
    script += _comment("source_preference", _PREFERENCE_NOTE, _PREFERENCE_NOTES.items())
    script += _fees(costs.shipped() if fees is None else fees)
    for view in views() if only is None else _read_by(only):
        script += created(view)
    if only is not None:
        script = [one for one in script if not one.startswith("COMMENT ")]
    con.sql(";\n".join(script))  # at once: 300 calls would cost 0.2 s


def created(view: View) -> list[str]:
    """The statements that make one file of sql/, with its comments."""
    if view.kind == "view":
        comments = _comment(view.name, view.comment, ((name, note) for name, _, note in view.columns))
        return [f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}", *comments]
    parameters = ", ".join(
        name if value == "-" else f"{name} := {value}" for name, value, _ in view.parameters
    )
    made, named = ("TABLE", "MACRO TABLE") if view.kind == "macro" else ("", "MACRO")
    return [
        f"CREATE OR REPLACE MACRO {view.name}({parameters}) AS {made} {view.sql}",
        f"COMMENT ON {named} {view.name} IS {text(view.comment)}",
    ]


def _read_by(names: Iterable[str]) -> list[View]:
    wanted, made = set(names), list[View]()
    for view in reversed(views()):
        if view.name in wanted:
            made.append(view)
            wanted.update(view.reads)
    return made[::-1]


def split(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The files of each exchange's preferred source, and those of its other sources."""
    owned = {path: (partition(path, "exchange"), partition(path, "source")) for path in paths}
    best = {exchange: source for exchange, source, _ in reversed(preferences(owned.values()))}
    first = [path for path, (exchange, source) in owned.items() if best[exchange] == source]
    rest = [path for path, (exchange, source) in owned.items() if best[exchange] != source]
    return first, rest


def preferences(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Rows of the relation `source_preference` for pairs (exchange, source), in their order: 1 is preferred.

    The exchange itself comes first, then others by name, `import` last.
    """
    order = sorted({(exchange, source != exchange, source == "import", source) for exchange, source in pairs})
    return [
        (exchange, source, rank)
        for _, same in groupby(order, key=itemgetter(0))
        for rank, (exchange, _, _, source) in enumerate(same, start=1)
    ]


def preference_view(pairs: Iterable[tuple[str, str]]) -> str:
    """The statement that makes the relation `source_preference`."""
    rows = ", ".join(f"({text(e)}, {text(s)}, {rank})" for e, s, rank in preferences(pairs))
    held = f"(VALUES {rows})" if rows else "(SELECT NULL, NULL, NULL WHERE false)"
    columns = "CAST(p.exchange AS VARCHAR) AS exchange, CAST(p.source AS VARCHAR) AS source"
    return (
        f"CREATE OR REPLACE VIEW source_preference AS SELECT {columns}, CAST(p.preference AS BIGINT) AS preference "
        f"FROM {held} AS p(exchange, source, preference)"
    )


def text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def partition(path: Path, name: str) -> str:
    """The value of a partition column, from a file's folder; raises LakeError where the folder names none."""
    parts = dict(p.split("=", 1) for p in path.parts if "=" in p)
    if name not in parts:
        raise LakeError(f"{path}: no partition folder {name}=...")
    return parts[name]


def table_of(relation: str) -> Table:
    """The table of the lake whose columns a base relation has."""
    return TABLES["funding" if relation.startswith("lake_funding") else relation]


def relations(rows: Mapping[str, str], known_by: datetime | None = None) -> list[str]:
    """The statements that make the base relations of these names, over selects of all their rows.

    With `known_by` settlements and snapshots fetched later are hidden: see `_funding_known_by`.
    """
    script = list[str]()
    for name, select in rows.items():
        table, shown = table_of(name), select
        if known_by is not None and table is TABLES["funding"]:
            shown = _funding_known_by(select, rows["restatements"], known_by)
        elif known_by is not None and table is TABLES["snapshots"]:
            shown = f"SELECT ever.* FROM ({select}) AS ever WHERE ever.observed_at <= {_timestamp(known_by)}"
        script.append(f"CREATE OR REPLACE VIEW {name} AS {shown}")
        script += _comment(name, table.note, ((column, c.note) for column, c in table.columns.items()))
    return script


def _rows(table: Table, paths: Sequence[Path]) -> str:
    """The select of all rows of these files."""
    types = {column: _TYPES[c.dtype] for column, c in table.columns.items()}
    if not paths:
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in types.items())
        return f"SELECT {nulls} FROM (SELECT 1) AS nothing WHERE false"
    # qualified: a bare name is read as a macro's parameter of that name
    columns = ", ".join(f"CAST(file.{column} AS {kind}) AS {column}" for column, kind in types.items())
    listed = ", ".join(text(str(path)) for path in paths)
    hive = ", ".join(f"{column}: {types[column]}" for column in table.partitions)
    options = f"hive_partitioning = true, hive_types = {{{hive}}}"
    return f"SELECT {columns} FROM read_parquet([{listed}], {options}) AS file"


def _funding_known_by(funding: str, restatements: str, known_by: datetime) -> str:
    """The select of the settlements of `funding` as they were known by an instant.

    A row that was last changed by then is unchanged. For one changed later the restatements have the value of then: the
    newest one fetched by then, old or new; its other figures may have come with the change and are null. One changed later
    without a restatement (a figure filled in) is left out: nothing proves it was known.
    """
    until = _timestamp(known_by)
    key = "exchange, source, symbol, funding_time, rate_type"
    past = {"funding_rate": "past.rate", "interval_hours": "past.hours", "fetched_at": "past.fetched"}
    blank = dict.fromkeys(
        ("interval_from", "native_rate", "mark_price", "index_price", "reported_time"), "NULL"
    )
    columns = TABLES["funding"].columns
    return f"""
        WITH ever AS ({funding}),
        restated AS ({restatements}),
        versions AS (
            SELECT {key}, old_funding_rate AS rate, old_interval_hours AS hours, old_fetched_at AS fetched, 0 AS turn
            FROM restated
            UNION ALL
            SELECT {key}, new_funding_rate, new_interval_hours, new_fetched_at, 1 FROM restated
        ),
        ranked AS (
            SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY fetched DESC, turn DESC) AS newest
            FROM versions
            WHERE fetched <= {until}
        )
        SELECT {", ".join(f"ever.{c}" for c in columns)} FROM ever WHERE ever.fetched_at <= {until}
        UNION ALL
        SELECT {", ".join(f"{(past | blank).get(c, f'ever.{c}')} AS {c}" for c in columns)}
        FROM ever
        INNER JOIN ranked AS past USING ({key})
        WHERE ever.fetched_at > {until} AND past.newest = 1
    """


def _timestamp(at: datetime) -> str:
    return f"CAST({text(at.astimezone(UTC).isoformat(' '))} AS TIMESTAMP WITH TIME ZONE)"


def _known_fees(warehouse: Path) -> pl.DataFrame | str:
    try:
        return costs.fees(None, warehouse)
    except (
        BadCall,
        BadData,
    ) as error:  # a slip in a table of fees must not stop those who store or read rates
        return str(error)


def _fees(fees: pl.DataFrame | str) -> list[str]:
    wanted = ", ".join(f"CAST(given.{n} AS {_TYPES[k]}) AS {n}" for n, k in costs.FEES_COLUMNS.items())
    if isinstance(fees, str):
        nulls = ", ".join(f"NULL AS {n}" for n in costs.FEES_COLUMNS)
        held = f"(SELECT {nulls}) AS given WHERE error({text(fees)}) IS NULL"
    else:
        rows = ", ".join(f"({', '.join(map(_literal, row))})" for row in fees.rows())
        held = f"(VALUES {rows}) AS given({', '.join(fees.columns)})"
    return [
        f"CREATE OR REPLACE VIEW fees AS SELECT {wanted} FROM {held}",
        *_comment("fees", costs.NOTE, costs.FEES_NOTES.items()),
    ]


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return text(value.isoformat(" "))
    return text(value) if isinstance(value, str) else repr(value)


def _comment(view: str, note: str, columns: Iterable[tuple[str, str]]) -> list[str]:
    columns_notes = [f"COMMENT ON COLUMN {view}.{column} IS {text(word)}" for column, word in columns]
    return [f"COMMENT ON VIEW {view} IS {text(note)}", *columns_notes]
