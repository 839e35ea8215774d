/**
 * The host of an explorer on a page without a kernel, and its link to a live widget of the same content.
 *
 * `tutorlib.show.explorer` puts the text of this file into each twin, and into the module of each live widget.
 */

const LIVE = "tutorlib-live"; // event: a live widget has come

/** The model of a live widget, as far as a module may use it, over a plain object; `saved` hears of each change. */
function modelOf(state, saved) {
  const listeners = {};
  return {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = value;
      (listeners["change:" + name] ?? []).forEach((call) => call());
    },
    on: (event, call) => { (listeners[event] ??= []).push(call); },
    off: (event, call) => { listeners[event] = (listeners[event] ?? []).filter((other) => other !== call); },
    save_changes: () => saved(state),
    send() {},
  };
}

/**
 * Draw a module into a box in place of its picture. Its selection follows the live widget of this content, where
 * there is one now or later; a kernel that ends leaves the figure as it is.
 */
async function show(box, widget, state, key) {
  let live = null;
  const model = modelOf({ ...state }, ({ selection }) => {
    if (!live || live.get("selection") === selection) return;
    live.set("selection", selection);
    live.save_changes();
  });
  const el = document.createElement("div");
  box.append(el);
  try {
    await widget.initialize?.({ model });
    await widget.render({ model, el });
  } catch (error) { // the picture stays, and so do the other figures of the page
    el.remove();
    console.error(error);
    return;
  }
  box.querySelector(".fallback")?.remove();
  const follow = () => {
    const selection = live.get("selection");
    if (selection !== model.get("selection")) model.set("selection", selection);
  };
  const join = () => {
    const found = globalThis.tutorlibLive?.get(key);
    if (!found || found === live) return;
    live = found;
    live.on("change:selection", follow);
    if (Object.keys(live.get("selection")).length) follow();
    else if (Object.keys(model.get("selection")).length) model.save_changes(); // what a reader chose before it came
  };
  document.addEventListener(LIVE, join);
  join();
}

/**
 * Show a module in the boxes of a content. A page may have it twice, so a run takes all boxes that are not yet taken.
 * Without a `state` it stands in the box.
 */
export async function showAll(key, widget, state) {
  const boxes = [...document.querySelectorAll(`[data-explorer="${key}"]:not([data-taken])`)];
  for (const box of boxes) box.dataset.taken = "";
  for (const box of boxes) {
    await show(box, widget, state ?? JSON.parse(box.querySelector('script[type="application/json"]').textContent), key);
  }
}

/** A live widget makes itself known to the boxes of its content, which are on the page or still to come. */
export function announce({ model }) {
  (globalThis.tutorlibLive ??= new Map()).set(model.get("key"), model);
  document.dispatchEvent(new Event(LIVE));
}
