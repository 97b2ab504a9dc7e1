"""What `show` prints of names that others chose: no control of the terminal, no formula in a spreadsheet."""

import csv
import io

import polars as pl

from fundingdb.cli.common.output import show

FORMULA = '=HYPERLINK("http://x","y")'


def test_csv_texts_that_a_spreadsheet_would_run_begin_with_an_apostrophe_and_numbers_stay(capsys):
    texts = [FORMULA, "+1+cmd|'/c'!A0", "-2+3", "@SUM(A1)", "-0.0001", "+1e-5", "BTC-USD", "", None]
    frame = pl.DataFrame({"symbol": texts, "rate": [-0.5] * 9})
    show(frame, csv=True)
    cells = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
    assert [cell for cell, _ in cells] == [
        f"'{FORMULA}",
        "'+1+cmd|'/c'!A0",
        "'-2+3",
        "'@SUM(A1)",
        "-0.0001",
        "+1e-5",
        "BTC-USD",
        "",
        "",
    ]
    assert {rate for _, rate in cells} == {"-0.5"}


def test_json_keeps_the_text_as_it_is(capsys):
    show(pl.DataFrame({"symbol": [FORMULA]}), json=True)
    assert capsys.readouterr().out == '{"symbol": "=HYPERLINK(\\"http://x\\",\\"y\\")"}\n'


def test_a_table_prints_invisible_characters_as_escapes_and_keeps_lines(capsys):
    show(pl.DataFrame({"a\x1b": ["x\u202ey\x1b[2J", "one\ntwo"]}))
    out = capsys.readouterr().out
    assert "x\\u202ey\\x1b[2J" in out
    assert "a\\x1b" in out
    assert out.isascii() or "\u202e" not in out
    assert "\x1b" not in out
    assert "one\\ntwo" not in out


def test_a_frame_without_texts_is_written_as_it_is(capsys):
    show(pl.DataFrame({"rate": [-1.5]}), csv=True)
    assert capsys.readouterr().out == "rate\n-1.5\n"
