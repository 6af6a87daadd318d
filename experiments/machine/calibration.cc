#include "experiments/machine/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <random>

#include <ATen/Parallel.h>

#include "experiments/machine/measurement.h"
#include "experiments/run/progress.h"
#include "roofline/fit.h"
#include "roofline/latency_model.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/random_ranges.h"

namespace ridgewalk {
namespace {

// Over all networks in turn, so that a busy moment of the machine does not make up all of one
// network's time.
constexpr int kCalibrationPasses = 3;

double uniform(std::mt19937_64& random, double low, double high) {
  return low + (high - low) * double(random() >> 11) * 0x1p-53;
}

Architecture random_multiple(std::mt19937_64& random) {
  const std::vector<std::string> names = catalog_names();
  Architecture architecture = find_architecture(names[random() % names.size()]);
  architecture = scale(architecture, uniform(random, 0.5, 1.5));
  architecture.resolution = int(std::lround(architecture.resolution * uniform(random, 0.6, 1.2)));
  return architecture;
}

// The figures of a law. The rate is given as the time of a MAC, which is 0 where it is absent.
struct Figure {
  double (*value)(const OpLaw& law);
  std::optional<double> OpLawSpread::* spread;
};
constexpr Figure kFigures[] = {
    {[](const OpLaw& law) { return law.overhead_us; }, &OpLawSpread::overhead},
    {[](const OpLaw& law) { return law.gmacs ? 1 / *law.gmacs : 0; }, &OpLawSpread::rate},
    {[](const OpLaw& law) { return law.weights; }, &OpLawSpread::weights},
    {[](const OpLaw& law) { return law.input; }, &OpLawSpread::input},
    {[](const OpLaw& law) { return law.output; }, &OpLawSpread::output}};

std::vector<TimedStep> steps_of(const std::vector<TimedNetwork>& networks,
                                const std::vector<double>& weights) {
  std::vector<TimedStep> steps;
  for (size_t i = 0; i < networks.size(); ++i) {
    if (weights[i] == 0) continue;
    const Timing& timing = networks[i].timing;
    double sum = 0;
    for (const StepTiming& step : timing.steps) sum += step.seconds;
    for (const StepTiming& entry : timing.steps) {
      if (entry.seconds == 0) continue;  // quicker than the clock
      // The step that changes the image's layout belongs to the image itself.
      const std::vector<int> ops = entry.step.ops.empty() ? std::vector{0} : entry.step.ops;
      const Seconds seconds{timing.median_seconds / sum * entry.seconds};
      steps.push_back({&networks[i].folded, ops, seconds, weights[i]});
    }
  }
  return steps;
}

}  // namespace

std::vector<Architecture> calibration_networks(int count, uint64_t seed) {
  // Not the members that `sweep --members` draws from the same seed.
  constexpr uint64_t kOwn = 0x63616c6962726174;  // "calibrat"
  std::mt19937_64 random(seed ^ kOwn);
  const SearchSpace mobile = load_search_space("mobile");
  const SearchSpace small = load_search_space("fashion-mnist");
  std::vector<Architecture> networks;
  while (int(networks.size()) < count) {
    const size_t i = networks.size();
    Architecture network = i % 2 == 0   ? decode(mobile, sample(mobile, random))
                           : i % 4 == 1 ? random_multiple(random)
                                        : decode(small, sample(small, random));
    // The same network twice would stand in the parts that are held out from each other.
    if (std::find(networks.begin(), networks.end(), network) != networks.end()) continue;
    networks.push_back(std::move(network));
  }
  return networks;
}

TimedNetwork time_network(const Architecture& architecture, DataType precision,
                          const TimingOptions& options) {
  const Graph graph = lower(architecture);
  Network network = fresh_network(graph);
  if (precision != DataType::kInt8) {
    return {graph, network.graph, measure(network, 1, precision, options)};
  }
  validate(options);
  at::set_num_threads(options.threads);
  Inference inference(quantized_for_timing(network), 1);
  return {graph, network.graph, measure(inference, options)};
}

double time_probe(DataType precision, const TimingOptions& options) {
  TimingOptions whole = options;
  whole.per_step = false;
  return time_network(find_architecture("mnv4-conv-medium"), precision, whole)
      .timing.median_seconds;
}

Timing median_pass(std::vector<Timing> passes) {
  std::sort(passes.begin(), passes.end(),
            [](const Timing& a, const Timing& b) { return a.median_seconds < b.median_seconds; });
  return std::move(passes.at(passes.size() / 2));
}

TimedNetworks time_networks(const std::vector<Architecture>& architectures, DataType precision,
                            const TimingOptions& options, bool quiet) {
  TimedNetworks timed;
  std::vector<std::vector<Timing>> passes(architectures.size());
  Progress progress("calibrate", 0, kCalibrationPasses * int(architectures.size()), 0, quiet);
  int done = 0;
  for (int pass = 0; pass < kCalibrationPasses; ++pass) {
    for (size_t i = 0; i < architectures.size(); ++i) {
      progress.update(done, architectures[i].name);
      if (done++ % kProbeEvery == 0) timed.probes.push_back(time_probe(precision, options));
      TimedNetwork network = time_network(architectures[i], precision, options);
      passes[i].push_back(std::move(network.timing));
      if (pass == 0) timed.networks.push_back(std::move(network));
    }
  }
  for (size_t i = 0; i < passes.size(); ++i) {
    timed.networks[i].timing = median_pass(std::move(passes[i]));
  }
  return timed;
}

void fit_effective(const std::vector<TimedNetwork>& networks, const std::string& source,
                   Profile& profile) {
  std::vector<Measured> measured;
  for (const TimedNetwork& network : networks) {
    // calibration_networks() has no network twice.
    measured.push_back(
        {network_work(network.graph.name, network.graph, {.type = profile.data_type}),
         {network.timing.median_seconds},
         std::to_string(measured.size())});
  }
  const Fit fitted = fit(measured, {});
  const auto figure = [&](double value) { return Sourced{four_digits(value), source}; };
  profile.effective_ridge_point = figure(fitted.ridge_point.value);
  profile.effective_peak_gmacs = figure(1e-9 / fitted.seconds_per_mac);
  profile.fitted_batches = BatchRange{1, 1};
}

std::vector<OpLaw> fit_op_laws(const std::vector<TimedNetwork>& networks, DataType type,
                               const ReadBandwidths& bandwidths, int resamples, uint64_t seed) {
  std::vector<OpLaw> laws =
      fit_op_laws(steps_of(networks, std::vector<double>(networks.size(), 1)), type, bandwidths);
  std::map<std::string, std::array<std::vector<double>, std::size(kFigures)>> resampled;
  resample(networks.size(), resamples, seed, [&](const std::vector<size_t>& drawn) {
    std::vector<double> weights(networks.size(), 0);
    for (size_t i : drawn) ++weights[i];
    for (const OpLaw& law : fit_op_laws(steps_of(networks, weights), type, bandwidths)) {
      for (size_t f = 0; f < std::size(kFigures); ++f) {
        resampled[law.kind][f].push_back(kFigures[f].value(law));
      }
    }
  });
  for (OpLaw& law : laws) {
    for (size_t f = 0; f < std::size(kFigures); ++f) {
      const std::vector<double>& values = resampled[law.kind][f];
      const double value = kFigures[f].value(law);
      if (values.empty() || value == 0) continue;
      const Interval half = middle(values, 0.5);
      if (half.low == half.high) continue;  // one network has this kind: its resamples are alike
      law.spread.*kFigures[f].spread = four_digits((half.high - half.low) / value);
    }
  }
  return laws;
}

NetworkAgreement held_out_agreement(const std::vector<TimedNetwork>& networks,
                                    const Profile& profile) {
  constexpr size_t kParts = 4;
  std::vector<double> predicted, measured;
  for (size_t part = 0; part < kParts; ++part) {
    // Four in a row come from all sources: a part is every fourth group of four.
    const auto is_held_out = [&](size_t i) { return i / 4 % kParts == part; };
    std::vector<double> weights;
    for (size_t i = 0; i < networks.size(); ++i) weights.push_back(is_held_out(i) ? 0 : 1);
    Profile fitted = profile;
    fitted.op_laws =
        fit_op_laws(steps_of(networks, weights), profile.data_type, profile.read_bandwidths());
    for (size_t i = 0; i < networks.size(); ++i) {
      if (!is_held_out(i)) continue;
      predicted.push_back(predict_by_laws(networks[i].graph, fitted).total.value);
      measured.push_back(networks[i].timing.median_seconds);
    }
  }
  return network_agreement(predicted, measured, kAgreementCoverage);
}

}  // namespace ridgewalk
