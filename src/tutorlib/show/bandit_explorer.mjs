/**
 * Bandit explorer: a trained SymLA plays bandits of 2 to 20 arms, beside Thompson sampling, UCB1 and random pulls.
 *
 * One ES module in the anywidget front-end format: `export default { render }`. The model holds `data` (what
 * `tutorlib.show.bandit.bandit_data` returns), `label`, and `selection` ({arms, family, bandit, pulls, revealed, many}),
 * which this module reads and writes. It needs no kernel, no network and no other file.
 *
 * Everything is computed here, from the meta-variables and from counted random words, in the order and the precision
 * (float64) of `tutorlib.papers.symla.game`, so every player pulls the same arms there and here. `words`, `netOf`, `symla`
 * and `lifeOf` are exported so that this can be held against it.
 */

import { box, hostOf, index, lineStyles, make, plotBox, radios, settle, slider, tableBox } from "./parts.mjs";

const SLICE = 50; // milliseconds of play at a time, so that the page stays awake
const NAMES = ["green", "blue", "vermillion", "soft"]; // colours of the players, as in the figures
const COLOURS = NAMES.map((name) => `var(--${name})`);
const CSS = `
.panels { align-items: start; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; align-items: end; }
button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft); border-radius: .35rem;
  padding: .25rem .6rem; min-height: 2.25rem; cursor: pointer; }
button:hover:not(:disabled) { background: var(--raised); }
button:disabled { opacity: .45; cursor: default; }
input[type="number"] { width: 6.5rem; background: var(--paper); border: 1px solid var(--soft); border-radius: .35rem;
  padding: .25rem .4rem; min-height: 2.25rem; }
.arms, .score { width: 100%; margin: 0 0 1rem; font-size: .875rem; }
.arms { table-layout: fixed; }
.arms td, .arms th, .score td, .score th { padding: .1rem .3rem; white-space: nowrap; position: static; vertical-align: top; }
.arms th:first-child { width: 2.2rem; padding-left: 0; }
.arms thead th { white-space: normal; font-size: .6875rem; vertical-align: bottom; }
.score th:first-child { text-align: left; padding-left: 0; }
.arms .best td, .arms .best th { font-weight: 600; }
.track { display: block; height: .25rem; background: var(--raised); border-radius: 2px; overflow: hidden; forced-color-adjust: none; }
.fill { display: block; height: 100%; }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .35rem; forced-color-adjust: none; }
.caption { color: var(--soft); font-size: .8125rem; margin-bottom: .3rem; }
output { margin-top: 0; min-height: 2.9em; }
.many { border-top: 1px solid var(--rule); margin-top: 1.2rem; padding-top: 1rem; }
.many .caption { margin: .6rem 0 0; }
.many output { min-height: 1.45em; margin: 0 0 .6rem; }
@container (max-width: 30rem) {
  .arms .key { display: block; margin: 0 0 0 auto; }
}
@container (max-width: 21.9rem) {
  .arms { table-layout: auto; }
  .arms td, .arms th { padding: .1rem; }
}
`;

/** High 32 bits of the product of two 32-bit words; the low ones are Math.imul. */
function high(a, b) {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16);
  const second = al * bh + (middle & 0xffff);
  return ah * bh + (middle >>> 16) + (second >>> 16);
}

/**
 * The first `n` random words under a key at an index of a stream: Philox4x32-10, blocks of four words, as in
 * `tutorlib.data.counter.words` for a key and an index below 2^32.
 */
export function words(key, stream, at, n) {
  const found = new Uint32Array(Math.ceil(n / 4) * 4);
  for (let i = 0; i < found.length; i += 4) {
    let c0 = at, c1 = 0, c2 = i / 4, c3 = stream, k0 = key, k1 = 0;
    for (let round = 0; round < 10; round++) {
      const even = high(c2, 0xcd9e8d57) ^ c1 ^ k0, odd = high(c0, 0xd2511f53) ^ c3 ^ k1;
      c1 = Math.imul(c2, 0xcd9e8d57);
      c3 = Math.imul(c0, 0xd2511f53);
      c0 = even;
      c2 = odd;
      k0 = (k0 + 0x9e3779b9) | 0;
      k1 = (k1 + 0xbb67ae85) | 0;
    }
    found[i] = c0;
    found[i + 1] = c1;
    found[i + 2] = c2;
    found[i + 3] = c3;
  }
  return found.subarray(0, n);
}

/** The same words as numbers in (0, 1). */
function uniforms(key, stream, at, n) {
  const found = words(key, stream, at, n), u = new Float64Array(n);
  for (let i = 0; i < n; i++) u[i] = ((found[i] >>> 9) + 0.5) * 2 ** -23;
  return u;
}

/** Position of the first of the largest. */
function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const tanh = (x) => 2 * sigmoid(2 * x) - 1;

/** theta in its parts, each matrix row by row, the gates' fixed biases in `beta`. */
export function netOf({ theta, grid }) {
  const bytes = Uint8Array.from(atob(theta), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const numbers = Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  const { hidden: H, message: M } = grid;
  const sizes = { w_m: M * 4 * H, w_b: M * 4 * H, w_F: M * 4 * H, w_B: M * 4 * H, w_r: 4 * H, w_h: H * 4 * H, beta: 4 * H,
    v_F: H * M, o_F: M, v_B: H * M, o_B: M };
  const net = { ...grid };
  let from = 0;
  for (const [name, size] of Object.entries(sizes)) net[name] = numbers.slice(from, from += size);
  for (let j = 0; j < H; j++) {
    net.beta[j] += grid.input_bias; // the gates stand in the order i, g, f, o
    net.beta[2 * H + j] += grid.forget_bias;
  }
  return net;
}

/** Add `x` times a matrix of as many rows to `z`; four rows at once take half the time. */
function addProduct(z, x, matrix) {
  const n = z.length, rows = x.length, even = rows - (rows % 4);
  for (let i = 0; i < even; i += 4) {
    const p = x[i], q = x[i + 1], r = x[i + 2], s = x[i + 3], k = i * n;
    for (let j = 0; j < n; j++) z[j] += p * matrix[k + j] + q * matrix[k + n + j] + r * matrix[k + 2 * n + j] + s * matrix[k + 3 * n + j];
  }
  for (let i = even; i < rows; i++) for (let j = 0; j < n; j++) z[j] += x[i] * matrix[i * n + j];
}

/** Update h and c of a sub-RNN from the sums `z` of its gates. */
function update(h, c, z) {
  const H = h.length;
  for (let j = 0; j < H; j++) {
    c[j] = sigmoid(z[2 * H + j]) * c[j] + sigmoid(z[j]) * tanh(z[H + j]);
    h[j] = sigmoid(z[3 * H + j]) * tanh(c[j]);
  }
}

/** A newborn SymLA for so many arms: a function from the last pull and what it paid to the logits of the next. */
export function symla(net, arms) {
  const { hidden: H, message: M } = net;
  const zeros = (size) => new Float64Array(size);
  const [h, c, forward] = [H, H, M].map((size) => Array.from({ length: arms }, () => zeros(size))); // of each column
  const backward = zeros(M), common = zeros(4 * H), z = zeros(4 * H), mean = zeros(H);
  return (action, reward) => {
    for (let tick = 0; tick < net.micro_ticks; tick++) {
      for (let j = 0; j < 4 * H; j++) common[j] = net.beta[j] + net.w_m[j] + reward * net.w_r[j]; // the observation is 1
      addProduct(common, backward, net.w_B);
      for (let b = 0; b < arms; b++) {
        z.set(common);
        if (b === action) for (let j = 0; j < 4 * H; j++) z[j] += net.w_b[j];
        addProduct(z, forward[b], net.w_F);
        addProduct(z, h[b], net.w_h);
        update(h[b], c[b], z);
      }
      mean.fill(0);
      for (let b = 0; b < arms; b++) {
        forward[b].set(net.o_F);
        addProduct(forward[b], h[b], net.v_F);
        for (let j = 0; j < H; j++) mean[j] += h[b][j] / arms;
      }
      backward.set(net.o_B);
      addProduct(backward, mean, net.v_B);
    }
    return forward.map((message) => net.scale * message[0]);
  };
}

/** The largest draw from the posteriors Beta(1 + wins, 1 + losses): G / (G + H) with sums G and H of exponentials. */
function thompson({ wins, tries }, u) {
  let next = 0;
  const gamma = (shape) => {
    let sum = 0;
    for (let i = 0; i < shape; i++) sum -= Math.log(u[next++]);
    return sum;
  };
  const draws = wins.map((won, b) => {
    const above = gamma(1 + won);
    return above / (above + gamma(1 + tries[b] - won));
  });
  return argmax(draws);
}

/** Each arm once, then the largest mean + sqrt(2 ln t / n). */
function ucb1({ t, wins, tries }) {
  if (t < tries.length) return t;
  return argmax(wins.map((won, b) => won / tries[b] + Math.sqrt((2 * Math.log(t)) / tries[b])));
}

/** The players of a bandit, newborn: from what happened so far to the next pull. */
function playersOf(data, { arms, bandit }) {
  const at = (use, t, n) => uniforms(bandit, data.streams[use], t, n);
  const agent = symla(data.net, arms);
  const sampled = (logits, u) => argmax(logits.map((logit, b) => logit - Math.log(-Math.log(u[b])))); // softmax, by Gumbel noise
  return [
    ({ t, action, reward }) => sampled(agent(action, reward), at("symla", t, arms)),
    (past) => thompson(past, at("thompson", past.t, 2 * arms + past.t)),
    ucb1,
    ({ t }) => Math.floor(at("random", t, 1)[0] * arms),
  ];
}

/** The success probabilities of a numbered bandit of a family. */
function probabilitiesOf(data, { arms, family, bandit }) {
  const { good, rest } = data.families.find(({ name }) => name === family);
  const [first, ...others] = uniforms(bandit, data.streams.arms, 0, arms + 1);
  const best = Math.floor(first * arms);
  return others.map((u, b) => {
    const [low, high] = b === best ? good : rest;
    return low + (high - low) * u;
  });
}

/** A whole life of each player on a numbered bandit: its success probabilities, and actions, rewards and regrets. */
export function lifeOf(data, s) {
  data = data.net ? data : { ...data, net: netOf(data) };
  const p = probabilitiesOf(data, s);
  const top = Math.max(...p);
  const luck = Array.from({ length: data.pulls }, (_, t) => uniforms(s.bandit, data.streams.rewards, t, 1)[0]); // the same for everyone
  const courses = playersOf(data, s).map((player) => {
    const past = { t: 0, action: null, reward: 0, wins: p.map(() => 0), tries: p.map(() => 0) };
    const course = { actions: [], rewards: [], regret: [] };
    for (; past.t < data.pulls; past.t++) {
      const action = player(past), reward = Number(luck[past.t] < p[action]);
      past.tries[action] += 1;
      past.wins[action] += reward;
      Object.assign(past, { action, reward });
      course.actions.push(action);
      course.rewards.push(reward);
      course.regret.push((course.regret.at(-1) ?? 0) + top - p[action]);
    }
    return course;
  });
  return { p, best: argmax(p), courses };
}

/** A legal selection: what is wanted, cut to what there is. */
function legal(data, wanted) {
  const s = { ...data.start, revealed: false, many: false, ...wanted };
  const [fewest, most] = data.arms;
  return {
    arms: fewest + index(s.arms - fewest, most - fewest + 1),
    family: data.families.some(({ name }) => name === s.family) ? s.family : data.start.family,
    bandit: 1 + index(s.bandit - 1, data.most),
    pulls: index(s.pulls, data.pulls + 1),
    revealed: Boolean(s.revealed), many: Boolean(s.many),
  };
}

const key = (player) => make("span", { class: "key", style: `background:${COLOURS[player]}`, "aria-hidden": "true" });
const bar = (share, colour) => make("span", { class: "track" }, make("span", { class: "fill", style: `width:${(100 * share).toFixed(1)}%;background:${colour}` }));

const star = () => make("span", {}, [make("span", { "aria-hidden": "true" }, " ★"), make("span", { class: "hidden" }, ", the best")]);

/** Pulls of each arm by each player, [player][arm]. */
function counts(life, s) {
  return life.courses.map(({ actions }) => life.p.map((_, b) => actions.slice(0, s.pulls).filter((a) => a === b).length));
}

/** The arms: their success probabilities, once they are revealed, and how often everyone pulled them. */
function armRows(life, s) {
  const pulled = counts(life, s);
  const shown = (value, b) => (s.revealed ? [value.toFixed(2), b === life.best ? star() : null, bar(value, "var(--ink)")] : ["?", bar(0, "none")]);
  return life.p.map((value, b) => make("tr", { class: s.revealed && b === life.best ? "best" : null }, [
    make("th", { scope: "row" }, String(b + 1)),
    make("td", {}, shown(value, b)),
    ...pulled.map((row, player) => make("td", {}, [String(row[b]), bar(row[b] / Math.max(1, s.pulls), COLOURS[player])])),
  ]));
}

/** What each player won and lost so far. */
function scoreRows(data, life, s) {
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  return life.courses.map(({ rewards, regret }, player) => make("tr", {}, [
    make("th", { scope: "row" }, [key(player), data.players[player]]),
    make("td", {}, `${sum(rewards.slice(0, s.pulls))} of ${s.pulls}`),
    make("td", {}, (s.pulls ? regret[s.pulls - 1] : 0).toFixed(2)),
  ]));
}

/** The last pull in words. */
function verdict(data, life, s) {
  if (!s.pulls) return `Bandit ${s.bandit}, ${s.arms} arms. Nobody has pulled yet.`;
  const last = ({ actions, rewards }) => `arm ${actions[s.pulls - 1] + 1} ${rewards[s.pulls - 1] ? "pays" : "does not pay"}`;
  return `Pull ${s.pulls}. ${life.courses.map((course, player) => `${data.players[player]}: ${last(course)}`).join(". ")}.`;
}

/** A chart of regrets, [player][pulls so far], null where there is none; random pulls are a thin line. */
function chartOf(data, courses, y) {
  const lines = courses.map((values, player) => ({ label: data.players[player], values, thin: player === 3, colour: NAMES[player] }));
  const top = Math.max(...courses.flat(), 1);
  return {
    x: { label: "pulls", low: 0, high: data.pulls }, y: { label: y, low: 0, high: top },
    positions: Array.from({ length: data.pulls + 1 }, (_, t) => t), lines: lineStyles(lines),
    brief: (v) => v.toFixed(1), full: (v) => v.toFixed(2), room: 6, empty: "nothing",
  };
}

/** Regrets of one bandit up to the pull that is shown. */
function lifeChart(data, life, s) {
  const shown = life.courses.map(({ regret }) => [0, ...regret].map((value, t) => (t <= s.pulls ? value : null)));
  const chart = chartOf(data, shown, "regret in this bandit");
  chart.y.high = Math.max(...life.courses.map(({ regret }) => regret.at(-1)), 1); // the axis stays while the game goes on
  return chart;
}

/** The pulls so far as a table. */
function fillPulls(table, data, life, s) {
  const told = ({ actions, rewards, regret }, t) => `${actions[t] + 1} ${rewards[t] ? "✓" : "✗"} ${regret[t].toFixed(2)}`;
  const rows = Array.from({ length: s.pulls }, (_, t) => [String(t + 1), ...life.courses.map((course) => told(course, t))]);
  table.set(["pull", ...data.players.map((name) => `${name}: arm, paid, regret`)], rows);
}

/** Sums over lives, to which `add` adds one: means and half widths of 95 % intervals after each pull. */
function average({ players, pulls }) {
  const zeros = () => players.map(() => new Float64Array(pulls + 1));
  const [sums, squares] = [zeros(), zeros()];
  let lives = 0;
  const add = (life) => {
    lives += 1;
    life.courses.forEach(({ regret }, player) => regret.forEach((value, t) => {
      sums[player][t + 1] += value;
      squares[player][t + 1] += value * value;
    }));
  };
  const means = () => sums.map((row) => Array.from(row, (sum) => sum / Math.max(1, lives)));
  const half = (player, t) => {
    const variance = Math.max(0, squares[player][t] - sums[player][t] ** 2 / lives) / Math.max(1, lives - 1);
    return 1.96 * Math.sqrt(variance / lives);
  };
  return { add, means, half, lives: () => lives };
}

/** Play bandits 1, 2, ... in slices between which the page can breathe; `shown` is called after each slice. */
function playMany(data, s, shown) {
  const sums = average(data);
  let timer = setTimeout(slice);
  function slice() {
    const end = performance.now() + SLICE;
    do sums.add(lifeOf(data, { ...s, bandit: sums.lives() + 1 })); while (sums.lives() < data.lives && performance.now() < end);
    timer = sums.lives() < data.lives ? setTimeout(slice) : null;
    shown();
  }
  return { sums, stop: () => clearTimeout(timer) };
}

/** Mean regrets every tenth of a life as a table. */
function fillMeans(table, { players, pulls }, sums) {
  const means = sums.means();
  const told = (player, t) => `${means[player][t].toFixed(2)} ± ${sums.half(player, t).toFixed(2)}`;
  const places = [...new Set(Array.from({ length: 10 }, (_, i) => Math.round(((i + 1) * pulls) / 10)))];
  table.set(["pulls", ...players], places.map((t) => [String(t), ...players.map((_, player) => told(player, t))]));
}

/** Mean regrets in words, once all lives are over. */
function verdictOfMany({ players, pulls, lives }, sums) {
  if (sums.lives() < lives) return "";
  const means = sums.means();
  return `Mean regret of ${lives} bandits after ${pulls} pulls (95 % interval): ${players.map((name, player) => (
    `${name} ${means[player][pulls].toFixed(1)} ± ${sums.half(player, pulls).toFixed(1)}`)).join(", ")}.`;
}

/** The selection on the host, where tests and other scripts can read it, with everyone's pulls so far. */
function publish(host, data, life, s) {
  const pulled = life.courses.map(({ actions }) => actions.slice(0, s.pulls).map((a) => a + 1).join(" "));
  Object.assign(host.dataset, { arms: s.arms, family: s.family, bandit: s.bandit, pulls: s.pulls, revealed: s.revealed });
  data.players.forEach((name, player) => { host.dataset[name.toLowerCase()] = pulled[player]; });
}

/** The knobs: arms, family, the bandit's number, and the buttons. */
function controlsOf(data, choose, now) {
  const [fewest, most] = data.arms;
  const size = (arms) => `${arms}${data.seen.includes(arms) ? " (as in meta-training)" : ""}`;
  const axis = { label: "arms", values: Array.from({ length: most - fewest + 1 }, (_, i) => size(fewest + i)) };
  const arms = slider("arms", axis, (i) => choose({ arms: fewest + i }));
  const family = radios("family", { label: "success probabilities", values: data.families.map(({ label }) => label) }, (i) => choose({ family: data.families[i].name }));
  const fresh = { pulls: 0, revealed: false };
  const number = make("input", { type: "number", id: "bandit", min: 1, max: data.most, step: 1, onchange: () => choose({ ...fresh, bandit: number.valueAsNumber }) });
  const button = (words, onclick) => make("button", { type: "button", onclick }, words);
  const buttons = {
    fresh: button("new bandit", () => choose({ ...fresh, bandit: (now().bandit % data.most) + 1 })),
    pull: button("one pull", () => choose({ pulls: now().pulls + 1 })),
    end: button("play to the end", () => choose({ pulls: data.pulls })),
    again: button("from the start", () => choose({ pulls: 0 })),
    reveal: button("reveal", () => choose({ revealed: !now().revealed })),
  };
  const field = make("div", { class: "field" }, [make("label", { class: "name", for: "bandit" }, "bandit number"), number]);
  const set = (s) => {
    arms.set(s.arms - fewest);
    family.set(data.families.findIndex(({ name }) => name === s.family));
    number.value = s.bandit;
    buttons.pull.disabled = buttons.end.disabled = s.pulls === data.pulls;
    buttons.again.disabled = s.pulls === 0;
    buttons.reveal.textContent = s.revealed ? "hide the probabilities" : "reveal the probabilities";
  };
  return { nodes: [box("controls", [arms.node, family.node]), box("controls", box("buttons", [field, ...Object.values(buttons)]))], buttons, set };
}

/** A table of so many columns with a head and a body to fill. */
function tableOf(name, head) {
  const body = make("tbody");
  const heads = head.map((words) => make("th", { scope: "col" }, words));
  return { node: make("table", { class: name }, [make("thead", {}, make("tr", {}, heads)), body]), body };
}

/** Mean regrets of many bandits: a button, and the chart that it starts. */
function manyBox(data, choose, now) {
  let run = null, of = "";
  const button = make("button", { type: "button", onclick: () => choose({ many: !now().many }) });
  const said = make("output", { "aria-live": "polite" });
  const plot = plotBox(() => chartOf(data, run ? run.sums.means() : [], "mean regret"));
  const table = tableBox("numbers of the mean regrets");
  const progress = box("caption", "");
  const inside = make("div", {}, [progress, said, plot.node, table.node]);
  const stop = () => { run?.stop(); run = null; of = ""; };
  function shown() {
    host.dataset.lives = run.sums.lives();
    progress.textContent = `${run.sums.lives()} of ${data.lives} bandits, numbered from 1`;
    said.textContent = verdictOfMany(data, run.sums);
    table.node.hidden = run.sums.lives() < data.lives;
    if (!table.node.hidden) fillMeans(table, data, run.sums);
    plot.redraw();
  }
  const host = make("div", { class: "many" }, [button, inside]);
  const set = (s) => {
    const wanted = s.many ? `${s.arms} ${s.family}` : "";
    inside.hidden = !s.many;
    button.textContent = s.many ? "hide the mean" : `${data.lives} bandits at once`;
    if (wanted === of) return;
    stop();
    if (!s.many) return;
    of = wanted;
    run = playMany(data, s, shown);
  };
  return { node: host, set, stop: () => { stop(); plot.stop(); } };
}

/** Draw the explorer into `el`; returns the clean-up. */
function render({ model, el }) {
  const data = { ...model.get("data"), net: netOf(model.get("data")) };
  const host = hostOf(model, "bandit-explorer", CSS);
  let s = legal(data, model.get("selection")), life = null, of = "";
  const choose = (change) => {
    model.set("selection", legal(data, { ...s, ...change }));
    model.save_changes();
  };
  const controls = controlsOf(data, choose, () => s);
  const many = manyBox(data, choose, () => s);
  const players = data.players.map((name, player) => [key(player), name]);
  const arms = tableOf("arms", ["arm", "pays with", ...players]);
  const score = tableOf("score", ["player", "rewards", "regret"]);
  const said = make("output", { "aria-live": "polite" });
  const plot = plotBox(() => lifeChart(data, life, s));
  const table = tableBox("pull by pull");
  host.shadowRoot.append(box("title", data.title), ...controls.nodes, box("panels", [
    box("panel", [said, box("caption", "pulls of each arm so far"), arms.node, score.node]),
    box("panel", [plot.node, table.node, many.node]),
  ]), box("note", data.note));

  function show() {
    s = legal(data, model.get("selection"));
    const wanted = `${s.arms} ${s.family} ${s.bandit}`;
    if (wanted !== of) [life, of] = [lifeOf(data, s), wanted];
    const focused = host.shadowRoot.activeElement;
    controls.set(s);
    arms.body.replaceChildren(...armRows(life, s));
    score.body.replaceChildren(...scoreRows(data, life, s));
    said.textContent = verdict(data, life, s);
    fillPulls(table, data, life, s);
    many.set(s);
    if (focused?.disabled) (s.pulls ? controls.buttons.again : controls.buttons.pull).focus(); // a dead button holds no focus
    publish(host, data, life, s);
    plot.redraw();
  }
  return settle({ model, el }, host, show, () => { plot.stop(); many.stop(); });
}

export default { render };
