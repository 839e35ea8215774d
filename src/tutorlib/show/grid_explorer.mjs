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
  display: block; box-sizing: border-box; padding: .25rem 0;
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
.controls { display: flex; flex-wrap: wrap; gap: .7rem 2rem; align-items: end; margin-bottom: 1rem; }
.field { display: flex; flex-direction: column; gap: .2rem; min-width: 0; border: 0; margin: 0; padding: 0; }
.field.wide { flex: 1 1 15rem; }
.name, legend { color: var(--soft); font-size: .8125rem; padding: 0; }
.name b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
select, input { font: inherit; color: inherit; accent-color: var(--accent); }
select { background: var(--paper); border: 1px solid var(--rule); border-radius: .3rem; padding: .15rem .3rem; max-width: 100%; }
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
.cell.marked::after { content: ""; position: absolute; right: 3px; top: 3px; width: 5px; height: 5px; border-radius: 50%; background: currentColor; }
.cell:hover { outline: 1px solid var(--ink); outline-offset: 1px; z-index: 1; }
.cell[aria-selected="true"] { outline: 2px solid var(--ink); outline-offset: 1px; z-index: 2; }
.grid:focus-within .cell:focus-visible { outline: 3px solid var(--accent); }
.legend { margin: .8rem 0 0; font-size: .8125rem; display: grid; gap: .3rem; }
.bar { height: .55rem; border-radius: 2px; forced-color-adjust: none; }
.ends { display: flex; justify-content: space-between; color: var(--soft); font-variant-numeric: tabular-nums; }
.key { display: flex; gap: .45rem; align-items: center; }
.swatch { flex: none; width: 1.25rem; height: 1.25rem; border-radius: 2px; display: grid; place-items: center; font-size: .6875rem; line-height: 1; forced-color-adjust: none; position: relative; }
.tip { position: absolute; z-index: 5; pointer-events: none; background: var(--paper); color: var(--ink); border: 1px solid var(--rule);
  border-radius: .3rem; box-shadow: 0 2px 10px #0003; padding: .4rem .6rem; font-size: .8125rem; width: max-content; max-width: 17rem; }
.chosen { display: flex; flex-wrap: wrap; gap: .4rem 1rem; }
output { display: block; margin: .7rem 0 .2rem; }
.phase { display: flex; gap: .45rem; align-items: center; font-weight: 600; flex-wrap: wrap; }
.phase i { font-style: normal; font-weight: 400; color: var(--soft); font-size: .875rem; }
.meaning { display: block; color: var(--soft); font-size: .875rem; }
.numbers { display: grid; grid-template-columns: 1fr auto; gap: 0 .8rem; font-size: .875rem; margin-top: .3rem; }
.numbers b { font-variant-numeric: tabular-nums; text-align: right; font-weight: 600; }
.numbers i { font-style: normal; font-weight: 400; color: var(--soft); }
.chart { min-height: 240px; }
svg { display: block; overflow: visible; font-size: 12px; font-variant-numeric: tabular-nums; }
svg text { fill: var(--soft); }
.gridline { stroke: var(--rule); stroke-width: 1; opacity: .55; }
.series { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
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
.note { color: var(--soft); font-size: .8125rem; margin-top: 1rem; max-width: 70ch; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (min-width: 38rem) { .panels { grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); } }
`;

/** An element (SVG when `svg` is set) with attributes, `on…` listeners and children. */
function make(tag, attributes = {}, children = [], svg = false) {
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...[children].flat().filter((child) => child !== null));
  return node;
}
const draw = (tag, attributes, children) => make(tag, attributes, children, true);

/** Entry of a [toggle][step][y][x] array at a selection; null where there is no run. */
const at = (array, s) => array?.[s.toggle]?.[s.step]?.[s.y]?.[s.x] ?? null;

/** A stored whole number as text: the data are in units of 10^-decimals. */
const text = (data, stored) => (stored === null ? "" : (stored / 10 ** data.decimals).toFixed(data.decimals));
const number = (data, stored) => (stored === null ? null : stored / 10 ** data.decimals);

/** The same value for a small cell: two digits that matter, no leading zero. */
function brief(data, metric, stored) {
  const span = metric.high - metric.low;
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
  const linear = channels(hex).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 ? "#000" : "#fff";
}

/** A legal selection: what is wanted, cut to the axes; the last step and the marked cell otherwise. */
function legal(data, wanted) {
  const known = [...data.metrics.map((m) => m.name), ...(data.phases ? ["phase"] : [])];
  const start = { x: data.marker?.x ?? 0, y: data.marker?.y ?? 0, step: Infinity, toggle: 0, metric: known.at(-1) };
  const s = { ...start, ...data.start, ...wanted };
  const cut = (index, axis) => Math.min(axis.values.length - 1, Math.max(0, Math.round(index) || 0));
  return {
    x: cut(s.x, data.x), y: cut(s.y, data.y), step: cut(Math.min(s.step, 1e9), data.slider), toggle: cut(s.toggle, data.toggle),
    metric: known.includes(s.metric) ? s.metric : known.at(-1),
  };
}

/** What a cell says, in words and numbers. */
function reading(data, s) {
  const phase = data.phases?.[at(data.phase, s)] ?? null;
  const votes = at(data.votes, s);
  return {
    phase,
    votes: phase && votes !== null ? `${votes} of ${data.seeds} seeds` : "",
    place: `${data.x.label} ${data.x.values[s.x]}, ${data.y.label} ${data.y.values[s.y]}`,
    setting: `${data.slider.label} ${data.slider.values[s.step]}, ${data.toggle.label} ${data.toggle.values[s.toggle]}`,
    missing: !phase && data.metrics.every((m) => at(data.values[m.name], s) === null),
    numbers: data.metrics.map((m) => {
      const [low, high] = [at(data.low?.[m.name], s), at(data.high?.[m.name], s)];
      const range = low !== null && high !== null ? `${text(data, low)} to ${text(data, high)}` : "";
      return { label: m.label, value: text(data, at(data.values[m.name], s)) || "no run", range };
    }),
  };
}

/** Paint of one cell under the chosen colouring: background, ink, and the words on it. */
function paint(data, s) {
  const metric = data.metrics.find((m) => m.name === s.metric);
  if (!metric) {
    const phase = data.phases[at(data.phase, s)];
    const votes = at(data.votes, s);
    return phase ? { colour: phase.colour, words: phase.short, aside: votes !== null && votes < data.seeds ? `${votes}/${data.seeds}` : "" } : null;
  }
  const stored = at(data.values[s.metric], s);
  if (stored === null) return null;
  return { colour: heat((number(data, stored) - metric.low) / (metric.high - metric.low)), words: brief(data, metric, stored), aside: "" };
}

const swatch = (colour, words) => make("span", { class: "swatch", style: `background:${colour};color:${inkOn(colour)}`, "aria-hidden": "true" }, words);

/** A labelled <select>; `pick` gets the index. */
function selector(id, label, options, pick) {
  const list = make("select", { id, onchange: () => pick(list.selectedIndex) }, options.map((o) => make("option", {}, o)));
  const node = make("div", { class: "field" }, [make("label", { class: "name", for: id }, label), list]);
  return { node, set: (index) => { list.selectedIndex = index; } };
}

/** The toggle: radio buttons, and nothing at all for an axis with one value. */
function toggle(axis, pick) {
  const inputs = axis.values.map((_, i) => make("input", { type: "radio", name: "toggle", id: `toggle${i}`, onchange: () => pick(i) }));
  const labels = inputs.map((input, i) => make("label", { for: `toggle${i}` }, [input, axis.values[i]]));
  const node = make("fieldset", { class: "field" }, [make("legend", {}, axis.label), make("div", { class: "choices" }, labels)]);
  node.hidden = axis.values.length < 2;
  return { node, set: (index) => { inputs[index].checked = true; } };
}

/** The slider over the positions of an axis; the label shows the value. */
function slider(axis, pick) {
  const input = make("input", { type: "range", id: "slider", min: 0, max: axis.values.length - 1, step: 1, oninput: () => pick(input.valueAsNumber) });
  const value = make("b");
  const node = make("div", { class: "field wide" }, [make("label", { class: "name", for: "slider" }, [`${axis.label}: `, value]), input]);
  node.hidden = axis.values.length < 2;
  const set = (index) => {
    input.value = index;
    value.textContent = axis.values[index];
    input.setAttribute("aria-valuetext", axis.values[index]);
  };
  return { node, set };
}

const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], Home: [-Infinity, 0], End: [Infinity, 0] };

/** The heat map: an ARIA grid in which the arrow keys move the selection. The first y value is the lowest row. */
function heatMap(data, current, pick, hover) {
  const columns = data.x.values.length;
  const cells = data.y.values.map((_, y) => data.x.values.map((_, x) =>
    make("div", { role: "gridcell", class: "cell", onclick: () => pick({ x, y }), onmouseenter: (event) => hover({ x, y }, event.currentTarget) })));
  const rows = data.y.values.map((value, y) =>
    make("div", { role: "row", class: "row" }, [make("span", { role: "rowheader", class: "head y" }, value), ...cells[y]]));
  const foot = make("div", { role: "row", class: "row" }, [make("span", { class: "head" }),
    ...data.x.values.map((value) => make("span", { role: "columnheader", class: "head x" }, value))]);
  const grid = make("div", { role: "grid", class: "grid", "aria-label": `${data.y.label} by ${data.x.label}`, onmouseleave: () => hover(null),
    onkeydown: (event) => {
      const [dx, dy] = STEPS[event.key] ?? [];
      if (dx === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const s = current();
      pick(legal(data, { ...s, x: Math.max(0, Math.min(columns - 1, s.x + dx)), y: s.y + dy }));
      cells[current().y][current().x].focus();
    } }, [...rows.reverse(), foot]);
  const show = (s) => cells.forEach((row, y) => row.forEach((cell, x) => drawCell(data, cell, { ...s, x, y }, x === s.x && y === s.y)));
  const widest = Math.max(...data.y.values.map((value) => value.length));
  return { node: grid, show, head: `calc(${widest}ch + .5rem)` };
}

function drawCell(data, cell, s, selected) {
  const look = paint(data, s);
  const said = reading(data, s);
  const marked = data.marker?.x === s.x && data.marker?.y === s.y;
  cell.className = `cell${look ? "" : " missing"}${marked ? " marked" : ""}`;
  cell.style.cssText = look ? `background:${look.colour};color:${inkOn(look.colour)}` : "";
  cell.replaceChildren(make("span", {}, look ? [look.words, look.aside ? make("small", {}, look.aside) : null] : "–"));
  cell.tabIndex = selected ? 0 : -1;
  cell.setAttribute("aria-selected", selected);
  const words = said.missing ? "no run" : [said.phase?.name, ...(s.metric === "phase" ? [said.votes] : [look?.words])].filter(Boolean).join(", ");
  cell.setAttribute("aria-label", `${said.place}: ${words || "no run"}${marked ? `; ${data.marker.text}` : ""}`);
}

/** The legend under the map: a colour bar or the phases, the mark, and what hatching means. */
function legend(data, s) {
  const metric = data.metrics.find((m) => m.name === s.metric);
  const keys = metric
    ? [make("div", { class: "bar", style: `background:linear-gradient(90deg,${HEAT.join(",")})` }),
       make("div", { class: "ends" }, [make("span", {}, String(metric.low)), make("span", {}, metric.label), make("span", {}, String(metric.high))])]
    : data.phases.map((p) => make("div", { class: "key" }, [swatch(p.colour, p.short), p.name]));
  if (data.marker) keys.push(make("div", { class: "key" }, [make("span", { class: "swatch cell marked", "aria-hidden": "true" }), data.marker.text]));
  const hatched = data.y.values.some((_, y) => data.x.values.some((_, x) => !paint(data, { ...s, x, y })));
  if (hatched) keys.push(make("div", { class: "key" }, [make("span", { class: "swatch cell missing", "aria-hidden": "true" }, "–"), "hatched: no run"]));
  return keys;
}

/** The selected cell in words: phase, seeds, and every number with its range. */
function sentence(data, s) {
  const said = reading(data, s);
  const head = make("span", { class: "hidden" }, `${said.place}, ${said.setting}: `);
  if (said.missing) return [head, make("span", { class: "phase" }, "no run for this cell")];
  const phase = said.phase && make("span", { class: "phase" }, [swatch(said.phase.colour, said.phase.short), `${said.phase.name} `, make("i", {}, said.votes)]);
  const numbers = said.numbers.flatMap((n) => [make("span", {}, `${n.label} `),
    make("b", {}, [n.value, n.range ? make("i", {}, ` (${n.range})`) : null, " "])]);
  const meaning = said.phase?.meaning ? make("span", { class: "meaning" }, `${said.phase.meaning} `) : null;
  return [head, phase, meaning, make("span", { class: "numbers" }, numbers)];
}

/** Round tick positions: steps of 1, 2 or 5 times a power of ten. */
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

/** Lines of one cell: {label, values, kind, dash}, the curves first and then the references. */
function linesOf(data, s) {
  const curves = data.chart.curves.map((c, i) => ({ label: c.label, values: at(c.values, s), colour: `var(--c${i})`, kind: "series" }));
  const dashes = ["none", "6 4", "2 3", "8 3 2 3", "1 3", "12 4"];
  const references = data.chart.references.map((r, i) => ({ label: r.label, values: r.values, colour: "var(--soft)", kind: "reference", dash: dashes[i % dashes.length] }));
  return [...curves, ...references].filter((line) => line.values);
}

/** SVG path through the points that exist. */
function path(points) {
  let pen = "M";
  return points.map(([x, y]) => {
    if (y === null) { pen = "M"; return ""; }
    const piece = `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
    pen = "L";
    return piece;
  }).join("");
}

/** Push labels apart so that none covers another, within [top, bottom]. */
function spread(labels, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { label.y = Math.max(label.y, i ? labels[i - 1].y + LINE_GAP : top); });
  labels.reverse().forEach((label, i) => { label.y = Math.min(label.y, i ? labels[i - 1].y - LINE_GAP : bottom); });
  return labels;
}

/** The line chart; `probe` is the position whose values stand at the line ends, `ghost` a hovered cell. */
function chart(data, s, ghost, probe, width) {
  const { positions, low, high, x: xLabel, y: yLabel } = data.chart;
  const lines = linesOf(data, s);
  const longest = Math.max(4, ...lines.map((line) => line.label.length + 4));
  const box = { left: 34, top: 24, right: width - Math.min(width * 0.4, longest * 6.3 + 14), bottom: 222 };
  const first = positions[0], last = positions.at(-1);
  const px = (position) => box.left + ((position - first) / (last - first || 1)) * (box.right - box.left);
  const py = (value) => box.bottom - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * (box.bottom - box.top);
  const trace = (values) => path(values.map((v, i) => [px(positions[i]), v === null ? null : py(number(data, v))]));
  const here = probe ?? positions.length - 1;
  const frame = [
    ...ticks(low, high, 5).flatMap((t) => [draw("line", { class: "gridline", x1: box.left, x2: box.right, y1: py(t), y2: py(t) }),
      draw("text", { x: box.left - 6, y: py(t) + 4, "text-anchor": "end" }, String(t))]),
    ...ticks(first, last, Math.max(3, Math.floor(width / 90))).map((t) => draw("text", { x: px(t), y: box.bottom + 17, "text-anchor": "middle" }, String(t))),
    draw("text", { x: 0, y: 11 }, yLabel),
    draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, xLabel),
  ];
  const faint = ghost ? linesOf(data, ghost).filter((l) => l.kind === "series") : [];
  const drawn = [...faint.map((l) => draw("path", { class: "series ghost", d: trace(l.values), style: `stroke:${l.colour}` })),
    ...lines.toReversed().map((l) => draw("path", { class: l.kind, d: trace(l.values), style: `stroke:${l.colour}`, "stroke-dasharray": l.dash ?? null }))];
  const ends = spread(lines.filter((l) => l.values[here] !== null).map((l) => ({ ...l, from: py(number(data, l.values[here])),
    y: py(number(data, l.values[here])), value: text(data, l.values[here]) })), box.top, box.bottom);
  const labels = ends.map((l) => draw("text", { class: l.kind === "series" ? "strong" : "", x: box.right + 10, y: l.y + 4, style: `fill:${l.colour}` },
    `${l.label} ${Number(l.value).toFixed(Math.min(2, data.decimals)).replace(/^0\./, ".")}`));
  const dots = ends.filter((l) => l.kind === "series").map((l) => draw("circle", { cx: px(positions[here]), cy: l.from, r: 3.5, style: `fill:${l.colour}` }));
  const rule = probe === null ? [] : [draw("line", { class: "probe", x1: px(positions[probe]), x2: px(positions[probe]), y1: box.top, y2: box.bottom }),
    draw("text", { x: px(positions[probe]), y: box.top - 6, "text-anchor": "middle" }, String(positions[probe]))];
  const words = ends.toReversed().map((l) => `${l.label} ${l.value}`).join(", ");
  const svg = draw("svg", { width, height: 262, role: "img", "aria-label": `${yLabel} against ${xLabel}; at ${positions[here]}: ${words || "no run"}` },
    [...frame, ...drawn, ...rule, ...dots, ...labels]);
  const nearest = (left) => positions.reduce((best, p, i) => (Math.abs(px(p) - left) < Math.abs(px(positions[best]) - left) ? i : best), 0);
  return { svg, nearest };
}

/** The chart's numbers as a table, for readers who cannot see or point at a line. */
function table(data, s) {
  const lines = linesOf(data, s);
  const head = make("tr", {}, [data.chart.x, ...lines.map((l) => l.label)].map((words) => make("th", { scope: "col" }, words)));
  const rows = data.chart.positions.map((p, i) => make("tr", {}, [make("th", { scope: "row" }, String(p)), ...lines.map((l) => make("td", {}, text(data, l.values[i]) || "–"))]));
  return make("table", {}, [make("thead", {}, head), make("tbody", {}, rows)]);
}

/** Is the page dark? The theme says so; if it says nothing, the reader's system does. */
function dark() {
  const { documentElement: html, body } = document;
  const theme = html.dataset.theme ?? html.getAttribute("theme") ?? body.dataset.vscodeThemeKind;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  return theme ? theme.includes("dark") : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Call back now and whenever the page changes between light and dark; returns how to stop. */
function followTheme(changed) {
  const watcher = new MutationObserver(changed);
  for (const node of [document.documentElement, document.body]) watcher.observe(node, { attributes: true, attributeFilter: ["data-theme", "theme", "data-jp-theme-light", "data-vscode-theme-kind"] });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  changed();
  return () => { watcher.disconnect(); media.removeEventListener("change", changed); };
}

/** Write the selection and its numbers on the host, where tests and other scripts can read them. */
function publish(host, data, s) {
  const facts = { x: data.x.values[s.x], y: data.y.values[s.y], step: data.slider.values[s.step], toggle: data.toggle.values[s.toggle], metric: s.metric,
    phase: data.phases?.[at(data.phase, s)]?.name ?? "" };
  for (const [name, value] of Object.entries(facts)) host.setAttribute(`data-${name}`, value);
  for (const m of data.metrics) host.setAttribute(`data-value-${m.name}`, text(data, at(data.values[m.name], s)));
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = model.get("data");
  const host = make("div", { class: "tutorlib-grid-explorer", role: "group", "aria-label": model.get("label") || data.title, "data-lm-suppress-shortcuts": "true" });
  const root = host.attachShadow({ mode: "open" });
  let s = legal(data, model.get("selection"));
  let ghost = null, probe = null, width = 0;
  const pick = (change) => { model.set("selection", { ...s, ...change }); model.save_changes(); };

  const colourings = [...data.metrics.map((m) => [m.name, m.label]), ...(data.phases ? [["phase", "phase"]] : [])];
  const controls = {
    toggle: toggle(data.toggle, (i) => pick({ toggle: i })),
    metric: selector("metric", "colour by", colourings.map(([, label]) => label), (i) => pick({ metric: colourings[i][0] })),
    step: slider(data.slider, (i) => pick({ step: i })),
    x: selector("x", data.x.label, data.x.values, (i) => pick({ x: i })),
    y: selector("y", data.y.label, data.y.values, (i) => pick({ y: i })),
  };
  const map = heatMap(data, () => s, pick, hover);
  const tip = make("div", { class: "tip", "aria-hidden": "true" });
  const key = make("div", { class: "legend" });
  const said = make("output", { "aria-live": "polite" });
  const plot = make("div", { class: "chart", onpointermove: point, onpointerleave: () => { probe = null; redraw(); } });
  const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "numbers of the chart" });
  const left = make("div", { class: "panel", style: `--head:${map.head};--columns:${data.x.values.length}` },
    [make("div", { class: "axis" }, `${data.y.label} ↑`), map.node, make("div", { class: "axis below" }, `${data.x.label} →`), key, tip]);
  const right = make("div", { class: "panel" }, [make("div", { class: "chosen" }, [controls.x.node, controls.y.node]), said, plot,
    make("details", {}, [make("summary", {}, "numbers of the chart"), scroll])]);
  root.append(make("style", {}, CSS), make("div", { class: "title" }, data.title),
    make("div", { class: "controls" }, [controls.step.node, controls.toggle.node, controls.metric.node]),
    make("div", { class: "panels" }, [left, right]), make("div", { class: "note" }, data.note));

  let nearest = () => null;
  function redraw() {
    if (width <= 0) return;
    const drawn = chart(data, s, ghost, probe, width);
    nearest = drawn.nearest;
    plot.replaceChildren(drawn.svg);
  }
  function point(event) {
    probe = nearest(event.clientX - plot.getBoundingClientRect().left);
    redraw();
  }
  function hover(place, cell) {
    ghost = place && { ...s, ...place };
    tip.hidden = !place;
    if (place) showTip(data, ghost, tip, cell, left);
    redraw();
  }
  function show() {
    s = legal(data, model.get("selection"));
    map.show(s);
    key.replaceChildren(...legend(data, s));
    said.replaceChildren(...sentence(data, s).filter(Boolean));
    scroll.replaceChildren(table(data, s));
    for (const name of ["toggle", "step", "x", "y"]) controls[name].set(s[name]);
    controls.metric.set(colourings.findIndex(([name]) => name === s.metric));
    publish(host, data, s);
    hover(null);
  }
  const sizes = new ResizeObserver(() => {
    if (plot.clientWidth === width) return;
    width = plot.clientWidth;
    requestAnimationFrame(redraw); // drawing inside the observer would make it report a loop
  });
  el.append(host);
  show();
  sizes.observe(plot);
  const forget = followTheme(() => { host.dataset.scheme = dark() ? "dark" : "light"; redraw(); });
  model.on("change:selection", show);
  return () => { model.off("change:selection", show); forget(); sizes.disconnect(); host.remove(); };
}

/** The numbers of a hovered cell beside it, inside the panel. */
function showTip(data, s, tip, cell, panel) {
  const said = reading(data, s);
  tip.replaceChildren(make("b", {}, said.place), ...sentence(data, s).filter(Boolean).slice(1));
  const [box, within] = [cell.getBoundingClientRect(), panel.getBoundingClientRect()];
  tip.style.left = `${Math.max(0, Math.min(box.left - within.left, within.width - tip.offsetWidth))}px`;
  tip.style.top = `${box.bottom - within.top + 6}px`;
}

export default { render };
