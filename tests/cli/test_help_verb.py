"""`fundingdb help`: pages of the manual, plain when piped, rendered and paged on a terminal; help of a verb."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from fundingdb.cli import help as manual
from fundingdb.cli import main

TOPICS = tuple(manual.topics())


def run(capsys, *words):
    code = main(["help", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_every_page_is_a_topic_that_says_in_one_line_what_it_is_about(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    listed = dict(re.findall(r"^  ([\w-]+) +(\S.*)$", out, re.MULTILINE))
    assert set(listed) == {page.stem for page in manual.PAGES.glob("*.md")} >= {"sql", "python", "operating"}
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_root_help_lists_the_topics(capsys):
    assert main([]) == 0
    assert manual.listing() in capsys.readouterr().out


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_printed_as_it_is_written_when_stdout_is_no_terminal(capsys, topic):
    assert run(capsys, topic) == (0, (manual.PAGES / f"{topic}.md").read_text(), "")


def test_for_machines_a_page_is_one_json_object_and_the_list_one_a_topic(capsys):
    page = json.loads(run(capsys, "sql", "--json")[1])
    assert page == {"topic": "sql", "text": (manual.PAGES / "sql.md").read_text()}
    rows = [json.loads(line) for line in run(capsys, "--json")[1].splitlines()]
    assert [row["topic"] for row in rows] == list(TOPICS)


def test_a_verb_shows_the_help_of_the_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["help", "backfill"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: fundingdb backfill ")


@pytest.mark.parametrize(
    ("word", "near"),
    [("operatng", "operating"), ("pyton", "python"), ("backfil", "backfill"), ("wrds", "words")],
)
def test_an_unknown_topic_names_near_ones_and_ends_with_2(capsys, word, near):
    code, out, err = run(capsys, word)
    assert (code, out) == (2, "")
    assert f"unknown help topic '{word}': did you mean {near}" in err


@pytest.mark.parametrize("word", ["nosuch", "", "../README", "/etc/passwd"])
def test_a_word_near_to_nothing_is_refused_with_the_way_to_the_list(capsys, word):
    code, out, err = run(capsys, word)
    assert (code, out) == (2, "")
    assert "`fundingdb help` lists the topics" in err


def on_a_terminal(pager):
    leader, follower = pty.openpty()
    env = {**os.environ, "PAGER": pager, "TERM": "xterm", "COLUMNS": "90"}
    command = [sys.executable, "-m", "fundingdb", "help", "words"]
    child = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=env)
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert child.wait(timeout=60) == 0
    return shown.decode()


def test_on_a_terminal_a_page_is_rendered_and_goes_through_the_pager():
    shown = on_a_terminal("sed s/^/paged:/")
    assert all(line.startswith("paged:") for line in shown.splitlines())
    assert "\x1b[1m" in shown  # bold
    assert "| --- |" not in shown  # a table, no Markdown


def test_without_a_pager_a_page_is_printed_rendered():
    shown = on_a_terminal("no-such-pager")
    assert "\x1b[1m" in shown
    assert "funding time" in shown
