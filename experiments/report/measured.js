// ---- Predicted and measured latency on the machine that made the report

const kAgreements = {
  laws: "laws of the profile's ops",
  drifted: "the same, times the drift of the machine since",
  roofline: "its roofline alone",
  macs: "MACs times the best constant",
  twice: "the same network measured twice",
  twice_less_drift: "the same, less the drift in between",
};

function measuredChart(measured) {
  const of = (network) => ({ x: network.measured_ms, y: network.predicted_ms, name: network.name, bound: list(network.unknown).length > 0 });
  const all = measured.networks.flatMap((network) => [network.measured_ms, network.predicted_ms]);
  const [low, high] = [0.85 * Math.min(...all), 1.15 * Math.max(...all)];
  const diagonal = (factor, label, dash) => line(label, [{ x: low, y: low * factor }, { x: high, y: high * factor }], css("--soft"),
    { borderWidth: 1, borderDash: dash, pointHitRadius: 0, clip: 0 });
  const log = (title) => axis(title, { type: "logarithmic", min: low, max: high,
    ticks: { maxRotation: 0, callback: (value) => (/^[125]e/.test(value.toExponential()) ? String(+value.toPrecision(3)) : "") } });
  const configure = () => ({
    data: { datasets: [
      { type: "scatter", label: "networks", data: measured.networks.map(of), pointStyle: (at) => (at.raw?.bound ? "triangle" : "circle"), borderColor: css("--c0"), backgroundColor: css("--bg"), borderWidth: 1.5, pointRadius: 4 },
      diagonal(1, "as measured", []), diagonal(1.1, "10 % more", [4, 4]), diagonal(0.9, "10 % less", [4, 4]),
    ] },
    options: {
      scales: { x: log("measured (ms)"), y: log("predicted (ms)") },
      plugins: { legend: legend(), tooltip: { filter: (item) => item.datasetIndex === 0, callbacks: {
        label: ({ raw }) => ` ${raw.name}: predicted ${raw.bound ? "at least " : ""}${raw.y.toPrecision(4)} ms, measured ${raw.x.toPrecision(4)} ms`,
      } } },
    },
  });
  return chart("Predicted against measured latency", configure, true).figure;
}

function measuredSection() {
  const measured = data.measured;
  if (!measured) return null;
  const share = (value) => (known(value) ? (100 * value).toFixed(0) + "\u00a0%" : "–");
  const rows = Object.entries(kAgreements).filter(([key]) => measured.agreement[key]).map(([key, name]) => {
    const one = measured.agreement[key];
    const [low, high] = list(one.spearman_interval);
    return make("tr", {}, make("th", { class: "name", scope: "row" }, name), make("td", {}, within({ value: one.spearman, low, high }, fixed(3))),
      make("td", {}, known(one.mean_error) ? (100 * one.mean_error).toFixed(1) + "\u00a0%" : "–"),
      make("td", {}, share(one.within_5)), make("td", {}, share(one.within_10)), make("td", {}, share(one.within_20)));
  });
  const bounds = [...new Set(measured.networks.flatMap((network) => list(network.unknown)))];
  return [
    make("h2", {}, "Predicted and measured"),
    soft(`${measured.networks.length} network${measured.networks.length > 1 ? "s" : ""} on ${measured.machine}, ${measured.threads} thread${measured.threads > 1 ? "s" : ""}, ${measured.data_type}, profile ${measured.profile}. `,
      "Measured: the median of all passes; the last rows hold two single passes against each other.",
      known(measured.drift) ? ` The machine takes ${measured.drift.toFixed(3)} times as long as when the profile was made.` : "",
      measured.profile_machine !== measured.machine ? ` The profile is of another machine: ${measured.profile_machine || "not said which"}.` : ""),
    !rows.length ? null : make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Agreement of predictions and measurements" }, make("table", { id: "agreement" },
      make("thead", {}, make("tr", {}, make("th", { class: "name" }, "Prediction"), ["Spearman", "Mean error", "Within 5 %", "10 %", "20 %"].map((title) => make("th", {}, title)))),
      make("tbody", {}, rows))),
    measuredChart(measured),
    make("details", {}, make("summary", {}, "All of them"),
      make("div", { class: "scroll" }, make("table", { id: "measured" },
        make("thead", {}, make("tr", {}, make("th", { class: "name" }, "Network"), ["MACs", "Predicted ms", "Measured ms", "Error"].map((title) => make("th", {}, title)))),
        make("tbody", {}, measured.networks.map((network) => make("tr", {}, make("th", { class: "name", scope: "row" }, network.name,
            network.within_limits === false ? make("span", { class: "soft" }, " above a limit") : null),
          [compact(network.macs), (list(network.unknown).length ? "≥ " : "") + network.predicted_ms.toPrecision(4), network.measured_ms.toPrecision(4),
            `${(100 * (network.predicted_ms / network.measured_ms - 1)).toFixed(1)}\u00a0%`].map((text) => make("td", {}, text)))))))),
    bounds.length ? soft(`The profile has no law for ${bounds.join(", ")}: predictions of networks with them are lower bounds.`) : null,
  ];
}
