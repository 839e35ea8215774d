/**
 * Push explorer: a learned objective under a microscope. Drag rewards, values and actions of a window; arrows show how
 * the objective, GAE and the slope of a critic push the policy at each step.
 *
 * One ES module in the anywidget front-end format: `export default { render }`. The model holds `data` (what
 * `tutorlib.show.push.push_data` returns), `label`, and `selection` ({reward, value, action, row, step}), which
 * this module reads and writes. It needs no kernel, no network and no other file.
 *
 * Everything is computed here in float64, as `tutorlib.papers.metagenrl.model.Objective` does. `netOf` and
 * `advantagesOf` are exported so that this can be held against it.
 */

import { box, draw, hostOf, index, make, settle, tableBox } from "./parts.mjs";

const UNIT = 0.3, LONGEST = 2.6; // length of an arrow of one spread on the axis of actions; the longest, in spreads
const PACE = 800; // milliseconds of a step while it plays
const COLOURS = ["var(--green)", "var(--blue)", "var(--vermillion)"];
const ROWS = { reward: [28, 98], value: [132, 202], credit: [236, 322], action: [354, 536] }; // top and bottom, in pixels
const HEIGHT = 572, LEFT = 40;
const CREDITS = 3.5; // the axis of advantages ends here, above and below
const MUCH = 0.25; // a change of an advantage that counts
const CSS = `
.stage { touch-action: pan-y; }
.stage svg { user-select: none; }
.handle { cursor: ns-resize; touch-action: none; }
.handle .hit { fill: transparent; }
.handle .dot { fill: var(--ink); stroke: var(--paper); stroke-width: 1.5; }
.handle:focus { outline: none; }
.handle:focus-visible .hit { stroke: var(--accent); stroke-width: 2; }
.bar { fill: var(--soft); opacity: .55; }
.course { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.ring { fill: var(--paper); stroke: var(--ink); stroke-width: 1.75; }
.column { fill: var(--raised); }
.then { stroke: var(--ink); stroke-width: 1.5; }
.was { fill: none; stroke: var(--soft); stroke-width: 1.25; stroke-dasharray: 2 2; }
.faint { opacity: .33; }
.rowname { font-weight: 600; }
.keys { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 0 0 .5rem; padding: 0; list-style: none; font-size: .8125rem; }
.keys li { display: inline-flex; gap: .4rem; align-items: center; }
.keys svg { flex: none; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; margin: .6rem 0; }
button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: .35rem;
  padding: .25rem .6rem; min-height: 2.25rem; cursor: pointer; }
button:hover { background: var(--raised); }
button[aria-pressed="true"] { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
output { min-height: 4.4em; margin: .4rem 0; }
output b { font-weight: 600; }
`;

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** alpha in its parts, each matrix row by row. */
export function netOf({ alpha, sizes }) {
  const bytes = Uint8Array.from(atob(alpha), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const numbers = Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  const widths = [4, ...Array(sizes.other_layers).fill(sizes.hidden), sizes.summary], M = sizes.memory;
  let from = 0;
  const take = (size) => numbers.slice(from, from += size);
  const layers = widths.slice(1).map((m, i) => ({ w: take(widths[i] * m), b: take(m) }));
  return { layers, M, w_x: take(sizes.summary * 4 * M), w_h: take(M * 4 * M), b: take(4 * M), head: take(M), offset: take(1)[0] };
}

/** b + x times a matrix of as many rows as x has entries. */
function line(x, w, b) {
  const y = Float64Array.from(b);
  x.forEach((value, i) => { for (let j = 0; j < y.length; j++) y[j] += value * w[i * y.length + j]; });
  return y;
}

/** Half of the units max(x, 0), the others x²; with an odd number the first half is the larger one. */
const mixed = (x) => x.map((value, i) => (i < Math.ceil(x.length / 2) ? Math.max(value, 0) : value * value));

/** What the LSTM says of a window that it reads from the last step to the first; `inputs` is [steps][4]. */
function readBackwards(net, inputs) {
  const { M, layers } = net, said = Array(inputs.length);
  let h = new Float64Array(M);
  const c = new Float64Array(M);
  for (let t = inputs.length - 1; t >= 0; t--) {
    let x = Float64Array.from(inputs[t]);
    layers.forEach(({ w, b }, i) => { x = line(x, w, b); if (i < layers.length - 1) x = mixed(x); });
    const z = line(h, net.w_h, line(x, net.w_x, net.b));
    h = h.map((_, j) => { // gates stand in the order i, g, f, o
      c[j] = sigmoid(z[2 * M + j] + 1) * c[j] + sigmoid(z[j]) * Math.tanh(z[M + j]);
      return sigmoid(z[3 * M + j]) * Math.tanh(c[j]);
    });
    said[t] = net.offset + h.reduce((sum, value, j) => sum + value * net.head[j], 0);
  }
  return said;
}

/** How to standardise: mean and standard deviation of all numbers of a batch. */
function moments(batch) {
  const all = batch.flat(), mean = all.reduce((sum, x) => sum + x, 0) / all.length;
  const sd = Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length + 1e-8);
  return (x) => (x - mean) / sd;
}

/** The learned advantage and GAE's of each step of the window on the stage, both standardised over the batch. */
export function advantagesOf(data, net, { reward, value }) {
  const [gamma, lambda] = data.discounts, steps = reward.length;
  const rewards = [reward, ...data.rewards.slice(1)], values = [value, ...data.values.slice(1)];
  const [scaledReward, scaledValue] = [moments(rewards), moments(values)];
  const inputs = (r, v) => r.map((paid, t) => [scaledReward(paid), t / steps, scaledValue(v[t + 1]), scaledValue(v[t])]);
  const said = rewards.map((r, i) => readBackwards(net, inputs(r, values[i])));
  const gae = rewards.map((r, i) => {
    const found = Array(steps);
    for (let t = steps - 1, a = 0; t >= 0; t--) {
      a = r[t] + gamma * values[i][t + 1] - values[i][t] + gamma * lambda * a;
      found[t] = a;
    }
    return found;
  });
  return { learned: said[0].map(moments(said)), gae: gae[0].map(moments(gae)) };
}

/** The pushes on the policy, [learned, GAE, slope][step], in spreads. */
function pushesOf(data, s) {
  const { learned, gae } = advantagesOf(data, data.net, s);
  const away = s.action.map((a, t) => 2 * (a - data.policy[t]));
  const raw = [learned.map((e, t) => e * away[t]), gae.map((e, t) => e * away[t]), data.slopes];
  return { learned, gae, pushes: raw.map((row, i) => row.map((push) => push / data.spreads[i])) };
}

/** The window as it was recorded, before the reader changes it. */
const before = (data) => ({ reward: data.rewards[0], value: data.values[0], action: data.actions });

/** The recorded window with one number at its highest. */
function raised(data, row, step) {
  return { ...before(data), row, step, [row]: before(data)[row].map((x, t) => (t === step ? data.ranges[row][1] : x)) };
}

/** The window that the stage opens with. */
function opening(data) {
  const { row, step, number } = data.begin;
  return { ...before(data), row, step, [row]: before(data)[row].map((x, t) => (t === step ? number : x)) };
}

/** A legal selection: numbers within their ranges, recorded ones where there are none; nothing is the opening. */
function legal(data, wanted) {
  if (!wanted || !Object.keys(wanted).length) return opening(data);
  const row = Object.hasOwn(ROWS, wanted.row ?? "") && wanted.row !== "credit" ? wanted.row : "reward";
  const cut = (name) => before(data)[name].map((usual, t) => {
    const number = wanted[name]?.[t], [low, high] = data.ranges[name];
    return Number.isFinite(number) ? Math.min(high, Math.max(low, number)) : usual;
  });
  return { reward: cut("reward"), value: cut("value"), action: cut("action"), row, step: index(wanted.step, before(data)[row].length) };
}

const told = (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(2)}`;
const plain = (x) => x.toFixed(2).replace("-", "−");

/** Where things lie: x of a step, y of a number in a row, and the number at a y. */
function placesOf(data, width) {
  const column = (width - LEFT - 6) / (data.policy.length + 1);
  const ends = { ...data.ranges, action: [-1.5, 1.5], credit: [-CREDITS, CREDITS] };
  const [low, high] = [(row) => ends[row][0], (row) => ends[row][1]];
  const y = (row, x) => ROWS[row][1] - ((x - low(row)) / (high(row) - low(row))) * (ROWS[row][1] - ROWS[row][0]);
  const at = (row, py) => low(row) + ((ROWS[row][1] - py) / (ROWS[row][1] - ROWS[row][0])) * (high(row) - low(row));
  return { column, x: (t) => LEFT + (t + 0.5) * column, y, at };
}

/** An arrow from the policy; a faint one has no head. */
function arrow(x, from, to, i, faint) {
  const up = Math.sign(to - from) || 1, style = `stroke:${COLOURS[i]};fill:${COLOURS[i]}`;
  const stem = draw("line", { x1: x, x2: x, y1: from, y2: faint ? to : to - up * Math.min(5, Math.abs(to - from)), style, "stroke-width": [3, 2, 2][i],
    "stroke-dasharray": i === 2 ? "3 2" : null });
  const head = draw("path", { d: `M${x} ${to}l-4 ${-7 * up}h8z`, style: `fill:${COLOURS[i]}` });
  return draw("g", { class: faint ? "faint" : "push" }, Math.abs(to - from) < 1 ? [] : faint ? [stem] : [stem, head]);
}

/** A bar of an advantage, and where it was before. */
function credit(x, width, e, was, i, y) {
  const at = (value) => y("credit", Math.min(CREDITS, Math.max(-CREDITS, value)));
  return [
    draw("rect", { class: "credit", x, width, y: Math.min(at(0), at(e)), height: Math.abs(at(0) - at(e)), style: `fill:${COLOURS[i]}` }),
    ...(was === undefined ? [] : [draw("line", { class: "then", x1: x, x2: x + width, y1: at(was), y2: at(was) })]),
  ];
}

/** A thing to drag: a slider for the keyboard and for screen readers. */
function handle(data, s, row, t, x, y) {
  const [low, high] = data.ranges[row];
  const name = row === "value" && t === data.policy.length ? "value after the last step" : `${row} of step ${t + 1}`;
  return draw("g", { class: "handle", role: "slider", tabindex: row === s.row && t === s.step || row !== s.row && t === Math.min(s.step, s[row].length - 1) ? 0 : -1,
    "aria-label": name, "aria-orientation": "vertical", "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": s[row][t], "aria-valuetext": plain(s[row][t]),
    "data-row": row, "data-step": t }, [
    draw("circle", { class: "hit", cx: x, cy: y, r: 12 }), draw("circle", { class: "dot", cx: x, cy: y, r: row === "action" ? 5 : 4 })]);
}

/** The stage: rewards, values, actions with arrows, and what was before as a ghost. */
function stage(data, s, width) {
  const { x, y, column } = placesOf(data, width);
  const was = before(data), steps = data.policy.length;
  const [now, then] = [pushesOf(data, s), pushesOf(data, was)];
  const changed = (row, t) => Math.abs(s[row][t] - was[row][t]) > 1e-9;
  const name = (words, top) => draw("text", { class: "rowname", x: 0, y: top }, words);
  const rule = (row, at) => [draw("line", { class: "gridline", x1: LEFT, x2: width, y1: y(row, at), y2: y(row, at) }),
    draw("text", { x: LEFT - 6, y: y(row, at) + 4, "text-anchor": "end" }, String(at).replace("-", "−"))];
  const inside = (row) => [Math.ceil(data.ranges[row][0]), 0, Math.floor(data.ranges[row][1])].filter((at, i, all) => i === 1 || Math.abs(y(row, at) - y(row, all[1])) > 16);
  const reach = (t, push) => y("action", Math.min(1.5, Math.max(-1.5, data.policy[t] + UNIT * Math.min(LONGEST, Math.max(-LONGEST, push)))));
  const arrows = (t, { pushes }, faint) => pushes.map((row, i) => arrow(x(t) + [-1, 1, 1.8][i] * Math.min(9, 0.3 * column), y("action", data.policy[t]), reach(t, row[t]), i, faint));
  const moved = ["reward", "value", "action"].some((row) => s[row].some((_, t) => changed(row, t)));
  const course = (values) => `M${values.map((value, t) => `${x(t).toFixed(1)} ${y("value", value).toFixed(1)}`).join("L")}`;
  const all = Array.from({ length: steps }, (_, t) => t);
  const shown = Math.min(s.step, steps - 1);
  return draw("svg", { width, height: HEIGHT, role: "group", "aria-label": "the window: rewards, values, actions and pushes" }, [
    draw("rect", { class: "column", x: x(shown) - column / 2, y: 16, width: column, height: HEIGHT - 40, rx: 4 }),
    name("reward", 12), name("value", ROWS.value[0] - 12), name("credit: the advantage of each step", ROWS.credit[0] - 12), name("action, and how it pushes the policy", ROWS.action[0] - 16),
    ...inside("reward").flatMap((at) => rule("reward", at)), ...inside("value").flatMap((at) => rule("value", at)),
    ...[-1, 0, 1].flatMap((at) => rule("action", at)), ...[-3, 0, 3].flatMap((at) => rule("credit", at)),
    ...all.flatMap((t) => [now.learned, now.gae].flatMap((row, i) => credit(x(t) + (i - 1) * column * 0.32, column * 0.3, row[t], (moved ? [then.learned, then.gae] : [])[i]?.[t], i, y))),
    ...all.map((t) => draw("text", { x: x(t), y: HEIGHT - 8, "text-anchor": "middle" }, String(t + 1))),
    draw("text", { x: x(steps), y: HEIGHT - 8, "text-anchor": "middle" }, column < 40 ? "…" : "after"),
    ...all.map((t) => draw("rect", { class: "bar", x: x(t) - column / 4, width: column / 2, y: Math.min(y("reward", 0), y("reward", s.reward[t])), height: Math.abs(y("reward", 0) - y("reward", s.reward[t])) })),
    ...all.filter((t) => changed("reward", t)).map((t) => draw("line", { class: "was", x1: x(t) - column / 3, x2: x(t) + column / 3, y1: y("reward", was.reward[t]), y2: y("reward", was.reward[t]) })),
    ...(was.value.some((_, t) => changed("value", t)) ? [draw("path", { class: "was", d: course(was.value) })] : []),
    draw("path", { class: "course", d: course(s.value) }),
    ...all.flatMap((t) => (moved ? arrows(t, then, true) : [])), ...all.flatMap((t) => arrows(t, now, false)),
    ...all.map((t) => draw("circle", { class: "ring", cx: x(t), cy: y("action", data.policy[t]), r: 4.5 })),
    ...all.map((t) => handle(data, s, "reward", t, x(t), y("reward", s.reward[t]))),
    ...s.value.map((value, t) => handle(data, s, "value", t, x(t), y("value", value))),
    ...all.map((t) => handle(data, s, "action", t, x(t), y("action", s.action[t]))),
  ]);
}

/** In how many steps the change moves the advantages of each kind much; null where nothing was changed. */
function movedIn(data, s) {
  const was = before(data), [now, then] = [pushesOf(data, s), pushesOf(data, was)];
  const changed = ["reward", "value", "action"].some((row) => s[row].some((x, t) => Math.abs(x - was[row][t]) > 1e-9));
  return ["learned", "gae"].map((kind) => (changed ? now[kind].filter((e, t) => Math.abs(e - then[kind][t]) > MUCH).length : null));
}

/** What is seen, in words. */
function verdict(data, s) {
  const { learned, gae, pushes } = pushesOf(data, s), steps = learned.length, t = Math.min(s.step, steps - 1);
  const much = movedIn(data, s), quiet = much.every((count) => count === null);
  const off = s.action[t] - data.policy[t];
  const way = (push) => (Math.abs(push) < 1e-9 ? "not at all" : push > 0 ? "up" : "down");
  const toward = (e) => (e > 0 ? "towards the action" : "away from it");
  return [
    make("b", {}, quiet ? "As recorded: drag a reward, a value or an action. "
      : `The change moves the learned advantage by more than ${MUCH} in ${much[0]} of ${steps} steps, GAE's in ${much[1]}. `),
    `Step ${t + 1}: the action lay ${Math.abs(off).toFixed(2)} ${off < 0 ? "below" : "above"} what the policy would do. `,
    `Advantages: learned ${told(learned[t])}, ${toward(learned[t])}; GAE ${told(gae[t])}, ${toward(gae[t])}. The critic's slope points ${way(pushes[2][t])}.`,
  ];
}

/** All numbers of the window as a table. */
function fillTable(table, data, s) {
  const { learned, gae, pushes } = pushesOf(data, s);
  const rows = learned.map((e, t) => [String(t + 1), plain(s.reward[t]), plain(s.value[t]), plain(s.action[t]), plain(data.policy[t]), told(e), told(gae[t]), ...pushes.map((row) => told(row[t]))]);
  table.set(["step", "reward", "value", "action", "policy", "learned advantage", "GAE", ...data.pushes.map(([, label]) => `push: ${label}`)], rows);
}

/** The kinds of arrows and dots. */
function keysOf(data) {
  const sample = (i) => draw("svg", { width: 12, height: 20, "aria-hidden": "true" }, [arrow(6, 19, 1, i, false)]);
  const dot = (kind) => draw("svg", { width: 12, height: 12, "aria-hidden": "true" }, [draw("circle", { class: kind, cx: 6, cy: 6, r: 4.5, style: kind === "dot" ? "fill:var(--ink)" : null })]);
  const items = [...data.pushes.map(([, label], i) => [sample(i), label]), [dot("ring"), "what the policy would do"], [dot("dot"), "drag me"]];
  return make("ul", { class: "keys" }, items.map((parts) => make("li", {}, parts)));
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const given = model.get("data"), recorded = given.rewards[0];
  const data = { ...given, net: netOf(given), begin: given.start };
  const host = hostOf(model, "push-explorer", CSS);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let s = legal(data, model.get("selection")), width = 0, drag = null, timer = null, row = given.start.row === "value" ? "value" : "reward";
  const choose = (change) => {
    model.set("selection", legal(data, { ...s, ...change }));
    model.save_changes();
  };
  const holder = box("stage", []), said = make("output", { "aria-live": "polite" }), table = tableBox("numbers of the window");
  const pause = () => { clearInterval(timer); timer = null; play.textContent = "▶ play"; };
  const raise = (kind, step) => { row = kind; choose(raised(data, kind, step)); };
  const next = () => raise(row, s.row === row && s.step > 0 && s.step < recorded.length ? s.step - 1 : recorded.length - 1);
  const button = (words, onclick) => make("button", { type: "button", onclick }, words);
  const hand = (words, act) => button(words, () => { pause(); act(); });
  const play = button("▶ play", () => {
    if (timer) return pause();
    play.textContent = "❚❚ pause";
    next();
    timer = setInterval(() => (s.step === 0 ? pause() : next()), PACE);
  });
  const buttons = [
    hand("as recorded", () => choose(before(data))),
    hand(`raise the reward of step ${given.start.step + 1}`, () => raise("reward", given.start.step)),
    hand(`raise the value of step ${given.start.step + 1}`, () => raise("value", given.start.step)),
    play, hand("one step earlier", next),
  ];
  const follow = () => { play.hidden = still.matches; if (still.matches) pause(); };
  still.addEventListener("change", follow);

  const put = (kind, step, number) => choose({ row: kind, step, [kind]: s[kind].map((x, t) => (t === step ? number : x)) });
  holder.addEventListener("pointerdown", (event) => {
    const node = event.target.closest?.(".handle");
    if (!node) return;
    pause();
    drag = { row: node.dataset.row, step: Number(node.dataset.step) };
    holder.setPointerCapture(event.pointerId);
    choose(drag);
    focusHandle();
    event.preventDefault();
  });
  holder.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { at } = placesOf(data, width);
    put(drag.row, drag.step, at(drag.row, event.clientY - holder.getBoundingClientRect().top));
  });
  for (const end of ["pointerup", "pointercancel"]) holder.addEventListener(end, () => { drag = null; });
  holder.addEventListener("keydown", (event) => {
    const node = event.target.closest?.(".handle");
    if (!node || event.ctrlKey || event.altKey || event.metaKey) return;
    const kind = node.dataset.row, step = Number(node.dataset.step), [low, high] = data.ranges[kind], size = (high - low) / 40;
    const by = { ArrowUp: size, ArrowDown: -size, PageUp: 5 * size, PageDown: -5 * size }[event.key];
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const goal = { Home: low, End: high, Delete: before(data)[kind][step] }[event.key];
    if (by === undefined && side === undefined && goal === undefined) return;
    event.preventDefault();
    pause();
    if (side) choose({ row: kind, step: index(step + side, s[kind].length) });
    else put(kind, step, goal ?? s[kind][step] + by);
  });

  const focusHandle = () => holder.querySelector(`[data-row="${s.row}"][data-step="${s.step}"]`)?.focus({ preventScroll: true });
  function redraw() {
    if (width <= 0) return; // not yet on the page
    const held = holder.contains(host.shadowRoot.activeElement);
    holder.replaceChildren(stage(data, s, width));
    if (held) focusHandle();
  }
  const sizes = new ResizeObserver(() => {
    if (holder.clientWidth === width) return;
    width = holder.clientWidth;
    requestAnimationFrame(redraw); // drawing at once would resize what is being observed
  });
  sizes.observe(holder);
  host.shadowRoot.append(box("title", data.title), keysOf(data), holder, said, box("buttons", buttons), table.node, box("note", data.note));

  function show() {
    s = legal(data, model.get("selection"));
    const { learned, gae } = pushesOf(data, s);
    said.replaceChildren(...verdict(data, s));
    fillTable(table, data, s);
    Object.assign(host.dataset, { row: s.row, step: s.step + 1, moved: movedIn(data, s).join(" "), learned: learned.map((x) => x.toFixed(4)).join(" "), gae: gae.map((x) => x.toFixed(4)).join(" ") });
    redraw();
  }
  follow();
  return settle({ model, el }, host, show, () => { pause(); sizes.disconnect(); still.removeEventListener("change", follow); });
}

export default { render };
