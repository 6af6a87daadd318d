#include "supernet/supernet.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "roofline/cost.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/quantization/batch_rounding.h"
#include "supernet/training/calibration_images.h"
#include "supernet/training/lanes.h"
#include "supernet/training/provenance_check.h"
#include "supernet/training/step_exchange.h"

namespace ridgewalk {
namespace {

// The pieces of a step; losses that other processes compute are given a place.
std::vector<StepPiece> pieces_of(const std::vector<Executor>& networks,
                                 const std::vector<int>& owners,
                                 std::vector<torch::Tensor>& losses) {
  std::vector<StepPiece> pieces;
  for (size_t k = 0; k < networks.size(); ++k) {
    if (!losses[k].defined()) losses[k] = torch::empty({});
    pieces.push_back({.owner = owners[k], .values = {losses[k]}, .leaves = networks[k].learned()});
  }
  return pieces;
}

// Adds its lifetime to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// About as long as a network's step takes, in elements of its activations for each image. Fitted to
// steps of 64 images on one core, 60 networks each of two spaces in fp32 and bf16: mean error 5 to
// 7 %, where activations alone have 7 to 13 %.
std::vector<int64_t> costs(const std::vector<Executor>& networks) {
  constexpr int64_t kElementsPerOp = 2500, kMacsPerElement = 20;
  std::vector<int64_t> costs;
  for (const Executor& network : networks) {
    const Graph& graph = network.graph();
    int64_t cost = kElementsPerOp * std::ssize(graph.ops);
    for (const Op& op : graph.ops) cost += op.output.elements();
    costs.push_back(cost + int64_t(network_cost(graph).macs.value) / kMacsPerElement);
  }
  return costs;
}

// The order in which lanes begin those networks that `is_own` says: the last ones should be small,
// so that no lane waits long for another at the end.
template <class IsOwn>
std::vector<size_t> largest_first(const std::vector<Executor>& networks, IsOwn is_own) {
  const std::vector<int64_t> cost = costs(networks);
  std::vector<size_t> order;
  for (size_t k = 0; k < networks.size(); ++k) {
    if (is_own(k)) order.push_back(k);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return cost[a] > cost[b]; });
  return order;
}

}  // namespace

Supernet::Supernet(const SearchSpace& space, const Dataset& data, const SupernetOptions& options,
                   const Compute& compute)
    : space_(space),
      data_(data),
      options_(options),
      compute_(compute),
      parameters_(space, compute.device),
      optimizer_(parameters_, options.optimizer),
      batches_(data,
               {.size = options.batch_size,
                .augmentation = options.augmentation,
                .label_smoothing = options.label_smoothing,
                .distillation = options.distillation,
                .order_seed = mix(options.seed, 11),
                .draw_seed = mix(options.seed, 14),
                .per_step = options.distils_in_place ? 1 : options.samples_per_step},
               compute),
      validation_order_(data.search_validation.size(), options.validation_batch_size,
                        mix(options.seed, 12)) {
  if (options.calibration_images > 0 && rounds_judged()) {
    throw Error(
        "'calibration_images' and 'quantized' exclude each other: values are rounded by the "
        "range of a batch; keep one");
  }
  parameters_.initialize(mix(options.seed, 13));
}

Supernet::Start Supernet::start_from(const std::string& path) {
  const NamedWeights network = read_named_weights(path);
  const std::optional<Provenance>& trained = network.provenance;
  if (trained) require_unseen(trained->learned, path, data_);
  const auto classifier = network.tensors.find("classifier.weight");
  const bool has_as_many = classifier != network.tensors.end() && classifier->second.dim() > 0 &&
                           classifier->second.size(0) == space_.classes;
  const bool has_same = has_as_many && (!trained || has_same_classes(*trained, data_));
  return {take_slices(network, path, has_same, parameters_),
          trained ? trained->learned : std::vector<LearnedImages>{}};
}

// Begins as the weights are, which may have come from a file.
ParameterStore& Supernet::average() {
  if (!average_) {
    average_.emplace(space_, compute_.device);
    average_->values().copy_(parameters_.values());
  }
  return *average_;
}

Executor Supernet::bind(const Decisions& sample, ParameterStore& parameters, size_t leaves) {
  const Stopwatch watch(slicing_seconds_);
  return Executor(lower(decode_blended(space_, sample)), parameters, leaves);
}

const std::vector<Executor>& Supernet::bind_all(std::span<const Decisions> samples,
                                                bool is_rounded) {
  if (!std::equal(samples.begin(), samples.end(), bound_samples_.begin(), bound_samples_.end())) {
    bound_samples_.clear();
    bound_.clear();
    for (size_t k = 0; k < samples.size(); ++k) bound_.push_back(bind(samples[k], parameters_, k));
    bound_samples_.assign(samples.begin(), samples.end());
  }
  if (rounds_judged()) {
    for (Executor& network : bound_) {
      network.round(is_rounded ? batch_rounding(network.graph()) : nullptr);
    }
  }
  return bound_;
}

std::vector<Executor> Supernet::bind_judged(std::span<const Decisions> samples, bool is_rounded) {
  std::vector<Executor> networks;
  for (const Decisions& sample : samples) {
    networks.push_back(bind(sample, judged_parameters()));
    if (is_rounded) networks.back().round(batch_rounding(networks.back().graph()));
  }
  return networks;
}

// What a sample learns in a step.
struct Supernet::Lesson {
  const Batch& batch;
  double share = 1;  // of the step's gradient
  double label_smoothing = 0, temperature = 1;
};

// Leaves its share of the gradients of a sample's loss in its leaves. Several lanes run this at
// once: each has a network with leaves of its own, and the backward pass of a CPU runs in the
// thread that asks for it. What they share, the values and the data, is only read.
Supernet::Trained Supernet::add_gradients(const Executor& network, const Lesson& lesson) const {
  Trained trained;
  {
    const Autocast autocast(compute_.precision, compute_.device);
    const auto images = network_input(lesson.batch.images, network.graph(), compute_.device);
    trained.logits = network.forward(images, NormMode::kBatch);
    trained.loss = classification_loss(trained.logits, lesson.batch, lesson.label_smoothing,
                                       lesson.temperature);
  }
  (trained.loss * lesson.share).backward();
  return {trained.loss.detach(), trained.logits.detach()};
}

// The process that computes each network: so that all take about as long, or, where batches are
// read ahead, so that each knows which ones it will need.
std::vector<int> Supernet::owners(const std::vector<Executor>& networks, bool with_batches) const {
  const int processes = compute_.group ? compute_.group->size() : 1;
  if (!with_batches || !batches_.reads_ahead()) return balanced_owners(costs(networks), processes);
  std::vector<int> owners;
  for (size_t k = 0; k < networks.size(); ++k) owners.push_back(int(k) % processes);
  return owners;
}

// Each on its own batch. The losses of those that this process owns; they are read later: a GPU is
// waited for only once.
std::vector<torch::Tensor> Supernet::train_each(int step, const std::vector<Executor>& networks,
                                                const std::vector<int>& owners) {
  const size_t count = networks.size();
  const auto own = [&](size_t k) { return is_own(owners[k]); };
  std::vector<TrainingBatches::Begun> batches(count);
  for (size_t k = 0; k < count; ++k) {
    if (own(k)) batches[k] = batches_.begun(int64_t(step) * int64_t(count) + int64_t(k));
  }
  std::vector<torch::Tensor> losses(count);
  const std::vector<size_t> order = largest_first(networks, own);
  in_lanes(compute_.lanes, int64_t(order.size()), [&](int64_t i) {
    const size_t k = order[size_t(i)];
    const Batch batch = batches_.finished(std::move(batches[k]));
    losses[k] = add_gradients(networks[k], {.batch = batch,
                                            .share = 1.0 / double(count),
                                            .label_smoothing = batches_.label_smoothing(),
                                            .temperature = batches_.temperature()})
                    .loss;
  });
  return losses;
}

// All on one batch, the first one before the others, which learn what it says.
std::vector<torch::Tensor> Supernet::train_from_first(int step,
                                                      const std::vector<Executor>& networks,
                                                      const std::vector<int>& owners) {
  const double share = 1.0 / double(networks.size());
  Batch batch = batches_.batch(step);
  std::vector<torch::Tensor> losses(networks.size());
  torch::Tensor soft = torch::empty({batch.labels.size(0), space_.classes});
  in_lanes(compute_.lanes, is_own(owners[0]) ? 1 : 0, [&](int64_t) {
    const Trained first = add_gradients(networks[0], {.batch = batch,
                                                      .share = share,
                                                      .label_smoothing = batches_.label_smoothing(),
                                                      .temperature = batches_.temperature()});
    losses[0] = first.loss;
    soft = first.logits.to(torch::kFloat).softmax(1).cpu();
  });
  if (compute_.group) {
    const StepPiece piece{.owner = owners[0], .values = {soft}};
    exchange_values(*compute_.group, {&piece, 1});
  }
  batch.targets = soft;
  const std::vector<size_t> order =
      largest_first(networks, [&](size_t k) { return k > 0 && is_own(owners[k]); });
  in_lanes(compute_.lanes, int64_t(order.size()), [&](int64_t i) {
    const size_t k = order[size_t(i)];
    losses[k] = add_gradients(networks[k], {.batch = batch, .share = share}).loss;
  });
  return losses;
}

double Supernet::train(int step, std::span<const Decisions> samples) {
  const Stopwatch watch(step_seconds_);
  if (options_.ema > 0) average();
  const auto& networks = bind_all(samples, options_.quantized == Quantized::kTrained);
  const std::vector<int> owner = owners(networks, true);
  std::vector<torch::Tensor> losses = options_.distils_in_place
                                          ? train_from_first(step, networks, owner)
                                          : train_each(step, networks, owner);
  if (compute_.group) {
    sum_gradients(*compute_.group, pieces_of(networks, owner, losses), parameters_);
  } else {
    parameters_.collect_gradients(learned(networks));
  }
  double sum = 0;
  for (const torch::Tensor& loss : losses) sum += loss.item<double>();
  if (!std::isfinite(sum)) {
    parameters_.grads().zero_();
    return sum;
  }
  optimizer_.step(step, options_.steps);
  if (average_) update_average(average_->values(), parameters_.values(), options_.ema, step);
  return sum / double(samples.size());
}

Batch Supernet::validation_batch(int step) {
  const ImageSet& set = data_.search_validation;
  const std::vector<int64_t> images = validation_order_.indices(step);
  const int64_t lanes = compute_.lanes, count = int64_t(images.size());
  std::vector<torch::Tensor> pixels(static_cast<size_t>(lanes)), labels(pixels.size());
  in_lanes(int(lanes), lanes, [&](int64_t i) {
    const auto part = make_evaluation_batch(
        data_, set, {images.begin() + i * count / lanes, images.begin() + (i + 1) * count / lanes});
    pixels[size_t(i)] = part.images;
    labels[size_t(i)] = part.labels;
  });
  return {torch::cat(pixels).contiguous(torch::MemoryFormat::ChannelsLast), torch::cat(labels), {}};
}

std::vector<double> Supernet::accuracy(int step, std::span<const Decisions> samples) {
  const Stopwatch watch(step_seconds_);
  const Batch batch = validation_batch(step);
  if (batch.labels.size(0) == 0) {
    throw Error(data_.name, 0, "has a batch of held-out images of which none can be decoded");
  }
  const auto labels = batch.labels.to(compute_.device);
  std::vector<Executor> averaged;
  if (average_) averaged = bind_judged(samples, rounds_judged());
  const auto& networks = average_ ? averaged : bind_all(samples, rounds_judged());
  const auto on_device = batch.images.to(compute_.device);
  std::vector<torch::Tensor> hits(samples.size());  // read after the loop, as the losses of train()
  const std::vector<int> owner = owners(networks, false);
  const std::vector<size_t> order =
      largest_first(networks, [&](size_t k) { return is_own(owner[k]); });
  in_lanes(compute_.lanes, int64_t(order.size()), [&](int64_t i) {
    at::NoGradGuard no_grad;
    const size_t k = order[size_t(i)];
    const Autocast autocast(compute_.precision, compute_.device);
    const auto images = network_input(on_device, networks[k].graph(), compute_.device);
    hits[k] = networks[k].forward(images, NormMode::kBatch).argmax(1).eq(labels).sum();
  });
  if (compute_.group) {
    std::vector<StepPiece> pieces;
    for (size_t k = 0; k < hits.size(); ++k) {
      // Counts that fp32 holds.
      hits[k] = hits[k].defined() ? hits[k].to(torch::kFloat) : torch::empty({});
      pieces.push_back({.owner = owner[k], .values = {hits[k]}});
    }
    exchange_values(*compute_.group, pieces);
  }
  std::vector<double> accuracies;
  for (const torch::Tensor& count : hits) {
    accuracies.push_back(count.item<double>() / double(labels.size(0)));
  }
  return accuracies;
}

// Gives the norms of a network the mean of the statistics of batches of training images.
void Supernet::calibrate(Graph graph) {
  const CalibrationBatches training =
      calibration_batches(data_, graph, options_.calibration_images, options_.validation_batch_size,
                          mix(options_.seed, 15));
  in_lanes(compute_.lanes, 1, [&](int64_t) {
    at::NoGradGuard no_grad;
    const Autocast autocast(compute_.precision, compute_.device);
    int64_t used = 0;
    for (int64_t number = 0; number < training.count; ++number) {
      const torch::Tensor images = training.batch(number).to(compute_.device);
      if (images.size(0) == 0) continue;  // none can be decoded
      graph.norm.momentum = 1.0 / double(++used);
      Executor(graph, judged_parameters()).forward(images, NormMode::kTraining);
    }
  });
}

Accuracy Supernet::validate(const Decisions& sample) { return validate(sample, rounds_judged()); }

Accuracy Supernet::validate_rounded(const Decisions& sample) { return validate(sample, true); }

Accuracy Supernet::validate(const Decisions& sample, bool is_rounded) {
  const Executor network = bind_judged({&sample, 1}, is_rounded).front();
  const bool calibrates = options_.calibration_images > 0;
  if (calibrates) calibrate(network.graph());
  return evaluate(network, data_, data_.search_validation, compute_,
                  {.mode = calibrates ? NormMode::kRunning : NormMode::kBatch,
                   .batch_size = options_.validation_batch_size});
}

Provenance Supernet::provenance(std::vector<LearnedImages> before) const {
  add(batches_.learned_by_teacher(), before);
  return provenance_of(data_, std::move(before));
}

NamedTensors Supernet::state() {
  NamedTensors state{{"values", parameters_.values()}};
  for (auto& moment : optimizer_.state()) state.push_back(std::move(moment));
  if (options_.ema > 0) state.emplace_back("ema", average().values());
  return state;
}

}  // namespace ridgewalk
