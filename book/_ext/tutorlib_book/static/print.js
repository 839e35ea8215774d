// A page gets ready for paper: print.css shows what is kept here, and a dark page is light while it is printed.

// Before an explorer draws itself in place of its picture, keep the picture, hidden from the screen.
for (const picture of document.querySelectorAll(".tutorlib-explorer > .fallback")) {
  const copy = picture.cloneNode(true);
  copy.className = "on-paper";
  copy.hidden = true;
  copy.loading = "eager"; // nobody scrolls to it
  picture.parentElement.after(copy);
}

const root = document.documentElement;
let theme;
addEventListener("beforeprint", () => {
  theme = root.dataset.theme;
  root.dataset.theme = "light";
});
addEventListener("afterprint", () => {
  root.dataset.theme = theme;
});
