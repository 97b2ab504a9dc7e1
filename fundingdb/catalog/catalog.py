"""What a reader opens: the views and macros of sql/*.sql over the exact files of one version of the lake.

`connect` gives an in-memory DuckDB connection with them, `rebuild` writes the same into `fundingdb.duckdb` for a
DuckDB shell, `ask` answers one query behind a lock. Nothing holds data or downloads an extension. Base relations,
made here, one per table of the lake: `lake_funding` (all sources), `snapshots`, `markets`, `fetches`,
`restatements`; and `lake_funding` split in two, `lake_funding_first` (each exchange's preferred source: the exchange
itself, then others by name, `import` last) and `lake_funding_rest` (its other sources; usually empty, so that the
view `funding` costs nothing); and `fees`, whose rows stand in the view itself: the shipped table and the warehouse's own
`fees.csv` (see costs). What a file of sql/ is made of: headers.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from fundingdb.catalog import fees as costs
from fundingdb.catalog.headers import View, views
from fundingdb.errors import BadCall, BadData, LakeError
from fundingdb.schema import TABLES, Table
from fundingdb.settings import default_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Connection = duckdb.DuckDBPyConnection  # what readers take; only this module opens one
Unreadable = duckdb.IOException
FILE = "fundingdb.duckdb"
_STORAGE = "v1.0.0"  # a file with 2.0's default storage can't be opened by the 1.5 shell that PyPI has
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
    VersionGone, LakeError, and BadCall or BadData where `fees` can't be read.
    """
    folder = default_warehouse() if warehouse is None else Path(warehouse)
    listed, as_of = pinned(folder, version)
    known = _known_fees(folder) if fees is None else costs.fees(fees)
    con = session()
    build(con, listed, as_of, known, only=only)
    return con


def session() -> duckdb.DuckDBPyConnection:
    """An in-memory connection without views, session time zone UTC, that downloads nothing."""
    con = duckdb.connect()
    con.sql("SET TimeZone = 'UTC'")
    con.sql("SET autoinstall_known_extensions = false")
    con.sql("SET autoload_known_extensions = false")
    con.sql(f"SET temp_directory = {text(gettempdir())}")  # not the folder that the user works in
    return con


def rebuild(warehouse: Path | str) -> Path:
    """Writes `fundingdb.duckdb` over the newest version beside the old one and renames it over; gives its path.

    A shell that has the old file open keeps its older picture. Raises LakeError when the folder can't be written.
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

    `lake_as_of()` is the instant after which these files know nothing (None: no bound); `fees` as costs.fees gives
    them (None: the shipped ones), or why they can't be read: every query that asks for a fee then fails with that text.
    `known_by`: settlements and snapshots fetched later are hidden, and a settlement restated later has the value of
    that instant. `only`: the views and macros to make, with those that they read, without comments; None: all.
    """
    if known_by is not None:
        as_of = known_by if as_of is None else min(as_of, known_by)
    bound = "9999-12-31 00:00:00+00" if as_of is None else as_of.astimezone(UTC).isoformat(" ")
    script = [f"CREATE OR REPLACE MACRO lake_as_of() AS CAST({text(bound)} AS TIMESTAMP WITH TIME ZONE)"]
    for name, table in TABLES.items():
        script += _base("lake_funding" if name == "funding" else name, table, listed[name])
    first, rest = split(listed["funding"])
    script += _base("lake_funding_first", TABLES["funding"], first)
    script += _base("lake_funding_rest", TABLES["funding"], rest)
    if known_by is not None:
        script += hidden(known_by)
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
    first: dict[str, str] = {}
    owned = [(path, partition(path, "exchange"), partition(path, "source")) for path in paths]
    for _, exchange, source in owned:
        first[exchange] = min(first.get(exchange, source), source, key=lambda s, e=exchange: rank(e, s))
    return [p for p, e, s in owned if s == first[e]], [p for p, e, s in owned if s != first[e]]


def rank(exchange: str, source: str) -> tuple[bool, bool, str]:
    """Sorts sources by preference: the exchange itself, others by name, `import` last."""
    return source != exchange, source == "import", source


def text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def partition(path: Path, name: str) -> str:
    """What a file's folder says of a partition column; raises LakeError where it says nothing."""
    parts = dict(p.split("=", 1) for p in path.parts if "=" in p)
    if name not in parts:
        raise LakeError(f"{path}: no partition folder {name}=...")
    return parts[name]


def _base(name: str, table: Table, paths: Sequence[Path]) -> list[str]:
    types = {column: _TYPES[c.dtype] for column, c in table.columns.items()}
    # qualified: a bare name is taken for a macro's parameter of that name
    wanted = ", ".join(f"CAST(file.{column} AS {kind}) AS {column}" for column, kind in types.items())
    if paths:
        listed = ", ".join(text(str(path)) for path in paths)
        hive = ", ".join(f"{column}: {types[column]}" for column in table.partitions)
        source = f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{{hive}}}) AS file"
    else:
        wanted = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in types.items())
        source = "(SELECT 1) AS nothing WHERE false"
    view = f"CREATE OR REPLACE VIEW {name} AS SELECT {wanted} FROM {source}"
    return [view, *_comment(name, table.note, ((column, c.note) for column, c in table.columns.items()))]


def hidden(known_by: datetime) -> list[str]:
    """Statements that put base relations of what was known by an instant over those of all.

    A row that was last changed by then stands as it is. Of one changed later the restatements tell what it was: the
    newest value learned by then, old or new; its other figures may have come with the change and are null. One
    changed later without a restatement (a figure filled in) is left out: nothing proves it was known.
    """
    until = f"CAST({text(known_by.astimezone(UTC).isoformat(' '))} AS TIMESTAMP WITH TIME ZONE)"
    key = "exchange, source, symbol, funding_time, rate_type"
    told = {"funding_rate": "told.rate", "interval_hours": "told.hours", "fetched_at": "told.learned"}
    blank = dict.fromkeys(
        ("interval_from", "native_rate", "mark_price", "index_price", "reported_time"), "NULL"
    )
    columns = TABLES["funding"].columns
    past = ", ".join(f"{(told | blank).get(c, f'later.{c}')} AS {c}" for c in columns)
    names = ["lake_funding", "lake_funding_first", "lake_funding_rest"]
    script = list[str]()
    for name in names:
        script.append(f"ALTER VIEW {name} RENAME TO {name}_ever")
        script.append(f"""
            CREATE VIEW {name} AS
            SELECT {", ".join(f"ever.{c}" for c in columns)} FROM {name}_ever AS ever WHERE ever.fetched_at <= {until}
            UNION ALL
            SELECT {past}
            FROM {name}_ever AS later
            INNER JOIN (
                SELECT {key}, rate, hours, learned, row_number() OVER (
                    PARTITION BY {key} ORDER BY learned DESC, turn DESC
                ) AS place
                FROM (
                    SELECT {key}, old_funding_rate AS rate, old_interval_hours AS hours, old_fetched_at AS learned, 0 AS turn
                    FROM restatements
                    UNION ALL
                    SELECT {key}, new_funding_rate, new_interval_hours, new_fetched_at, 1 FROM restatements
                ) AS each_value
                WHERE learned <= {until}
            ) AS told USING ({key})
            WHERE later.fetched_at > {until} AND told.place = 1
        """)
    seen = f"SELECT ever.* FROM snapshots_ever AS ever WHERE ever.observed_at <= {until}"
    return [*script, "ALTER VIEW snapshots RENAME TO snapshots_ever", f"CREATE VIEW snapshots AS {seen}"]


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
    said = [f"COMMENT ON COLUMN {view}.{column} IS {text(word)}" for column, word in columns]
    return [f"COMMENT ON VIEW {view} IS {text(note)}", *said]
