// ---- Ways to a network, held against each other over seeds

const kWays = {
  "two-stage": "TuNAS, coarse then fine",
  "one-stage": "TuNAS over everything at once",
  "random-search": "the best of networks drawn near the target, judged by a supernet that was trained on uniform samples",
  "evolution": "judged by the same supernet, but found by changing the best so far a little",
  "random-networks": "no search: networks drawn near the target",
};

// Mean, plus and minus half the interval.
function plusMinus(estimate, format) {
  const { mean, high } = record(estimate);
  return known(mean) && known(high) ? `${format(mean)} ± ${format(high - mean)}` : format(mean);
}

// A row a way: a dot a network, the seeds above each other; behind them the mean and its interval.
function comparisonChart(ways) {
  const dotted = ways.filter((way) => way.entries.length);
  if (!dotted.length) return null;
  const tests = dotted.flatMap((way) => way.entries.map((entry) => 100 * entry[kAlone]));
  const [low, high] = [Math.min(...tests), Math.max(...tests)];
  const room = Math.max(high - low, 1);
  const bounds = dotted.map((way) => record(way.summary[kAlone])).flatMap((mean) => [mean.low, mean.high]).filter(known).map((bound) => 100 * bound);
  // Intervals of few networks are wide: not to squeeze the dots, they may leave the chart.
  const [min, max] = [Math.max(0, low - room, Math.min(low, ...bounds) - 0.08 * room), Math.min(100, high + room, Math.max(high, ...bounds) + 0.08 * room)];
  const seeds = [...new Set(dotted.flatMap((way) => way.entries.map((entry) => entry.seed)))];
  const lane = (seed) => (seeds.length > 1 ? 0.56 * (seeds.indexOf(seed) / (seeds.length - 1) - 0.5) : 0);
  const chance = dotted.findIndex((way) => way.name === "random-networks");
  const chanceMean = chance < 0 ? null : record(dotted[chance].summary[kAlone]).mean;
  const configure = () => ({
    data: { datasets: [
      ...dotted.map((way, row) => ({ type: "scatter", label: way.name, borderColor: css(`--c${row % 7}`), backgroundColor: css("--bg"), borderWidth: 2, pointRadius: 4, pointHoverRadius: 7,
        data: way.entries.map((entry) => ({ x: 100 * entry[kAlone], y: row + lane(entry.seed), entry })) })),
      ...dotted.flatMap((way, row) => {
        const mean = record(way.summary[kAlone]);
        const color = css(`--c${row % 7}`);
        const across = (x) => [row - 0.34, row + 0.34].map((y) => ({ x: 100 * x, y }));
        return [
          known(mean.mean) ? line("", across(mean.mean), color, { borderWidth: 3, pointHitRadius: 0 }) : null,
          known(mean.low) && known(mean.high) ? line("", [mean.low, mean.high].map((x) => ({ x: 100 * x, y: row })), color + "44", { borderWidth: 22, pointHitRadius: 0 }) : null,
        ].filter(Boolean);
      }),
      ...(known(chanceMean) && dotted.length > 1 ? [line("", [-0.5, dotted.length - 0.5].map((y) => ({ x: 100 * chanceMean, y })), css("--soft"), { borderWidth: 1, borderDash: [3, 3], pointHitRadius: 0 })] : []),
    ] },
    options: {
      scales: {
        x: axis("top-1 from scratch, test (%)", { min, max, ticks: { maxRotation: 0, includeBounds: false } }),
        y: axis("", { min: -0.5, max: dotted.length - 0.5, reverse: true, grid: { display: false },
          afterBuildTicks: (scale) => { scale.ticks = dotted.map((_, value) => ({ value })); },
          ticks: { autoSkip: false, callback: (row) => (dotted[row] || {}).name } }),
      },
      plugins: { legend: { display: false }, tooltip: { filter: (item) => item.dataset.type === "scatter", callbacks: {
        label: ({ raw: { entry, x } }) => ` ${said(entry.way)}, seed ${said(entry.seed)}, ${said(entry.network)}: ${x.toFixed(2)} %`,
      } } },
    },
  });
  return chart("Test accuracy of the networks of each way", configure, true).figure;
}

function comparisonSection() {
  const comparison = record(data.comparison);
  const entries = records(comparison.entries);
  const summary = records(comparison.summary);
  if (!entries.length && !summary.length) return null;
  const names = [...new Set([...summary, ...entries].map((row) => row.way))].filter((name) => typeof name === "string");
  const ways = names.map((name) => ({ name, summary: summary.find((row) => row.way === name) || {},
    entries: entries.filter((entry) => entry.way === name && known(entry[kAlone])) }));
  const seeds = new Set(entries.map((entry) => entry.seed).filter(known)).size;
  const described = names.filter((name) => Object.hasOwn(kWays, name));
  const signedPoints = (value) => (known(value) ? signed(2, "+")(100 * value) : "–");
  const of = (row, figure, format) => plusMinus(row[figure], format);
  return [
    make("h2", {}, "Ways to a network"),
    make("p", {}, `${count(entries.length, "network")} of ${count(names.length, "way")} over ${count(seeds, "seed")}. The searches were given the same latency target and as many training images `
      + "as each other; every network was then trained from scratch alike."),
    described.length ? soft(described.flatMap((name, i) => [i ? "; " : "", make("b", {}, name), `: ${kWays[name]}`]), ".") : null,
    soft("A dot a network, the seeds of a way below each other. Upright: the mean; band: its 95\u00a0% interval by Student's t, which says nothing with one network and little with two or three. "
      + "A band at the edge of the chart goes on. Dashed: the mean of the random networks."),
    comparisonChart(ways),
    summary.length ? table("ways", "Means of each way", ["Way", "Networks", "Of target", "Mean width", "Mean expansion", "UIBs", "Shared, %", "Test, %", "Over random, points", "in standard errors", "Random networks for as much", "Best of them, test %", "Over the best, points", "in standard errors", "Search,\u00a0s"],
      summary.map((row) => [said(row.way), said(row.networks), of(row, "of_target", fixed(3)), of(row, "mean_width", fixed(1)), of(row, "mean_expansion", fixed(2)), of(row, "uibs", fixed(1)),
        of(row, kShared, hundredth), of(row, kAlone, hundredth), signedPoints(record(row.over_random).points), signed(1, "+")(record(row.over_random).standard_errors),
        plusMinus(record(row.best_random).networks, fixed(1)), plusMinus(record(row.best_random).scratch_test_top1, hundredth),
        signedPoints(record(record(row.best_random).over).points), signed(1, "+")(record(record(row.best_random).over).standard_errors),
        of(row, "search_seconds", fixed(0))])) : null,
    soft("Shared: top-1 with shared weights on search-validation images. Test: top-1 from scratch. ±: half the 95 % interval of the mean; the random networks of a seed count as one. "
      + "Random networks for as much: how many the MACs of a search with its training would have trained; the best of them by search-validation is what a search must beat."),
    entries.length ? make("details", {}, make("summary", {}, `All ${count(entries.length, "network")}`),
      table("entries", "Networks of each way", ["Way", "Seed", ["Network"], "Of target", "Parameters", "MACs", "UIBs", "Mean width", "Mean expansion", "Shared weights, search-val.", "From scratch, search-val.", "From scratch, test", "Search,\u00a0s"],
        entries.map((entry) => [said(entry.way), said(entry.seed), said(entry.network), list(entry.of_target).map(fixed(3)).join(", ") || "–", compact(entry.parameters), compact(entry.macs),
          said(entry.uibs), fixed(1)(entry.mean_width), fixed(2)(entry.mean_expansion), percent(entry[kShared]), percent(entry.scratch_search_validation_top1), percent(entry[kAlone]),
          fixed(0)(entry.search_seconds)]))) : null,
  ];
}
