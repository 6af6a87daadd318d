// ---- The stages of the search

// Means around every few steps, for at most about 300 points; nulls are left out.
function smooth(steps, values) {
  const reach = Math.max(1, Math.round(steps.length / 40));
  const points = [];
  for (let i = 0; i < steps.length; i += Math.ceil(steps.length / 300)) {
    const near = values.slice(Math.max(0, i - reach), i + reach + 1).filter(known);
    if (near.length && known(values[i])) {
      points.push({ x: steps[i], y: near.reduce((sum, value) => sum + value, 0) / near.length });
    }
  }
  return points;
}

function raw(steps, values) {
  const stride = Math.ceil(steps.length / 1500);
  return steps.map((step, i) => ({ x: step, y: values[i] })).filter((point, i) => i % stride === 0 && known(point.y));
}

// series: [label, values, number of its colour, plain line?]. A level is drawn as a dashed line.
function stepChart(caption, steps, series, format, level) {
  const present = series.filter(([, values]) => list(values).some(known));
  if (!steps.length || !present.length) return null;
  const ends = [steps[0], steps[steps.length - 1]];
  return chart(caption, () => ({
    data: { datasets: [
      ...present.map(([label, values, color, plain]) =>
        line(label, plain ? raw(steps, values) : smooth(steps, values), css(`--c${color}`),
          plain ? { borderWidth: 1.5, borderDash: [5, 3] } : {})),
      ...(known(level) ? [line("target", ends.map((x) => ({ x, y: level })), css("--soft"),
        { borderWidth: 1, borderDash: [3, 3], pointHitRadius: 0 })] : []),
      ...present.filter(([, , , plain]) => !plain).map(([label, values, color]) =>
        line("", raw(steps, values), css(`--c${color}`) + "55",
          { showLine: false, pointRadius: 1.5, pointHitRadius: 0, pointBorderWidth: 0 })),
    ] },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: {
        x: axis("", { min: ends[0], max: ends[1], ticks: { maxTicksLimit: 7, maxRotation: 0, callback: compact } }),
        y: axis("", { ticks: { maxTicksLimit: 6 } }),
      },
      plugins: {
        legend: { display: present.length > 1 || known(level), ...legend({ filter: (item) => item.text !== "" }) },
        tooltip: { filter: (item) => item.dataset.label !== "", callbacks: {
          title: (items) => (items.length ? `step ${items[0].parsed.x}` : ""),
          label: (item) => ` ${item.dataset.label}: ${format(item.parsed.y)}`,
        } },
      },
    },
  })).figure;
}

function candidateText(name, candidate) {
  if (!candidate || !(known(candidate.accuracy) || known(candidate.proxy))) return null;
  const latency = list(candidate.latency).filter((entry) => known(entry.of_target))
    .map((entry) => `, ${fixed(3)(entry.of_target)} of the latency target ${entry.target}`);
  const judged = known(candidate.accuracy) ? `accuracy ${percent(candidate.accuracy)}, reward ${fixed(4)(candidate.reward)}` : `proxy ${fixed(4)(candidate.proxy)}`;
  return `${name}: ${judged}${latency.join("")}.`;
}

function heatMap(choices) {
  const rows = choices.filter((choice) => list(choice.options).length > 1);
  if (!rows.length) return null;
  return [
    make("h3", {}, "What the controller believes at the end"),
    soft("The probability of each option, a row a choice; outlined: the option of the network that the stage gives."),
    make("div", { class: "choices" }, rows.map((choice) => make("div", { class: "choice" },
      make("code", {}, choice.name),
      make("div", { class: "options" }, choice.options.map((option, i) => {
        const probability = list(choice.probabilities)[i];
        return make("div", {
          class: i === choice.chosen ? "option chosen" : "option",
          style: tint("var(--heat)", known(probability) ? 85 * probability : 0),
          title: `${choice.name} = ${option}: ${percent(probability)}`,
        }, String(option), make("small", {}, known(probability) ? `${(100 * probability).toFixed(0)} %` : ""));
      }))))),
  ];
}

function stageSection(stage) {
  const steps = list(stage.steps);
  const learns = steps[list(stage.reward).findIndex(known)];
  const ratios = list(stage.latency_ratio);
  const figures = [
    stepChart("Reward of the sampled networks", steps, [["reward", stage.reward, 0], ["baseline", stage.baseline, 1, true]], fixed(4)),
    stepChart("Accuracy of the sampled networks", steps, [["accuracy", stage.accuracy, 0]], percent),
    stepChart("Latency / target", steps, ratios.map((values, t) =>
      [(list(data.targets)[t] || {}).name || `target ${t + 1}`, values, t % 7]), fixed(3), 1),
    stepChart("Loss of the shared weights", steps, [["loss", stage.loss, 0]], fixed(4)),
  ].filter(Boolean);
  const map = heatMap(list(stage.choices));
  const texts = [
    steps.length ? `${steps.length} steps.` : null,
    known(learns) && learns > steps[0] ? `The controller learns from step ${learns}.` : null,
    stage.result ? `Result: ${stage.result}.` : null,
    candidateText("Argmax", stage.argmax),
    stage.result === "argmax" ? null : candidateText("Best", stage.best),
  ].filter(Boolean);
  if (!figures.length && !map && !texts.length) return null;
  return [
    make("h2", {}, `Search: ${stage.name || "stage"}`),
    soft(texts.join(" ")),
    figures.length ? make("div", { class: "charts" }, figures) : null,
    map,
  ];
}

// ---- What the networks look like

const kKinds = [
  ["Conv", "convolution"],
  ["FusedIB", "expanding convolution, projection"],
  ["ExtraDW", "depthwise, expansion, depthwise, projection"],
  ["IB", "expansion, depthwise, projection"],
  ["MQA", "multi-query attention"],
  ["MHA", "multi-head attention"],
  ["ConvNext", "depthwise, expansion, projection"],
  ["FFN", "expansion, projection"],
];
const plainName = (name) => name.toLowerCase().replace(/[^a-z]/g, "");
const kindOf = (block) => kKinds.findIndex(([name]) => plainName(name) === plainName(block.split(" ")[0]));
const kindColor = (kind) => (kind < 0 ? "var(--soft)" : seriesColor(kind));
const widthOf = (block) => Number((/ w(\d+)/.exec(block) || [])[1] || 0);

function tile(block, widest) {
  const kind = kindOf(block);
  const [name, ...shape] = block.split(" ");
  return make("div", { class: "tile", title: block, style: `color: ${kindColor(kind)}; ${tint(kindColor(kind), 16)}` },
    make("b", {}, kind < 0 ? name : kKinds[kind][0]), make("span", {}, shape.join(" ") || "\u00a0"),
    widthOf(block) ? make("i", { style: `width: ${100 * widthOf(block) / widest}%` }) : null);
}

function stageName(stages, index) {
  const plain = (blocks) => list(blocks).length > 0 && blocks.every((block) => kindOf(block) === 0);
  if (plain(stages[index]) && index === 0) return "stem";
  if (plain(stages[index]) && index === stages.length - 1) return "head";
  return String(plain(stages[0]) ? index : index + 1);
}

function drawings() {
  const drawn = networks.filter((network) => list(network.blocks).length);
  if (!drawn.length) return null;
  const blocks = drawn.flatMap((network) => network.blocks.flat());
  const widest = Math.max(1, ...blocks.map(widthOf));
  const present = kKinds.map((_, kind) => kind).filter((kind) => blocks.some((block) => kindOf(block) === kind));
  return [make("details", { open: drawn.length <= 4 || null },
    make("summary", {}, make("h2", {}, "What the networks look like")),
    make("div", { class: "kinds soft" }, present.map((kind) =>
      make("span", {}, swatch(kindColor(kind)), make("b", {}, kKinds[kind][0]), ` ${kKinds[kind][1]}`))),
    soft("A row a stage. Kernels (a/b: first and second depthwise, 0 for none), e: expanded width, w: width, also the bar; "
      + "attention: heads × key × value / stride."),
    make("div", { class: "networks" }, drawn.map((network) => make("div", {},
      make("h3", {}, swatch(seriesColor(networks.indexOf(network))), network.name || "?"),
      network.blocks.map((stage, index) => make("div", { class: "stage" },
        make("span", {}, stageName(network.blocks, index)),
        make("div", { class: "tiles" }, list(stage).map((block) => tile(block, widest)))))))),
  )];
}
