// ---- Latency against accuracy, and the Pareto front at the ridge point of the slider

const indexed = swept.map((network, index) => ({ ...network, index }));
const rated = indexed.filter((network) => network.accuracy).sort((a, b) => a.accuracy.top1 - b.accuracy.top1);
const unrated = indexed.filter((network) => !network.accuracy);
const kShapes = ["circle", "triangle", "rect", "rectRot", "star"];
const shapeOf = (index) => kShapes[Math.floor(index / 7) % kShapes.length];

// On the front: no other network, rated on the same images, is at least as fast and as accurate, and
// better in one of the two.
function frontAt(at) {
  const placed = rated.map((network) => ({ network, latency: latencyOf(network, at), top1: network.accuracy.top1 }));
  const beats = (a, b) => a.network.accuracy.images === b.network.accuracy.images && a.latency <= b.latency && a.top1 >= b.top1
    && (a.latency < b.latency || a.top1 > b.top1);
  return placed.map((one) => ({ ...one, onFront: !placed.some((other) => beats(other, one)) }))
    .sort((a, b) => a.latency - b.latency);
}

// The names of `named` points beside them, where there is room: right, left, above or below; rather over
// a nameless point than not at all.
const pointNames = {
  id: "pointNames",
  afterDatasetsDraw(shown) {
    const { ctx, chartArea } = shown;
    const drawn = shown.data.datasets.map((set, i) => ({ set, point: shown.getDatasetMeta(i).data[0] })).filter(({ set, point }) => set.named && point);
    const around = (point) => [point.x - 6, point.y - 6, point.x + 6, point.y + 6];
    const taken = drawn.map(({ point }) => around(point));
    const nameless = shown.data.datasets.flatMap((set, i) => (set.type === "scatter" && !set.named ? shown.getDatasetMeta(i).data.map(around) : []));
    const free = (boxes) => ([left, top, right, bottom]) => left >= chartArea.left && right <= chartArea.right && top >= chartArea.top
      && bottom <= chartArea.bottom && !boxes.some(([l, t, r, b]) => left < r && right > l && top < b && bottom > t);
    ctx.save();
    Object.assign(ctx, { font: "11px system-ui, sans-serif", fillStyle: css("--fg"), strokeStyle: css("--bg"), lineWidth: 3, lineJoin: "round", textBaseline: "middle" });
    for (const { set, point } of drawn) {
      const width = ctx.measureText(set.label).width;
      const boxes = [[9, 0], [-9 - width, 0], [-width / 2, -13], [-width / 2, 13]]
        .map(([x, y]) => [point.x + x, point.y + y - 6, point.x + x + width, point.y + y + 6]);
      const box = boxes.find(free([...taken, ...nameless])) || boxes.find(free(taken));
      if (!box) continue;
      taken.push(box);
      ctx.strokeText(set.label, box[0], (box[1] + box[3]) / 2);
      ctx.fillText(set.label, box[0], (box[1] + box[3]) / 2);
    }
    ctx.restore();
  },
};

function frontChart() {
  const configure = () => {
    const placed = frontAt(current);
    const images = [...new Set(placed.map((one) => one.network.accuracy.images))];
    const latencies = indexed.map((network) => latencyOf(network, current));
    const accuracies = placed.map((one) => 100 * one.top1);
    const floor = Math.floor(Math.min(...accuracies) - 1);
    return {
      data: { datasets: [
        ...[...placed].sort((a, b) => crowded * (b.onFront - a.onFront)).map(({ network, latency, top1, onFront }) => ({
          type: "scatter", label: network.name, named: onFront || !crowded,
          data: [{ x: latency, y: 100 * top1 }], borderColor: css(`--c${network.index % 7}`), borderWidth: 2,
          backgroundColor: onFront ? css(`--c${network.index % 7}`) : css("--bg"), pointRadius: onFront ? 6 : crowded ? 3.5 : 5,
          pointHoverRadius: 8, pointStyle: crowded && !onFront ? "circle" : shapeOf(network.index), onFront })),
        ...unrated.map((network) => ({ type: "scatter", label: network.name, named: !crowded, clip: false, pointStyle: "crossRot",
          data: [{ x: latencyOf(network, current), y: floor }], borderColor: css(`--c${network.index % 7}`), borderWidth: 2, pointRadius: 6 })),
        ...images.map((group) => line(`front, ${group}`,
          placed.filter((one) => one.onFront && one.network.accuracy.images === group).map((one) => ({ x: one.latency, y: 100 * one.top1 })),
          css("--soft"), { stepped: true, borderWidth: 1.5, borderDash: [5, 3], pointHitRadius: 0 })),
      ] },
      options: {
        scales: {
          x: axis("latency (in times of one MAC at peak)", { type: "logarithmic", min: 0.75 * Math.min(...latencies), max: 1.6 * Math.max(...latencies),
            ticks: { maxRotation: 0, callback: (value) => (/^[125]e/.test(value.toExponential()) ? compact(value) : "") } }),
          y: axis("top-1 accuracy (%)", { min: floor, max: Math.ceil(Math.max(...accuracies) + 1), ticks: { includeBounds: false } }),
        },
        plugins: {
          legend: { display: false },
          tooltip: { filter: (item) => item.dataset.type === "scatter", callbacks: {
            label: (item) => ` ${item.dataset.label}: ${item.dataset.pointStyle === "crossRot" ? "accuracy not known" : `${item.parsed.y.toFixed(2)} %`}, ${compact(item.parsed.x)}${item.dataset.onFront ? ", on the front" : ""}`,
          } },
        },
      },
      plugins: [pointNames],
    };
  };
  const { figure, entry } = chart("Latency against accuracy", configure, true);
  live(entry);
  return figure;
}

const toRidge = (value) => {
  const button = make("button", { type: "button", class: "link", title: "Show this ridge point" }, ridge(value));
  button.onclick = () => setRidge(value);
  return button;
};

const ranges = (network) => list(network.front);
const rangeText = (range) => [toRidge(range[0]), " to ", toRidge(range[1])];

// A strip from ridge point 0 to the last, filled where the network is on the front.
function strip(network) {
  return make("div", { class: "strip", "aria-hidden": true }, ranges(network).map(([low, high]) => make("i", {
    style: `left: ${100 * shareOf(low)}%; width: ${100 * (shareOf(high) - shareOf(low))}%; background: ${seriesColor(network.index)}` })));
}

function swapTable() {
  const swaps = list(sweep.swaps);
  if (!swaps.length) return soft("No two of these networks swap places.");
  return make("details", { open: swaps.length <= 12 || null },
    make("summary", {}, `Swap points: ${swaps.length} ridge point${swaps.length === 1 ? "" : "s"} at which two networks swap places`),
    make("div", { class: "scroll" }, make("table", { id: "swaps" },
      make("thead", {}, make("tr", {}, make("th", {}, "Ridge point"), make("th", { class: "text" }, "Up to here faster"), make("th", { class: "text" }, "From here on faster"))),
      make("tbody", {}, swaps.map((swap) => make("tr", {}, make("td", {}, toRidge(swap.ridge_point)),
        make("td", { class: "text" }, swap.faster_below), make("td", { class: "text" }, swap.faster_above)))))));
}

function frontSection() {
  if (!swept.length) return null;
  const swaps = swapTable();
  if (!rated.length) {
    return [make("h2", {}, "Latency against accuracy"), soft("No accuracy is known for these networks."), swaps];
  }
  const now = make("p", { id: "front-now", "aria-live": "polite" });
  const listed = crowded ? rated.filter((network) => ranges(network).length) : rated;
  const rows = listed.map((network) => make("tr", {},
    make("th", { class: "name", scope: "row" }, swatch(seriesColor(network.index)), network.name),
    make("td", { title: `${network.accuracy.images}: ${network.accuracy.source}` }, percent(network.accuracy.top1)),
    make("td", { class: "wide" }, strip(network)),
    make("td", { class: "text" }, ranges(network).length ? ranges(network).flatMap((range, i) => [i ? ", " : null, ...rangeText(range)]) : "never")));
  const show = () => {
    const on = frontAt(current).filter((one) => one.onFront).map((one) => one.network.name);
    now.textContent = `On the front at ridge point ${ridge(current)}: ${on.join(", ")}.`;
    listed.forEach((network, i) => rows[i].classList.toggle("off", !on.includes(network.name)));
  };
  followers.push(show);
  show();
  const images = [...new Set(rated.map((network) => network.accuracy.images))];
  return [
    make("h2", {}, "Latency against accuracy"),
    soft(`Top-1 on ${images.join("; ")}. Filled, on the dashed line: the Pareto front, where no other network is as fast and as accurate.`
      + (images.length > 1 ? " Networks are held against those rated on the same images." : "")
      + (crowded ? " Named: the networks on it; pointing at a dot names any." : "")
      + (unrated.length ? " Crosses on the axis: latencies of networks whose accuracy is not known." : "")),
    now, frontChart(),
    make("h3", {}, "Ridge points at which each network is on the front"),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Ridge points on the front" }, make("table", { id: "fronts" },
      make("thead", {}, make("tr", {}, make("th", { class: "name" }, "Network"), make("th", {}, "Top-1"),
        make("th", { class: "text wide" }, `0 to ${ridge(lastRidge)}, logarithmic`), make("th", { class: "text" }, "Ridge points"))),
      make("tbody", {}, rows))),
    listed.length < rated.length ? soft(`${rated.length - listed.length} of the ${rated.length} networks are on the front at no ridge point.`) : null,
    soft("Computed from the networks' operations, not sampled: latency is piecewise linear in the ridge point, and the ends of a range are swap points."),
    swaps,
  ];
}
