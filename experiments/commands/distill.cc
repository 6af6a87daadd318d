#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "experiments/machine/resources.h"
#include "experiments/run/group_run.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/progress.h"
#include "experiments/run/train_config.h"
#include "space/error.h"
#include "space/file.h"
#include "space/lowering.h"

namespace ridgewalk {

namespace {

constexpr const char* kReplicas = ".replicas";  // after --out: the replicas that are finished

CommandLine distill_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "distill TEACHER --weights W --data D --out FILE [--replicas R] [--config FILE]",
      "Stores a teacher's soft labels of R augmented copies of every training image, for\n"
      "`train --distilled` and the `distilled` key of configurations. The copies are not stored:\n"
      "they are made again from their seeds. Hold out as many images as the student will. The\n"
      "same command resumes after the replicas in FILE.replicas.",
      "teacher", 1);
  line.add()("weights", po::value<std::string>(), "safetensors or ONNX file");
  line.add()("data", po::value<std::string>(), "data set");
  line.add()("out", po::value<std::string>(), "the file to write");
  line.add_number<int64_t>("replicas", 1, 100'000,
                           "copies of each image; epoch e of a training has copy e modulo R", 1);
  line.add()("config", po::value<std::string>(), "YAML of the augmentation: flip, shift, ...");
  line.add_number<int64_t>("search-validation", 0, 1'000'000'000,
                           "training images held out, which get no labels", 0);
  line.add_seed("of the augmentation, and of the held-out images unless the teacher held out some",
                0);
  line.add_number<double>("temperature", 0.01, 1000,
                          "of the teacher's softmax; above 1 a student's has it too, and its loss "
                          "is scaled by its square",
                          1);
  line.add_number<int64_t>(
      "top-k", 0, 1'000'000,
      "probabilities kept of an image (default: all of at most 32 classes, else 16)", 0);
  line.add_number<int>("batch-size", 1, 65536, "images", 500);
  line.add_input_options();
  line.add_data_options();
  line.add_loader_options();
  line.add_group_options();
  line.add_session_options();
  return line;
}

DistillOptions distill_options(const CommandLine& line, const TeacherOptions& teacher) {
  const auto config = line.find<std::string>("config");
  const std::string augmentation = config ? read_file(*config) : "{}";
  const uint64_t seed = line.seed();
  return {.augmentation = augmentation_from_yaml(augmentation, config.value_or("--config")),
          .augmentation_text = augmentation,
          .seed = seed,
          .split_seed = split_seed({.labels = {}, .teacher = teacher}, seed),
          .replicas = line.get<int64_t>("replicas"),
          .top_k = line.get<int64_t>("top-k"),
          .temperature = line.get<double>("temperature")};
}

// Each finished replica is left in OUT.replicas.
DistilledLabels distill_with_progress(const Teacher& teacher, const Dataset& data,
                                      const DistillOptions& options, int batch_size,
                                      const std::string& unfinished, const Session& session) {
  ProcessGroup* const group = session.compute.group.get();
  const bool is_first = group == nullptr || group->is_first();
  std::optional<DistilledLabels> so_far;
  if (path_exists(unfinished)) so_far = load_distilled(unfinished);
  const int64_t before = so_far ? so_far->replicas : 0;
  const auto batches = [&](int64_t images) { return int((images + batch_size - 1) / batch_size); };
  const auto start = std::chrono::steady_clock::now();
  DistilledLabels labels;
  {
    Progress progress("distill", batches(before * data.train.size()),
                      batches(data.train.size() * options.replicas), batch_size, session.quiet);
    const DistillProgress told{
        .images_done =
            [&](int64_t done) {
              if (group != nullptr ? group->any(interrupted()) : interrupted()) {
                throw Interrupted(
                    path_exists(unfinished)
                        ? "interrupted; the same command resumes"
                        : "interrupted in the first replica; the same command starts again");
              }
              progress.update(int(done / batch_size), "");
            },
        .replica_done =
            [&](const DistilledLabels& done) {
              if (is_first) save_distilled(unfinished, done);
              if (group != nullptr) group->gathered(0, true);  // a slow disk is waited for
            }};
    labels = distill(teacher, data, options, batch_size, told, so_far ? &*so_far : nullptr);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double images = double(data.train.size() * (options.replicas - before));
  if (!session.quiet) {
    say(fmt::format("distill: {:.0f} s, {:.0f} images/s\n", seconds.count(),
                    images / seconds.count()));
  }
  return labels;
}

// Where the replicas that are finished are: for others than the first process, in a copy.
std::string unfinished_file(const std::string& out, const std::optional<ScratchFolder>& scratch,
                            ProcessGroup* group) {
  const std::string path = out + kReplicas, copy = scratch ? scratch->path() + "/replicas" : "";
  if (group != nullptr) copy_from_first(*group, path, copy);
  return scratch ? copy : path;
}

int distill(const CommandLine& line) {
  const Session session = line.session();
  const int batch_size = line.get<int>("batch-size");
  const std::string out = line.required("out");
  refuse_overwriting(out, line.required("weights"));
  const Architecture architecture = line.classifier(line.words()[0]);
  const TeacherOptions teacher_options{.architecture = architecture,
                                       .weights = line.required("weights")};
  const DistillOptions options = distill_options(line, teacher_options);
  const Dataset data =
      load_dataset(line.required("data"), line.get<int64_t>("search-validation"),
                   options.split_seed, line.folder_options(architecture.resolution));
  require_fits(architecture, data);
  const int64_t batch = std::min<int64_t>(batch_size, data.train.size());
  const Graph graph = lower(architecture);
  require_inference_memory(graph, batch, session);
  require_memory(
      fmt::format("the labels of {} replicas of {} images, and the images that are read ahead,",
                  options.replicas, data.train.size()),
      label_bytes(data, options) + loader_bytes(batch, graph.ops[0].output.elements(), session),
      "give fewer --replicas or --loader-threads, or a smaller --top-k or --batch-size");
  const Teacher teacher(teacher_options, data, session.compute);
  if (const auto trained_on = read_provenance(teacher.weights())) {
    say_other_images(*trained_on, teacher.weights(), data, data.resolution, session);
  }
  ProcessGroup* const group = session.compute.group.get();
  if (group != nullptr) {
    require_same(*group, fmt::format("{}\n{}\n{} {} {} {} {} {} {:x} {:x}", to_yaml(architecture),
                                     options.augmentation_text, options.seed, options.split_seed,
                                     options.replicas, options.top_k, options.temperature,
                                     batch_size, teacher.hash(), hash_of(data)));
  }
  std::optional<FileLock> lock;
  in_first(group, [&] {
    {
      const FileWriter refuses_a_bad_path_now(out);
    }
    lock.emplace(out);
  });
  std::optional<ScratchFolder> scratch;
  if (group != nullptr && !group->is_first()) scratch.emplace();
  const DistilledLabels labels = distill_with_progress(
      teacher, data, options, batch_size, unfinished_file(out, scratch, group), session);
  if (group != nullptr && !group->is_first()) return 0;
  save_distilled(out, labels);
  std::error_code ignored;
  std::filesystem::remove(out + kReplicas, ignored);
  say_damaged(data, session);
  fmt::print(
      "{}: soft labels of {} x {} training images of {} in {}; the teacher's top-1 on test is "
      "{:.2f} %\n",
      architecture.name, options.replicas, data.train.size(), data.name, out,
      100 * labels.teacher_top1);
  return 0;
}

}  // namespace

int distill_command(const Arguments& arguments) {
  CommandLine line = distill_line();
  return run_in_group(line, arguments, [&] { return distill(line); });
}

}  // namespace ridgewalk
