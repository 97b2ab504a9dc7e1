"""The README and the pages of the manual: size, names, and what ships."""

import re
import zipfile
from pathlib import Path

import pytest

import fundingdb
from fundingdb.cli import VERBS, parser
from fundingdb.cli.help import PAGES, topics

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
TEXTS = {"README": README} | {page.stem: page.read_text() for page in PAGES.glob("*.md")}


def test_the_readme_is_read_in_five_minutes():
    assert len(README.encode()) <= 6000


def test_the_readme_names_two_set_up_commands_that_need_only_python_and_pip():
    first, second = re.findall(r"^python3 -m venv.*$", README, re.MULTILINE)
    assert first.endswith("fundingdb demo")
    assert second.endswith("pytest -q")


def test_the_readme_names_every_page_of_the_manual():
    assert set(topics()) <= set(re.findall(r"`([\w-]+)`", README.partition("## Where to read on")[2]))


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_every_command_in_the_text_names_a_verb_and_options_that_exist(page):
    verbs = next(a for a in parser()._actions if a.dest == "verb").choices
    for verb, rest in re.findall(r"fundingdb (?!help)([a-z]+)\b([^`\n]*)", TEXTS[page]):
        if verb not in VERBS:
            continue  # prose such as "fundingdb keeps to"
        for option in re.findall(r" (--[a-z-]+)", rest):
            assert option in verbs[verb]._option_string_actions, f"fundingdb {verb} {option}"


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_every_help_topic_in_the_text_is_a_page(page):
    named = set(re.findall(r"fundingdb help ([a-z][\w-]+)", TEXTS[page]))
    assert named <= {*topics(), *VERBS}


@pytest.mark.parametrize(
    "page", sorted(set(TEXTS) - {"adding-an-exchange"})
)  # whose paths are of the reader's package
def test_every_path_of_the_repository_in_the_text_exists(page):
    for path in re.findall(r"`((?:fundingdb|tests|sql)/[\w./-]*)`", TEXTS[page]):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
def test_the_wheel_contains_every_page(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"fundingdb/manual/{topic}.md" for topic in topics()} <= names


def test_dir_shows_the_public_names_and_no_module():
    names = dir(fundingdb)
    assert {
        "FundingRateBacktestDataProvider",
        "FundingRateCollector",
        "connect",
        "Lake",
        "__version__",
    } <= set(names)
    assert set(names) == {*fundingdb.__all__, "__version__"}
    assert all(getattr(fundingdb, name) is not None for name in names)
