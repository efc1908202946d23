"""Builds HTML in which text is escaped unless it says that it is markup.

Knows nothing of reports. The idea is MarkupSafe's: `Html` is the only text that is let through.
"""

from __future__ import annotations

import html


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """`<tag attributes>children</tag>`; children are escaped unless they are Html.

    A trailing underscore of an attribute's name is dropped (`class_`), inner ones become hyphens
    (`data_plot`); an attribute that is None is left out.
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>{join(*children)}</{tag}>")


def join(*parts: str) -> Html:
    """The parts one after another; each is escaped unless it is Html."""
    return Html("".join(p if isinstance(p, Html) else html.escape(p) for p in parts))
