"""What the built pages say, parsed."""

from collections.abc import Mapping

from bs4 import BeautifulSoup, Tag

Soups = Mapping[str, BeautifulSoup]


def plain(words: str) -> str:
    """Return ``words`` with single spaces and straight quotation marks."""
    return " ".join(words.translate(str.maketrans("‘’“”", "''\"\"")).split())


def text(element: Tag) -> str:
    """Return what an element says."""
    return plain(element.get_text(" "))


def article(soups: Soups, page: str) -> Tag:
    found = soups[page].select_one("article.bd-article")
    assert found, page
    return found
