#include "experiments/run/train_config.h"

#include "experiments/run/config_files.h"
#include "experiments/run/seed_streams.h"
#include "space/yaml.h"
#include "supernet/data/augmentation_yaml.h"

namespace ridgewalk {
namespace {

void read_optimizer(FieldReader& reader, OptimizerOptions& options) {
  if (reader.has("optimizer")) {
    options = default_options(reader.required<OptimizerKind>("optimizer"));
  }
  bounded(reader, "learning_rate", options.learning_rate, 0, 100);
  bounded(reader, "warmup", options.warmup, 0, 1);
  bounded(reader, "cosine_alpha", options.cosine_alpha, 0, 1);
  bounded(reader, "constant_end", options.constant_end, 0, 1);
  if (options.constant_end > 0 && options.cosine_alpha == 0) {
    const std::string key = reader.has("constant_end") ? "constant_end" : "cosine_alpha";
    reader.child(key).fail(
        "'constant_end' keeps the rate at which the cosine ends, which is 0; set 'cosine_alpha' "
        "above 0");
  }
  bounded(reader, "momentum", options.momentum, 0, 0.9999);
  bounded(reader, "decay", options.decay, 0, 0.999999);
  bounded(reader, "epsilon", options.epsilon, 0, 10);
  bounded(reader, "weight_decay", options.weight_decay, 0, 10);
  bounded(reader, "l2", options.l2, 0, 10);
  bounded(reader, "clip_norm", options.clip_norm, 0, 1e9);
}

// distilled: FILE, or teacher: {network: ARCH, weights: FILE, weight: 1, resolution: the network's}
void read_distillation(FieldReader& reader, Distillation& distillation,
                       Augmentation& augmentation) {
  if (reader.has("teacher")) {
    FieldReader fields(reader.child("teacher"));
    TeacherOptions& teacher = distillation.teacher.emplace();
    teacher.architecture = read_architecture(fields, "network");
    teacher.weights = read_path(fields, "weights");
    bounded(fields, "weight", teacher.weight, 0, 1);
    bounded(fields, "resolution", teacher.architecture.resolution, 1, 8192);
    fields.finish();
  }
  if (reader.has("distilled")) {
    const std::string path = read_path(reader, "distilled");
    at_line(reader.child("distilled"),
            [&] { return use_distilled(path, distillation, augmentation); });
  }
}

}  // namespace

void use_distilled(const std::string& path, Distillation& distillation,
                   Augmentation& augmentation) {
  if (distillation.teacher) throw Error("'distilled' and 'teacher' exclude each other; keep one");
  if (augmentation != Augmentation{}) {
    throw Error(path, 0, "brings its own augmentation; leave the configuration's out");
  }
  distillation.labels = std::make_shared<const DistilledLabels>(load_distilled(path));
  augmentation = augmentation_from_yaml(distillation.labels->augmentation, path);
}

uint64_t split_seed(const Distillation& distillation, uint64_t seed, const std::string& weights) {
  if (distillation.labels) return distillation.labels->split_seed;
  std::optional<Provenance> learned;
  if (!weights.empty()) learned = read_provenance(weights);
  if (!learned && distillation.teacher) learned = read_provenance(distillation.teacher->weights);
  return learned && learned->held_out > 0 ? learned->split_seed
                                          : stream_seed(seed, SeedStream::kSplit);
}

TrainOptions read_train(const YamlSource& source) {
  FieldReader reader(source);
  TrainOptions options;
  bounded(reader, "epochs", options.epochs, 1, 100000);
  bounded(reader, "batch_size", options.batch_size, 2, 65536);
  if (reader.has("shards")) {
    bounded(reader, "shards", options.shards, 1, 32768);
    if (options.batch_size < 2 * options.shards) {
      reader.child("shards").fail("'shards' leaves less than two images of a batch for each");
    }
  }
  bounded(reader, "label_smoothing", options.label_smoothing, 0, 0.99);
  bounded(reader, "seed", options.seed, 0, 1e18);
  for (auto [key, value] :
       {std::pair("drop_path", &options.drop_path), std::pair("dropout", &options.dropout)}) {
    if (!reader.has(key)) continue;
    value->emplace();
    bounded(reader, key, **value, 0, 0.99);
  }
  reader.optional("initialization", options.initialization);
  bounded(reader, "ema", options.ema, 0, 0.9999999);
  read_optimizer(reader, options.optimizer);
  if (reader.has("warmup_epochs")) {
    if (reader.has("warmup")) {
      reader.child("warmup").fail("'warmup' and 'warmup_epochs' are the same; keep one");
    }
    double epochs = 0;
    bounded(reader, "warmup_epochs", epochs, 0, options.epochs);
    options.optimizer.warmup = epochs / options.epochs;
  }
  read_augmentation(reader, options.augmentation);
  read_distillation(reader, options.distillation, options.augmentation);
  reader.finish();
  return options;
}

SupernetOptions read_weights(const YamlSource& source) {
  FieldReader reader(source);
  SupernetOptions options;
  bounded(reader, "batch_size", options.batch_size, 2, 65536);
  bounded(reader, "validation_batch_size", options.validation_batch_size, 2, 65536);
  bounded(reader, "label_smoothing", options.label_smoothing, 0, 0.99);
  bounded(reader, "ema", options.ema, 0, 0.9999999);
  bounded(reader, "calibration_images", options.calibration_images, 0, 1e9);
  if (reader.has("start")) options.start = read_path(reader, "start");
  read_optimizer(reader, options.optimizer);
  read_augmentation(reader, options.augmentation);
  read_distillation(reader, options.distillation, options.augmentation);
  reader.finish();
  return options;
}

TrainOptions load_train_options(const std::string& path) {
  return read_train(parse_yaml(read_file(path), path));
}

}  // namespace ridgewalk
