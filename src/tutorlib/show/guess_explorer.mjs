/**
 * Guessing game: labelled points appear one by one in the plane; the reader guesses each label, and so did a model.
 *
 * One ES module in the anywidget front-end format: `export default { render }`. The model of the widget holds `data`
 * (what `tutorlib.show.guess.guess_data` returns), `label`, and `selection` ({game, guesses}), which this module reads
 * and writes: a guess is the index of a class, or null for a point that was shown without asking. It needs no kernel,
 * no network and no other file.
 *
 * Game, score and the last point stand on the host element as data attributes.
 */

import { box, draw, hostOf, index, inkOn, lineStyles, make, plotBox, settle, tableBox, unpack } from "./parts.mjs";

const SIDE = 100; // of the plane, in units of its own
const CORNERS = { square: [4, 45], triangle: [3, -90], diamond: [4, 0], pentagon: [5, -90], wedge: [3, 90], hexagon: [6, 0] };
const CSS = `
.panels { align-items: start; }
.plane { width: 100%; max-width: 26rem; margin: 0 auto; aspect-ratio: 1; }
.plane svg { width: 100%; height: 100%; font-size: 3.6px; }
.plane rect { fill: none; stroke: var(--rule); stroke-width: .4; }
.plane line { stroke: var(--rule); stroke-width: .3; opacity: .7; }
.shape { stroke: var(--ink); stroke-width: .45; }
.plane text, .sign text { font-weight: 700; text-anchor: middle; dominant-baseline: central; }
.last { fill: none; stroke: var(--ink); stroke-width: .5; stroke-dasharray: 1.6 1; }
.new { fill: var(--paper); stroke: var(--accent); stroke-width: 1; }
.plane text.asked { fill: var(--ink); font-size: 4.6px; }
.sign { width: 1.35rem; height: 1.35rem; flex: none; font-size: 4.3px; overflow: visible; }
.ask { text-align: center; margin: .6rem 0 .4rem; font-weight: 600; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; justify-content: center; margin-bottom: .6rem; }
button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: .35rem;
  padding: .25rem .6rem; min-height: 2.25rem; cursor: pointer; display: inline-flex; gap: .35rem; align-items: center; }
button:hover:not(:disabled) { background: var(--raised); }
button:disabled { opacity: .45; cursor: default; }
kbd { font: inherit; font-size: .75rem; color: var(--soft); }
output { min-height: 4.6em; margin-top: 0; }
.verdict { display: block; font-weight: 600; }
.others { display: block; color: var(--soft); font-size: .875rem; }
.bars { display: grid; gap: .25rem; margin: 0 0 1rem; padding: 0; list-style: none; font-size: .8125rem; }
.bars li { display: grid; grid-template-columns: auto minmax(0, 1fr) 2.6rem; gap: .5rem; align-items: center; }
.bars .share { font-variant-numeric: tabular-nums; text-align: right; }
.track { background: var(--raised); border-radius: 2px; height: .7rem; overflow: hidden; forced-color-adjust: none; }
.fill { height: 100%; background: var(--c0); }
.caption { color: var(--soft); font-size: .8125rem; margin-bottom: .3rem; }
.score { width: 100%; margin: 0 0 1rem; }
.score td, .score th { white-space: nowrap; }
.score th:first-child { text-align: left; padding-left: 0; }
@container (min-width: 44rem) { .panels { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
`;

/** The data with its packed arrays as nested ones. */
function unpacked(data) {
  const arrays = ["points", "labels", "probabilities", "nearest"].map((name) => [name, unpack(data[name])]);
  const curves = data.curves.map((curve) => ({ ...curve, values: unpack(curve.values) }));
  return { ...data, ...Object.fromEntries(arrays), curves };
}

/** A legal selection: a game there is, and guesses that are classes or null, at most one for each point. */
function legal(data, wanted) {
  const game = index(wanted?.game, data.points.length);
  const guesses = Array.isArray(wanted?.guesses) ? wanted.guesses : [];
  const known = (guess) => (Number.isInteger(guess) && guess >= 0 && guess < data.classes.length ? guess : null);
  return { game, guesses: guesses.slice(0, data.labels[game].length).map(known) };
}

const argmax = (values) => values.indexOf(Math.max(...values));

/** The points of a selection that are already shown, each with its label and what everybody said of it. */
function shownPoints(data, { game, guesses }) {
  return guesses.map((reader, i) => ({
    place: data.points[game][i], label: data.labels[game][i], reader, probabilities: data.probabilities[game][i],
    model: argmax(data.probabilities[game][i]), nearest: data.nearest[game][i],
  }));
}

/** How many guesses of `who` were right and how many there were. The reader's points that were only shown count not. */
function score(shown, who) {
  const guessed = shown.filter((point) => point[who] !== null);
  return { right: guessed.filter((point) => point[who] === point.label).length, of: guessed.length };
}

/** Share right so far at every position; null where there is nothing to count, or no guess any more. */
function courseOf(shown, who, length) {
  const share = ({ right, of }) => (of ? right / of : null);
  const here = (i) => (i < shown.length && shown[i][who] !== null ? share(score(shown.slice(0, i + 1), who)) : null);
  return Array.from({ length }, (_, i) => here(i));
}

/** The shape of a class around a place, with its letter. */
function sign({ colour, letter, shape }, [x, y], size) {
  const turn = (count, start, radius) => Array.from({ length: count }, (_, i) => {
    const angle = ((start + (i * 360) / count) * Math.PI) / 180;
    const reach = radius(i) * size;
    return `${(x + reach * Math.cos(angle)).toFixed(2)},${(y + reach * Math.sin(angle)).toFixed(2)}`;
  }).join(" ");
  const outline = () => {
    if (shape === "circle") return draw("circle", { class: "shape", cx: x, cy: y, r: size * 0.92, style: `fill:${colour}` });
    const [count, start] = CORNERS[shape] ?? [10, -90];
    const radius = shape === "star" ? (i) => (i % 2 ? 0.65 : 1.3) : () => (count === 3 ? 1.35 : 1.12);
    return draw("polygon", { class: "shape", points: turn(count, start, radius), style: `fill:${colour}` });
  };
  return [outline(), draw("text", { x, y, style: `fill:${inkOn(colour)}` }, letter)];
}

/** A class by itself, as in a line of text. */
function badge(kind) {
  return draw("svg", { class: "sign", viewBox: "-5 -5 10 10", "aria-hidden": "true" }, sign(kind, [0, 0], 3.4));
}

const coordinates = (place) => place.map((value) => value.toFixed(2).replace("-", "−")).join(", ");

/** From places to the plane's own units, the same for both axes, so that all points of a game fit. */
function scaleOf(points) {
  const ends = [0, 1].map((axis) => [Math.min(...points.map((p) => p[axis])), Math.max(...points.map((p) => p[axis]))]);
  const span = Math.max(...ends.map(([low, high]) => high - low)) * 1.16 || 1;
  const along = (value, [low, high]) => ((value - (low + high) / 2) / span) * SIDE;
  return ([x, y]) => [SIDE / 2 + along(x, ends[0]), SIDE / 2 - along(y, ends[1])];
}

/** The plane with the points shown so far and the new one. */
function plane(data, s, shown) {
  const points = data.points[s.game];
  const pixel = scaleOf(points);
  const next = points[shown.length];
  const [left, top] = pixel([0, 0]).map((value) => Math.min(SIDE, Math.max(0, value))); // where the axes cross
  const last = shown.at(-1);
  const [cx, cy] = last ? pixel(last.place) : [];
  const asked = next && pixel(next);
  const name = `plane with ${shown.length} labelled points${next ? `; the new point lies at ${coordinates(next)}` : ""}`;
  return draw("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img", "aria-label": name }, [
    draw("rect", { x: 0, y: 0, width: SIDE, height: SIDE, rx: 1.5 }),
    draw("line", { x1: 0, x2: SIDE, y1: top, y2: top }),
    draw("line", { x1: left, x2: left, y1: 0, y2: SIDE }),
    ...shown.flatMap((point) => sign(data.classes[point.label], pixel(point.place), 2.9)),
    ...(last ? [draw("circle", { class: "last", cx, cy, r: 5 })] : []),
    ...(asked ? [draw("circle", { class: "new", cx: asked[0], cy: asked[1], r: 3.6 }),
      draw("text", { class: "asked", x: asked[0], y: asked[1] }, "?")] : []),
  ]);
}

/** What happened to the last point, and what comes next, in words. */
function verdict(data, s, shown) {
  const letter = (k) => data.classes[k].letter;
  const length = data.points[s.game].length;
  const last = shown.at(-1);
  if (!last) return [make("span", { class: "verdict" }, `Game ${s.game + 1} of ${data.points.length}: ${length} points, ${data.classes.length} labels.`),
    make("span", { class: "others" }, "The first guess is blind; each label that is shown helps with the next.")];
  const mine = last.reader === null ? "" : last.reader === last.label ? `Right: it is ${letter(last.label)}.` : `No: it is ${letter(last.label)}, not ${letter(last.reader)}.`;
  const sure = last.probabilities[last.model].toFixed(2);
  const { right, of } = score(shown, "reader");
  const tally = (who) => `${score(shown, who).right} of ${score(shown, who).of}`;
  const end = shown.length < length ? "" : `The game is over. You: ${of ? `${right} of ${of}` : "no guess"}, model: ${tally("model")}, 1-NN: ${tally("nearest")}. `;
  const others = `The model said ${letter(last.model)} (probability ${sure}), 1-NN said ${letter(last.nearest)}.`;
  return [make("span", { class: "verdict" }, `Point ${shown.length}. ${mine || `It is ${letter(last.label)}.`} `),
    make("span", { class: "others" }, `${others} ${end}`)];
}

/** The model's probabilities of the last point; empty bars before the first guess. */
function bars(data, shown) {
  const last = shown.at(-1);
  const row = (kind, k) => {
    const p = last?.probabilities[k] ?? null;
    const track = make("span", { class: "track" }, make("div", { class: "fill", style: `width:${100 * (p ?? 0)}%` }));
    const name = `label ${kind.letter}: ${p === null ? "not yet" : p.toFixed(3)}`;
    return make("li", {}, [badge(kind), track, make("span", { class: "share" }, [
      make("span", { class: "hidden" }, name), make("span", { "aria-hidden": "true" }, p === null ? "–" : p.toFixed(2))])]);
  };
  return data.classes.map(row);
}

/** The running score of reader, model and 1-NN as a table. */
function scoreRows(shown) {
  const percent = ({ right, of }) => (of ? `${Math.round((100 * right) / of)} %` : "–");
  const row = ([words, who]) => {
    const { right, of } = score(shown, who);
    const guess = (text) => make("td", {}, text);
    return make("tr", {}, [make("th", { scope: "row" }, words), guess(`${right} of ${of}`), guess(percent({ right, of }))]);
  };
  return [["you", "reader"], ["model", "model"], ["1-NN", "nearest"]].map(row);
}

/** The chart: shares right so far. */
function chartOf(data, shown) {
  const length = data.curves[0].values.length;
  const mine = [["you", "reader"], ["model", "model"]].map(([label, who]) => ({ label, values: courseOf(shown, who, length) }));
  const thin = data.curves.map((curve) => ({ ...curve, thin: true }));
  return {
    x: { label: "points shown", low: 1, high: length }, y: { label: "share right so far", low: 0, high: 1 },
    positions: Array.from({ length }, (_, i) => i + 1), lines: lineStyles([...thin, ...mine]),
    brief: (v) => v.toFixed(2).replace(/^0\./, "."), full: (v) => v.toFixed(3), empty: "nothing yet",
  };
}

/** Game and score on the host, where tests and other scripts can read them. */
function publish(host, data, s, shown) {
  const tally = (who) => `${score(shown, who).right}/${score(shown, who).of}`;
  Object.assign(host.dataset, {
    game: s.game + 1, shown: shown.length, reader: tally("reader"), model: tally("model"), nearest: tally("nearest"),
    label: shown.length ? data.classes[shown.at(-1).label].letter : "",
  });
}

/** The points so far as a table. */
function fillTable(table, data, shown) {
  const letter = (k) => (k === null ? "–" : data.classes[k].letter);
  const rows = shown.map((p, i) => [String(i + 1), coordinates(p.place), letter(p.label), letter(p.reader), letter(p.model), letter(p.nearest)]);
  table.set(["point", "place", "label", "you", "model", "1-NN"], rows);
}

/** Draw the game into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = unpacked(model.get("data"));
  const host = hostOf(model, "guess-explorer", CSS);
  let s = legal(data, model.get("selection"));
  const choose = (change) => {
    model.set("selection", legal(data, { ...s, ...change }));
    model.save_changes();
  };
  const over = () => s.guesses.length >= data.labels[s.game].length;
  const guess = (k) => { if (!over()) choose({ guesses: [...s.guesses, k] }); };
  const button = (words, onclick) => make("button", { type: "button", onclick }, words);
  const answers = data.classes.map((kind, k) => make("button", { type: "button", onclick: () => guess(k), "aria-label": `guess ${kind.letter}`, "aria-keyshortcuts": String(k + 1) },
    [badge(kind), make("kbd", {}, String(k + 1))]));
  const next = button("next game", () => choose({ game: (s.game + 1) % data.points.length, guesses: [] }));
  const restart = button("restart", () => choose({ guesses: [] }));
  const rest = button("show the rest", () => choose({ guesses: data.labels[s.game].map((_, i) => s.guesses[i] ?? null) }));
  next.hidden = data.points.length < 2;
  const parts = {
    plane: make("div", { class: "plane" }),
    ask: make("div", { class: "ask" }),
    said: make("output", { "aria-live": "polite" }),
    bars: make("ul", { class: "bars", "aria-label": "what the model said of this point" }),
    score: make("tbody"),
    plot: plotBox(() => chartOf(data, shownPoints(data, s))),
    table: tableBox("points so far"),
  };
  const caption = (words) => box("caption", words);
  host.shadowRoot.append(box("title", data.title), box("panels", [
    box("panel", [parts.plane, parts.ask, box("buttons", answers), box("buttons", [next, restart, rest])]),
    box("panel", [parts.said, caption("what the model said of this point"), parts.bars, caption("right guesses so far"),
      make("table", { class: "score" }, parts.score), parts.plot.node, parts.table.node]),
  ]), box("note", data.note));
  host.shadowRoot.addEventListener("keydown", (event) => {
    const k = Number(event.key) - 1;
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !data.classes[k]) return;
    event.preventDefault();
    guess(k);
  });

  function show() {
    s = legal(data, model.get("selection"));
    const shown = shownPoints(data, s);
    const focused = host.shadowRoot.activeElement;
    parts.plane.replaceChildren(plane(data, s, shown));
    parts.ask.textContent = over() ? "The game is over." : `Which label has point ${shown.length + 1}?`;
    parts.said.replaceChildren(...verdict(data, s, shown));
    parts.bars.replaceChildren(...bars(data, shown));
    parts.score.replaceChildren(...scoreRows(shown));
    fillTable(parts.table, data, shown);
    for (const one of [...answers, rest]) one.disabled = over();
    restart.disabled = shown.length === 0;
    if (focused?.disabled) (over() ? (next.hidden ? restart : next) : answers[0]).focus(); // a dead button holds no focus
    publish(host, data, s, shown);
    parts.plot.redraw();
  }
  return settle({ model, el }, host, show, parts.plot.stop);
}

export default { render };
