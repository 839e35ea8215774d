"""Windows of Chromium on the built pages, which are served as a project's pages are."""

from http.server import SimpleHTTPRequestHandler
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, ConsoleMessage, Page, Response, Route

MODES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark and narrow": {"color_scheme": "dark", "viewport": {"width": 400, "height": 800}, "has_touch": True},
}

RULES = {
    "default-src": "'none'",
    # No script in a page, no attribute that is one, no eval, no blob.
    "script-src": "'self'",
    "font-src": "'self'",
    # Attributes and elements with styles: docutils and the theme (widths), pandas (tables), MathJax (all it draws).
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",  # the theme's style sheets hold small pictures, an explorer's box the one of its start
    "connect-src": "'self'",  # the search
    "form-action": "'self'",
    "base-uri": "'none'",
}
"""The Content-Security-Policy that all pages are served under."""


class Handler(SimpleHTTPRequestHandler):
    """Serves the book under ``/tutorlib/`` and nothing else, so a link to the server's root fails."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "; ".join(f"{kind} {sources}" for kind, sources in RULES.items()))
        super().end_headers()

    def translate_path(self, path: str) -> str:
        inside = path.removeprefix("/tutorlib/")
        return super().translate_path("/" + inside if inside != path else "/nothing-here")

    def log_message(self, *_: object) -> None:
        pass


class Visitor:
    """One window per mode, with a list of all that went wrong in it since the last visit."""

    def __init__(self, browser: Browser, address: str):
        self.browser, self.address = browser, address
        self.pages: dict[str, Page] = {}
        self.problems: list[str] = []
        self.requested: set[str] = set()
        self.meters: dict[str, CDPSession] = {}
        self.seconds = 0.0
        """how long the thread of the page worked in the last visit until all was drawn, whatever else ran then"""

    def visit(self, mode: str, place: str) -> Page:
        if mode not in self.pages:
            self.pages[mode] = self.open(self.browser.new_context(**MODES[mode]))
            self.meters[mode] = self.pages[mode].context.new_cdp_session(self.pages[mode])
            self.meters[mode].send("Performance.enable", {"timeDomain": "threadTicks"})
        page = self.pages[mode]
        self.problems.clear()
        self.requested.clear()
        page.goto(self.address + place)
        # An explorer replaces its picture once it has drawn itself.
        # (Not by wait_for_function, which evaluates a text, and that is forbidden here.)
        page.wait_for_selector(".tutorlib-explorer .fallback", state="detached")
        # Formulas are drawn, and fitted into their places, after the page has loaded.
        page.wait_for_selector("html:not(:has(.math)), html[data-formulas=drawn]")
        metrics = self.meters[mode].send("Performance.getMetrics")["metrics"]  # they begin anew with each page
        self.seconds = next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
        return page

    def open(self, context: BrowserContext) -> Page:
        context.route(lambda url: not url.startswith(self.address), self.outside)
        page = context.new_page()
        page.on("console", self.message)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("response", self.response)
        return page

    def outside(self, route: Route) -> None:
        self.problems.append(f"request to {route.request.url[:200]}")
        route.abort()

    def message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")
        if response.url.startswith(self.address):
            self.requested.add(response.url.removeprefix(self.address).partition("?")[0].partition("#")[0])
