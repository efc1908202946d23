"""Text stays text: whatever is put into an element is read back from it unchanged."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from fcray.tracking.markup import Html, element, join


class Reader(HTMLParser):
    """Collects the tags, the attributes and the text of a piece of markup."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


# A parser may turn CR into LF and drop NUL: both are outside of what markup can say.
texts = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]))


@given(texts, texts)
def test_text_and_attributes_are_read_back(text: str, title: str) -> None:
    read = Reader(element("p", text, title=title))
    assert read.tags == ["p"]
    assert read.attributes == [("title", title)]
    assert read.text == text


def test_only_markup_is_let_through() -> None:
    assert join("<b>", Html("<i>")) == "&lt;b&gt;<i>"


def test_names_of_attributes() -> None:
    made = element("td", class_="number", data_plot="3", lang=None)
    assert made == '<td class="number" data-plot="3"></td>'
