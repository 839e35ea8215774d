/**
 * Grid explorer: a heat map over two categorical axes, a slider, a toggle, and a line chart of the selected cell.
 *
 * One ES module in the anywidget front-end format: `export default { render }`. The model holds `data` (what
 * `tutorlib.show.grid.grid_data` returns), `label`, and `selection` ({x, y, step, toggle, metric}), which this
 * module reads and writes. It needs no kernel, no network and no other file.
 *
 * Everything is drawn in a shadow tree, so a page's style sheet and this one leave each other alone; colours and
 * fonts come in through the page's CSS variables. What is selected stands on the host element as data attributes.
 */

import {
  box, channels, hostOf, index, inkOn, lineStyles, make, plotBox, radios, selector, settle, slider, tableBox, unpack,
} from "./parts.mjs";

/** Nine stops of Matplotlib's viridis. */
const HEAT = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
/** Columns up to which cells are wide enough for their numbers on a narrow page. */
const MOST_NUMBERED = 8;
const CSS = `
.axis { color: var(--soft); font-size: .8125rem; }
.axis.below { text-align: center; margin: .2rem 0 0 var(--head); }
.grid { margin-top: .35rem; display: grid; gap: 2px; }
.row { display: grid; gap: 2px; grid-template-columns: var(--head) repeat(var(--columns), minmax(0, 1fr)); }
.head { font-size: .8125rem; font-variant-numeric: tabular-nums; align-self: center; white-space: nowrap; }
.head.y { text-align: right; padding-right: .5rem; }
.head.x { text-align: center; padding-top: .15rem; }
.cell { position: relative; height: 1.875rem; display: grid; place-items: center; border-radius: 2px; cursor: pointer;
  font-size: .75rem; line-height: 1; font-variant-numeric: tabular-nums; forced-color-adjust: none; overflow: visible; }
.dense .cell { font-size: 0; } /* there is no room for numbers: colours show them, and the selected one stands beside */
.cell small { font-size: .625rem; margin-left: .2rem; }
.cell.missing { color: var(--ink); background: repeating-linear-gradient(-45deg, var(--raised) 0 4px, var(--paper) 4px 8px); }
.cell.marked::after { content: ""; position: absolute; right: 3px; top: 3px; width: 5px; height: 5px; border-radius: 50%;
  background: currentColor; }
.cell:hover { outline: 1px solid var(--ink); outline-offset: 1px; z-index: 1; }
.cell[aria-selected="true"] { outline: 2px solid var(--ink); outline-offset: 1px; z-index: 2; }
.grid:focus-within .cell:focus-visible { outline: 3px solid var(--accent); }
.legend { margin: .8rem 0 0; font-size: .8125rem; display: grid; gap: .3rem 1rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.bar, .ends { grid-column: 1 / -1; }
.bar { height: .55rem; border-radius: 2px; forced-color-adjust: none; }
.ends { display: flex; justify-content: space-between; color: var(--soft); font-variant-numeric: tabular-nums; }
.key { display: flex; gap: .45rem; align-items: center; }
.swatch { flex: none; width: 1.25rem; height: 1.25rem; border-radius: 2px; display: grid; place-items: center;
  font-size: .6875rem; line-height: 1; forced-color-adjust: none; position: relative; }
.tip { position: absolute; z-index: 5; pointer-events: none; background: var(--paper); color: var(--ink);
  border: 1px solid var(--rule);
  border-radius: .3rem; box-shadow: 0 2px 10px #0003; padding: .4rem .6rem; width: 17rem; max-width: 100%; }
.tip, .tip .phase, .tip .numbers { font-size: .8125rem; }
.tip .meaning, .tip .numbers i, .tip .ranges { display: none; }
.chosen { display: flex; flex-wrap: wrap; gap: .4rem 1rem; }
.phase { display: flex; gap: .45rem; align-items: center; font-weight: 600; }
.phase i { font-style: normal; font-weight: 400; color: var(--soft); font-size: .875rem; }
.meaning, .ranges { display: block; color: var(--soft); font-size: .875rem; }
.ranges { font-size: .8125rem; }
`;

/** Entry of a [toggle][step][y][x] array at a selection; null where there is no run. */
const at = (array, s) => array?.[s.toggle]?.[s.step]?.[s.y]?.[s.x] ?? null;

/** The data with its packed arrays as nested ones. */
function unpacked(data) {
  const each = (arrays) => arrays && Object.fromEntries(Object.entries(arrays).map(([name, packed]) => [name, unpack(packed)]));
  const line = (l) => ({ ...l, values: unpack(l.values) });
  const { chart, values, low, high, phase, votes } = data;
  return {
    ...data,
    values: each(values), low: each(low), high: each(high), phase: phase && unpack(phase), votes: votes && unpack(votes),
    chart: { ...chart, curves: chart.curves.map(line), references: chart.references.map(line) },
  };
}

/** A number as text, with all the decimals that the data have and a number can show. */
const text = (data, value) => (value === null ? "" : value.toFixed(Math.min(20, Math.max(0, data.decimals || 0))));

/** The same for a small space: the digits that matter in a range of `span`, and no leading zero. */
function brief(data, value, span) {
  const digits = Math.min(Math.max(0, data.decimals || 0), span <= 2 ? 2 : span <= 20 ? 1 : 0);
  return value.toFixed(digits).replace(/^(-?)0\./, "$1.");
}

/** Colour of the heat scale at a share between 0 and 1. */
function heat(share) {
  const place = Math.min(1, Math.max(0, share)) * (HEAT.length - 1);
  const below = Math.min(HEAT.length - 2, Math.floor(place));
  const [from, to] = [channels(HEAT[below]), channels(HEAT[below + 1])];
  const mixed = from.map((c, i) => Math.round(c + (to[i] - c) * (place - below)));
  return "#" + mixed.map((c) => c.toString(16).padStart(2, "0")).join("");
}

/** A legal selection: what is wanted, cut to the axes; at first the last step and the marked cell. */
function legal(data, wanted) {
  const known = [...data.metrics.map((m) => m.name), ...(data.phases ? ["phase"] : [])];
  const first = { x: data.marker?.x, y: data.marker?.y, step: data.slider.values.length - 1, metric: known.at(-1) };
  const s = { ...first, ...data.start, ...wanted };
  const cut = (wanted, axis) => index(wanted, axis.values.length);
  return {
    x: cut(s.x, data.x),
    y: cut(s.y, data.y),
    step: cut(s.step, data.slider),
    toggle: cut(s.toggle, data.toggle),
    metric: known.includes(s.metric) ? s.metric : known.at(-1),
  };
}

/** What a cell says, in words and numbers. */
function reading(data, s) {
  const phase = data.phases?.[at(data.phase, s)] ?? null;
  const votes = at(data.votes, s);
  const words = (axis, index) => `${axis.label} ${axis.values[index]}`;
  return {
    phase,
    votes: phase && votes !== null ? `${votes} of ${data.seeds} seeds` : "",
    place: `${words(data.x, s.x)}, ${words(data.y, s.y)}`,
    setting: `${words(data.slider, s.step)}, ${words(data.toggle, s.toggle)}`,
    missing: !phase && data.metrics.every((m) => at(data.values[m.name], s) === null),
    numbers: data.metrics.map((m) => {
      const [low, high] = [at(data.low?.[m.name], s), at(data.high?.[m.name], s)];
      const range = low !== null && high !== null ? `${text(data, low)} to ${text(data, high)}` : "";
      return { label: m.label, value: text(data, at(data.values[m.name], s)) || "no run", range };
    }),
  };
}

/** Look of a cell under the chosen colouring: its colour and the words on it; null where there is no run. */
function look(data, s) {
  const metric = data.metrics.find((m) => m.name === s.metric);
  if (!metric) {
    const phase = data.phases[at(data.phase, s)];
    const votes = at(data.votes, s);
    const divided = votes !== null && votes < data.seeds;
    return phase ? { colour: phase.colour, words: phase.short, aside: divided ? `${votes}/${data.seeds}` : "" } : null;
  }
  const value = at(data.values[s.metric], s);
  const span = metric.high - metric.low;
  if (value === null) return null;
  return { colour: heat((value - metric.low) / span), words: brief(data, value, span), aside: "" };
}

/** Where a key of the grid leads from a cell; null if it leads nowhere. */
function step(event, s, last) {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  const targets = {
    ArrowRight: { x: s.x + 1 }, ArrowLeft: { x: s.x - 1 }, ArrowUp: { y: s.y + 1 }, ArrowDown: { y: s.y - 1 },
    Home: { x: 0 }, End: { x: last },
  };
  return targets[event.key] ?? null;
}

/** The heat map: an ARIA grid in which the arrow keys move the selection. The first y value is the lowest row. */
function heatMap(data, current, pick, hover) {
  const enter = (x, y) => (event) => hover({ x, y }, event.currentTarget);
  const cell = (x, y) => make("div", { role: "gridcell", onclick: () => pick({ x, y }), onmouseenter: enter(x, y) });
  const cells = data.y.values.map((_, y) => data.x.values.map((_, x) => cell(x, y)));
  const row = (children) => make("div", { role: "row", class: "row" }, children);
  const rows = data.y.values.map((value, y) => row([make("span", { role: "rowheader", class: "head y" }, value), ...cells[y]]));
  const heads = data.x.values.map((value) => make("span", { role: "columnheader", class: "head x" }, value));
  const move = (event) => {
    const target = step(event, current(), data.x.values.length - 1);
    if (!target) return;
    event.preventDefault();
    pick(target);
    cells[current().y][current().x].focus();
  };
  const name = `${data.y.label} by ${data.x.label}`;
  const dense = data.x.values.length > MOST_NUMBERED ? " dense" : "";
  const node = make("div", { role: "grid", class: `grid${dense}`, "aria-label": name, onkeydown: move, onmouseleave: () => hover(null) },
    [...rows.reverse(), row([make("span"), ...heads])]);
  const one = (s, x, y) => drawCell(data, cells[y][x], { ...s, x, y }, x === s.x && y === s.y);
  const show = (s) => cells.forEach((line, y) => line.forEach((_, x) => one(s, x, y)));
  return { node, show, head: `calc(${Math.max(...data.y.values.map((value) => value.length))}ch + .5rem)` };
}

function drawCell(data, cell, s, selected) {
  const seen = look(data, s);
  const said = reading(data, s);
  const marked = data.marker?.x === s.x && data.marker?.y === s.y;
  cell.className = `cell${seen ? "" : " missing"}${marked ? " marked" : ""}`;
  cell.style.cssText = seen ? `background:${seen.colour};color:${inkOn(seen.colour)}` : "";
  cell.replaceChildren(make("span", {}, seen ? [seen.words, seen.aside ? make("small", {}, seen.aside) : null] : []));
  cell.tabIndex = selected ? 0 : -1;
  cell.setAttribute("aria-selected", selected);
  const words = [said.phase?.name, s.metric === "phase" ? said.votes : seen?.words, marked ? data.marker.text : ""];
  cell.setAttribute("aria-label", `${said.place}: ${seen ? "" : "no run, "}${words.filter(Boolean).join(", ")}`);
}

function swatch(colour, words) {
  const style = `background:${colour};color:${inkOn(colour)}`;
  return make("span", { class: "swatch", style, "aria-hidden": "true" }, words);
}

/** The legend under the map: a colour bar or the phases, the mark, and what hatching means. */
function legend(data, s) {
  const metric = data.metrics.find((m) => m.name === s.metric);
  const key = (mark, words) => make("div", { class: "key" }, [mark, words]);
  const sample = (kind) => make("span", { class: `swatch ${kind}`, "aria-hidden": "true" });
  const keys = metric ? colourBar(metric) : data.phases.map((p) => key(swatch(p.colour, p.short), p.name));
  const share = make("span", { class: "swatch" }, `n/${data.seeds}`);
  if (!metric && data.votes) keys.push(key(share, "seeds that agree, where not all do"));
  if (data.marker) keys.push(key(sample("cell marked"), data.marker.text));
  const hatched = data.y.values.some((_, y) => data.x.values.some((_, x) => !look(data, { ...s, x, y })));
  if (hatched) keys.push(key(sample("cell missing"), "hatched: no run"));
  return keys;
}

function colourBar(metric) {
  const ends = [metric.low, metric.label, metric.high].map((words) => make("span", {}, String(words)));
  const style = `background:linear-gradient(90deg,${HEAT.join(",")})`;
  return [make("div", { class: "bar", style }), make("div", { class: "ends" }, ends)];
}

/** A cell in words, below a heading that only screen readers need: phase, seeds, every number with its range. */
function sentence(data, s) {
  const { place, setting, missing, phase, votes, numbers } = reading(data, s);
  const head = make("span", { class: "hidden" }, `${place}, ${setting}: `);
  if (missing) return [head, make("span", { class: "phase" }, "no run for this cell")];
  const value = (n) => make("b", {}, [n.value, n.range ? make("i", {}, ` (${n.range})`) : null, " "]);
  const rows = numbers.flatMap((n) => [make("span", {}, `${n.label} `), value(n)]);
  return [
    head,
    phase && make("span", { class: "phase" }, [swatch(phase.colour, phase.short), `${phase.name} `, make("i", {}, `${votes} `)]),
    phase?.meaning && make("span", { class: "meaning" }, `${phase.meaning} `),
    make("span", { class: "numbers" }, rows),
    numbers.some((n) => n.range) && make("span", { class: "ranges" }, `in brackets: ${data.range}`),
  ].filter(Boolean);
}

/** The chart of a cell, with the curves of a hovered cell as ghosts. */
function chartOf(data, s, ghost) {
  const { x, y, low, high, positions, curves, references } = data.chart;
  const lines = (where) => lineStyles([
    ...references.map((r) => ({ ...r, thin: true })), ...curves.map((c) => ({ label: c.label, values: at(c.values, where) }))]);
  return {
    x: { label: x, low: positions[0], high: positions.at(-1) },
    y: { label: y, low, high },
    positions,
    lines: lines(s),
    ghosts: ghost ? lines(ghost).filter((l) => !l.thin) : [],
    brief: (value) => brief(data, value, high - low),
    full: (value) => text(data, value),
    empty: "no run",
  };
}

/** The chart's numbers as a table. */
function fillTable(table, data, { x, lines, positions }) {
  const rows = positions.map((p, i) => [String(p), ...lines.map((l) => text(data, l.values[i]) || "–")]);
  table.set([x.label, ...lines.map((l) => l.label)], rows);
}

/** Write the selection and its numbers on the host, where tests and other scripts can read them. */
function publish(host, data, s) {
  host.dataset.x = data.x.values[s.x];
  host.dataset.y = data.y.values[s.y];
  host.dataset.step = data.slider.values[s.step];
  host.dataset.toggle = data.toggle.values[s.toggle];
  host.dataset.metric = s.metric;
  host.dataset.phase = data.phases?.[at(data.phase, s)]?.name ?? "";
  for (const m of data.metrics) host.setAttribute(`data-value-${m.name}`, text(data, at(data.values[m.name], s)));
}

/** The numbers of a hovered cell beside it, inside the panel. */
function showTip(data, s, tip, cell, panel) {
  tip.replaceChildren(make("b", {}, reading(data, s).place), ...sentence(data, s).slice(1));
  const [box, within] = [cell.getBoundingClientRect(), panel.getBoundingClientRect()];
  tip.style.left = `${Math.max(0, Math.min(box.left - within.left, within.width - tip.offsetWidth))}px`;
  tip.style.top = `${box.bottom - within.top + 6}px`;
}

/** The controls, each `{ node, set }`; `pick` gets the change that a reader makes. */
function controlsOf(data, pick) {
  const colourings = [...data.metrics.map((m) => [m.name, m.label]), ...(data.phases ? [["phase", "phase"]] : [])];
  const metric = selector("metric", "colour by", colourings.map(([, label]) => label), (i) => pick({ metric: colourings[i][0] }));
  return {
    toggle: radios("toggle", data.toggle, (i) => pick({ toggle: i })),
    metric: { node: metric.node, set: (name) => metric.set(colourings.findIndex(([known]) => known === name)) },
    step: slider("slider", data.slider, (i) => pick({ step: i })),
    x: selector("x", data.x.label, data.x.values, (i) => pick({ x: i })),
    y: selector("y", data.y.label, data.y.values, (i) => pick({ y: i })),
  };
}

/** Put the parts in their places under the shadow root. */
function layOut(root, data, controls, map, { tip, key, said, plot, table }) {
  const left = box("panel", [box("axis", `${data.y.label} ↑`), map.node, box("axis below", `${data.x.label} →`), key, tip]);
  left.style.cssText = `--head:${map.head};--columns:${data.x.values.length}`;
  const right = box("panel", [box("chosen", [controls.x.node, controls.y.node]), said, plot.node, table.node]);
  root.append(box("title", data.title), box("controls", [controls.toggle.node, controls.metric.node, controls.step.node]),
    box("panels", [left, right]), box("note", data.note));
  return left;
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = unpacked(model.get("data"));
  const host = hostOf(model, "grid-explorer", CSS);
  let s = legal(data, model.get("selection"));
  let ghost = null;
  const pick = (change) => {
    model.set("selection", legal(data, { ...s, ...change }));
    model.save_changes();
  };
  const controls = controlsOf(data, pick);
  const map = heatMap(data, () => s, pick, hover);
  const parts = {
    tip: make("div", { class: "tip", "aria-hidden": "true" }),
    key: make("div", { class: "legend" }),
    said: make("output", { "aria-live": "polite" }),
    plot: plotBox(() => chartOf(data, s, ghost)),
    table: tableBox("numbers of the chart"),
  };
  const left = layOut(host.shadowRoot, data, controls, map, parts);

  function hover(place, cell) {
    ghost = place && { ...s, ...place };
    parts.tip.hidden = !place;
    if (place) showTip(data, ghost, parts.tip, cell, left);
    parts.plot.redraw();
  }
  function show() {
    s = legal(data, model.get("selection"));
    for (const key of Object.keys(controls)) controls[key].set(s[key]);
    map.show(s);
    parts.key.replaceChildren(...legend(data, s));
    parts.said.replaceChildren(...sentence(data, s));
    fillTable(parts.table, data, chartOf(data, s, null));
    publish(host, data, s);
    hover(null);
  }
  return settle({ model, el }, host, show, parts.plot.stop);
}

export default { render };
