import os
import stat

import pytest

from fundingdb.cli.common.files import whole
from fundingdb.errors import BadCall


def test_a_text_replaces_the_file_whole(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("old")
    with whole(str(file), "--html") as put:
        assert file.read_text() == "old"
        put("new \N{MINUS SIGN}")
    assert file.read_text(encoding="utf-8") == "new \N{MINUS SIGN}"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_run_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), whole(str(file), "--html"):
        raise ZeroDivisionError
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    with whole(str(tmp_path / "link.html"), "--html") as put:
        put("text")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "page.html").read_text() == "text"


def test_others_may_read_it_as_any_new_file(tmp_path):
    (tmp_path / "usual").touch()
    with whole(str(tmp_path / "page.html"), "--html") as put:
        put("text")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "page.html")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (".", "is a folder; name a file in it"),
        ("absent/page.html", "create it first"),
        ("x" * 300, "File name too long"),
        ("pipe", "is no ordinary file"),
        ("", "is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_on_entry(tmp_path, name, problem):
    os.mkfifo(tmp_path / "pipe")
    text = str(tmp_path / name) if name else ""
    with pytest.raises(BadCall, match=problem) as refusal, whole(text, "--html"):
        pytest.fail("entered")
    assert str(refusal.value).startswith(f"--html {text!r}: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused_on_entry(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadCall, match="Permission denied"), whole(str(tmp_path / "page.html"), "--html"):
        pytest.fail("entered")
