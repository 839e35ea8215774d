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

/** Nine stops of Matplotlib's viridis. */
const HEAT = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
const LINE_GAP = 15; // pixels between two direct labels
const DASHES = ["none", "6 4", "2 3", "8 3 2 3", "1 3", "12 4"];

const CSS = `
:host {
  --paper: var(--pst-color-background, var(--jp-layout-color0, #fff));
  --raised: var(--pst-color-surface, var(--jp-layout-color2, #f1f2f4));
  --ink: var(--pst-color-text-base, var(--jp-content-font-color1, #1f2430));
  --soft: var(--pst-color-text-muted, var(--jp-content-font-color2, #515b6b));
  --rule: var(--pst-color-border, var(--jp-border-color2, #cfd4da));
  --accent: var(--pst-color-primary, var(--jp-brand-color1, #0a6c7d));
  --c0: #0072b2; --c1: #b84300; --c2: #00785a; --c3: #a0487a;
  color-scheme: light;
  container-type: inline-size;
  display: block; box-sizing: border-box; padding: 4px;
  background: var(--paper); color: var(--ink);
  font: 400 .9375rem/1.45 var(--pst-font-family-base, var(--jp-content-font-family, system-ui, sans-serif));
  text-align: left;
}
:host([data-scheme="dark"]) {
  --paper: var(--pst-color-background, var(--jp-layout-color0, #14181e));
  --raised: var(--pst-color-surface, var(--jp-layout-color2, #29313d));
  --ink: var(--pst-color-text-base, var(--jp-content-font-color1, #dfe3e8));
  --soft: var(--pst-color-text-muted, var(--jp-content-font-color2, #a4acb8));
  --rule: var(--pst-color-border, var(--jp-border-color2, #48566b));
  --accent: var(--pst-color-primary, var(--jp-brand-color1, #3fb1c5));
  --c0: #6bbdf0; --c1: #f0a53c; --c2: #35c79d; --c3: #e39cc4;
  color-scheme: dark;
}
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.title { font-weight: 600; font-size: 1.0625rem; margin-bottom: .6rem; text-wrap: balance; }
.controls { display: flex; flex-wrap: wrap; gap: .7rem 2rem; align-items: flex-start; margin-bottom: 1rem; }
.field { display: flex; flex-direction: column; gap: .2rem; min-width: 0; border: 0; margin: 0; padding: 0; }
.field.wide { flex: 1 1 100%; }
.name, legend { color: var(--soft); font-size: .8125rem; padding: 0; }
.name b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
select, input { font: inherit; color: inherit; accent-color: var(--accent); }
select { background: var(--paper); border: 1px solid var(--soft); border-radius: .3rem; padding: .15rem .3rem;
  max-width: min(100%, 18rem); text-overflow: ellipsis; }
input[type="range"] { width: 100%; margin: .2rem 0; height: 1.5rem; cursor: pointer; }
.choices { display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: .2rem 0; }
.choices label { display: inline-flex; gap: .35rem; align-items: center; cursor: pointer; min-height: 1.5rem; }
.choices input { margin: 0; }
.panels { display: grid; gap: 1.5rem 2rem; }
.panel { min-width: 0; position: relative; }
.axis { color: var(--soft); font-size: .8125rem; }
.axis.below { text-align: center; margin: .2rem 0 0 var(--head); }
.grid { margin-top: .35rem; display: grid; gap: 2px; }
.row { display: grid; gap: 2px; grid-template-columns: var(--head) repeat(var(--columns), minmax(0, 1fr)); }
.head { font-size: .8125rem; font-variant-numeric: tabular-nums; align-self: center; white-space: nowrap; }
.head.y { text-align: right; padding-right: .5rem; }
.head.x { text-align: center; padding-top: .15rem; }
.cell { position: relative; height: 1.875rem; display: grid; place-items: center; border-radius: 2px; cursor: pointer;
  font-size: .75rem; line-height: 1; font-variant-numeric: tabular-nums; forced-color-adjust: none; overflow: visible; }
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
output { display: block; margin: .7rem 0 1rem; }
.phase { display: flex; gap: .45rem; align-items: center; font-weight: 600; }
.phase i { font-style: normal; font-weight: 400; color: var(--soft); font-size: .875rem; }
.meaning, .ranges { display: block; color: var(--soft); font-size: .875rem; }
.ranges { font-size: .8125rem; }
.numbers { display: grid; grid-template-columns: 1fr auto; gap: 0 .8rem; font-size: .875rem; margin-top: .3rem; }
.numbers b { font-variant-numeric: tabular-nums; text-align: right; font-weight: 600; }
.numbers i { font-style: normal; font-weight: 400; color: var(--soft); }
.chart { min-height: 240px; }
svg { display: block; overflow: visible; font-size: 12px; font-variant-numeric: tabular-nums; }
svg text { fill: var(--soft); }
.gridline { stroke: var(--rule); stroke-width: 1; opacity: .55; }
.series { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.series.under { stroke-width: 3.75; }
.ghost { stroke-width: 1.5; stroke-dasharray: 1 4; }
.reference { fill: none; stroke: var(--soft); stroke-width: 1.25; }
.probe { stroke: var(--soft); stroke-width: 1; }
svg text.strong { font-weight: 600; }
details { font-size: .8125rem; margin-top: .4rem; }
summary { cursor: pointer; color: var(--soft); width: fit-content; }
.scroll { overflow: auto; max-height: 15rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin-top: .3rem; }
th, td { padding: .1rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); font-weight: 400; }
thead th { color: var(--soft); position: sticky; top: 0; background: var(--paper); }
.note { color: var(--soft); font-size: .8125rem; margin-top: 1rem; max-width: 80ch; text-wrap: pretty; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (min-width: 38rem) { .panels { grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); } }
`;

/** An element of HTML (or, with `draw`, of SVG) with attributes, `on…` listeners and children. */
const make = (tag, attributes, children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
function fill(node, attributes = {}, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...[children].flat().filter((child) => child !== null));
  return node;
}

/** Entry of a [toggle][step][y][x] array at a selection; null where there is no run. */
const at = (array, s) => array?.[s.toggle]?.[s.step]?.[s.y]?.[s.x] ?? null;

/** A stored whole number as a number and as text: the data are in units of 10^-decimals. */
const number = (data, stored) => stored / 10 ** data.decimals;
const text = (data, stored) => (stored === null ? "" : number(data, stored).toFixed(data.decimals));

/** The same for a small space: the digits that matter in a range of `span`, and no leading zero. */
function brief(data, stored, span) {
  const digits = Math.min(data.decimals, span <= 2 ? 2 : span <= 20 ? 1 : 0);
  return number(data, stored).toFixed(digits).replace(/^(-?)0\./, "$1.");
}

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Colour of the heat scale at a share between 0 and 1. */
function heat(share) {
  const place = Math.min(1, Math.max(0, share)) * (HEAT.length - 1);
  const below = Math.min(HEAT.length - 2, Math.floor(place));
  const [from, to] = [channels(HEAT[below]), channels(HEAT[below + 1])];
  const mixed = from.map((c, i) => Math.round(c + (to[i] - c) * (place - below)));
  return "#" + mixed.map((c) => c.toString(16).padStart(2, "0")).join("");
}

/** Black or white, whichever stands out more on a colour (WCAG: at least 4.58 to 1). */
function inkOn(hex) {
  const [r, g, b] = channels(hex).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** A legal selection: what is wanted, cut to the axes; at first the last step and the marked cell. */
function legal(data, wanted) {
  const known = [...data.metrics.map((m) => m.name), ...(data.phases ? ["phase"] : [])];
  const first = { x: data.marker?.x, y: data.marker?.y, step: data.slider.values.length - 1, metric: known.at(-1) };
  const s = { ...first, ...data.start, ...wanted };
  const cut = (index, axis) => Math.min(axis.values.length - 1, Math.max(0, Math.round(index) || 0));
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
  const stored = at(data.values[s.metric], s);
  const span = metric.high - metric.low;
  if (stored === null) return null;
  return { colour: heat((number(data, stored) - metric.low) / span), words: brief(data, stored, span), aside: "" };
}

/** A labelled <select>; `pick` gets the index. */
function selector(id, label, options, pick) {
  const list = make("select", { id, onchange: () => pick(list.selectedIndex) }, options.map((o) => make("option", {}, o)));
  const node = make("div", { class: "field" }, [make("label", { class: "name", for: id }, label), list]);
  return { node, set: (index) => { list.selectedIndex = index; } };
}

/** The toggle: radio buttons, and nothing at all for an axis with one value. */
function toggle(axis, pick) {
  const radio = (_, i) => make("input", { type: "radio", name: "toggle", id: `toggle${i}`, onchange: () => pick(i) });
  const inputs = axis.values.map(radio);
  const labels = inputs.map((input, i) => make("label", { for: `toggle${i}` }, [input, axis.values[i]]));
  const node = make("fieldset", { class: "field" }, [make("legend", {}, axis.label), make("div", { class: "choices" }, labels)]);
  node.hidden = axis.values.length < 2;
  return { node, set: (index) => { inputs[index].checked = true; } };
}

/** The slider over the positions of an axis; its label shows the value. */
function slider(axis, pick) {
  const move = () => pick(input.valueAsNumber);
  const input = make("input", { type: "range", id: "slider", min: 0, max: axis.values.length - 1, oninput: move });
  const value = make("b");
  const name = make("label", { class: "name", for: "slider" }, [`${axis.label}: `, value]);
  const node = make("div", { class: "field wide" }, [name, input]);
  node.hidden = axis.values.length < 2;
  const set = (index) => {
    input.value = index;
    value.textContent = axis.values[index];
    input.setAttribute("aria-valuetext", axis.values[index]);
  };
  return { node, set };
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
  const node = make("div", { role: "grid", class: "grid", "aria-label": name, onkeydown: move, onmouseleave: () => hover(null) },
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

/** Round tick positions: steps of 1, 2 or 5 times a power of ten. */
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const width = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw * 0.999);
  const first = Math.ceil(low / width - 1e-9);
  const length = Math.floor(high / width + 1e-9) - first + 1;
  return Array.from({ length }, (_, i) => Number(((first + i) * width).toPrecision(6)));
}

/** Curves of a cell and the references: {label, values, style, under, thin}. Lines without numbers are left out. */
function linesOf(data, s) {
  const curve = (c, i) => ({ label: c.label, values: at(c.values, s), colour: `var(--c${i})`, under: i === 0 });
  const reference = (r, i) => ({ ...r, colour: "var(--soft)", dash: DASHES[i % DASHES.length], thin: true });
  const curves = data.chart.curves.map(curve);
  const references = data.chart.references.map(reference);
  return [...references, ...curves].filter((line) => line.values);
}

/** Pixel scales of the chart and the box they span; the right margin holds the labels. */
function scales({ positions, low, high }, lines, width) {
  const margin = Math.max(...lines.map((line) => line.label.length + 4), 4) * 7.2 + 12;
  const box = { left: 34, top: 24, right: width - Math.min(width * 0.5, margin), bottom: 222 };
  const share = (value, from, to) => Math.min(1, Math.max(0, (value - from) / (to - from)));
  const px = (position) => box.left + share(position, positions[0], positions.at(-1)) * (box.right - box.left);
  const py = (value) => box.bottom - share(value, low, high) * (box.bottom - box.top);
  return { box, px, py, width };
}

/** Grid lines, ticks and the names of both axes. */
function frame({ positions, low, high, x, y }, { box, px, py, width }) {
  const label = (words, left, top, anchor) => draw("text", { x: left, y: top, "text-anchor": anchor }, String(words));
  const rows = ticks(low, high, 5).flatMap((t) => [
    draw("line", { class: "gridline", x1: box.left, x2: box.right, y1: py(t), y2: py(t) }), label(t, box.left - 6, py(t) + 4, "end")]);
  const across = ticks(positions[0], positions.at(-1), Math.max(3, width / 90));
  const columns = across.map((t) => label(t, px(t), box.bottom + 17, "middle"));
  const middle = Math.max((box.left + box.right) / 2, x.length * 3.2); // a long name starts at the left edge
  return [...rows, ...columns, label(y, 0, 11, "start"), label(x, middle, box.bottom + 34, "middle")];
}

/** One line, with gaps where numbers are missing. */
function stroke(data, line, { px, py }, ghost) {
  const point = (v, i) => `${px(data.chart.positions[i]).toFixed(1)},${py(number(data, v)).toFixed(1)}`;
  const d = line.values.map((v, i) => (v === null ? "" : `${i && line.values[i - 1] !== null ? "L" : "M"}${point(v, i)}`)).join("");
  const kind = ghost ? "series ghost" : line.thin ? "reference" : line.under ? "series under" : "series";
  return draw("path", { class: kind, d, style: `stroke:${line.colour}`, "stroke-dasharray": ghost ? null : line.dash ?? null });
}

/** The lines' names and values at one position, beside the chart, pushed apart so that none covers another. */
function labels(data, lines, here, { box, py }) {
  const ends = lines.filter((l) => l.values[here] !== null).map((l) => ({ ...l, y: py(number(data, l.values[here])) }));
  ends.sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => { end.y = Math.max(end.y, i ? ends[i - 1].y + LINE_GAP : box.top); });
  ends.reverse().forEach((end, i) => { end.y = Math.min(end.y, i ? ends[i - 1].y - LINE_GAP : box.bottom); });
  const words = (end) => `${end.label} ${brief(data, end.values[here], data.chart.high - data.chart.low)}`;
  const place = (end) => ({ x: box.right + 10, y: end.y + 4, style: `fill:${end.colour}` });
  return ends.map((end) => draw("text", { class: end.thin ? "thin" : "strong", ...place(end) }, words(end)));
}

/** The line chart; `probe` is the position whose values stand beside it (the last if null), `ghost` a hovered cell. */
function chart(data, s, ghost, probe, width) {
  const { positions } = data.chart;
  const lines = linesOf(data, s);
  const scale = scales(data.chart, lines, width);
  const { box, px, py } = scale;
  const here = probe ?? positions.length - 1;
  const there = lines.filter((l) => l.values[here] !== null);
  const faint = ghost ? linesOf(data, ghost).filter((l) => !l.thin) : [];
  const left = px(positions[here]);
  const height = (l) => py(number(data, l.values[here]));
  const dot = (l) => draw("circle", { cx: left, cy: height(l), r: l.under ? 4.25 : 2.75, style: `fill:${l.colour}` });
  const rule = [
    draw("line", { class: "probe", x1: left, x2: left, y1: box.top, y2: box.bottom }),
    draw("text", { x: left, y: box.top - 6, "text-anchor": "middle" }, String(positions[here])),
  ];
  const words = there.map((l) => `${l.label} ${text(data, l.values[here])}`).join(", ");
  const name = `${data.chart.y} against ${data.chart.x}; at ${positions[here]}: ${words || "no run"}`;
  const svg = draw("svg", { width, height: 262, role: "img", "aria-label": name }, [
    ...frame(data.chart, scale),
    ...faint.map((l) => stroke(data, l, scale, true)),
    ...lines.map((l) => stroke(data, l, scale, false)),
    ...(probe === null ? [] : rule),
    ...there.filter((l) => !l.thin).map(dot),
    ...labels(data, lines, here, scale),
  ]);
  const distance = (i, x) => Math.abs(px(positions[i]) - x);
  const nearest = (x) => positions.reduce((best, _, i) => (distance(i, x) < distance(best, x) ? i : best), 0);
  return { svg, nearest };
}

/** The chart's numbers as a table, for readers who cannot see or point at a line. */
function table(data, s) {
  const lines = linesOf(data, s);
  const head = [data.chart.x, ...lines.map((l) => l.label)].map((words) => make("th", { scope: "col" }, words));
  const cells = (i) => lines.map((l) => make("td", {}, text(data, l.values[i]) || "–"));
  const rows = data.chart.positions.map((p, i) => make("tr", {}, [make("th", { scope: "row" }, String(p)), ...cells(i)]));
  return make("table", {}, [make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows)]);
}

/** Is the page dark? Jupyter, the book's theme, Colab and VS Code say so; else the reader's system does. */
function dark() {
  const { documentElement: html, body } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  const theme = html.dataset.theme ?? html.getAttribute("theme") ?? body.dataset.vscodeThemeKind;
  return theme ? theme.includes("dark") : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Call back now and whenever the page changes between light and dark; returns how to stop. */
function followTheme(changed) {
  const attributeFilter = ["data-theme", "theme", "data-jp-theme-light", "data-vscode-theme-kind"];
  const watcher = new MutationObserver(changed);
  for (const node of [document.documentElement, document.body]) watcher.observe(node, { attributeFilter });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  changed();
  return () => { watcher.disconnect(); media.removeEventListener("change", changed); };
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
    toggle: toggle(data.toggle, (i) => pick({ toggle: i })),
    metric: { node: metric.node, set: (name) => metric.set(colourings.findIndex(([known]) => known === name)) },
    step: slider(data.slider, (i) => pick({ step: i })),
    x: selector("x", data.x.label, data.x.values, (i) => pick({ x: i })),
    y: selector("y", data.y.label, data.y.values, (i) => pick({ y: i })),
  };
}

/** Put the parts in their places under the shadow root. */
function layOut(root, data, controls, map, { tip, key, said, plot, scroll }) {
  const box = (name, children) => make("div", { class: name }, children);
  const left = box("panel", [box("axis", `${data.y.label} ↑`), map.node, box("axis below", `${data.x.label} →`), key, tip]);
  left.style.cssText = `--head:${map.head};--columns:${data.x.values.length}`;
  const numbers = make("details", {}, [make("summary", {}, "numbers of the chart"), scroll]);
  const right = box("panel", [box("chosen", [controls.x.node, controls.y.node]), said, plot, numbers]);
  root.append(make("style", {}, CSS), box("title", data.title),
    box("controls", [controls.toggle.node, controls.metric.node, controls.step.node]),
    box("panels", [left, right]), box("note", data.note));
  return left;
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = model.get("data");
  const name = model.get("label") || data.title;
  // This attribute keeps JupyterLab from reading keys pressed in here as its own shortcuts.
  const quiet = { "data-lm-suppress-shortcuts": "true" };
  const host = make("div", { class: "tutorlib-grid-explorer", role: "group", "aria-label": name, ...quiet });
  let s = legal(data, model.get("selection"));
  let ghost = null, probe = null, width = 0, nearest = null;
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
    plot: make("div", { class: "chart", onpointerenter: point, onpointermove: point, onpointerleave: leave }),
    scroll: make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "numbers of the chart" }),
  };
  const left = layOut(host.attachShadow({ mode: "open" }), data, controls, map, parts);

  function redraw(pointed = probe) {
    probe = pointed;
    if (width <= 0) return; // not yet on the page
    const drawn = chart(data, s, ghost, probe, width);
    nearest = drawn.nearest;
    parts.plot.replaceChildren(drawn.svg);
  }
  function point(event) {
    if (nearest) redraw(nearest(event.clientX - parts.plot.getBoundingClientRect().left));
  }
  function leave() {
    redraw(null);
  }
  function hover(place, cell) {
    ghost = place && { ...s, ...place };
    parts.tip.hidden = !place;
    if (place) showTip(data, ghost, parts.tip, cell, left);
    redraw();
  }
  function show() {
    s = legal(data, model.get("selection"));
    for (const key of Object.keys(controls)) controls[key].set(s[key]);
    map.show(s);
    parts.key.replaceChildren(...legend(data, s));
    parts.said.replaceChildren(...sentence(data, s));
    parts.scroll.replaceChildren(table(data, s));
    publish(host, data, s);
    hover(null);
  }
  const sizes = new ResizeObserver(() => {
    if (parts.plot.clientWidth === width) return;
    width = parts.plot.clientWidth;
    requestAnimationFrame(() => redraw()); // drawing at once would resize what is being observed
  });
  el.append(host);
  show();
  sizes.observe(parts.plot);
  const forget = followTheme(() => { host.dataset.scheme = dark() ? "dark" : "light"; });
  model.on("change:selection", show);
  return () => { model.off("change:selection", show); forget(); sizes.disconnect(); host.remove(); };
}

export default { render };
