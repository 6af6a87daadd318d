#include "supernet/inference/timing.h"

#include <algorithm>
#include <chrono>

#include <ATen/Parallel.h>

#include "roofline/statistics.h"
#include "space/error.h"

namespace ridgewalk {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

double one_run(Inference& network, const torch::Tensor& images) {
  const auto start = std::chrono::steady_clock::now();
  network.forward(images);
  return seconds_since(start);
}

}  // namespace

void validate(const TimingOptions& options) {
  if (options.threads < 1) throw Error("threads must be at least 1");
  if (options.repeats < 1) throw Error("repeats must be at least 1");
  if (!(options.seconds >= 0 && options.seconds <= 3600)) {
    throw Error("seconds must be from 0 to 3600");
  }
}

Timing measure(Inference& network, const TimingOptions& options) {
  const torch::Tensor images = torch::rand(network.image_shape());
  const auto start = std::chrono::steady_clock::now();
  std::vector<double> warm;
  while (warm.size() < 3 || seconds_since(start) < options.seconds) {
    warm.push_back(one_run(network, images));
  }
  Timing timing{.threads = options.threads, .repeats = options.repeats};
  timing.runs = std::max(3, int(options.seconds / median(warm)));
  std::vector<double> medians, fastest;
  std::vector<std::vector<double>> of_steps(network.steps().size());  // by step: one entry per run
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    std::vector<double> runs(size_t(timing.runs));
    for (double& run : runs) run = one_run(network, images);
    fastest.push_back(*std::min_element(runs.begin(), runs.end()));
    medians.push_back(median(runs));
    for (int run = 0; options.per_step && run < timing.runs; ++run) {
      network.forward(images,
                      [&](size_t step, double seconds) { of_steps[step].push_back(seconds); });
    }
  }
  timing.median_seconds = median(medians);
  timing.fastest_seconds = *std::min_element(fastest.begin(), fastest.end());
  timing.spread = relative_spread(medians);
  for (size_t i = 0; options.per_step && i < of_steps.size(); ++i) {
    timing.steps.push_back({network.steps()[i], median(std::move(of_steps[i]))});
  }
  return timing;
}

Timing measure(const Network& folded, int batch, DataType precision, const TimingOptions& options) {
  if (batch < 1) throw Error("batch must be at least 1");
  validate(options);
  at::set_num_threads(options.threads);
  Inference network(folded, batch, precision);
  return measure(network, options);
}

}  // namespace ridgewalk
