// ---- The ridge point that the page shows. Latency is exact at any: the sum over a network's operations.

const sweep = data.sweep || {};
const points = list(sweep.ridge_points);
const swept = list(sweep.networks).filter((network) => list(network.ops).length);
// With this many, only chosen networks are drawn in colour or named beside their dots.
const kMany = 14;
const crowded = Math.max(networks.length, list(sweep.networks).length) > kMany;
const lastRidge = list(sweep.range)[1] || 500;
const marks = list(data.marks).filter((mark) => mark.ridge_point <= lastRidge).sort((a, b) => a.ridge_point - b.ridge_point);

const opTime = (op, at) => Math.max(op.macs, at * op.bytes);
const latencyOf = (network, at) => network.ops.reduce((sum, op) => sum + opTime(op, at), 0);

// A device's own ridge point, where it is not that of its place: bytes of wider elements count more often.
const ownRidge = (mark) => (known(mark.own_ridge_point) && mark.own_ridge_point !== mark.ridge_point
  ? ` (${ridge(mark.own_ridge_point)} in ${mark.data_type})` : "");
const markText = (mark) => `${mark.name} ${ridge(mark.ridge_point)}${ownRidge(mark)}`;

let current = (marks.find((mark) => mark.name === "pixel6-cpu") || { ridge_point: 31.2 }).ridge_point;
const followers = [];  // called when `current` has changed

// The slider's way: from 0 to kFirst linear, in its first steps, and logarithmic from there on.
const [kSteps, kLinearSteps, kFirst] = [1000, 40, 0.1];
const stepOf = (value) => (value < kFirst ? kLinearSteps * value / kFirst
  : kLinearSteps + (kSteps - kLinearSteps) * Math.log(value / kFirst) / Math.log(lastRidge / kFirst));
const valueAt = (step) => Number((step < kLinearSteps ? kFirst * step / kLinearSteps
  : kFirst * (lastRidge / kFirst) ** ((step - kLinearSteps) / (kSteps - kLinearSteps))).toPrecision(4));
const shareOf = (value) => stepOf(value) / kSteps;

let waiting = false;
function setRidge(value) {
  current = Math.min(Math.max(0, value), lastRidge);
  document.documentElement.style.setProperty("--at", shareOf(current));
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    followers.forEach((follow) => follow());
  });
}

// Makes a chart follow the slider.
function live(entry) {
  followers.push(() => {
    const { data: shown, options } = entry.configure();
    Object.assign(entry.chart, { data: shown, options });
    entry.chart.update("none");
  });
}

// Names under the slider, in as many of three rows as keep them apart; a name without room is left to its tick.
function placeNames(names) {
  const ends = [0, 0, 0];
  for (const name of names.children) {
    name.hidden = false;
    name.className = "";
    const width = name.offsetWidth;
    let left = name.offsetLeft;
    if (left + width > names.clientWidth) {
      name.className = "left";
      left -= width;
    }
    const row = ends.findIndex((end) => left >= end);
    name.hidden = row < 0;
    if (row < 0) continue;
    ends[row] = left + width + 8;
    name.style.top = `${1.05 * row + 0.1}rem`;
  }
  names.style.height = `${1.05 * ends.filter((end) => end > 0).length + 0.1}rem`;
}

function slider() {
  if (!swept.length) return null;
  const text = () => `${ridge(current)} MACs per byte`;
  const range = make("input", { type: "range", id: "ridge", min: 0, max: kSteps, step: 1 });
  const number = make("input", { type: "number", id: "ridge-number", min: 0, max: lastRidge, step: "any" });
  const device = make("select", { id: "device", "aria-label": "Ridge point of a known device" }, make("option", { value: "" }, "a known device …"),
    marks.map((mark) => make("option", { value: mark.ridge_point }, `${mark.name}: ${ridge(mark.ridge_point)}${ownRidge(mark)}${mark.fitted === false ? " (datasheet)" : ""}`)));
  const at = (mark) => `left: calc(8px + ${shareOf(mark.ridge_point).toFixed(5)} * (100% - 16px))`;
  const names = make("div", { class: "names", "aria-hidden": true }, marks.map((mark) => make("span", { style: at(mark) }, mark.name)));
  const scale = [0, 0.1, 1, 10, 100, lastRidge].map((value) =>
    make("span", { style: at({ ridge_point: value }) }, ridge(value)));
  range.oninput = () => setRidge(valueAt(Number(range.value)));
  number.onchange = () => setRidge(Number(number.value) || 0);
  device.onchange = () => device.value !== "" && setRidge(Number(device.value));
  const show = () => {
    range.value = Math.round(stepOf(current));
    range.setAttribute("aria-valuetext", text());
    if (document.activeElement !== number || Number(number.value) !== current) number.value = +current.toPrecision(10);
    device.value = (marks.find((mark) => mark.ridge_point === current) || { ridge_point: "" }).ridge_point;
  };
  followers.unshift(show);
  show();
  setRidge(current);
  new ResizeObserver(() => placeNames(names)).observe(names);
  const bar = make("section", { class: "ridge", "aria-label": "Ridge point of the charts" },
    make("div", { class: "controls" }, make("label", { for: "ridge" }, "Ridge point"), number, make("span", { class: "soft" }, "MACs/byte"), device),
    make("div", { class: "track" },
      make("div", { class: "ticks", "aria-hidden": true }, marks.map((mark) => make("i", { style: at(mark), title: markText(mark) }))),
      range, make("div", { class: "scale", "aria-hidden": true }, scale), names));
  document.querySelector("main").append(bar);
  return null;
}
