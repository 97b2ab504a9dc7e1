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
RESPONSE = b"""[{"paid_at": "2026-01-31T09:00:00Z", "rate": "-0.002"},
               {"paid_at": "2026-01-31T08:00:00Z", "rate": "0.01"}]"""
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


def run(env, *words, **more):
    return subprocess.run(
        [sys.executable, *words], env=env, capture_output=True, text=True, check=False, **more
    )


def command(env, *words, **more):
    return run(env, "-c", "import sys; from fundingdb.cli import main; sys.exit(main())", *words, **more)


def test_an_installed_package_is_listed_and_parses_a_saved_response(installed):
    words = ["parse", "example", "history", "-", "--symbol", "BTC-PERP", "--json"]
    done = command(installed, *words, input=RESPONSE.decode())
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert {name: first[name] for name in ("exchange", "base", "funding_rate", "interval_hours")} == {
        "exchange": "example",
        "base": "BTC",
        "funding_rate": 0.0001,
        "interval_hours": 1.0,
    }
    assert second["funding_rate"] == -0.00002
    done = command(installed, "exchanges", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["exchange"] == "example"
    code = (
        "from fundingdb.fetchers.registry import names, fetcher; print(names()[-1], fetcher('example').unit)"
    )
    assert run(installed, "-c", code).stdout.split() == ["example", "percent", "per", "hour"]


def test_a_wrong_response_of_an_installed_package_names_field_and_problem(installed):
    words = ["parse", "example", "history", "-", "--symbol", "BTC-PERP"]
    done = command(installed, *words, input='[{"paid_at": 1769846400, "rate": "0.1"}]')
    assert done.returncode == 1
    assert "example /rates: field paid_at: is int, must be str" in done.stderr


def test_the_example_package_passes_its_own_test(installed):
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests"]
    done = run(installed, *words, cwd=EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 passed" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("ruff", "check", "--isolated", "--line-length", "110", "--no-cache", "src", "tests"),
        ("ruff", "format", "--check", "--isolated", "--line-length", "110", "--no-cache", "src", "tests"),
        (
            *("pyrefly", "check", "--python-interpreter-path", sys.executable),
            *("--search-path", str(ROOT), "--search-path", "src"),
        ),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_the_example_package_passes_ruff_and_strict_types(words):
    pytest.importorskip(words[0])
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = run(env, "-m", *words, cwd=EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manual_shows_the_example_package_whole():
    page = (ROOT / "fundingdb/manual/adding-an-exchange.md").read_text()
    files = [path for path in sorted(EXAMPLE.rglob("*")) if path.suffix in (".py", ".toml")]
    assert len(files) == 4
    for path in files:
        kind = "python" if path.suffix == ".py" else "toml"
        block = f"`{path.relative_to(EXAMPLE)}`:\n\n```{kind}\n{path.read_text()}```\n"
        assert block in page, path


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
        ('exchange="example"', 'exchange="Ex ample"', "exchange is lower case letters, digits"),
        ("version=1", 'version="1"', "version is an int from 1 up"),
        ("https://api.example.com", "api.example.com", "base_url is an http(s) address"),
        ('Budget("example", capacity=60, per_seconds=60)', "60", "budget is a Budget"),
        ("capacity=60", "capacity=0", "capacity, per_seconds and concurrent of budget are positive"),
        ("markets=Sweep(", "markets=tuple(", "it can be imported (TypeError"),
        (
            "current=Sweep(lambda _markets: [",
            "current=Sweep([], *[",
            "requests, parse, combine and next_page of current",
        ),
        ("Backward(100, open_start=True)", "100", "history.paging is one of Forward, Backward, Fixed"),
        ("ask_history, parse_history, depth", "ask_history, None, depth", "request and parse of history are"),
        ('unit="percent per hour"', 'unit=""', "unit is stated, in words"),
        ('checked="2026-11-22"', 'checked="lately"', "checked is the day the datasheet was checked"),
        ("market=market", "market=None", "market is a function"),
        ("FETCHER = Fetcher(", "FETCHER = dict(", "it is a Fetcher (is dict)"),
        ("version=1", 'version=1, source="okx"', "source, call and listed_by are left to fundingdb"),
        ("version=1", "version=1, settle_delay=60", "settle_delay is a timedelta"),
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


ROWS = "return funding_rows(context.market, context, values, hours=1.0)"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (ROWS, f"{ROWS}.to_dicts()", "history.parse returns a Polars frame (returned list)"),
        (ROWS, f'{ROWS}.drop("base")', "the frame does not fit table funding:\n  column base is missing"),
        (ROWS, f'{ROWS}.cast({{"funding_rate": str}})', "column funding_rate is String, must be Float64"),
        (
            ROWS,
            f"""from polars import lit; {ROWS}.with_columns(exchange=lit("okx"))""",
            "returns rows of its own exchange 'example' only (returned 'okx')",
        ),
        ('read.iso(row, "paid_at")', "row[9]", "raises errors of fundingdb only (raised KeyError"),
    ],
)
def test_a_parse_that_returns_a_wrong_frame_names_package_and_rule(package, old, new, rule):
    assert old in MODULE
    package(MODULE.replace(old, new, 1))
    broken = fetchers.fetcher("example")
    with pytest.raises(BadPlugin) as refused:
        broken.history.parse(RESPONSE, ResponseContext(AT, broken.market("BTC-PERP")))
    assert "badly-made 0.1" in str(refused.value)
    assert rule in str(refused.value)


def test_a_request_of_another_kind_names_package_and_rule(package):
    package(MODULE.replace('return Request("/rates"', 'return "/rates" or Request("/rates"'))
    broken = fetchers.fetcher("example")
    with pytest.raises(
        BadPlugin, match=r"badly-made 0\.1.*history\.request returns Request \(returned str\)"
    ):
        broken.history.request(broken.market("BTC-PERP"), Window(AT.replace(month=1), AT), None)


def test_a_package_can_not_replace_a_built_in_exchange(package):
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
    answer.write_bytes(RESPONSE)
    assert main(["parse", "example", "history", str(answer), "--symbol", "BTC-PERP"]) == 2
    assert "plugin badly-made 0.1" in capsys.readouterr().err
    assert main(["exchanges", "--json"]) == 0
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == len(fetchers.BUILT_IN)
    assert "left out: plugin badly-made 0.1" in output.err
    assert main(["sql", "select 1 as one", "--json", "--warehouse", str(tmp_path)]) == 0
