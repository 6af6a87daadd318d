#include "experiments/calibration.h"

#include <cmath>
#include <random>

#include "roofline/latency_model.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/weights.h"

namespace ridgewalk {
namespace {

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

}  // namespace

std::vector<Architecture> calibration_networks(int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  const SearchSpace mobile = load_search_space("mobile");
  const SearchSpace small = load_search_space("fashion-mnist");
  std::vector<Architecture> networks;
  for (int i = 0; i < count; ++i) {
    networks.push_back(i % 2 == 0   ? decode(mobile, sample(mobile, random))
                       : i % 4 == 1 ? random_multiple(random)
                                    : decode(small, sample(small, random)));
  }
  return networks;
}

TimedNetwork time_network(const Architecture& architecture, Precision precision,
                          const TimingOptions& options) {
  const Graph graph = lower(architecture);
  const Network network = fresh_network(graph);
  return {graph, network.graph, measure(network, 1, precision, options)};
}

double time_probe(Precision precision, const TimingOptions& options) {
  TimingOptions whole = options;
  whole.per_step = false;
  return time_network(find_architecture("mnv4-conv-medium"), precision, whole)
      .timing.median_seconds;
}

std::vector<OpLaw> fit_op_laws(const std::vector<TimedNetwork>& networks, DataType type,
                               const ReadBandwidths& bandwidths) {
  std::vector<TimedStep> steps;
  for (const TimedNetwork& network : networks) {
    double sum = 0;
    for (const StepTiming& step : network.timing.steps) sum += step.seconds;
    const double factor = network.timing.median_seconds / sum;
    for (const StepTiming& entry : network.timing.steps) {
      // The change of the image's layout stands for no op but the image itself.
      const std::vector<int> ops = entry.step.ops.empty() ? std::vector{0} : entry.step.ops;
      steps.push_back({&network.folded, ops, {factor * entry.seconds}});
    }
  }
  return fit_op_laws(steps, type, bandwidths);
}

Agreement held_out_agreement(const std::vector<TimedNetwork>& networks, const Profile& profile) {
  constexpr size_t kParts = 4;
  std::vector<double> predicted, measured;
  for (size_t part = 0; part < kParts; ++part) {
    std::vector<TimedNetwork> train;
    // Four in a row are of all sources: a part is every fourth group of four.
    const auto is_held_out = [&](size_t i) { return i / 4 % kParts == part; };
    for (size_t i = 0; i < networks.size(); ++i) {
      if (!is_held_out(i)) train.push_back(networks[i]);
    }
    Profile fitted = profile;
    fitted.op_laws = fit_op_laws(train, profile.data_type, profile.read_bandwidths());
    for (size_t i = 0; i < networks.size(); ++i) {
      if (!is_held_out(i)) continue;
      predicted.push_back(predict_by_laws(networks[i].graph, fitted).total.value);
      measured.push_back(networks[i].timing.median_seconds);
    }
  }
  return agreement(predicted, measured);
}

}  // namespace ridgewalk
