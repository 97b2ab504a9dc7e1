"""The command `python tests/reproductions`: prints the reproductions, all or those named."""

import argparse
import importlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from pack import Lakes, Reproduced

NAMES = ("interval_census", "true_carry", "base_rate", "stamps", "predicted", "premium")
DATA = Path(__file__).resolve().parents[3] / "shared/data"


def main(argv: list[str] | None = None, data: Path = DATA) -> int:
    """Tables to stdout, and as CSV files to --out; 0 done, 1 no data, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python tests/reproductions",
        description="Recompute the figures of `fundingdb help reproductions` from the real series in ../shared/data.",
    )
    parser.add_argument("name", nargs="*", help=f"which: {', '.join(NAMES)}; default: all")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write each table as FOLDER/NAME.csv too")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.name if name not in NAMES]:
        parser.error(f"no reproduction is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if not data.is_dir():
        sys.stderr.write(f"{data} is absent: the reproductions read the real series in it\n")
        return 1
    with TemporaryDirectory() as folder:
        lakes = Lakes(data, Path(folder))
        for name in args.name or NAMES:
            done = importlib.import_module(name).reproduce(lakes)
            sys.stdout.write(shown(name, done))
            if args.out:
                args.out.mkdir(parents=True, exist_ok=True)
                done.table.write_csv(args.out / f"{name}.csv")
    return 0


def shown(name: str, done: Reproduced) -> str:
    """One reproduction as text."""
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True,
                   tbl_formatting="MARKDOWN", tbl_width_chars=200, fmt_str_lengths=60):  # fmt: skip
        rows = str(done.table)
    return (
        f"{name}: {done.title}\n"
        f"data    {done.data}\n"
        f"files   {', '.join(done.files)}\n"
        f"method  {done.method}\n"
        f"found   {done.found}\n"
        f"stated  {done.stated}\n\n{rows}\n\n"
    )
