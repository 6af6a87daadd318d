#include "experiments/commands/memory_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/machine/resources.h"
#include "experiments/run/counted.h"

namespace ridgewalk {
namespace {

int activation_bytes(const Session& session) {
  return bytes_per_element(session.compute.precision);
}

std::string on_images(const Graph& graph, int64_t batch) {
  return fmt::format("'{}' on {}", graph.name, counted(batch, "image"));
}

std::string or_fewer_loaders(const Session& session) {
  return session.compute.loader_threads.value_or(0) > 1 ? ", or fewer --loader-threads" : "";
}

void require_memory_of_steps(const Graph& graph, MemoryNeed need, int64_t batch,
                             const Session& session) {
  if (!session.compute.device.is_cpu()) return;
  need.activations += loader_bytes(batch, graph.ops[0].output.elements(), session);
  require_memory("training " + on_images(graph, batch), need,
                 "take a smaller batch_size or --resolution" + or_fewer_loaders(session));
}

}  // namespace

double loader_bytes(int64_t batch, int64_t elements, const Session& session) {
  constexpr double kBytes = sizeof(float);
  const int batches = session.compute.loader_threads.value_or(0) + 1;
  return kBytes * batches * double(batch) * double(elements);
}

void require_inference_memory(const Graph& graph, int64_t batch, const Session& session) {
  if (!session.compute.device.is_cpu()) return;
  const int lanes = session.compute.lanes;
  require_memory(on_images(graph, batch) + (lanes > 1 ? fmt::format(" in {} jobs", lanes) : ""),
                 side_by_side(inference_memory(graph, batch, activation_bytes(session)), lanes),
                 std::string("take a smaller --batch-size or --resolution") +
                     (lanes > 1 ? ", or fewer --jobs" : ""));
}

void require_training_memory(const Graph& graph, int64_t batch, const Session& session) {
  require_memory_of_steps(graph, training_memory(graph, batch, activation_bytes(session)), batch,
                          session);
}

void require_rounded_training_memory(const Graph& graph, int64_t batch, const Session& session) {
  require_memory_of_steps(graph, rounded_training_memory(graph, batch), batch, session);
}

void require_supernet_memory(const SearchSpace& space, const SearchConfig& config,
                             const Session& session, int supernets) {
  if (!session.compute.device.is_cpu()) return;
  const int64_t batch = std::max(config.weights.batch_size, config.train.batch_size);
  int samples = 1;
  bool rounds = false;
  for (const auto& [name, stage] : config.stages) {
    samples = std::max(samples, stage.tunas.samples_per_step);
    rounds = rounds || stage.quantized == Quantized::kTrained;
  }
  const int lanes = std::max(supernets, std::min(session.compute.lanes, samples));
  MemoryNeed need = supernet_memory(space, batch, config.weights.validation_batch_size,
                                    activation_bytes(session), config.weights.ema > 0, rounds);
  need.weights *= supernets;
  const int64_t resolution = *std::max_element(space.resolution.begin(), space.resolution.end());
  need.activations += loader_bytes(batch, space.channels * resolution * resolution, session);
  require_memory(
      fmt::format("a supernet of space '{}' on {} images{}", space.name, batch,
                  lanes > 1 ? fmt::format(" in {} jobs", lanes) : ""),
      side_by_side(need, lanes),
      std::string("take a smaller batch_size, validation_batch_size or resolution in the "
                  "configuration") +
          (lanes > 1 ? ", or fewer --jobs" : "") + or_fewer_loaders(session));
}

}  // namespace ridgewalk
