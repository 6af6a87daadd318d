// ---- How the order of networks by shared weights agrees with that of their own training

const most = (items, figure) => items.reduce((best, item) => (best && best[figure] >= item[figure] ? best : item), null);
const hundredth = (value) => (known(value) ? (100 * value).toFixed(2) : "–");
const within = (figure, format) => {
  const { value, low, high } = record(figure);
  return known(low) && known(high) ? `${format(value)} [${format(low)}, ${format(high)}]` : format(value);
};

const kShared = "shared_search_validation_top1";
const kAlone = "scratch_test_top1";

// The network that the supernet puts first, and the best: the same, where none is better.
function ends(networks) {
  const judged = networks.filter((network) => known(network[kShared]) && known(network[kAlone]));
  const first = most(judged, kShared);
  const best = most(judged, kAlone);
  return { judged, first, best: first && first[kAlone] === best[kAlone] ? first : best };
}

function rankingChart({ judged, first, best }) {
  const dots = (label, shown, color, more) => ({ type: "scatter", label, borderColor: css(color), borderWidth: 1.5, pointRadius: 4, backgroundColor: css("--bg"),
    data: shown.map((network) => ({ x: 100 * network[kShared], y: 100 * network[kAlone], network })), pointHoverRadius: 7, ...more });
  const one = (title, network, color, pointStyle) =>
    dots(`${said(network.network)}: ${title}`, [network], color, { named: true, pointStyle, pointRadius: 7, backgroundColor: css(color) });
  const configure = () => ({
    data: { datasets: [
      ...(first === best ? [one("put first, and the best", best, "--c2", "triangle")]
        : [one("put first", first, "--c1", "rectRot"), one("the best", best, "--c2", "triangle")]),
      dots("networks", judged.filter((network) => network !== first && network !== best), "--c0"),
    ] },
    options: {
      layout: { padding: { top: 8, right: 8 } },
      scales: { x: axis("top-1 with shared weights, search-validation (%)", { grace: "6%" }), y: axis("top-1 from scratch, test (%)", { grace: "8%" }) },
      plugins: { legend: { display: false }, tooltip: { displayColors: false, callbacks: {
        label: ({ raw: { network, x, y } }) => [said(network.network), `${compact(network.parameters)} parameters, ${compact(network.macs)} MACs`,
          `shared weights ${x.toFixed(2)} %, from scratch ${y.toFixed(2)} %`],
      } } },
    },
    plugins: [pointNames],
  });
  return chart("Accuracy from scratch against accuracy with shared weights", configure, true).figure;
}

function rankingSection() {
  const run = record(data.ranking);
  const figures = record(run.ranking);
  const ranked = records(run.networks);
  const pairs = records(figures.pairs);
  if (!ranked.length && !pairs.length) return null;
  const marked = ends(ranked);
  const { first, best } = marked;
  const test = record(figures.test_top1);
  const drawn = known(figures.coverage) ? `${+(100 * figures.coverage).toPrecision(3)}\u00a0%` : "confidence";
  return [
    make("h2", {}, "How far the supernet can be trusted"),
    make("p", { id: "trust" }, `Of ${count(known(figures.networks) ? figures.networks : ranked.length, "network")} of the space ${said(run.space)}, each trained from scratch for `
      + `${count(run.epochs, "epoch")} on ${said(run.data)}${figures.trainings > 1 ? `, ${count(figures.trainings, "training")} each` : ""}, the order by the shared weights of the ${said(run.stage)} stage agrees with the order by test accuracy `
      + `with a Kendall's tau-b of ${within(record(pairs[0]).kendall_tau_b, signed(2, ""))}; the network that the shared weights put first lacks `
      + `${within(figures.regret, hundredth)} points of test accuracy to the best (its regret), a random pick ${hundredth(figures.regret_of_a_random_pick)} on average.`),
    soft("Tau-b is 1 where both orders are the same, 0 where they have nothing to do with each other, −1 where one is the reverse of the other. "
      + `Brackets: ${drawn} intervals${figures.interval_methods ? `: ${said(figures.interval_methods)}` : ""}.`
      + (known(test.mean) ? ` Test accuracy from scratch: ${percent(test.lowest)} to ${percent(test.highest)}, mean ${percent(test.mean)}, standard deviation ${hundredth(test.deviation)} points.` : "")
      + (!first ? "" : first === best ? ` Marked: ${said(best.network)}, which the shared weights put first and none beats on test images.`
        : ` Marked: ${said(first.network)}, which the shared weights put first (diamond), and ${said(best.network)}, the best on test images (triangle).`)),
    first ? rankingChart(marked) : null,
    pairs.length ? make("h3", {}, "What else orders the networks") : null,
    pairs.length ? table("pairs", "Agreement of orders", ["Ordered by", ["Against"], "Kendall's tau-b", "Spearman"], pairs.map((pair) =>
      [said(pair.shared), said(pair.alone), within(pair.kendall_tau_b, signed(2, "")), within(pair.spearman, signed(2, ""))])) : null,
    pairs.length ? soft("Losses count as the better, the lower they are. A training's accuracy on other images shares its luck, another training does not."
      + (known(figures.best_spearman) ? ` By how far the trainings agree with each other, a judge without error would have a Spearman of about ${fixed(2)(figures.best_spearman)} against their mean.` : "")) : null,
    ranked.length ? make("details", {}, make("summary", {}, `All ${count(ranked.length, "network")}`),
      table("ranked", "Networks of the ranking", ["Network", "Parameters", "MACs", "Of target", "Shared weights, search-val.", "Their loss", "From scratch, search-val.", "From scratch, test"],
        ranked.map((network) => [said(network.network), compact(network.parameters), compact(network.macs), fixed(3)(network.of_target), percent(network[kShared]),
          fixed(3)(network.shared_search_validation_loss), percent(network.scratch_search_validation_top1), percent(network[kAlone])]))) : null,
  ];
}
