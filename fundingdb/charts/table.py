"""HTML tables that scroll in their own frame and can be sorted where scripts run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fundingdb.charts.text import decimals_for, number, percent, safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A heading, the unit of its figures, and whether it holds figures."""

    title: str
    unit: str = ""
    figures: bool = False


def figures(title: str, unit: str = "") -> TableColumn:
    """A column of figures."""
    return TableColumn(title, unit, figures=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure: its text, escaped already, and whether it is a loss, a gain or neither."""

    text: str
    look: str = ""


def money(value: float | None) -> Cell:
    """USD received (+) or paid (-)."""
    return Cell(
        number(value, decimals_for(value), sign=True), "" if not value else "gain" if value > 0 else "loss"
    )


def rate(value: float | None) -> Cell:
    """A fraction a year as percent."""
    return Cell(percent(value, sign=True))


def table(
    label: str, columns: Sequence[TableColumn], rows: Iterable[Sequence[str | Cell]], *, sortable: bool = True
) -> str:
    """A table in a frame of its own; text cells are escaped already; the first column heads its row."""
    heads = "".join(
        f'<th scope="col"{" class=n" if c.figures else ""}>{c.title}{f" <small>{c.unit}</small>" if c.unit else ""}</th>'
        for c in columns
    )
    body = (f"<tr>{''.join(_cells(columns, row))}</tr>" for row in rows)
    return scrolled(label, " class=sortable" if sortable else "", heads, body)


def scrolled(label: str, look: str, heads: str, rows: Iterable[str]) -> str:
    """A table of rows made already, in a frame of its own; `look` is its class as an attribute."""
    body = "\n".join(rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{safe(label)}">'
        f"<table{look}><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _cells(columns: Sequence[TableColumn], row: Sequence[str | Cell]) -> Iterable[str]:
    for n, (column, cell) in enumerate(zip(columns, row, strict=True)):
        text, look = (cell.text, cell.look) if isinstance(cell, Cell) else (cell, "")
        looks = [*(["n"] if column.figures else []), *([look] if look else [])]
        kind = f' class="{" ".join(looks)}"' if looks else ""
        yield f'<th scope="row">{text}</th>' if n == 0 else f"<td{kind}>{text}</td>"
