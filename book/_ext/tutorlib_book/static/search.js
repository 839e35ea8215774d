// The search page: chapters and the guide stand above the pages of the library, and what is shown is words, not TeX.
Scorer.score = ([place, , , , score]) => score - (/^book\/api\//.test(place) ? 1000 : 0);

const textOf = Search.htmlToText;
Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  page.querySelectorAll(".math").forEach((formula) => formula.replaceWith("…"));
  page.querySelectorAll(".onlyprint, .bd-sidebar-secondary, details.cite").forEach((part) => part.remove());
  return textOf(page.documentElement.outerHTML, anchor);
};
