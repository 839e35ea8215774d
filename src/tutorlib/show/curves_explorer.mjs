/**
 * Curves explorer: a few choosers, one chart of curves with marks, and a readout of numbers.
 *
 * One ES module in the anywidget front-end format: `export default { render }`. The model holds `data` (what
 * `tutorlib.show.curves.curves_data` returns), `label`, and `selection` (an index per chooser name), which this module
 * reads and writes. It needs no kernel, no network and no other file.
 *
 * What is chosen, and every number of the readout, stands on the host element as data attributes.
 */

import {
  box, hostOf, index, lineStyles, make, plotBox, radios, settle, short, slider, tableBox, unpack,
} from "./parts.mjs";

const CSS = `
.panels { align-items: start; }
.words { grid-column: 1 / -1; }
.words b { text-align: left; }
@container (min-width: 38rem) { .panels { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); } }
`;

/** The data with the packed lines as nested numbers; on a logarithmic axis the logarithms were packed. */
function unpacked(data) {
  const raise = (entry) => (Array.isArray(entry) ? entry.map(raise) : entry === null ? null : 10 ** entry);
  const values = (line) => (data.y.log ? raise(unpack(line.values)) : unpack(line.values));
  return { ...data, lines: data.lines.map((line) => ({ ...line, values: values(line) })) };
}

/** Entry of values nested by the choosers `over`; null where there is none. */
const at = (values, over, s) => over.reduce((rest, name) => rest?.[s[name]], values) ?? null;

/** A legal selection: what is wanted, cut to the choosers. */
function legal(data, wanted) {
  const s = { ...data.start, ...wanted };
  return Object.fromEntries(data.choosers.map(({ name, values }) => [name, index(s[name], values.length)]));
}

/** The chart of a selection. */
function chartOf(data, s) {
  const lines = data.lines.map((line) => ({ ...line, values: at(line.values, line.over, s) }));
  const marks = data.marks.map(({ label, x, y, over }) => ({ label, x: at(x, over, s), y: at(y, over, s) }));
  return {
    x: data.x, y: data.y, positions: data.positions,
    lines: lineStyles(lines), marks: marks.filter((mark) => mark.x !== null),
    brief: short, full: short, room: 8, empty: "nothing",
  };
}

/** The readout: what is chosen, for screen readers, and the numbers. */
function readout(data, s) {
  const chosen = data.choosers.map(({ name, label, values }) => `${label} ${values[s[name]]}`).join(", ");
  const rows = data.numbers.flatMap(({ label, values, over }) => {
    const value = at(values, over, s);
    if (typeof value === "string") return [make("span", { class: "words" }, [`${label} `, make("b", {}, `${value} `)])];
    return [make("span", {}, `${label} `), make("b", {}, `${short(value)} `)];
  });
  return [make("span", { class: "hidden" }, `${chosen}: `), make("span", { class: "numbers" }, rows)];
}

/** The chart's numbers as a table. */
function fillTable(table, { x, lines, positions }) {
  const rows = positions.map((p, i) => [short(p), ...lines.map((l) => short(l.values[i]))]);
  table.set([x.label, ...lines.map((l) => l.label)], rows);
}

/** Write the selection and its numbers on the host, where tests and other scripts can read them. */
function publish(host, data, s) {
  for (const { name, values } of data.choosers) host.setAttribute(`data-${name}`, values[s[name]]);
  for (const { name, values, over } of data.numbers) host.setAttribute(`data-value-${name}`, at(values, over, s) ?? "");
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = unpacked(model.get("data"));
  const host = hostOf(model, "curves-explorer", CSS);
  let s = legal(data, model.get("selection"));
  const control = (chooser) => (chooser.kind === "buttons" ? radios : slider)(chooser.name, chooser, (i) => {
    model.set("selection", legal(data, { ...s, [chooser.name]: i }));
    model.save_changes();
  });
  const controls = data.choosers.map(control);
  const said = make("output", { "aria-live": "polite" });
  const plot = plotBox(() => chartOf(data, s));
  const table = tableBox("numbers of the chart");
  host.shadowRoot.append(box("title", data.title), box("controls", controls.map(({ node }) => node)),
    box("panels", [box("panel", [plot.node, table.node]), box("panel", said)]), box("note", data.note));

  function show() {
    s = legal(data, model.get("selection"));
    data.choosers.forEach(({ name }, i) => controls[i].set(s[name]));
    said.replaceChildren(...readout(data, s));
    fillTable(table, chartOf(data, s));
    publish(host, data, s);
    plot.redraw();
  }
  return settle({ model, el }, host, show, plot.stop);
}

export default { render };
