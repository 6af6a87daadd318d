// ---- Where networks pay: the cost of each operation, and the roofline that it follows from

const kMostChosen = 3;
const chosen = swept.slice(0, kMostChosen).map((_, index) => index);
const intensity = (op) => op.macs / op.bytes;
const computeBound = (op, at) => op.macs >= at * op.bytes;
const boundText = (op, at) => (computeBound(op, at) ? "bound by computing" : "bound by memory");
const opText = (op, at, total) => [op.name, `${op.kind}, ${boundText(op, at)}`, `${(100 * opTime(op, at) / total).toFixed(1)} % of the latency`,
  `${compact(op.macs)} MACs, ${compact(op.bytes)} bytes, ${ridge(intensity(op))} MACs/byte`];

// The largest share of the latency that an operation has at any ridge point, as a round percentage.
const edges = new Map();
function edgeOf(network) {
  if (!edges.has(network)) {
    const shares = [0, ...Array.from({ length: 60 }, (_, i) => valueAt(kLinearSteps + (kSteps - kLinearSteps) * i / 59))].map((point) =>
      Math.max(...network.ops.map((op) => opTime(op, point))) / latencyOf(network, point));
    edges.set(network, 2 * Math.ceil(50 * Math.max(...shares)));
  }
  return edges.get(network);
}

// One row: bars along the network, upwards where computing bounds the operation, downwards where memory does.
function costRow(column, at, shown) {
  const network = () => swept[chosen[column]];
  const name = make("figcaption", {});
  const configure = () => {
    const total = latencyOf(network(), at());
    const shares = network().ops.map((op) => 100 * opTime(op, at()) / total);
    const memory = network().ops.reduce((sum, op, i) => sum + (computeBound(op, at()) ? 0 : shares[i]), 0);
    name.textContent = `${shown()}: ${memory.toFixed(0)} % bound by memory`;
    const edge = edgeOf(network());
    return {
      type: "bar",
      data: { labels: network().ops.map((op) => op.name), datasets: [{
        data: network().ops.map((op, i) => (computeBound(op, at()) ? shares[i] : -shares[i])),
        backgroundColor: network().ops.map((op) => css(computeBound(op, at()) ? "--c0" : "--c1")),
        barPercentage: 1, categoryPercentage: 0.9, minBarLength: 1,
      }] },
      options: {
        scales: {
          x: { display: false },
          y: { min: -edge, max: edge, afterFit: (scale) => { scale.width = 36; },
            ticks: { callback: (value) => `${Math.abs(value)} %`, maxTicksLimit: 3, font: { size: 10 } } },
        },
        interaction: { mode: "index", intersect: false },
        plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: {
          title: (items) => network().ops[items[0].dataIndex].name,
          label: (item) => opText(network().ops[item.dataIndex], at(), total).slice(1),
        } } },
      },
    };
  };
  const { figure, entry } = chart(`Cost of each operation of a network, ${shown()}`, configure);
  figure.querySelector("figcaption").replaceWith(name);
  return { figure, entry };
}

// Bars along the network: what lies in memory while each operation runs.
function memoryRow(column) {
  const network = () => swept[chosen[column]];
  const name = make("figcaption", {});
  const configure = () => {
    const ops = network().ops;
    const kib = ops.map((op) => op.memory_bytes / 1024);
    const peak = Math.max(...kib);
    name.textContent = `In memory, ${data.sweep.data_type}: at most ${bytesText(1024 * peak)}, at ${ops[kib.indexOf(peak)].name}`;
    return {
      type: "bar",
      data: { labels: ops.map((op) => op.name), datasets: [{ data: kib, backgroundColor: kib.map((one) => css(one === peak ? "--c1" : "--c2")),
        barPercentage: 1, categoryPercentage: 0.9, minBarLength: 1 }] },
      options: {
        scales: {
          x: { display: false },
          y: { min: 0, afterFit: (scale) => { scale.width = 36; }, ticks: { callback: compact, maxTicksLimit: 3, font: { size: 10 } } },
        },
        interaction: { mode: "index", intersect: false },
        plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: { label: (item) => bytesText(1024 * item.raw) } } },
      },
    };
  };
  const { figure, entry } = chart("Memory while each operation of a network runs", configure);
  figure.querySelector("figcaption").replaceWith(name);
  return { figure, entry };
}

function costColumn(column) {
  const rows = list(data.ridge_points).map((point) => costRow(column, () => point, () => `At ${ridge(point)}`));
  const now = costRow(column, () => current, () => `Slider, at ${ridge(current)}`);
  live(now.entry);
  if (known(record(swept[0].ops[0]).memory_bytes)) rows.push(memoryRow(column));
  const select = make("select", { "aria-label": `Network of column ${column + 1}` },
    swept.map((network, index) => make("option", { value: index }, network.name)));
  select.value = chosen[column];
  select.onchange = () => {
    chosen[column] = Number(select.value);
    rows.forEach(({ entry }) => draw(entry));
    followers.forEach((follow) => follow());
  };
  return make("div", {}, select, now.figure, rows.map(({ figure }) => figure));
}

function costSection() {
  if (!swept.length) return null;
  return [
    make("h2", {}, "Where the networks pay"),
    soft("Each bar an operation in its place along the network, as a share of the latency at that ridge point. ",
      make("b", {}, swatch("var(--c0)"), "Upwards: bound by computing"), "; ", make("b", {}, swatch("var(--c1)"), "downwards: bound by memory"), ". ",
      "Last row: the activations that lie in memory meanwhile, in KiB."),
    make("div", { class: "charts costs" }, chosen.map((_, column) => costColumn(column))),
  ];
}

// ---- The roofline

function rooflineSection() {
  if (!swept.length) return null;
  const intensities = swept.flatMap((network) => network.ops.map(intensity));
  const [low, high] = [0.7 * Math.min(...intensities), 1.5 * Math.max(...intensities, lastRidge)];
  const speed = (x) => Math.min(1, current > 0 ? x / current : 1);
  const configure = () => {
    const networksShown = [...new Set(chosen)];
    const corner = Math.min(Math.max(current, low), high);
    const dots = networksShown.map((index) => {
      const network = swept[index];
      const total = latencyOf(network, current);
      const color = css(`--c${index % 7}`);
      const bound = network.ops.map((op) => computeBound(op, current));
      return { type: "scatter", label: network.name, network, total, data: network.ops.map((op) => ({ x: intensity(op), y: speed(intensity(op)) })),
        pointStyle: kShapes[networksShown.indexOf(index)], borderColor: color, backgroundColor: bound.map((is) => (is ? color + "cc" : color + "22")),
        pointRadius: network.ops.map((op) => 3 + 22 * Math.sqrt(opTime(op, current) / total) / 2), pointHoverBorderWidth: 3 };
    });
    const decades = (value) => (/^1e/.test(value.toExponential()) ? String(+value.toPrecision(3)) : "");
    return {
      data: { datasets: [...dots, line("roof", [low, corner, high].map((x) => ({ x, y: speed(x) })), css("--fg"), { pointHitRadius: 0 })] },
      options: {
        scales: {
          x: axis("operational intensity (MACs per byte)", { type: "logarithmic", min: low, max: high, ticks: { maxRotation: 0, callback: decades } }),
          y: axis("speed (share of peak)", { type: "logarithmic", min: low / lastRidge, max: 2, ticks: { callback: decades } }),
        },
        plugins: {
          legend: { labels: { usePointStyle: true, filter: (item) => item.text !== "roof" } },
          tooltip: { filter: (item) => item.dataset.network, callbacks: {
            label: (item) => opText(item.dataset.network.ops[item.dataIndex], current, item.dataset.total),
          } },
        },
      },
    };
  };
  const { figure, entry } = chart("Roofline: speed over operational intensity", configure, true);
  live(entry);
  return [
    make("h2", {}, "The roofline"),
    soft("Each dot an operation of the networks chosen above, its area the share of the latency. On the slope, pale: bound by memory; on the flat, filled: bound by "
      + "computing. The corner is the ridge point of the slider."),
    figure,
  ];
}
