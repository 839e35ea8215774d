// What is wider than its place scrolls there and fades where there is more: the style sheet reads this from data-more.
const BOXES = "a.image-reference, article pre, .pst-scrollable-table-container, .matrix-box, .map-box, " +
  ".output.text_html:has(> .table-box, table.dataframe)";

function showMore(box) {
  const left = box.scrollLeft > 1;
  const right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
  box.dataset.more = (left ? "left " : "") + (right ? "right" : "");
}

function showAll() {
  document.querySelectorAll(BOXES).forEach(showMore);
}
showAll();
addEventListener("resize", showAll);
document.addEventListener("toggle", showAll, true); // what is folded has no width until it opens
document.addEventListener("scroll", (event) => {
  if (event.target.dataset?.more !== undefined) showMore(event.target);
}, { capture: true, passive: true });
