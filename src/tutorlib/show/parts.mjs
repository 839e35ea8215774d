/**
 * What the explorers share: elements, controls, a line chart, and light and dark.
 *
 * No explorer by itself. An explorer imports what it needs from here, and `tutorlib.show.explorer` puts the text of
 * this file in the place of the import, because a page can load no second file.
 */

const LINE_GAP = 15; // pixels between two direct labels
const DASHES = ["none", "6 4", "2 3", "8 3 2 3", "1 3", "12 4"];
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/** Style of what stands here; an explorer adds its own. */
export const STYLE = `
:host {
  --paper: var(--pst-color-background, var(--jp-layout-color0, #fff));
  --raised: var(--pst-color-surface, var(--jp-layout-color2, #f1f2f4));
  --ink: var(--pst-color-text-base, var(--jp-content-font-color1, #1f2430));
  --soft: var(--pst-color-text-muted, var(--jp-content-font-color2, #515b6b));
  --rule: var(--pst-color-border, var(--jp-border-color2, #cfd4da));
  --accent: var(--pst-color-primary, var(--jp-brand-color1, #0a6c7d));
  --blue: #0072b2; --vermillion: #b84300; --green: #00785a; --purple: #a0487a; --orange: #946200; --sky: #257790;
  --c0: var(--blue); --c1: var(--vermillion); --c2: var(--green); --c3: var(--purple);
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
  --blue: #6bbdf0; --vermillion: #ff8f66; --green: #35c79d; --purple: #e39cc4; --orange: #f0b13c; --sky: #a5dcf8;
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
output { display: block; margin: .7rem 0 1rem; }
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
.mark { fill: none; stroke: var(--ink); stroke-width: 1.25; }
line.mark { stroke-dasharray: 4 3; }
svg text.mark { fill: var(--ink); stroke: var(--paper); stroke-width: 4; paint-order: stroke; }
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
export const make = (tag, attributes, children) => fill(document.createElement(tag), attributes, children);
export const draw = (tag, attributes, children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
function fill(node, attributes = {}, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") node.style.cssText = value; // a page's rules for contents may refuse the attribute
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...[children].flat().filter((child) => child !== null));
  return node;
}

/** The nested arrays that `tutorlib.show.packing.pack` packed: numbers, and null for what is missing. */
export function unpack({ shape, decimals, low, width, text }) {
  const codeOf = (digits) => [...digits].reduce((sum, digit) => 64 * sum + DIGITS.indexOf(digit), 0);
  const number = (code) => {
    const value = code ? (low + code - 1) / 10 ** decimals : NaN; // 0 stands for what is missing
    return Number.isFinite(value) ? value : null; // nor is what no number of a browser holds
  };
  let entries = Array.from({ length: text.length / width }, (_, i) => number(codeOf(text.slice(i * width, (i + 1) * width))));
  for (const size of shape.slice(1).reverse()) {
    entries = Array.from({ length: entries.length / size }, (_, i) => entries.slice(i * size, (i + 1) * size));
  }
  return shape.length ? entries : entries[0];
}

/** A whole number from 0 to `size` - 1, whatever is wanted. */
export const index = (wanted, size) => Math.min(size - 1, Math.max(0, Math.round(wanted) || 0));

/** A power of ten as a reader writes it. */
function power(exponent) {
  if (exponent === 0 || exponent === 1) return String(10 ** exponent);
  return "10" + String(exponent).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");
}

/** A number to three digits, with a power of ten where it is very large or very small; whole numbers to the last digit. */
export function short(value) {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(2).split("e").map(Number);
  if (value === 0 || (exponent >= -3 && exponent < 4)) return String(Number(value.toPrecision(3))).replace("-", "−");
  const factor = mantissa === 1 ? "" : `${String(mantissa).replace("-", "−")}·`;
  return factor + power(exponent);
}

/** Red, green and blue of a colour such as #0072b2, each from 0 to 255. */
export const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Black or white, whichever stands out more on a colour (WCAG: at least 4.58 to 1). */
export function inkOn(hex) {
  const [r, g, b] = channels(hex).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** A labelled <select>; `pick` gets the index. */
export function selector(id, label, options, pick) {
  const list = make("select", { id, onchange: () => pick(list.selectedIndex) }, options.map((o) => make("option", {}, o)));
  const node = make("div", { class: "field" }, [make("label", { class: "name", for: id }, label), list]);
  return { node, set: (index) => { list.selectedIndex = index; } };
}

/** Radio buttons over the values of an axis, and nothing at all for an axis with one value. */
export function radios(id, axis, pick) {
  const radio = (_, i) => make("input", { type: "radio", name: id, id: `${id}${i}`, onchange: () => pick(i) });
  const inputs = axis.values.map(radio);
  const labels = inputs.map((input, i) => make("label", { for: `${id}${i}` }, [input, axis.values[i]]));
  const node = make("fieldset", { class: "field" }, [make("legend", {}, axis.label), make("div", { class: "choices" }, labels)]);
  node.hidden = axis.values.length < 2;
  return { node, set: (at) => { inputs[at].checked = true; } };
}

/** The slider over the positions of an axis; its label shows the value. */
export function slider(id, axis, pick) {
  const move = () => pick(input.valueAsNumber);
  const input = make("input", { type: "range", id, min: 0, max: axis.values.length - 1, oninput: move });
  const value = make("b");
  const name = make("label", { class: "name", for: id }, [`${axis.label}: `, value]);
  const node = make("div", { class: "field wide" }, [name, input]);
  node.hidden = axis.values.length < 2;
  const set = (at) => {
    input.value = at;
    value.textContent = axis.values[at];
    input.setAttribute("aria-valuetext", axis.values[at]);
  };
  return { node, set };
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

/** Exponents of the powers of ten between two numbers, at most about `count` of them, evenly spaced. */
function exponents(low, high, count) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first) / count));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i).filter((e) => e % every === 0);
}

/** Ticks of an axis as [place, words]. */
function marksOf({ low, high, log }, count) {
  if (log) return exponents(low, high, count).map((e) => [10 ** e, power(e)]);
  return ticks(low, high, count).map((t) => [t, String(t).replace("-", "−")]);
}

/** Share of the way along an axis, from 0 to 1. */
function share({ low, high, log }, value) {
  const along = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.min(1, Math.max(0, along));
}

/** Pixel scales of a chart and the box they span; the right margin holds the labels. */
function scales({ x, y, lines, room = 4, width }) {
  const margin = Math.max(...lines.map((line) => line.label.length + room), 4) * 7.6 + 16;
  const box = { left: 34, top: 24, right: width - Math.min(width * 0.5, margin), bottom: 222 };
  const px = (position) => box.left + share(x, position) * (box.right - box.left);
  const py = (value) => box.bottom - share(y, value) * (box.bottom - box.top);
  return { box, px, py, width };
}

/** Grid lines, ticks and the names of both axes. */
function frame({ x, y }, { box, px, py, width }) {
  const label = (words, left, top, anchor) => draw("text", { x: left, y: top, "text-anchor": anchor }, words);
  const rows = marksOf(y, 5).flatMap(([t, words]) => [
    draw("line", { class: "gridline", x1: box.left, x2: box.right, y1: py(t), y2: py(t) }), label(words, box.left - 6, py(t) + 4, "end")]);
  const columns = marksOf(x, Math.max(3, width / 90)).map(([t, words]) => label(words, px(t), box.bottom + 17, "middle"));
  const middle = Math.max((box.left + box.right) / 2, x.label.length * 3.2); // a long name starts at the left edge
  return [...rows, ...columns, label(y.label, 0, 11, "start"), label(x.label, middle, box.bottom + 34, "middle")];
}

/** One line, with gaps where numbers are missing. */
function stroke(positions, line, { px, py }, ghost) {
  const point = (v, i) => `${px(positions[i]).toFixed(1)},${py(v).toFixed(1)}`;
  const d = line.values.map((v, i) => (v === null ? "" : `${i && line.values[i - 1] !== null ? "L" : "M"}${point(v, i)}`)).join("");
  const kind = ghost ? "series ghost" : line.thin ? "reference" : line.under ? "series under" : "series";
  return draw("path", { class: kind, d, style: `stroke:${line.colour}`, "stroke-dasharray": ghost ? null : line.dash ?? null });
}

/** The lines' names and values where they are read, beside the chart, pushed apart so that none covers another. */
function labels({ brief }, readings, { box, py }) {
  const ends = readings.map((r) => ({ ...r, y: py(r.value) }));
  ends.sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => { end.y = Math.max(end.y, i ? ends[i - 1].y + LINE_GAP : box.top); });
  ends.reverse().forEach((end, i) => { end.y = Math.min(end.y, i ? ends[i - 1].y - LINE_GAP : box.bottom); });
  const place = (end) => ({ x: box.right + 10, y: end.y + 4, style: `fill:${end.colour}` });
  return ends.map((end) => draw("text", { class: end.thin ? "thin" : "strong", ...place(end) }, `${end.label} ${brief(end.value)}`));
}

/** A point to point out: an upright line with words at its foot and, where it has a height, a ring. */
function landmark({ x, y, label }, { box, px, py }) {
  const left = px(x);
  const [side, anchor] = left > (box.left + box.right) / 2 ? [-7, "end"] : [7, "start"];
  return [
    draw("line", { class: "mark", x1: left, x2: left, y1: box.top, y2: box.bottom }),
    draw("text", { class: "mark", x: left + side, y: box.bottom - 7, "text-anchor": anchor }, label),
    ...(y === null ? [] : [draw("circle", { class: "mark", cx: left, cy: py(y), r: 6 })]),
  ];
}

/** The lines of a chart: those with a colour's name have it, others those of the page; thin ones are grey and dashed. */
export function lineStyles(lines) {
  const thin = lines.filter((line) => line.thin), thick = lines.filter((line) => !line.thin);
  const styled = [
    ...thin.map((line, i) => ({ ...line, colour: `var(--${line.colour ?? "soft"})`, dash: DASHES[i % DASHES.length] })),
    ...thick.map((line, i) => ({ ...line, colour: `var(--${line.colour ?? `c${i}`})`, under: i === 0 && thick.length > 1 })),
  ];
  return styled.filter((line) => line.values?.some((value) => value !== null));
}

/** Where each line is read: at the probed position, or else at its own last number. */
function readingsOf({ lines, positions }, probe) {
  const place = (line) => probe ?? line.values.findLastIndex((value) => value !== null);
  const read = lines.map((line) => ({ ...line, value: line.values[place(line)], position: positions[place(line)] }));
  return read.filter(({ value }) => value !== null);
}

/** A chart in words: its axes, its marks, and what its lines say where they are read. */
function chartName({ x, y, positions, marks = [], full, empty }, readings, probe) {
  const told = marks.map((m) => `${m.label}: ${x.label} ${short(m.x)}${m.y === null ? "" : `, ${y.label} ${short(m.y)}`}; `);
  const here = probe === null ? Math.max(...readings.map((r) => r.position), readings.length ? -Infinity : positions.at(-1)) : positions[probe];
  const word = (r) => `${r.label} ${full(r.value)}${r.position === here ? "" : ` (at ${r.position})`}`;
  return `${y.label} against ${x.label}; ${told.join("")}at ${here}: ${readings.map(word).join(", ") || empty}`;
}

/**
 * A line chart. `chart` holds `x` and `y` ({label, low, high, log}), `positions`, `lines` (of `lineStyles`), `ghosts`
 * (lines to hint at), `marks` ({x, y, label}), `brief` and `full` (numbers to words), `room` (characters of a brief
 * number), and `empty` (what to say where there is no line). `probe` is the position at which all lines are read.
 */
function lineChart(chart, probe, width) {
  const { x, positions, lines, ghosts = [], marks = [] } = chart;
  const scale = scales({ ...chart, width });
  const { box, px, py } = scale;
  const readings = readingsOf(chart, probe);
  const dot = (r) => draw("circle", { cx: px(r.position), cy: py(r.value), r: r.under ? 4.25 : 2.75, style: `fill:${r.colour}` });
  const left = probe === null ? 0 : px(positions[probe]);
  const rule = probe === null ? [] : [
    draw("line", { class: "probe", x1: left, x2: left, y1: box.top, y2: box.bottom }),
    draw("text", { x: left, y: box.top - 6, "text-anchor": "middle" }, x.log ? short(positions[probe]) : String(positions[probe])),
  ];
  const svg = draw("svg", { width, height: 262, role: "img", "aria-label": chartName(chart, readings, probe) }, [
    ...frame(chart, scale),
    ...ghosts.map((l) => stroke(positions, l, scale, true)),
    ...lines.map((l) => stroke(positions, l, scale, false)),
    ...marks.flatMap((m) => landmark(m, scale)),
    ...rule,
    ...readings.filter((r) => !r.thin).map(dot),
    ...labels(chart, readings, scale),
  ]);
  const distance = (i, at) => Math.abs(px(positions[i]) - at);
  const nearest = (at) => positions.reduce((best, _, i) => (distance(i, at) < distance(best, at) ? i : best), 0);
  return { svg, nearest };
}

/** The box of a chart, drawn again by `redraw` and when its width or the pointed position changes. */
export function plotBox(chartNow) {
  let probe = null, width = 0, nearest = null;
  const node = make("div", { class: "chart", onpointerenter: point, onpointermove: point, onpointerleave: () => redraw(null) });
  function redraw(pointed = probe) {
    probe = pointed;
    if (width <= 0) return; // not yet on the page
    const drawn = lineChart(chartNow(), probe, width);
    nearest = drawn.nearest;
    node.replaceChildren(drawn.svg);
  }
  function point(event) {
    if (nearest) redraw(nearest(event.clientX - node.getBoundingClientRect().left));
  }
  const sizes = new ResizeObserver(() => {
    if (node.clientWidth === width) return;
    width = node.clientWidth;
    requestAnimationFrame(() => redraw()); // drawing at once would resize what is being observed
  });
  sizes.observe(node);
  return { node, redraw, stop: () => sizes.disconnect() };
}

/** Numbers as a table with the words of `head`, for readers who cannot see or point at a line; it opens on demand. */
export function tableBox(summary) {
  const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": summary });
  const node = make("details", {}, [make("summary", {}, summary), scroll]);
  const set = (head, rows) => {
    const heads = head.map((words) => make("th", { scope: "col" }, words));
    const row = ([first, ...rest]) => make("tr", {}, [make("th", { scope: "row" }, first), ...rest.map((words) => make("td", {}, words))]);
    scroll.replaceChildren(make("table", {}, [make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows.map(row))]));
  };
  return { node, set };
}

/** The box of an explorer, in a shadow tree of its own, named for screen readers and not yet on the page. */
export function hostOf(model, kind, css) {
  // This attribute keeps JupyterLab from reading keys pressed in here as its own shortcuts.
  const quiet = { "data-lm-suppress-shortcuts": "true" };
  const name = model.get("label") || model.get("data").title;
  const host = make("div", { class: `tutorlib-${kind}`, role: "group", "aria-label": name, ...quiet });
  const sheet = new CSSStyleSheet(); // not a style element: a page's rules for contents may refuse that
  sheet.replaceSync(STYLE + css);
  host.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  return host;
}

/** A box of a class. */
export const box = (name, children) => make("div", { class: name }, children);

/** Is the page dark? Jupyter, the book's theme, Colab and VS Code say so; else the reader's system does. */
export function dark() {
  const { documentElement: html, body } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  const theme = html.dataset.theme ?? html.getAttribute("theme") ?? body.dataset.vscodeThemeKind;
  return theme ? theme.includes("dark") : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Call back now and whenever the page changes between light and dark; returns how to stop. */
export function followTheme(changed) {
  const attributeFilter = ["data-theme", "theme", "data-jp-theme-light", "data-vscode-theme-kind"];
  const watcher = new MutationObserver(changed);
  for (const node of [document.documentElement, document.body]) watcher.observe(node, { attributeFilter });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  changed();
  return () => { watcher.disconnect(); media.removeEventListener("change", changed); };
}

/** Put `host` into `el`, keep it in the page's light or dark and in step with the model; returns the clean-up. */
export function settle({ model, el }, host, show, stop) {
  el.append(host);
  show();
  const forget = followTheme(() => { host.dataset.scheme = dark() ? "dark" : "light"; });
  model.on("change:selection", show);
  return () => { model.off("change:selection", show); forget(); stop(); host.remove(); };
}
