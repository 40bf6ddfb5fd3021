"""Tables for notebooks, which show an object as its ``_repr_html_`` says."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def html_table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    below: Iterable[str] = (),
    right: Sequence[int] = (),
) -> str:
    """Return a table for a notebook; everything in it is text, a line break a line.

    Parameters
    ----------
    caption : above it.
    head : the titles of the columns.
    rows : the texts of each row.
    below : lines under the table.
    right : the columns that stand to the right, as numbers do.
    """

    def text(value: str) -> str:
        return html.escape(value).replace("\n", "<br/>")

    def row(tag: str, values: Sequence[str]) -> str:
        cells = (
            f'<{tag} style="text-align: {"right" if k in right else "left"}">{text(value)}</{tag}>'
            for k, value in enumerate(values)
        )
        return f"<tr>{''.join(cells)}</tr>"

    lines = [
        "<div>",
        "<table>",
        f'<caption style="caption-side: top; text-align: left; white-space: nowrap">{text(caption)}</caption>',
        f"<thead>{row('th', head)}</thead>",
        "<tbody>",
        *(row("td", values) for values in rows),
        "</tbody>",
        "</table>",
        *(f"<div>{text(line)}</div>" for line in below),
        "</div>",
    ]
    return "\n".join(lines)
