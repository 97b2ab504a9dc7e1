"""Damage, `check`, `check --repair`, the `backfill` that it prints, `check`: every row is back."""

import shlex
import shutil

import pytest

from fundingdb.lake import Lake
from fundingdb.simulator.server import Simulator
from fundingdb.simulator.world import World
from tests.cli.test_cli import run


@pytest.fixture(scope="module")
def simulator():
    with Simulator(World(tokens=("BTC", "KAITO"))) as running:
        yield running


@pytest.fixture(scope="module")
def filled(simulator, tmp_path_factory):
    """A lake of 40 days (two or three months), and beside it the log of `funding` as it was after 20 days."""
    home = tmp_path_factory.mktemp("damage") / "warehouse"
    backfill = ("backfill", "extended", "--tokens", "BTC,KAITO", "--warehouse", home, "--days")
    assert run(*backfill, 20, env=simulator.env()).returncode == 0
    shutil.copytree(home / "lake" / "funding" / "_delta_log", home.parent / "older_log")
    assert run(*backfill, 40, env=simulator.env()).returncode == 0
    return home


def delete(home):
    Lake(home).files("funding")[0].unlink()


def restore_older_log(home):
    log = home / "lake" / "funding" / "_delta_log"
    shutil.rmtree(log)
    shutil.copytree(home.parent / "older_log", log)


def flip_bytes(home):
    path = Lake(home).files("funding")[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 40] = bytes(40)
    content[-10:] = bytes(10)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [delete, *(pytest.param(one, marks=pytest.mark.slow) for one in (restore_older_log, flip_bytes))],
)
def test_repair_and_the_backfill_that_it_names_bring_every_row_back(simulator, filled, tmp_path, damage):
    home = tmp_path / "warehouse"
    shutil.copytree(filled, home)
    shutil.copytree(filled.parent / "older_log", tmp_path / "older_log")
    key = ["symbol", "funding_time"]
    before = Lake(home).scan("funding").select(*key, "funding_rate").sort(key).collect()
    damage(home)
    assert run("check", "--warehouse", home).returncode == 1
    assert run("doctor", "--warehouse", home).returncode == 3

    repaired = run("check", "--repair", "--warehouse", home)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert Lake(home).scan("funding").select(*key).collect().height < before.height
    (command,) = [one for one in repaired.stderr.splitlines() if one.startswith("  fundingdb backfill")]
    again = run(*shlex.split(command)[1:], "--warehouse", home, env=simulator.env())
    assert again.returncode == 0, again.stderr

    checked = run("check", "--warehouse", home)
    assert (checked.returncode, checked.stdout) == (0, "")
    after = Lake(home).scan("funding").select(*key, "funding_rate").sort(key).collect()
    assert after.join(before, on=key, how="semi").equals(before)
