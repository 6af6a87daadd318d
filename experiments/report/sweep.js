// ---- Latency over the ridge point. The x axis holds log10(ridge point), with 0 a little further left.

function ridgeAxis(points) {
  const positive = points.filter((point) => point > 0);
  const [low, high] = positive.length ? [Math.min(...positive), Math.max(...positive)] : [1, 1];
  const zero = Math.log10(low) - 0.3;
  const place = (point) => (point > 0 ? Math.log10(point) : zero);
  const [min, max] = [points.includes(0) ? zero : place(low), place(high)];
  const ticks = (steps) => {
    const values = points.includes(0) ? [0] : [];
    for (let decade = Math.floor(place(low)); decade <= max; ++decade) {
      values.push(...steps.map((step) => Number(`${step}e${decade}`)));
    }
    return values.filter((value) => value === 0 || (value >= low * 0.999 && value <= high * 1.001));
  };
  const scale = axis("ridge point (MACs per byte)", {
    min, max,
    afterBuildTicks: (built) => {
      built.ticks = ticks(built.chart.width < 600 ? [1] : [1, 2, 5]).map((value) => ({ value: place(value) }));
    },
    ticks: { autoSkip: false, maxRotation: 0, callback: (x) => (x === zero ? "0" : ridge(10 ** x)) },
  });
  return { place, min, max, scale };
}

// Dotted verticals at the known devices, their names along them; of many devices, at those whose ridge
// point was fitted to measurements, and short ones at the rest.
function deviceMarks(axisOfRidge, below) {
  const shown = marks
    .map((mark) => ({ label: markText(mark), x: axisOfRidge.place(mark.ridge_point), full: mark.fitted !== false || marks.length <= 12 }))
    .filter((mark) => mark.x >= axisOfRidge.min && mark.x <= axisOfRidge.max);
  return {
    id: "marks",
    beforeDatasetsDraw({ ctx, chartArea, scales }) {
      ctx.save();
      ctx.strokeStyle = css("--soft");
      ctx.setLineDash([2, 3]);
      for (const mark of shown) {
        const x = scales.x.getPixelForValue(mark.x);
        ctx.beginPath();
        ctx.moveTo(x, mark.full ? chartArea.top : chartArea.bottom - 12);
        ctx.lineTo(x, chartArea.bottom);
        ctx.stroke();
      }
      ctx.restore();
    },
    afterDatasetsDraw({ ctx, chartArea, scales }) {
      ctx.save();
      Object.assign(ctx, { font: "11px system-ui, sans-serif", textAlign: below ? "left" : "right", textBaseline: "bottom",
        fillStyle: css("--fg"), strokeStyle: css("--bg"), lineWidth: 3, lineJoin: "round" });
      let next = -Infinity;
      for (const mark of shown.filter((one) => one.full)) {
        const x = Math.max(scales.x.getPixelForValue(mark.x) - 2, next);
        if (x > scales.x.getPixelForValue(mark.x) + 24) continue;
        next = x + 13;
        ctx.save();
        ctx.translate(x, below ? chartArea.bottom - 4 : chartArea.top + 4);
        ctx.rotate(-Math.PI / 2);
        ctx.strokeText(mark.label, 0, 0);
        ctx.fillText(mark.label, 0, 0);
        ctx.restore();
      }
      ctx.restore();
    },
  };
}

// The slider's ridge point as a vertical line.
function cursor(axisOfRidge) {
  return {
    id: "cursor",
    afterDatasetsDraw({ ctx, chartArea, scales }) {
      if (!swept.length) return;
      const x = scales.x.getPixelForValue(Math.max(axisOfRidge.place(current), axisOfRidge.min));
      if (x < chartArea.left - 1 || x > chartArea.right + 1) return;
      ctx.save();
      Object.assign(ctx, { strokeStyle: css("--fg"), lineWidth: 1.5 });
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      ctx.restore();
    },
  };
}

const kDashes = { reference: [7, 4], random: [2, 3] };
const kPatterns = [[], [7, 3], [2, 3], [9, 3, 2, 3], [14, 4], [6, 2, 2, 2, 2, 2], [1, 5], [12, 3, 4, 3]];

// The reference, and those on the front for the longest part of the slider's way, of colours that differ.
function firstDrawn(curves, reference) {
  const length = (curve) => curve.front.reduce((sum, range) => sum + shareOf(list(range)[1]) - shareOf(list(range)[0]), 0);
  const others = curves.filter((curve) => curve !== reference && length(curve) > 0).sort((a, b) => length(b) - length(a));
  return [reference, ...others].filter((curve, i, all) => all.findIndex((other) => other.color % 7 === curve.color % 7) === i);
}

function picks(curves, drawn, redraw) {
  const summary = make("summary", {});
  const show = () => summary.replaceChildren(`Choose networks: ${drawn.size} of ${curves.length} are drawn in colour`);
  show();
  return make("details", {}, summary, make("div", { class: "picks" }, curves.map((curve) => {
    const box = make("input", { type: "checkbox" });
    box.checked = drawn.has(curve);
    box.onchange = () => {
      drawn[box.checked ? "add" : "delete"](curve);
      show();
      redraw();
    };
    return make("label", {}, box, swatch(seriesColor(curve.color)), said(curve.name));
  })));
}

function sweepSection() {
  // In the order of the table, where the two list the same networks.
  const same = list(sweep.networks).length === networks.length;
  const curves = list(sweep.networks).map((curve, index) => {
    // A reference that is not in the table comes after it.
    const at = same ? index : networks.findIndex((network) => network.name === curve.name);
    return { kind: "found", ...networks[at], name: (networks[at] || curve).name, color: at < 0 ? networks.length + index : at,
      latency: list(curve.latency_macs), front: list(curve.front) };
  });
  if (!points.length || !curves.length) return null;
  const reference = curves.find((curve) => curve.name === data.reference)
    || curves.find((curve) => curve.kind === "reference") || curves[0];
  const dash = (curve) => (!crowded && kDashes[curve.kind]) || kPatterns[Math.floor(curve.color / 7) % kPatterns.length];
  const all = curves.flatMap((curve) => curve.latency).filter((latency) => latency > 0);
  const ratios = curves.flatMap((curve) => curve.latency.map((latency, i) => latency / reference.latency[i]));
  const spread = Math.max(...ratios) / Math.min(...ratios);
  const across = ridgeAxis(points);
  let relative = true;
  const drawn = new Set(crowded ? firstDrawn(curves, reference) : curves);
  const path = (curve) => points.map((point, i) => ({ x: across.place(point), y: relative ? curve.latency[i] / reference.latency[i] : curve.latency[i] }));
  const configure = () => ({
    data: { datasets: [
      ...curves.filter((curve) => drawn.has(curve)).map((curve) => line(curve.name, path(curve), css(`--c${curve.color % 7}`), { borderDash: dash(curve) })),
      ...curves.filter((curve) => !drawn.has(curve)).map((curve) => line("", path(curve), css("--soft") + "55", { borderWidth: 1, pointHitRadius: 0 })),
    ] },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: {
        x: across.scale,
        y: relative ? axis(`latency / latency of ${reference.name}`, spread > 4 ? { type: "logarithmic", min: 0.9 * Math.min(...ratios), max: 1.2 * Math.max(...ratios),
          ticks: { callback: (value) => (/^[125]e/.test(value.toExponential()) ? String(+value.toPrecision(3)) : "") } } : {})
          : axis("latency (in times of one MAC at peak)", { type: "logarithmic", min: 0.7 * Math.min(...all), max: 1.2 * Math.max(...all),
            ticks: { callback: (value) => (/^[125]e/.test(value.toExponential()) ? compact(value) : "") } }),
      },
      plugins: {
        legend: legend({ filter: (item) => item.text !== "" }),
        tooltip: { filter: (item) => item.dataset.label !== "", callbacks: {
          title: (items) => (items.length ? `ridge point ${ridge(points[items[0].dataIndex])}` : ""),
          label: (item) => ` ${item.dataset.label}: ${relative ? fixed(3)(item.parsed.y) : compact(item.parsed.y)}`,
        } },
      },
    },
    plugins: [deviceMarks(across, !relative), cursor(across)],
  });
  const { figure, entry } = chart("Latency over the ridge point", configure, true);
  followers.push(() => entry.chart.draw());
  const buttons = ["Relative", "Absolute"].map((text, index) => {
    const button = make("button", { type: "button", "aria-pressed": index === 0 }, text);
    button.onclick = () => {
      relative = index === 0;
      buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
      draw(entry);
    };
    return button;
  });
  return [
    make("h2", {}, "Latency over the ridge point"),
    soft("How the networks compare as hardware moves from bound by arithmetic (left) to bound by memory (right)."
      + (list(data.marks).length ? " Dotted: known devices." : "") + (crowded ? " Grey: the networks not chosen below." : "")),
    make("div", { class: "toggle" }, buttons), figure, crowded ? picks(curves, drawn, () => draw(entry)) : null,
  ];
}
