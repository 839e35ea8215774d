// Dark or light, before anything is painted: this runs before the style sheets are asked for, and the rest of the
// theme's script, which listens to the switch, comes later.
{
  const root = document.documentElement;
  let mode = null;
  try {
    mode = localStorage.getItem("mode");
  } catch { /* a browser that keeps nothing */ }
  root.dataset.mode = mode || "auto";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = ["dark", "light"].includes(mode) ? mode : dark ? "dark" : "light";
}
