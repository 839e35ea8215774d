// The theme's buttons name what they do in an attribute; scripts.py puts the name where this reads it.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-press]");
  if (button) window[button.dataset.press]();
});
