"use strict";
const data = JSON.parse(document.getElementById("data").textContent) || {};
const list = (value) => (Array.isArray(value) ? value : []);
const known = (value) => typeof value === "number" && Number.isFinite(value);
const record = (value) => (value && typeof value === "object" ? value : {});
const records = (value) => list(value).map(record);
const said = (value) => (typeof value === "string" || known(value) ? String(value) : "–");
const networks = list(data.networks);
const isSearch = list(data.stages).length > 0;

// ---- Numbers for people

function compact(value) {
  if (!known(value)) return "–";
  let rounded = Number(value.toPrecision(3));
  for (const unit of ["", "\u00a0k", "\u00a0M", "\u00a0G"]) {
    if (Math.abs(rounded) < 1000) return +rounded.toPrecision(3) + unit;
    rounded /= 1000;
  }
  const [digits, exponent] = value.toExponential(1).split("e+");
  return `${digits} × 10${[...exponent].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")}`;
}
const fixed = (digits) => (value) => (known(value) ? value.toFixed(digits) : "–");
const signed = (digits, plus) => (value) => (known(value) && value > 0 ? plus : "") + fixed(digits)(value).replace("-", "−");
const percent = (value) => (known(value) ? (100 * value).toFixed(2) + "\u00a0%" : "–");
const bytesText = (bytes) => (!known(bytes) ? "–" : bytes < 1000 * 2 ** 10 ? `${compact(bytes / 2 ** 10)}\u00a0KiB` : `${compact(bytes / 2 ** 20)}\u00a0MiB`);
const ridge = (value) => (known(value) ? String(+value.toPrecision(4)) : "–");
const count = (number, noun) => `${said(number)} ${noun}${number === 1 ? "" : "s"}`;

function duration(seconds) {
  if (seconds < 59.95) return seconds.toFixed(1) + "\u00a0s";
  const two = (value) => String(value).padStart(2, "0");
  const [whole, minutes] = [Math.round(seconds), Math.round(seconds / 60)];
  return minutes < 60 ? `${Math.floor(whole / 60)}\u00a0min\u00a0${two(whole % 60)}\u00a0s`
    : `${Math.floor(minutes / 60)}\u00a0h\u00a0${two(minutes % 60)}\u00a0min`;
}

// ---- Elements. Texts of the data only ever become text nodes.

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}
const soft = (...children) => make("p", { class: "soft" }, ...children);
const swatch = (color) => make("span", { class: "swatch", style: `background: ${color}` });
const tint = (color, share) => `background: color-mix(in srgb, ${color} ${share.toFixed(0)}%, transparent)`;

// In its scroll wrapper. A row: its name, then the cells; titles likewise, those of texts in a list.
function table(id, label, titles, rows) {
  const texts = titles.map((title) => (Array.isArray(title) ? { class: "text" } : {}));
  const head = (title, i) => make("th", { scope: "col", ...texts[i], ...(i === 0 ? { class: "name" } : {}) }, title);
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, make("table", { id, class: "figures" },
    make("thead", {}, make("tr", {}, titles.map(head))),
    make("tbody", {}, rows.map(([name, ...cells]) => make("tr", {}, make("th", { class: "name", scope: "row" }, name),
      cells.map((cell, i) => make("td", texts[i + 1], cell)))))));
}
const seriesColor = (index) => `var(--c${index % 7})`;

// ---- Charts. A canvas does not follow the style sheet: charts are made anew when colours change.

const charts = [];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function chart(caption, configure, tall) {
  const canvas = make("canvas", { role: "img", "aria-label": caption });
  const entry = { canvas, configure, chart: null };
  charts.push(entry);
  const figure = make("figure", {}, tall ? null : make("figcaption", {}, caption),
    make("div", { class: tall ? "plot tall" : "plot" }, canvas));
  return { figure, entry };
}

function draw(entry) {
  if (entry.chart) entry.chart.destroy();
  entry.chart = new Chart(entry.canvas, entry.configure());
}

function drawAll() {
  Object.assign(Chart.defaults, { animation: false, responsive: true, maintainAspectRatio: false,
    color: css("--soft"), borderColor: css("--line") });
  Chart.defaults.font.family = "system-ui, sans-serif";
  charts.forEach(draw);
}

function line(label, points, color, more) {
  return { type: "line", label, data: points, parsing: false, borderColor: color, backgroundColor: color,
    borderWidth: 2, pointRadius: 0, pointHitRadius: 6, ...more };
}

function axis(title, more) {
  return { type: "linear", title: { display: !!title, text: title }, ...more };
}

function legend(more) {
  const generateLabels = (chart) => Chart.defaults.plugins.legend.labels.generateLabels(chart)
    .map((item) => ({ ...item, lineDash: chart.data.datasets[item.datasetIndex].borderDash || [] }));
  return { labels: { usePointStyle: true, pointStyle: "line", boxWidth: 28, generateLabels, ...more } };
}
