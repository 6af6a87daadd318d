// ---- What networks that were found for some ridge points cost at others

function homesSection() {
  const homes = records(data.homes);
  if (!homes.length) return null;
  const place = (one) => one.device || `Ridge ${said(one.ridge_point)}`;
  const places = records(homes[0].relative_latency).map(place);
  const latency = (home, name) => records(home.relative_latency).find((one) => place(one) === name) || {};
  return [
    make("h2", {}, "Found for some ridge points, priced at others"),
    make("p", {}, `Networks were found for several targets and trained from scratch alike; all are priced at the ridge points below, those of every target among them, relative to ${said(data.reference)} there.`),
    table("homes", "Relative latency by home", ["Found for", "By", "Networks", "Test, %", ...places, "Worst"],
      homes.map((home) => [said(home.home), said(home.way), said(home.networks), plusMinus(home.test_top1, hundredth), ...places.map((name) => plusMinus(latency(home, name), fixed(3))), plusMinus(home.worst, fixed(3))])),
    soft("Worst: of ridge points 0 to 500. ±: half the 95 % interval of the mean over the seeds by Student's t."),
  ];
}
