/**
 * Dial explorer: drag a command, and the policy that a trained generator writes for it swings a pendulum.
 *
 * One ES module in the anywidget front-end format: `export default { render }`. The model holds `data` (what
 * `tutorlib.show.dial.dial_data` returns), `label`, and `selection` ({command, stage}, indices), which this module reads
 * and writes. It needs no kernel, no network and no other file.
 *
 * Policies are written and played here, in the order of `tutorlib.papers.gogepo.model` and in float64. `write`, `act` and
 * `episodeOf` are exported so that this can be held against it.
 */

import { box, channels, draw, hostOf, index, make, radios, settle, short, slider, tableBox } from "./parts.mjs";

const HEAT = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"]; // viridis
const WIDE = 368, HIGH = 372; // of each picture, in its own units
const REST = 1200; // milliseconds between the end of an episode and its next beginning
const SPEEDS = [0.5, 1, 2];
const CSS = `
.panels { grid-template-columns: minmax(0, 1fr); gap: 1rem 1.2rem; align-items: end; }
.panel:last-child { align-self: start; }
@container (min-width: 38rem) { .panels { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
.panel svg { width: 100%; height: auto; min-height: 22.5rem; touch-action: pan-y; }
svg.dial { cursor: ew-resize; }
.caption { color: var(--soft); font-size: .8125rem; min-height: 2.6em; margin-bottom: .2rem; }
.caption b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; align-items: end; }
button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: .35rem;
  padding: .25rem .7rem; min-height: 2.25rem; cursor: pointer; }
button:hover { background: var(--raised); }
select { min-height: 2.25rem; }
input[type="range"] { height: 2.25rem; }
output { margin: 0 0 .4rem; min-height: 1.45em; font-size: 1.0625rem; }
.rod { stroke: var(--ink); stroke-width: 5; stroke-linecap: round; }
.rod.before { stroke: var(--soft); stroke-width: 2.5; stroke-dasharray: 2 5; }
.bob { fill: var(--green); }
.path { fill: none; stroke: var(--green); stroke-width: 5; opacity: .35; stroke-linecap: round; }
.push { stroke: var(--vermillion); stroke-width: 4; stroke-linecap: round; fill: none; }
.ring { fill: none; stroke: var(--rule); }
.earned { fill: none; stroke: var(--green); stroke-width: 3; stroke-linejoin: round; }
.other { fill: none; stroke: var(--soft); stroke-width: 1; opacity: .55; }
.equal { stroke: var(--soft); stroke-dasharray: 6 4; }
.now { fill: var(--vermillion); stroke: var(--paper); stroke-width: 2; }
.lead { stroke: var(--vermillion); stroke-width: 1.25; }
.chain { fill: none; stroke: var(--ink); stroke-width: 1.25; }
.bead { fill: var(--paper); stroke: var(--ink); stroke-width: 1.25; }
.note { max-width: none; }
`;

/** Numbers of the generator at each stage, from 16 bits each. */
function numbersOf(data) {
  const bytes = Uint8Array.from(atob(data.rho), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const each = bytes.length / 2 / data.stages.length;
  return data.stages.map((_, s) => Float64Array.from({ length: each }, (_, i) => view.getInt16(2 * (s * each + i), true) * data.unit));
}

/** The output of a network of ReLUs, whose flat weights [in, out] and biases stand in `theta` from `from` on. */
function network(theta, from, sizes, x) {
  for (let layer = 0; layer + 1 < sizes.length; layer++) {
    const [n, m] = [sizes[layer], sizes[layer + 1]], y = new Float64Array(m);
    for (let j = 0; j < m; j++) {
      let sum = theta[from + n * m + j];
      for (let i = 0; i < n; i++) sum += x[i] * theta[from + i * m + j];
      y[j] = layer + 2 < sizes.length ? Math.max(0, sum) : sum;
    }
    from += (n + 1) * m;
    x = y;
  }
  return x;
}

const weightsIn = (sizes) => sizes.slice(1).reduce((sum, m, i) => sum + (sizes[i] + 1) * m, 0);

/** The layers of the policy that the generator of a stage writes for a command: weights [out][in] and biases. */
export function write(data, stage, command) {
  const { observations, width, block, embedding, net_width: h } = data.sizes;
  const rho = (data.numbers ??= numbersOf(data))[stage], tiles = width / block;
  const c = (command - data.scaling[0]) * data.scaling[1];
  let from = 0;
  const layer = (across, down, rows, columns) => { // tiles of inputs, tiles of outputs, and the size of a block
    const of = (outputs) => [embedding + 1, h, h, outputs];
    const [weights, biases] = [of(rows * columns), of(rows)];
    const [at, blocks] = [from, across * down];
    const toWeights = at + blocks * embedding, toBiases = toWeights + weightsIn(weights);
    from = toBiases + weightsIn(biases);
    const inputs = across * columns, scale = 2 / Math.fround(Math.sqrt(inputs));
    const w = Array.from({ length: down * rows }, () => new Float64Array(inputs)), b = new Float64Array(down * rows);
    for (let i = 0; i < across; i++) for (let j = 0; j < down; j++) {
      const z = rho.subarray(at + (i * down + j) * embedding, at + (i * down + j + 1) * embedding);
      const [own, bias] = [network(rho, toWeights, weights, [...z, c]), network(rho, toBiases, biases, [...z, c])];
      for (let o = 0; o < rows; o++) {
        for (let n = 0; n < columns; n++) w[j * rows + o][i * columns + n] = own[o * columns + n] * scale;
        b[j * rows + o] += bias[o] / across * scale; // the mean over the tiles of inputs
      }
    }
    return { w, b };
  };
  return [layer(1, tiles, block, observations), layer(tiles, tiles, block, block), layer(tiles, 1, 1, block)];
}

/** What a policy does, from -1 to 1. */
export function act(layers, x) {
  return layers.reduce((h, { w, b }) => w.map((row, o) => Math.tanh(row.reduce((sum, weight, i) => sum + weight * h[i], b[o]))), x)[0];
}

/** An episode with the policy of a stage for a command: angles and speeds before each step and at the end, actions, returns so far. */
export function episodeOf(data, stage, command) {
  const { horizon, gravity, torque, dt, max_speed, speed_cost, action_cost, angle, speed } = data.world;
  const { mean, scale } = data.stages[stage], layers = write(data, stage, command);
  const run = { states: [[angle, speed]], actions: [], returns: [0] };
  for (let t = 0; t < horizon; t++) {
    const [a, v] = run.states[t];
    const push = act(layers, [Math.cos(a), Math.sin(a), v / 4].map((x, i) => (x - mean[i]) / scale[i]));
    const fast = Math.min(max_speed, Math.max(-max_speed, v + dt * (gravity * Math.sin(a) + torque * push)));
    const now = a + dt * fast;
    run.states.push([now, fast]);
    run.actions.push(push);
    run.returns.push(run.returns[t] + (1 + Math.cos(now)) / 2 - speed_cost * fast ** 2 - action_cost * push ** 2);
  }
  return run;
}

/** A colour for a share from 0 to 1. */
function heat(share) {
  const place = Math.min(1, Math.max(0, share)) * (HEAT.length - 1), below = Math.min(HEAT.length - 2, Math.floor(place));
  const [from, to] = [channels(HEAT[below]), channels(HEAT[below + 1])];
  return `rgb(${from.map((c, i) => Math.round(c + (to[i] - c) * (place - below))).join(",")})`;
}

const picture = (name, label, children) => draw("svg", { class: name, viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": label }, children);
const words = (x, y, text, anchor = "middle") => draw("text", { x, y, "text-anchor": anchor }, text);
const line = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

const LONG = 120, PIVOT = [WIDE / 2, 166], TAIL = 14; // the tail: where the tip was in so many steps before
const tip = ([angle]) => [PIVOT[0] + LONG * Math.sin(angle), PIVOT[1] - LONG * Math.cos(angle)];

/** The pendulum at a step, with the way that its tip just took, the push, and the pendulum of the command before. */
function pendulum(run, before, t) {
  const [x, y] = tip(run.states[t]), push = run.actions[Math.min(t, run.actions.length - 1)];
  const rod = (name, [tx, ty]) => draw("line", { class: name, x1: PIVOT[0], y1: PIVOT[1], x2: tx, y2: ty });
  const label = `A pendulum, step ${t} of ${run.actions.length}, return so far ${run.returns[t].toFixed(1)}`;
  return picture("swing", label, [
    draw("circle", { class: "ring", cx: PIVOT[0], cy: PIVOT[1], r: LONG }),
    draw("path", { class: "path", d: line(run.states.slice(Math.max(0, t - TAIL), t + 1).map(tip)) }),
    ...(before ? [rod("rod before", tip(before.states[t]))] : []),
    rod("rod", [x, y]),
    draw("circle", { class: "bob", cx: x, cy: y, r: 13 }),
    draw("line", { class: "push", x1: PIVOT[0], x2: PIVOT[0] + 100 * push, y1: 326, y2: 326 }),
    words(PIVOT[0], 348, "push"),
    words(WIDE / 2, 16, `step ${t}, return so far ${run.returns[t].toFixed(1)}`),
  ]);
}

/** Scales of a plot with room for ticks at the left and below. */
function scalesOf(x, y) {
  const frame = { left: 38, right: WIDE - 12, top: 14, bottom: HIGH - 42 };
  const px = (v) => frame.left + ((v - x[0]) / (x[1] - x[0])) * (frame.right - frame.left);
  const py = (v) => frame.bottom - ((v - y[0]) / (y[1] - y[0])) * (frame.bottom - frame.top);
  return { frame, px, py, ask: (left) => x[0] + ((left - frame.left) / (frame.right - frame.left)) * (x[1] - x[0]) };
}

const sweepScales = ({ commands }) => scalesOf([commands[0], commands.at(-1)], [commands[0], commands.at(-1)]);

/** Asked against earned: the lines of all stages, this one thick, the diagonal, and this episode. */
function sweep(data, s, run) {
  const { frame, px, py } = sweepScales(data), { commands, stages } = data, earned = run.returns.at(-1);
  const asked = commands[s.command], low = commands[0], high = commands.at(-1), stage = stages[s.stage];
  const curve = ({ achieved }, name) => draw("path", { class: name, d: line(achieved.map((v, i) => [px(commands[i]), py(Math.min(high, Math.max(low, v)))])) });
  const ticks = Array.from({ length: Math.floor((high - low) / 10) + 1 }, (_, i) => low + 10 * i);
  const best = Math.min(stage.best, high);
  const label = `Earned against asked after ${stage.episodes} episodes: asked for ${short(asked)}, this episode earns ${earned.toFixed(1)}, on average ${stage.achieved[s.command].toFixed(1)}`;
  return picture("dial", label, [
    ...ticks.flatMap((v) => [
      draw("line", { class: "gridline", x1: frame.left, x2: frame.right, y1: py(v), y2: py(v) }),
      words(frame.left - 6, py(v) + 4, String(v), "end"), words(px(v), frame.bottom + 17, String(v)),
    ]),
    words((frame.left + frame.right) / 2, HIGH - 6, "asked"), words(2, 9, "earned", "start"),
    draw("line", { class: "equal", x1: px(low), y1: py(low), x2: px(high), y2: py(high) }),
    draw("line", { class: "mark", x1: px(best), x2: px(best), y1: frame.top, y2: frame.bottom }),
    draw("text", { class: "mark", x: px(best) - 6, y: frame.bottom - 8, "text-anchor": px(best) > WIDE / 3 ? "end" : "start" }, `best so far: ${stage.best.toFixed(0)}`),
    ...stages.filter((_, i) => i !== s.stage).map((other) => curve(other, "other")),
    curve(stage, "earned"),
    draw("line", { class: "lead", x1: px(asked), x2: px(asked), y1: frame.bottom, y2: py(Math.min(high, Math.max(low, earned))) }),
    draw("circle", { class: "now", cx: px(asked), cy: py(Math.min(high, Math.max(low, earned))), r: 7 }),
  ]);
}

/** The map: policies of the buffer by what they do, and the chain of those for rising commands. */
function map(data, s) {
  const { policies, returns, stages } = data, all = [...policies, ...stages.flatMap(({ places }) => places)];
  const ends = [0, 1].map((axis) => {
    const values = all.map((place) => place[axis]), [low, high] = [Math.min(...values), Math.max(...values)];
    return [low - 0.04 * (high - low), high + 0.04 * (high - low)];
  });
  const { frame, px, py } = scalesOf(...ends), at = ([x, y]) => [px(x), py(y)];
  const [low, high] = [Math.min(...returns), Math.max(...returns)], chain = stages[s.stage].places.map(at), here = chain[s.command];
  const label = `A map of ${policies.length} policies of the buffer by what they do, and the chain of those that the generator writes for rising commands after ${stages[s.stage].episodes} episodes`;
  return picture("map", label, [
    draw("rect", { class: "ring", x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top }),
    words((frame.left + frame.right) / 2, HIGH - 22, "what policies do: the two axes in which they differ most"),
    ...policies.map((place, i) => {
      const [cx, cy] = at(place);
      return draw("circle", { cx, cy, r: 3.5, style: `fill:${heat((returns[i] - low) / (high - low))}` });
    }),
    draw("path", { class: "chain", d: line(chain) }),
    ...chain.map(([cx, cy]) => draw("circle", { class: "bead", cx, cy, r: 3 })),
    draw("circle", { class: "now", cx: here[0], cy: here[1], r: 7 }),
  ]);
}

/** A legal selection: what is wanted, cut to what there is. */
function legal(data, wanted) {
  const s = { ...data.start, ...wanted };
  return { command: index(s.command, data.commands.length), stage: index(s.stage, data.stages.length) };
}

/** A clock that calls `tick` with the steps that went by, while it runs. */
function clock(dt, tick) {
  let last = null, timer = null, speed = 1;
  const frame = (now) => {
    timer = requestAnimationFrame(frame);
    if (last === null) last = now;
    const steps = Math.floor(((now - last) / 1000 / dt) * speed);
    if (!steps) return;
    last += (steps * 1000 * dt) / speed;
    tick(Math.min(steps, 50));
  };
  const stop = () => { cancelAnimationFrame(timer); timer = last = null; };
  return { start: () => { if (timer === null) timer = requestAnimationFrame(frame); }, stop, running: () => timer !== null, setSpeed: (factor) => { speed = factor; } };
}

/** The numbers of a stage as a table. */
function fillTable(table, { commands, stages }, s) {
  table.set(["asked", ...stages.map(({ episodes }) => `earned after ${episodes} episodes`)],
    commands.map((command, i) => [short(command), ...stages.map(({ achieved }) => achieved[i].toFixed(1))]));
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = { ...model.get("data") };
  const host = hostOf(model, "dial-explorer", CSS);
  const last = data.world.horizon;
  let s = legal(data, model.get("selection")), run = null, before = null, of = "", t = 0;
  const choose = (change) => {
    model.set("selection", legal(data, { ...s, ...change }));
    model.save_changes();
  };
  const command = slider("command", { label: "return that is asked for", values: data.commands.map(short) }, (i) => choose({ command: i }));
  const stage = radios("stage", { label: "episodes of training before", values: data.stages.map(({ episodes }) => String(episodes)) }, (i) => choose({ stage: i }));
  const watch = clock(data.world.dt, (steps) => { // after the end it rests, and begins again
    t += steps;
    if (t > last + REST / 1000 / data.world.dt) { t = 0; before = null; }
    swing();
  });
  const play = make("button", { type: "button", onclick: () => { if (watch.running()) watch.stop(); else { if (t >= last) t = 0; watch.start(); } buttons(); } });
  const step = make("button", { type: "button", onclick: () => { watch.stop(); t = t >= last ? 0 : t + 1; buttons(); swing(); } }, "one step");
  const pace = make("select", { id: "pace", onchange: () => watch.setSpeed(SPEEDS[pace.selectedIndex]) }, SPEEDS.map((f) => make("option", {}, `${f === 0.5 ? "½" : f}×`)));
  pace.selectedIndex = 1;
  const buttons = () => { play.textContent = watch.running() ? "pause" : "play"; };
  const said = make("output", { "aria-live": "polite" });
  const [swinging, sweeping, mapped] = ["swing", "dial", "map"].map(() => make("div"));
  const table = tableBox("numbers of all stages");
  const panel = (text, node) => box("panel", [box("caption", text), node]);
  host.shadowRoot.append(
    box("title", data.title), box("controls", [command.node, stage.node, box("buttons", [play, step,
      make("div", { class: "field" }, [make("label", { class: "name", for: "pace" }, "speed"), pace])])]),
    said, box("panels", [
      panel("The policy that is written for this command, at work. Dotted: the one for the command before.", swinging),
      panel("What is earned for each command: thick at this stage, thin at the others, dashed if it were what was asked. Drag here, too.", sweeping),
      panel("Policies by what they do; brighter ones earned more. The chain: what the generator writes for rising commands.", mapped),
      box("panel", [table.node, box("note", data.note)]),
    ]));

  function swing() {
    swinging.replaceChildren(pendulum(run, before, Math.min(t, last)));
    host.dataset.step = Math.min(t, last);
  }

  function show() {
    s = legal(data, model.get("selection"));
    const wanted = `${s.command} ${s.stage}`;
    if (wanted !== of) [before, run, of] = [run, episodeOf(data, s.stage, data.commands[s.command]), wanted];
    command.set(s.command);
    stage.set(s.stage);
    const { episodes, achieved, places, best } = data.stages[s.stage], asked = data.commands[s.command], earned = run.returns.at(-1);
    said.textContent = `Asked for ${short(asked)}: this policy earns ${earned.toFixed(1)} here, and ${achieved[s.command].toFixed(1)} on average.`;
    sweeping.replaceChildren(sweep(data, s, run));
    mapped.replaceChildren(map(data, s));
    fillTable(table, data, s);
    swing();
    Object.assign(host.dataset, { command: asked, stage: episodes, earned, achieved: achieved[s.command], place: places[s.command].join(" "), best });
  }

  /** The command under a pointer that is dragged in the plot. */
  function drag(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    const frame = sweeping.firstChild.getBoundingClientRect();
    const asked = sweepScales(data).ask(((event.clientX - frame.left) / frame.width) * WIDE);
    const nearest = data.commands.reduce((best, c, i) => (Math.abs(c - asked) < Math.abs(data.commands[best] - asked) ? i : best), 0);
    if (nearest !== s.command) choose({ command: nearest });
  }
  sweeping.addEventListener("pointerdown", drag);
  sweeping.addEventListener("pointermove", drag);

  const clean = settle({ model, el }, host, show, () => watch.stop());
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) t = last; // a still picture, of the end
  else watch.start();
  buttons();
  swing();
  return clean;
}

export default { render };
