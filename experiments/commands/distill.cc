#include <chrono>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/progress.h"
#include "experiments/run/train_config.h"
#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {

int distill_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "distill TEACHER --weights W --data D --out FILE [--replicas R] [--config FILE]",
      "Stores a teacher's soft labels of R augmented copies of every training image, for\n"
      "`train --distilled` and the `distilled` key of configurations. The copies are not stored:\n"
      "they are made again from their seeds. Hold out as many images as the student will. The\n"
      "same command goes on after the replicas in FILE.replicas.",
      "teacher", 1);
  line.add()("weights", po::value<std::string>(), "safetensors or ONNX file");
  line.add()("data", po::value<std::string>(), "data set");
  line.add()("out", po::value<std::string>(), "the file to write");
  line.add()("replicas", po::value<int64_t>()->default_value(1),
             "copies of each image; epoch e of a training has copy e modulo R");
  line.add()("config", po::value<std::string>(), "YAML of the augmentation: flip, shift, ...");
  line.add()("search-validation", po::value<int64_t>()->default_value(0),
             "training images held out, of which there are no labels");
  line.add()("seed", po::value<int64_t>()->default_value(0),
             "of the held-out images, as for train, and of the augmentation");
  line.add()("temperature", po::value<double>()->default_value(1), "of the softmax");
  line.add()("top-k", po::value<int64_t>()->default_value(0),
             "probabilities kept of an image (default: all of at most 32 classes, else 16)");
  line.add()("batch-size", po::value<int>()->default_value(500), "images");
  line.add_input_options();
  line.add_data_options();
  line.add_loader_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();

  const Session session = line.session();
  const int batch_size = line.get<int>("batch-size");
  if (batch_size < 1) throw Error("--batch-size must be at least 1");
  const std::string out = line.required("out");
  const std::string augmentation =
      line.has("config") ? read_file(line.get<std::string>("config")) : "{}";
  const uint64_t seed = line.seed();
  const DistillOptions options{
      .augmentation = augmentation_from_yaml(
          augmentation, line.has("config") ? line.get<std::string>("config") : "--config"),
      .augmentation_text = augmentation,
      .seed = seed,
      .split_seed = split_seed({}, seed),
      .replicas = line.get<int64_t>("replicas"),
      .top_k = line.get<int64_t>("top-k"),
      .temperature = line.get<double>("temperature")};
  const Architecture architecture = line.architecture(line.words()[0]);
  const Dataset data =
      load_dataset(line.required("data"), line.get<int64_t>("search-validation"),
                   options.split_seed, line.folder_options(architecture.resolution));
  require_fits(architecture, data);
  const std::string weights = line.required("weights");
  const Teacher teacher({.architecture = architecture, .weights = weights}, data, session.compute);
  { const FileWriter probe(out); }  // refuses before the work

  // What is done of it, for the same command to go on with.
  const std::string unfinished = out + ".replicas";
  std::optional<DistilledLabels> so_far;
  if (std::filesystem::exists(unfinished)) so_far = load_distilled(unfinished);
  const int64_t before = so_far ? so_far->replicas : 0;
  const auto start = std::chrono::steady_clock::now();
  const auto batches = [&](int64_t images) { return int((images + batch_size - 1) / batch_size); };
  DistilledLabels labels;
  {
    Progress progress("distill", batches(before * data.train.size()),
                      batches(data.train.size() * std::max<int64_t>(1, options.replicas)),
                      batch_size, session.quiet);
    const DistillProgress told{
        .images_done =
            [&](int64_t done) {
              if (interrupted()) {
                throw Interrupted(
                    std::filesystem::exists(unfinished)
                        ? "interrupted; the same command goes on"
                        : "interrupted in the first replica; the same command starts anew");
              }
              progress.update(int(done / batch_size), "");
            },
        .replica_done = [&](const DistilledLabels& done) { save_distilled(unfinished, done); }};
    labels = distill(teacher, data, options, batch_size, told, so_far ? &*so_far : nullptr);
  }
  save_distilled(out, labels);
  std::filesystem::remove(unfinished);
  const int64_t images = data.train.size() * (options.replicas - before);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!session.quiet) {
    fmt::print(stderr, "distill: {:.0f} s, {:.0f} images/s\n", seconds, double(images) / seconds);
  }
  fmt::print(
      "{}: soft labels of {} x {} training images of {} in {}; the teacher's top-1 on test is "
      "{:.2f} %\n",
      architecture.name, options.replicas, data.train.size(), data.name, out,
      100 * labels.teacher_top1);
  return 0;
}

}  // namespace ridgewalk
