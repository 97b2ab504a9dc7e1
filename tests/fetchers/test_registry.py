"""A fetcher in a package of its own: really installed, used by every verb; one that breaks the contract harms nobody else."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fundingdb.cli import main
from fundingdb.errors import BadPlugin
from fundingdb.fetchers import registry as fetchers
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.window import Window

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "tests" / "plugin_example"
MODULE = (EXAMPLE / "src/fundingdb_example/exchange.py").read_text()
ANSWER = [{"t": 1769846400000, "rate": "0.0001"}, {"t": 1769850000000, "rate": "-0.00002"}]
AT = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of a process that has the example package, built and installed by pip without a network."""
    pytest.importorskip("pip")  # environments made by uv have none
    home = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, home / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    where = ["--no-build-isolation", "--no-deps", "--target", str(home / "target"), str(home / "source")]
    done = subprocess.run([*pip, *where], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parts = [str(home / "target"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in parts if p)}


def command(env, *words, **more):
    code = "import sys; from fundingdb.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=env, capture_output=True, text=True, check=False, **more
    )


def test_an_installed_package_is_listed_and_parses_a_saved_answer(installed):
    words = ["parse", "example", "history", "-", "--symbol", "BTC-PERP", "--json"]
    done = command(installed, *words, input=json.dumps(ANSWER))
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["exchange"], first["base"], first["funding_rate"], first["interval_hours"]) == (
        "example",
        "BTC",
        0.0001,
        1.0,
    )
    assert second["funding_rate"] == -0.00002
    done = command(installed, "exchanges", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["exchange"] == "example"
    code = (
        "from fundingdb.fetchers.registry import names, fetcher; print(names()[-1], fetcher('example').unit)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["example", "fraction"]


def test_a_wrong_answer_of_an_installed_package_is_told_as_of_any_other(installed):
    words = ["parse", "example", "history", "-", "--symbol", "BTC-PERP"]
    done = command(installed, *words, input='[{"t": 1769846400, "rate": "0.1"}]')
    assert done.returncode == 1
    assert "example rates: field t: is not a time in Unix milliseconds" in done.stderr


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Put a package with this module on the path; its metadata is what pip would write."""
    fetchers.names.cache_clear()
    fetchers.fetcher.cache_clear()

    def put(module, name="example", dist="badly-made"):
        code = f"{dist.replace('-', '_')}_code"
        (tmp_path / f"{code}.py").write_text(module)
        info = tmp_path / f"{dist.replace('-', '_')}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[fundingdb.fetchers]\n{name} = {code}:FETCHER\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        sys.modules.pop(code, None)

    yield put
    fetchers.names.cache_clear()
    fetchers.fetcher.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('exchange="example"', 'exchange="other"', "exchange is the entry point's name (is 'other')"),
        ("version=1", 'version="1"', "version is an int from 1 up"),
        ("https://api.example.com", "api.example.com", "base_url is an http(s) address"),
        ('Budget("example", 60, 60)', "60", "budget is a Budget"),
        ("markets=Sweep(", "markets=tuple(", "it can be imported (TypeError"),
        (
            "current=Sweep(lambda _known: [], ",
            "current=Sweep([], ",
            "requests, parse, combine and next_page of current",
        ),
        ("Backward(100, open_start=True)", "100", "history.paging is one of"),
        ("ask, rates,", "ask, None,", "request and parse of history are functions"),
        ('unit="fraction"', 'unit=""', "unit is stated, in words"),
        ("market=market", "market=None", "market is a function"),
        ("FETCHER = Fetcher(", "FETCHER = dict(", "it is a Fetcher (is dict)"),
        (
            'unit="fraction"',
            'source="okx", unit="fraction"',
            "source, call and listed_by are left to fundingdb",
        ),
        ('unit="fraction"', 'settle_delay=60, unit="fraction"', "settle_delay is a timedelta"),
        ("def market", "raise SystemExit\n\n\ndef market", "it can be imported (SystemExit"),
        ("def market", "1 / 0\n\ndef market", "it can be imported (ZeroDivisionError"),
    ],
)
def test_a_package_that_breaks_the_contract_is_refused_by_name_and_rule(package, old, new, rule):
    assert old in MODULE
    package(MODULE.replace(old, new, 1))
    with pytest.raises(BadPlugin) as refused:
        fetchers.fetcher("example")
    assert "badly-made 0.1, example = badly_made_code:FETCHER" in str(refused.value)
    assert rule in str(refused.value)
    assert refused.value.exit_code == 2


WRONG = [
    (
        "len(at)}, hours=1.0)",
        "len(at)}, hours=1.0).to_dicts()",
        "history.parse gives a Polars frame (gave list)",
    ),
    (
        "len(at)}, hours=1.0)",
        'len(at)}, hours=1.0).drop("base")',
        "table funding refuses the frame:\n  column base is missing",
    ),
    (
        "len(at)}, hours=1.0)",
        'len(at)}, hours=1.0).cast({"funding_rate": str})',
        "column funding_rate is String, must be Float64",
    ),
    (
        "return funding_rows(context.market",
        'return funding_rows(__import__("dataclasses").replace(context.market, exchange="okx")',
        "gives rows of its own",
    ),
    ('read.ms(r, "t")', "r[9]", "raises errors of fundingdb only (raised KeyError"),
]


@pytest.mark.parametrize(("old", "new", "rule"), WRONG)
def test_a_parse_that_gives_a_wrong_frame_names_package_and_rule(package, old, new, rule):
    assert old in MODULE
    package(MODULE.replace(old, new, 1))
    broken = fetchers.fetcher("example")
    with pytest.raises(BadPlugin) as refused:
        broken.history.parse(json.dumps(ANSWER).encode(), ResponseContext(AT, broken.market("BTC-PERP")))
    assert "badly-made 0.1" in str(refused.value)
    assert rule in str(refused.value)


def test_a_request_of_another_kind_names_package_and_rule(package):
    package(MODULE.replace('return Request("rates"', 'return "/rates" or Request("rates"'))
    broken = fetchers.fetcher("example")
    with pytest.raises(BadPlugin, match=r"badly-made 0\.1.*history\.request gives Request \(gave str\)"):
        broken.history.request(broken.market("BTC-PERP"), Window(AT.replace(month=1), AT), None)


def test_a_package_can_not_take_the_place_of_a_built_in_exchange(package):
    package(MODULE.replace('"example"', '"okx"'), name="okx")
    assert fetchers.fetcher("okx").base_url != "https://api.example.com"
    assert fetchers.names().count("okx") == 1


def test_two_packages_with_one_name_are_refused_and_both_named(package):
    package(MODULE)
    package(MODULE, dist="another-one")
    with pytest.raises(BadPlugin, match="one package alone claims 'example'") as refused:
        fetchers.fetcher("example")
    assert "badly-made 0.1" in str(refused.value)
    assert "another-one 0.1" in str(refused.value)


def test_a_broken_package_is_left_out_and_the_other_sources_work(package, capsys):
    package("raise RuntimeError('no')")
    found, broken = fetchers.usable()
    assert [f.exchange for f in found] == list(fetchers.BUILT_IN)
    assert "badly-made 0.1" in str(broken[0])
    from fundingdb.cli.common.options import fetchers as chosen

    assert len(chosen([], history=True)) == len([f for f in found if f.history])
    assert "left out: plugin badly-made 0.1" in capsys.readouterr().err


def test_the_command_line_ends_with_wrong_usage_for_a_broken_package_only(package, tmp_path, capsys):
    package(MODULE.replace("version=1", "version=0"))
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(ANSWER))
    assert main(["parse", "example", "history", str(answer), "--symbol", "BTC-PERP"]) == 2
    assert "plugin badly-made 0.1" in capsys.readouterr().err
    assert main(["exchanges", "--json"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == len(fetchers.BUILT_IN)
    assert "left out: plugin badly-made 0.1" in told.err
    assert main(["sql", "select 1 as one", "--json", "--warehouse", str(tmp_path)]) == 0
