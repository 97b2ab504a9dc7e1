"""Where the warehouse is: the environment, then the nearest fundingdb.toml, then the working folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from fundingdb.errors import BadCall, UnknownName
from fundingdb.settings import (
    default_warehouse,
    own_stream_url,
    own_url,
    stream_url_variable,
    url_variable,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder two levels below tmp_path, without FUNDINGDB_WAREHOUSE."""
    here = tmp_path / "project" / "notes"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.delenv("FUNDINGDB_WAREHOUSE", raising=False)
    return here


def test_without_any_setting_the_warehouse_lies_in_the_working_folder(folder):
    assert default_warehouse() == Path("warehouse")


def test_a_relative_path_starts_at_the_file_and_the_nearest_file_counts(folder, tmp_path):
    (tmp_path / "fundingdb.toml").write_text('warehouse = "far"\n')
    assert default_warehouse() == tmp_path / "far"
    (folder.parent / "fundingdb.toml").write_text('warehouse = "data/lake"\n')
    assert default_warehouse() == folder.parent / "data" / "lake"


def test_absolute_and_home_paths_are_as_written(folder, monkeypatch):
    (folder / "fundingdb.toml").write_text('warehouse = "/srv/funding"\n')
    assert default_warehouse() == Path("/srv/funding")
    monkeypatch.setenv("HOME", "/home/ann")
    (folder / "fundingdb.toml").write_text('warehouse = "~/funding"\n')
    assert default_warehouse() == Path("/home/ann/funding")


def test_a_file_without_a_warehouse_keeps_it_beside_itself(folder):
    (folder.parent / "fundingdb.toml").write_text("# nothing yet\n")
    assert default_warehouse() == folder.parent / "warehouse"


def test_the_environment_counts_before_any_file_and_an_empty_variable_does_not_count(folder, monkeypatch):
    (folder / "fundingdb.toml").write_text("broken = ")
    monkeypatch.setenv("FUNDINGDB_WAREHOUSE", "/some/where")
    assert default_warehouse() == Path("/some/where")
    (folder / "fundingdb.toml").write_text('warehouse = "mine"')
    monkeypatch.setenv("FUNDINGDB_WAREHOUSE", "")
    assert default_warehouse() == folder / "mine"


def test_an_unknown_key_is_named_with_its_file_and_near_keys(folder):
    file = folder / "fundingdb.toml"
    file.write_text('warehuose = "x"\n')
    with pytest.raises(UnknownName) as error:
        default_warehouse()
    assert str(error.value) == f"unknown key 'warehuose': did you mean warehouse? ({file})"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"warehouse = lake\n", "is not TOML at line 1, column 13; write one line"),
        (b"warehouse", "is not TOML at end of document; write one line"),
        (b"\xff\xfe", "is not UTF-8 text; write one line"),
        (b"warehouse = 3\n", ": key warehouse is 3, not the path of a folder; write one line"),
        (b"warehouse = ''\n", ": key warehouse is '', not the path of a folder; write one line"),
    ],
)
def test_a_file_that_can_not_be_understood_is_named_with_the_way_out(folder, content, problem):
    file = folder / "fundingdb.toml"
    file.write_bytes(content)
    with pytest.raises(BadCall) as error:
        default_warehouse()
    assert str(error.value).startswith(str(file))
    assert problem in str(error.value)


def test_a_file_that_can_not_be_read_is_never_passed_over(folder):
    (folder / "fundingdb.toml").mkdir()
    with pytest.raises(BadCall, match="can't be read: Is a directory; repair or remove it"):
        default_warehouse()


def test_a_working_folder_that_was_deleted_is_said_so(folder):
    folder.rmdir()
    with pytest.raises(BadCall, match="working folder does not exist any more"):
        default_warehouse()


def test_the_command_line_names_the_broken_file_and_a_given_warehouse_needs_none(folder):
    (folder / "fundingdb.toml").write_text("[[")

    def run(*argv):
        return subprocess.run(
            [sys.executable, "-m", "fundingdb", *argv], capture_output=True, text=True, check=False
        )

    broken = run("gaps")
    assert (broken.returncode, broken.stdout) == (2, "")
    assert broken.stderr.startswith(f"fundingdb gaps: {folder / 'fundingdb.toml'} is not TOML")
    assert run("gaps", "--warehouse", str(folder / "w")).returncode == 0
    assert run("--help").returncode == 0


def test_addresses_come_from_variables_named_by_source_and_exchange():
    assert url_variable("binance-archive") == "FUNDINGDB_BINANCE_ARCHIVE_URL"
    assert stream_url_variable("lighter") == "FUNDINGDB_LIGHTER_WS_URL"
    env = {"FUNDINGDB_LIGHTER_URL": "http://a", "FUNDINGDB_LIGHTER_WS_URL": ""}
    assert (own_url("lighter", env), own_stream_url("lighter", env)) == ("http://a", None)
