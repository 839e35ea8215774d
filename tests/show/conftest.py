"""The map of ``fakes.py`` as data, and pages without a network."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from fakes import fake_grid
from pages import URL

from tutorlib.show.grid import grid_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route


@pytest.fixture(scope="session")
def data() -> dict[str, Any]:
    return grid_data(**fake_grid())


@pytest.fixture
def visit(chromium: "Browser") -> Iterator[Callable[..., "Page"]]:
    """Open pages without a network; in the end they must have asked for nothing and reported no error.

    ``rules`` is a Content-Security-Policy; messages with ``forgiven`` in them are expected.
    """
    complaints: list[str] = []
    contexts = []

    def open_page(
        html: str, width: int = 1280, rules: str | None = None, forgiven: str | None = None, **options: Any
    ) -> "Page":
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)

        def answer(route: "Route") -> None:
            if route.request.url == URL:
                headers = {"Content-Type": "text/html; charset=utf-8"}
                route.fulfill(body=html, headers=headers | ({"Content-Security-Policy": rules} if rules else {}))
            else:
                route.abort()

        context.route("**/*", answer)
        page = context.new_page()

        def said(words: str) -> None:
            if forgiven is None or forgiven not in words:
                complaints.append(f"console: {words}")

        page.on("console", lambda message: said(message.text))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: asked(request.url))
        page.goto(URL)
        return page

    def asked(url: str) -> None:
        if url != URL and not url.startswith(("blob:http://book.test/", "data:")):
            complaints.append(f"request: {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
