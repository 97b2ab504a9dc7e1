"""Verb `help`: the pages of the manual, and the help of a verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "show a page of the manual, or the help of a verb"
EXAMPLE = "fundingdb help sql"
PAGES = Path(__file__).resolve().parents[1] / "manual"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "topic", nargs="?", metavar="TOPIC", help="a page or a verb (default: list the pages)"
    )


def topics() -> dict[str, str]:
    """The pages of the manual in alphabetical order: topic, and its content by the first line of the page."""
    titles = {}
    for page in sorted(PAGES.glob("*.md")):
        with page.open(encoding="utf-8") as lines:
            title = next(lines).removeprefix("#").strip()
        titles[page.stem] = title.partition(": ")[2] or title
    return titles


def listing() -> str:
    """One line for each page, as `fundingdb help` and `fundingdb --help` show it."""
    return "\n".join(f"  {topic:<19} {title}" for topic, title in topics().items())


def run(args: Namespace) -> int:
    """List the pages, print one, or print the help of a verb; raises UnknownName (exit 2) with near names."""
    from fundingdb.cli import VERBS, parser
    from fundingdb.errors import UnknownName

    titles = topics()
    if args.topic is None:
        _list(titles, json=args.json)
    elif args.topic in titles:
        _page(args.topic, json=args.json)
    elif args.topic in VERBS:
        parser().parse_args([args.topic, "--help"])  # prints and exits with 0
    else:
        raise UnknownName("help topic", args.topic, [*titles, *VERBS], "`fundingdb help` lists the topics")
    return 0


def _list(titles: dict[str, str], *, json: bool) -> None:
    from json import dumps

    if json:
        sys.stdout.writelines(dumps({"topic": t, "title": title}) + "\n" for t, title in titles.items())
    else:
        sys.stdout.write(
            f"The manual: fundingdb help TOPIC\n\n{listing()}\n\nfundingdb VERB --help shows the options of a verb.\n"
        )


def _page(topic: str, *, json: bool) -> None:
    text = (PAGES / f"{topic}.md").read_text(encoding="utf-8")
    if json:
        from json import dumps

        sys.stdout.write(dumps({"topic": topic, "text": text}, ensure_ascii=False) + "\n")
    elif sys.stdout.isatty():
        _paged(text)
    else:
        sys.stdout.write(text)


def _paged(markdown: str) -> None:
    """Render for a terminal and show in $PAGER, else in less; without either, print."""
    import os
    import shlex
    import shutil
    import subprocess

    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.capture() as rendered:
        console.print(Markdown(markdown))
    pager = shlex.split(os.environ.get("PAGER", "")) or ["less"]
    if shutil.which(pager[0]) is None:
        sys.stdout.write(rendered.get())
        return
    env = {"LESS": "FRX", **os.environ}  # colours; no pager for what fits the screen
    subprocess.run(pager, input=rendered.get(), text=True, env=env, check=False)  # noqa: S603 - the user's own pager
