// ---- The Pareto sets of one supernet, one for each target

function frontsSection() {
  const fronts = record(data.fronts);
  const sets = records(fronts.fronts).map((set) => ({ target: said(set.target), networks: records(set.networks).filter((network) => known(network.accuracy)) }));
  if (!sets.some((set) => set.networks.length)) return null;
  const reference = said(fronts.reference);
  const all = [...new Map(sets.flatMap((set) => set.networks).map((network) => [network.name, network])).values()];
  const setsOf = (network) => sets.filter((set) => set.networks.some((other) => other.name === network.name)).length;
  const sweptOf = new Map(swept.map((network) => [network.name, network]));
  const color = (network) => Math.max(0, networks.findIndex((other) => other.name === network.name));
  let at = sets.findIndex((set) => set.networks.length);

  const configure = () => {
    const inside = sets[at].networks.filter((network) => known(network.of_target)).sort((a, b) => a.of_target - b.of_target);
    const outside = all.filter((network) => !sets[at].networks.some((other) => other.name === network.name) && known(list(network.of_targets)[at]));
    const dot = (network, x, more) => ({ type: "scatter", label: said(network.name), data: [{ x, y: 100 * network.accuracy }], pointStyle: shapeOf(color(network)),
      borderColor: css(`--c${color(network) % 7}`), borderWidth: 2, pointHoverRadius: 8, ...more });
    return {
      data: { datasets: [
        ...inside.map((network) => dot(network, network.of_target, { named: true, pointRadius: inside.length > kMany ? 4 : 6, backgroundColor: css(`--c${color(network) % 7}`) })),
        ...outside.map((network) => dot(network, network.of_targets[at], { pointRadius: 3.5, backgroundColor: css("--bg") })),
        line("", inside.map((network) => ({ x: network.of_target, y: 100 * network.accuracy })), css("--soft"), { stepped: true, borderWidth: 1.5, borderDash: [5, 3], pointHitRadius: 0 }),
      ] },
      options: {
        layout: { padding: { top: 8, right: 8 } },
        scales: { x: axis(`latency / latency of ${reference}, ${sets[at].target}`, { grace: "8%" }), y: axis("top-1 with shared weights (%)", { grace: "8%" }) },
        plugins: { legend: { display: false }, tooltip: { filter: (item) => item.dataset.type === "scatter", callbacks: {
          label: (item) => ` ${item.dataset.label}: ${item.parsed.y.toFixed(2)} %, ${item.parsed.x.toFixed(3)} of ${reference}${item.dataset.named ? ", in the set" : ""}`,
        } } },
      },
      plugins: [pointNames],
    };
  };
  const { figure, entry } = chart("Accuracy against relative latency in one set", configure, true);

  const shown = make("div", {});
  const fill = () => {
    const members = sets[at].networks;
    const times = members.map((network) => (sweptOf.has(network.name) ? latencyOf(sweptOf.get(network.name), current) : undefined));
    const fastest = Math.min(...times.filter(known));
    const rows = members.map((network, i) => [[swatch(seriesColor(color(network))), said(network.name)], percent(network.accuracy), fixed(3)(network.of_target), compact(network.parameters),
      compact(network.macs), compact(times[i]), fixed(3)(times[i] / fastest), `${setsOf(network)} of ${sets.length}`]);
    return table("front-set", "Networks of the set", ["Network", "Top-1, shared weights", `Of ${reference}`, "Parameters", "MACs", "Latency at the slider", "of the fastest's", "In sets"], rows);
  };
  const show = () => {
    if (!shown.firstChild) return shown.append(fill());
    // In place: what has the focus keeps it.
    return shown.querySelector("tbody").replaceWith(fill().querySelector("tbody"));
  };
  followers.push(show);
  show();
  const select = make("select", { id: "front-set-choice" }, sets.map((set, i) => make("option", { value: i }, `${set.target}: ${count(set.networks.length, "network")}`)));
  select.value = at;
  select.onchange = () => {
    at = Number(select.value);
    draw(entry);
    show();
  };
  return [
    make("h2", {}, "Fronts of the supernet"),
    make("p", {}, `Of ${count(fronts.tried, "network")} tried with the shared weights of the ${said(fronts.stage)} stage of ${said(fronts.run)} (space ${said(fronts.space)}), those that no other one beats, by the latency of each set.`),
    soft(`A network is as good as its accuracy on search-validation images and its latency over that of ${reference}; a set named the worst or the mean of several ridge points goes by the largest such `
      + "ratio among them, so that its networks do well at every one, or by their mean. Filled, on the dashed line: the set; hollow: networks of the other sets. The latency at the slider follows the slider, the sets do not."),
    make("div", { class: "controls" }, make("label", { for: "front-set-choice" }, "Set"), select),
    figure, shown,
  ];
}
