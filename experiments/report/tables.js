// ---- The run

const targetLatency = (target) => (known(target.latency_ms) ? `${+target.latency_ms.toPrecision(4)} ms` : compact(target.latency_macs));

// Resources beside latency, by the keys of targets.
const kAmounts = [["peak_memory_kib", "KiB"], ["weights_mib", "MiB"], ["parameters_m", "M"], ["macs_m", "M"], ["energy_mj", "mJ"]];

function heading() {
  document.title = data.title || document.title;
  const space = data.space || {};
  const facts = [
    data.created,
    data.version && `ridgewalk ${data.version}`,
    space.name && `space ${space.name}` + (known(space.size) ? `, ${compact(space.size)} networks` : ""),
    data.machine,
    // Trainings that ran side by side count each.
    known(data.peak_memory_mib) && list(data.timing).length
      && `${duration(data.timing.reduce((sum, phase) => sum + (phase.seconds || 0), 0))} of work`,
  ].filter(Boolean);
  const amount = (target) => kAmounts.filter(([key]) => known(target[key])).map(([key, unit]) => ` (${+target[key].toPrecision(4)} ${unit})`).join("");
  const targets = list(data.targets).map((target) => (target.limit ? "at most " : "") +
    (known(target.latency_macs) ? `${target.name} (${targetLatency(target)} at ridge point ${ridge(target.ridge_point)}${target.data_type ? ` in ${target.data_type}` : ""})` : target.name + amount(target)));
  return [
    make("h1", {}, document.title),
    facts.length ? soft(facts.join(" · ")) : null,
    targets.length ? soft(`Target${targets.length > 1 ? "s" : ""}: `, targets.join(", ")) : null,
    data.command ? soft(make("code", {}, data.command)) : null,
    Object.keys(data).length ? null : soft("This run has nothing to show yet."),
  ];
}

// ---- The table of networks

const better = (ratio) => (known(ratio) && ratio < 0.9995 ? tint("var(--c0)", 12 + 36 * Math.min(1, (1 - ratio) / 0.5)) : "");

// Columns: title, value of network i, format, and whether the latency is live or relative.
function networkColumns() {
  const same = swept.length === networks.length;
  const of = (field) => (i) => networks[i][field];
  const ofSweep = (field) => (i) => (same && !isSearch ? swept[i][field] : undefined);
  const splits = [...new Set(networks.map((network) => network.shared_split).filter(Boolean))];
  const trained = networks.some((network) => known(network.test_accuracy));
  const images = [...new Set(rated.map((network) => network.accuracy.images))].filter((_, i, all) => all.length === 1);
  const reference = networks.findIndex((network) => network.name === data.reference);
  const liveRatio = (i) => (same && reference >= 0 ? latencyOf(swept[i], current) / latencyOf(swept[reference], current) : undefined);
  return [
    { title: "Pixels", value: ofSweep("resolution"), format: String },
    { title: "Parameters", value: of("parameters"), format: compact },
    { title: "MACs", value: of("macs"), format: compact },
    { title: "Bytes", value: ofSweep("bytes"), format: compact },
    { title: "MACs/byte", value: (i) => ofSweep("macs")(i) / ofSweep("bytes")(i), format: fixed(1) },
    { title: ["Top-1", ...images].join(",\n"), value: (i) => (rated.length && !trained ? (swept[i].accuracy || {}).top1 : undefined), format: percent },
    { title: "Latency\nat the slider", value: (i) => (same ? latencyOf(swept[i], current) : undefined), format: compact, live: true },
    { title: "slider", value: liveRatio, format: fixed(3), relative: true, live: true },
    ...list(data.ridge_points).map((point, at) => ({ title: ridge(point), value: (i) => list(networks[i].relative_latency)[at], format: fixed(3), relative: true })),
    { title: "Accuracy, shared weights" + (splits.length ? `\n(${splits.join(", ")})` : ""), value: of("shared_accuracy"), format: percent },
    { title: "Accuracy, from scratch\n(test)", value: of("test_accuracy"), format: percent },
    { title: "Peak\nmemory", value: (i) => (same ? swept[i].peak_memory_bytes : undefined), format: bytesText },
    { title: "Stored\nweights", value: (i) => (same ? swept[i].weight_memory_bytes : undefined), format: bytesText },
  ].filter(({ value }) => networks.some((_, i) => known(value(i))));
}

function networkTable() {
  if (!networks.length) return null;
  const columns = networkColumns();
  const kinds = new Set(networks.map((network) => network.kind)).size > 1;
  const rows = networks.map((network, index) => ({ index, cells: columns.map(() => make("td", {})) }));
  for (const row of rows) {
    const network = networks[row.index];
    row.element = make("tr", {}, make("th", { class: "name", scope: "row" }, swatch(seriesColor(row.index)), network.name || "?",
      kinds && !String(network.name).includes(network.kind) ? make("span", { class: "soft" }, ` ${network.kind || ""}`) : null,
      network.excess ? make("span", { class: "soft" }, ` ${network.excess}`) : null), row.cells);
  }
  const body = make("tbody", {}, rows.map((row) => row.element));
  const fill = ({ value, format, relative }, at) => rows.forEach((row) => {
    const shown = value(row.index);
    row.cells[at].textContent = known(shown) ? format(shown) : "–";
    row.cells[at].style = relative ? better(shown) : "";
  });
  columns.forEach(fill);

  let sorted = null;  // { key(index), header, up }
  const order = () => {
    const key = (row) => sorted.key(row.index) ?? (sorted.up ? Infinity : -Infinity);
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    body.append(...[...rows].sort((a, b) => (sorted.up ? 1 : -1) * compare(key(a), key(b))).map((row) => row.element));
  };
  const headers = [];
  const header = (title, key, attributes) => {
    const button = make("button", { type: "button" }, title);
    const cell = make("th", { scope: "col", ...attributes }, button);
    headers.push(cell);
    button.onclick = () => {
      sorted = { key, up: sorted?.header === cell ? !sorted.up : true, header: cell };
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
      order();
    };
    return cell;
  };
  const relative = columns.filter((column) => column.relative);
  const first = columns.findIndex((column) => column.relative);
  const head = make("tr", {}, header("Network", (i) => networks[i].name, { class: "name", rowspan: 2 }));
  const second = make("tr", {});
  columns.forEach((column, at) => {
    if (at === first) {
      head.append(make("th", { class: "group", colspan: relative.length }, `Latency at ridge point, relative to ${data.reference || "the reference"}`));
    }
    (column.relative ? second : head).append(header(column.title, column.value, column.relative ? {} : { rowspan: 2 }));
  });
  followers.push(() => {
    columns.forEach((column, at) => column.live && fill(column, at));
    if (sorted && columns.some((column) => column.live && column.value === sorted.key)) order();
  });
  return [
    make("h2", {}, "Networks"),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of the networks" },
      make("table", { id: "networks" }, make("thead", {}, head, second), body)),
    soft("A heading sorts.", relative.length ? " Tinted: faster than the reference. Ridge point 0 counts MACs only." : ""),
  ];
}
