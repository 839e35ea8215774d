// A formula that is wider than its place scrolls there, by touch and by keyboard, and shows at which end there
// is more (edges.js).
const FORMULAS = "div.math, span.math";

// A formula on lines of its own has a box; an inline one has the paragraph, or whatever else it stands in.
function isWide(box) {
  if (box.matches("div")) return box.scrollWidth > box.clientWidth + 1;
  const formula = box.querySelector("mjx-container");
  const place = box.closest("p, li, dd, dt, td, th, figcaption, summary, h1, h2, h3, h4");
  if (!formula || !place) return false;
  const { paddingLeft, paddingRight } = getComputedStyle(place);
  const room = place.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
  return room > 0 && formula.getBoundingClientRect().width > room + 0.5;
}

function fit(box, wide) {
  if (box.classList.toggle("scrolls", wide)) {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "formula, scrolls sideways");
    showMore(box);
  } else {
    for (const name of ["tabindex", "role", "aria-label", "data-more"]) box.removeAttribute(name);
  }
}

function fitAll(part = document) {
  const boxes = [...part.querySelectorAll(FORMULAS)];
  const wide = boxes.map(isWide);  // all are measured before any changes
  boxes.forEach((box, i) => fit(box, wide[i]));
  showAll();  // tables, too, are wider with their formulas drawn
}

// MathJax has started when this runs, which is after the scripts that the page defers.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  fitAll();
  document.documentElement.dataset.formulas = "drawn";
  const article = document.querySelector("article");
  let width = article.clientWidth;
  new ResizeObserver(() => {
    if (article.clientWidth !== width) fitAll();
    width = article.clientWidth;
  }).observe(article);
  // What is folded has no width until it opens.
  document.addEventListener("toggle", (event) => fitAll(event.target), true);
});
