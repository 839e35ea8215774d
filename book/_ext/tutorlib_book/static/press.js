// The theme's buttons name what they do in an attribute; scripts.py puts the name where this reads it.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-press]");
  if (button) window[button.dataset.press]();
});

// A link to a piece that opens, such as a line of the scoreboard, opens it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("details")) target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();

// A button that copies a text of the page, or marks it where the browser does not let it be copied.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Marked: copy it with your keyboard";
  }
  setTimeout(() => { button.textContent = words; }, 2000);
});
