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
