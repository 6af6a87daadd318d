// What holds on every device that networks run on.
#include "supernet/network/device.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/cuda.h>

#include <filesystem>

#include "supernet/formats/onnx.h"
#include "supernet/formats/safetensors.h"
#include "supernet/formats/weights.h"
#include "supernet/network/batch_norm.h"
#include "supernet/network/depthwise.h"
#include "supernet/supernet.h"
#include "supernet/training/provenance_check.h"
#include "tests/helpers.h"
#include "tests/supernet/group_of_threads.h"
#include "tests/supernet/on_device.h"

namespace ridgewalk {
namespace {

using Values = std::vector<torch::Tensor>;

// What `compute` makes of `inputs`, and their gradients for a loss that differs at every position.
template <class Compute>
Values output_and_gradients(const Values& inputs, Compute compute) {
  Values leaves;
  for (const torch::Tensor& input : inputs) {
    leaves.push_back(input.detach().clone(torch::MemoryFormat::Preserve).requires_grad_());
  }
  const torch::Tensor output = compute(leaves);
  const auto loss = torch::linspace(-1, 1, output.numel(), output.device()).view(output.sizes());
  (output.to(torch::kFloat) * loss).sum().backward();
  Values values{output};
  for (const torch::Tensor& leaf : leaves) values.push_back(leaf.grad());
  return values;
}

void expect_near(const Values& seen, const Values& expected, double tolerance) {
  ASSERT_EQ(seen.size(), expected.size());
  for (size_t i = 0; i < seen.size(); ++i)
    EXPECT_LT(distance(seen[i], expected[i]), tolerance) << i;
}

Values moved(Values values, torch::Device device, torch::ScalarType type) {
  for (torch::Tensor& value : values) value = value.to(device, type);
  return values;
}

// Compared with LibTorch's on the CPU, in double precision; bf16 has 8 significant bits.
TEST_F(OnDevice, NormsAreLibTorchs) {
  const Values inputs{
      torch::randn({8, 24, 7, 7}).mul(2).add(0.5).contiguous(torch::MemoryFormat::ChannelsLast),
      torch::linspace(0.5, 1.5, 24), torch::linspace(-0.5, 0.5, 24)};
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    Values on_device = moved(inputs, compute_.device, torch::kFloat);
    on_device[0] = on_device[0].to(type);
    const auto mean = torch::zeros({24}, on_device[1].options());
    const auto variance = torch::ones({24}, on_device[1].options());
    const Values seen = output_and_gradients(on_device, [&](const Values& of) {
      return batch_norm(of[0], {of[1], of[2], mean, variance}, 0.1, 1e-5);
    });
    const Values rounded{on_device[0].cpu().to(torch::kDouble), inputs[1].to(torch::kDouble),
                         inputs[2].to(torch::kDouble)};
    const auto expected_mean = torch::zeros({24}, torch::kDouble);
    const auto expected_variance = torch::ones({24}, torch::kDouble);
    const Values expected = output_and_gradients(rounded, [&](const Values& of) {
      return torch::batch_norm(of[0], of[1], of[2], expected_mean, expected_variance, true, 0.1,
                               1e-5, false);
    });
    expect_near(seen, expected, type == torch::kFloat ? 1e-3 : 0.02);
    expect_near({mean, variance}, {expected_mean, expected_variance}, 1e-4);
    EXPECT_EQ(seen[0].scalar_type(), type);
    EXPECT_EQ(seen[0].device().type(), compute_.device.type());
  }
}

TEST_F(OnDevice, DepthwiseConvolutionsAreLibTorchs) {
  for (const int64_t kernel : {3, 5}) {
    for (const int64_t stride : {1, 2}) {
      const Values inputs{
          torch::randn({3, 20, 14, 15}).contiguous(torch::MemoryFormat::ChannelsLast),
          torch::randn({20, 1, kernel, kernel})};
      const Values expected =
          output_and_gradients(moved(inputs, torch::kCPU, torch::kDouble), [&](const Values& of) {
            return torch::conv2d(of[0], of[1], {}, stride, (kernel - 1) / 2, 1, 20);
          });
      for (const DataType precision : {DataType::kFp32, DataType::kBf16}) {
        const Values seen = output_and_gradients(
            moved(inputs, compute_.device, torch::kFloat), [&](const Values& of) {
              const Autocast autocast(precision, compute_.device);
              return depthwise_conv(of[0], of[1], stride);
            });
        expect_near(seen, expected, precision == DataType::kFp32 ? 5e-3 : 0.03);
      }
    }
  }
}

// Kernels of a GPU read 16 bytes at once. Meta tensors have places, but no memory.
TEST_F(OnDevice, ParametersBeginWhereKernelsCanReadThem) {
  for (const torch::Device device : {torch::Device(torch::kMeta), compute_.device}) {
    const ParameterStore store(space_, device);
    for (const Parameter& parameter : store.parameters()) {
      const int64_t at = store.full(parameter.name).storage_offset() * int64_t(sizeof(float));
      EXPECT_EQ(at % (device.is_cpu() ? int64_t(sizeof(float)) : 16), 0) << parameter.name;
    }
  }
}

TEST_F(OnDevice, BatchesArrive) {
  const Graph graph = lower(network());
  for (const int threads : {0, 2}) {
    compute_.loader_threads = threads;
    TrainingBatches batches(data_, {.size = 32, .order_seed = 1, .draw_seed = 2}, compute_);
    for (int64_t number = 0; number < 3; ++number) {
      const Batch batch = batches.batch(number);
      const Batch expected = make_batch(data_, data_.train, batches.draws(number), {});
      EXPECT_TRUE(torch::equal(batch.labels, expected.labels));
      EXPECT_EQ(batch.images.is_pinned(), compute_.device.is_cuda());
      const torch::Tensor images = network_input(batch.images, graph, compute_.device);
      EXPECT_EQ(images.device().type(), compute_.device.type());
      EXPECT_TRUE(images.is_contiguous(torch::MemoryFormat::ChannelsLast));
      EXPECT_TRUE(torch::equal(images.cpu(), expected.images));
    }
  }
}

TEST_F(OnDevice, EvaluationsRepeatAndAreThoseOfTheCpu) {
  const Graph graph = lower(network());
  ParameterStore store(graph, compute_.device), on_cpu(graph);
  for (ParameterStore* one : {&store, &on_cpu}) one->initialize(1);
  const Executor network(graph, store), reference(graph, on_cpu);
  const EvaluationOptions options{.batch_size = 16, .most = 32};
  const Accuracy expected = evaluate(reference, data_, data_.test, {}, options);
  for (const DataType precision : {DataType::kFp32, DataType::kBf16}) {
    compute_.precision = precision;
    const Accuracy first = evaluate(network, data_, data_.test, compute_, options);
    const Accuracy second = evaluate(network, data_, data_.test, compute_, options);
    EXPECT_EQ(first.loss, second.loss);
    EXPECT_EQ(first.top1, second.top1);
    EXPECT_EQ(first.images, expected.images);
    EXPECT_NEAR(first.loss, expected.loss, precision == DataType::kFp32 ? 1e-3 : 0.05);
  }
}

TEST_F(OnDevice, SearchesRepeatThemselves) {
  for (const DataType precision : {DataType::kFp32, DataType::kBf16}) {
    compute_.precision = precision;
    std::vector<double> accuracies[2];
    torch::Tensor values[2];
    for (int run = 0; run < 2; ++run) {
      Supernet supernet(space_, data_, {.steps = 2, .batch_size = 8, .seed = 5}, compute_);
      const std::vector<Decisions> samples{sample_of(space_, false), sample_of(space_, true)};
      for (int step = 0; step < 2; ++step) supernet.train(step, samples);
      accuracies[run] = supernet.accuracy(0, samples);
      values[run] = supernet.parameters().values().clone();
    }
    EXPECT_EQ(accuracies[0], accuracies[1]);
    EXPECT_TRUE(torch::equal(values[0], values[1]));
  }
}

// Of all that has a state or draws: averages, clipping, dropout.
TEST_F(OnDevice, AResumedTrainingEqualsAnUninterruptedOneBitForBit) {
  TrainOptions options{.epochs = 1, .batch_size = 16, .ema = 0.9, .seed = 3};
  options.optimizer.clip_norm = 1;
  const std::string path =
      (std::filesystem::temp_directory_path() / "ridgewalk-device.safetensors").string();
  for (const DataType precision : {DataType::kFp32, DataType::kBf16}) {
    compute_.precision = precision;
    Trainer whole(network(), data_, options, compute_);
    for (int step = 0; step < 2; ++step) whole.advance();
    write_safetensors(path, {.metadata = {}, .tensors = whole.state()});
    double last = 0;
    for (int step = 0; step < 2; ++step) last = whole.advance();

    Trainer resumed(network(), data_, options, compute_);
    restore(resumed.state(), read_safetensors(path), path);
    resumed.set_step(2);
    double resumed_last = 0;
    for (int step = 0; step < 2; ++step) resumed_last = resumed.advance();
    EXPECT_EQ(last, resumed_last);
    EXPECT_TRUE(torch::equal(whole.parameters().values(), resumed.parameters().values()));
    EXPECT_TRUE(torch::equal(whole.result().values(), resumed.result().values()));
    EXPECT_EQ(whole.parameters().values().device().type(), compute_.device.type());
  }
  std::filesystem::remove(path);
}

// On a GPU, too, it is the CPU that draws what is dropped.
TEST_F(OnDevice, DropsWhatTheCpuDrops) {
  at::NoGradGuard no_grad;
  const Graph graph = lower(network());
  ParameterStore store(graph, compute_.device), on_cpu(graph);
  for (ParameterStore* one : {&store, &on_cpu}) one->initialize(1);
  const Executor network(graph, store), reference(graph, on_cpu);
  const torch::Tensor images = random_images(graph, 32);
  const auto seen = network.forward(images, NormMode::kTraining, 7);
  EXPECT_LT(distance(seen, reference.forward(images.cpu(), NormMode::kTraining, 7)), 0.01);
  EXPECT_GT(distance(seen, network.forward(images, NormMode::kTraining, 8)), 0.1);
}

TEST_F(OnDevice, WeightsSurviveFilesAndFolding) {
  at::NoGradGuard no_grad;
  const Graph graph = lower(network());
  ParameterStore store(graph, compute_.device);
  store.initialize(1);
  const torch::Tensor images = random_images(graph, 8);
  Executor(graph, store).forward(images, NormMode::kTraining);  // running statistics of their own
  const torch::Tensor logits = Executor(graph, store).forward(images, NormMode::kRunning);
  const Network folded = fold_norms(graph, store);
  save_weights(folder_ + "/network.safetensors", store);
  write_onnx(folder_ + "/network.onnx", folded.graph, folded.parameters);
  for (const char* name : {"/network.safetensors", "/network.onnx"}) {
    Network loaded = load_network(folder_ + name, graph, compute_.device);
    EXPECT_EQ(loaded.parameters.values().device().type(), compute_.device.type());
    const Executor executor(loaded.graph, loaded.parameters);
    EXPECT_LT(distance(executor.forward(images, NormMode::kRunning), logits), 0.01) << name;
  }
}

// Of a teacher that was trained on images normalised otherwise.
TEST_F(OnDevice, ATeachersLabelsAreThoseOfTheCpu) {
  const Graph graph = lower(network());
  ParameterStore store(graph);
  store.initialize(1);
  Provenance provenance = provenance_of(data_);
  for (double& mean : provenance.mean) mean += 0.1;
  for (double& deviation : provenance.deviation) deviation *= 1.5;
  const TeacherOptions options{network(), folder_ + "/teacher.safetensors", 0.5};
  save_weights(options.weights, store, torch::kFloat, provenance);
  const auto labelled = [&](const Compute& compute) {
    return distill(Teacher(options, data_, compute), data_, {.seed = 1, .top_k = 3}, 125);
  };
  const DistilledLabels labels = labelled(compute_), expected = labelled(Compute{});
  ASSERT_TRUE(labels.probabilities.device().is_cpu());
  EXPECT_LT(distance(labels.probabilities, expected.probabilities), 0.01);

  // Beside the student, mixed with the hard labels.
  const TrainOptions training{
      .batch_size = 16, .distillation = {.labels = {}, .teacher = options}, .seed = 3};
  EXPECT_NEAR(Trainer(network(), data_, training, compute_).advance(),
              Trainer(network(), data_, training, Compute{}).advance(), 0.01);
}

TEST_F(OnDevice, Bf16ComputesInBf16AndIsNear) {
  at::NoGradGuard no_grad;
  const Graph graph = lower(network());
  ParameterStore store(graph, compute_.device);
  store.initialize(1);
  Executor executor(graph, store);
  const torch::Tensor images = random_images(graph, 8);
  const torch::Tensor expected = executor.forward(images, NormMode::kBatch);
  executor.observe([](const Op& op, const torch::Tensor& value) {
    if (op.kind == OpKind::kConv || op.kind == OpKind::kDepthwise) {
      EXPECT_EQ(value.scalar_type(), torch::kBFloat16) << op.name;
    }
  });
  const Autocast autocast(DataType::kBf16, compute_.device);
  const torch::Tensor logits = executor.forward(images, NormMode::kBatch);
  EXPECT_LT(distance(logits, expected), 0.1);
  EXPECT_GT(distance(logits, expected), 0);
}

// A GPU for each process, and beside it the same step of one process.
TEST_F(OnDevice, ProcessesGetTheBitsOfOne) {
  constexpr int kProcesses = 2;
  if (compute_.device.is_cuda() && torch::cuda::device_count() < kProcesses) {
    GTEST_SKIP() << "needs " << kProcesses << " GPUs";
  }
  const std::vector<Decisions> samples{sample_of(space_, false), sample_of(space_, true),
                                       sample_of(space_, false)};
  const auto values_after_a_step = [&](const Compute& compute) {
    const SupernetOptions options{
        .steps = 2, .samples_per_step = int(samples.size()), .batch_size = 8, .seed = 5};
    Supernet supernet(space_, data_, options, compute);
    supernet.train(0, samples);
    return supernet.parameters().values().cpu().clone();
  };
  const torch::Tensor alone = values_after_a_step(compute_);
  in_group(kProcesses, [&](const std::shared_ptr<ProcessGroup>& group) {
    const int rank = group->rank();
    Compute compute = compute_;
    compute.group = group;
    if (compute.device.is_cuda()) compute.device = device_named("cuda", rank);
    // The first process gives nothing to the second, which gives it two numbers.
    const auto options = torch::TensorOptions(group->carrier(compute.device)).dtype(torch::kLong);
    const torch::Tensor given = torch::arange(rank == 0 ? 0 : 2, options);
    const auto got = group->exchanged(given, {0, 2});
    EXPECT_EQ(got[0].numel(), 0);
    EXPECT_TRUE(torch::equal(got[1].cpu(), torch::arange(2)));
    EXPECT_EQ(got[1].device(), group->carrier(compute.device));
    EXPECT_TRUE(torch::equal(values_after_a_step(compute), alone));
    group->leave();
  });
}

TEST(Devices, AreNamed) {
  EXPECT_EQ(device_named("cpu"), torch::Device(torch::kCPU));
  expect_error([] { device_named("cdua"); }, "'cdua'", "did you mean cuda?");
  if (torch::cuda::is_available()) {
    EXPECT_EQ(device_named("cuda"), torch::Device(torch::kCUDA));
  } else if (c10::impl::hasDeviceGuardImpl(torch::kCUDA)) {
    expect_error([] { device_named("cuda"); }, "no GPU", "nvidia-smi");
  } else {
    expect_error([] { device_named("cuda"); }, "a LibTorch without CUDA", "CONTRIBUTING.md");
    expect_error([] { device_named("cuda", 1); }, "a LibTorch without CUDA");
  }
}

TEST(Devices, AreOneForEachProcess) {
  EXPECT_EQ(device_named("cpu", 1), torch::Device(torch::kCPU));
  require_gpu(0, 1);
  require_gpu(7, 8);
  expect_error([] { require_gpu(1, 1); }, "process 1 of this machine", "only 1 GPU;",
               "no more processes");
  expect_error([] { require_gpu(9, 8); }, "process 9 of this machine", "only 8 GPUs;",
               "--gpu-bind=none");
  if (!torch::cuda::is_available()) return;
  const int gpus = int(torch::cuda::device_count());
  EXPECT_EQ(device_named("cuda", gpus - 1),
            torch::Device(torch::kCUDA, c10::DeviceIndex(gpus - 1)));
  expect_error([&] { device_named("cuda", gpus); }, "no more processes");
  device_named("cuda", 0);  // the current one again
}

}  // namespace
}  // namespace ridgewalk
