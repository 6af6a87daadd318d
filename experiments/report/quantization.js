// ---- A network in fp32 and in int8

const accuracyText = (value) => (known(value) ? (100 * value).toFixed(2) : "–");
const pointsText = signed(2, "+");

function weightsRow(name, measured, top1) {
  return [name, accuracyText(measured.top1), pointsText(100 * (measured.top1 - top1)), accuracyText(measured.top5), known(measured.loss) ? measured.loss.toFixed(4) : "–", bytesText(measured.bytes)];
}

function noiseChart(ops) {
  const configure = () => ({
    type: "bar",
    data: { labels: ops.map((op) => said(op.name)), datasets: [{ label: "signal to noise", data: ops.map((op) => op.signal_to_noise_db), backgroundColor: css("--c0") }] },
    options: {
      scales: { x: { ticks: { display: ops.length <= 24, autoSkip: false } }, y: axis("dB", {}) },
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: ({ raw, dataIndex }) => ` ${raw.toFixed(1)} dB, ${said(ops[dataIndex].kind)} in ${said(ops[dataIndex].value)}` } } },
    },
  });
  return chart("Signal to noise of what each operation gives, in the order of the network", configure).figure;
}

function quantizationSection() {
  const result = data.quantization && record(data.quantization);
  if (!result) return null;
  const fp32 = record(result.fp32);
  const ops = records(result.ops);
  const noisy = ops.filter((op) => known(op.signal_to_noise_db));
  const kept = records(result.kept_in_fp32);
  const tried = records(result.range_trials);
  const sensitive = records(result.sensitivities).slice(0, 12);
  return [
    make("h2", {}, "fp32 and int8"),
    soft(`${count(result.images, "test image")} of ${said(result.data)}, method ${said(result.method)}. Points are of top-1 against fp32.`),
    table("quantization", "Accuracy and size", ["Weights", "Top-1, %", "Points", "Top-5, %", "Loss", "Size"], [
      weightsRow("fp32", fp32, fp32.top1),
      weightsRow(`int8 (${said(result.method)})`, record(result.int8), fp32.top1),
      ...kept.map((some) => weightsRow(`int8, ${count(list(some.ops).length, "operation")} in fp32`, some, fp32.top1)),
    ]),
    tried.length ? table("range-trials", "Rules of the ranges that were tried", ["Rule of the ranges (the least divergence wins)", "Divergence of the classes' probabilities from those in fp32"],
      tried.map((one) => [said(one.rule), known(one.class_divergence) ? one.class_divergence.toFixed(4) : "–"])) : null,
    noisy.length ? noiseChart(noisy) : null,
    sensitive.length ? table("sensitivities", "What operations kept in fp32 give back", ["Kept in fp32", "Logits gain, dB"],
      sensitive.map((one) => [said(one.name), pointsText(one.gain_db)])) : null,
    list(result.fp32_results).length ? soft(`In fp32: ${list(result.fp32_results).map(said).join(", ")}.`) : null,
    make("details", {}, make("summary", {}, "The rule of each value"),
      table("rules", "The rule of each value", ["Operation", ["Kind"], ["Value"], ["Weights"]],
        ops.map((op) => [said(op.name), said(op.kind), said(op.value_rule ?? op.value), said(op.weight_rule)]))),
  ];
}
