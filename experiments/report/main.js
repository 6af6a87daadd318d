// ---- Time and terms

function timing() {
  const phases = list(data.timing).filter((phase) => known(phase.seconds));
  const memory = known(data.peak_memory_mib) ? soft(`Peak memory: ${data.peak_memory_mib.toFixed(0)}\u00a0MiB.`) : null;
  if (!phases.length && !memory) return null;
  const longest = Math.max(...phases.map((phase) => phase.seconds), 1e-9);
  return [
    make("h2", {}, "Wall time"),
    make("div", { class: "times" }, phases.flatMap((phase) => [
      make("span", {}, phase.phase), make("i", { style: `width: ${100 * phase.seconds / longest}%` }),
      make("span", {}, duration(phase.seconds)),
    ])),
    memory,
  ];
}

const kTerms = {
  "Operational intensity": "The MACs (multiply-accumulates) that an operation does for each byte of weights, input and output that it moves.",
  "Ridge point": "Peak MACs per second of a machine over its memory bandwidth. An operation of lower intensity waits for memory, one of higher for arithmetic. Low on CPUs, in the hundreds on accelerators.",
  "Latency": "Roofline time: over all operations, the sum of the longer of computing and moving bytes, in units of one MAC at peak.",
  "Shared weights": "The supernet's, of which every network of the space reads a slice. Their accuracy ranks networks; it is not what a network reaches on its own.",
  "From scratch": "The network alone, trained from new weights.",
  "Pareto front": "The networks that no other one beats: none is at least as fast and as accurate, and better in one of the two.",
  "Reward, baseline": "Accuracy less a price for missing the latency target; the running mean that a reward is held against.",
};

function terms() {
  return Object.keys(data).length === 0 || data.quantization ? null : [make("h2", {}, "Terms"),
    make("dl", {}, Object.entries(kTerms).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]))];
}

// A report begins with its outcome.
const sections = [heading, quantizationSection, rankingSection, comparisonSection, homesSection, ...(isSearch ? [networkTable] : []), slider, frontsSection, frontSection, sweepSection, costSection, rooflineSection, measuredSection,
  ...(isSearch ? [] : [networkTable]), ...list(data.stages).map((stage) => () => stageSection(stage)), drawings, timing, terms];
for (const section of sections) {
  const children = section();
  if (children) document.querySelector("main").append(make("section", {}, children.flat()));
}
drawAll();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
// On paper: the light colours.
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    document.documentElement.classList.toggle("printing", printing);
    drawAll();
  });
}
