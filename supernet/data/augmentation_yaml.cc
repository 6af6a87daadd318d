#include "supernet/data/augmentation_yaml.h"

#include <algorithm>

#include "space/yaml_writer.h"

namespace ridgewalk {
namespace {

// [low, high] of positive numbers.
void interval(FieldReader& reader, const char* name, double& low, double& high, Range range) {
  if (!reader.has(name)) return;
  const std::vector<double> ends = reader.list<double>(name);
  if (ends.size() != 2 || !(ends[0] >= range.low && ends[0] <= ends[1] && ends[1] <= range.high)) {
    reader.child(name).fail("'" + std::string(name) + "' must be [low, high] from " +
                            number_text(range.low) + " to " + number_text(range.high));
  }
  low = ends[0];
  high = ends[1];
}

void interval(FieldWriter& writer, const char* name, double low, double high, Range) {
  writer.required(name, std::vector{low, high});
}

void excluded(FieldReader& reader, const char* name, std::vector<ImageOp>& ops) {
  reader.optional(name, ops);
  std::sort(ops.begin(), ops.end());
  ops.erase(std::unique(ops.begin(), ops.end()), ops.end());
  if (ops.size() == kValues<ImageOp>.size()) {
    reader.child(name).fail("'" + std::string(name) +
                            "' leaves no operation; leave one or rand_augment out");
  }
}

void excluded(FieldWriter& writer, const char* name, const std::vector<ImageOp>& ops) {
  writer.omittable(name, ops);
}

// The parameter of a Beta distribution; 0 for never.
void alpha(FieldReader& reader, const char* name, double& value) {
  reader.optional(name, value, {0, 1000});
  if (value > 0 && value < 0.01) {
    reader.child(name).fail("'" + std::string(name) + "' must be 0 (never) or at least 0.01");
  }
}

void alpha(FieldWriter& writer, const char* name, double value) { writer.omittable(name, value); }

}  // namespace

void fields(auto& v, Of<RandomResizedCrop> auto& crop) {
  interval(v, "scale", crop.least_area, crop.most_area, {0.001, 1});
  interval(v, "ratio", crop.least_ratio, crop.most_ratio, {0.01, 100});
}

void fields(auto& v, Of<RandAugment> auto& options) {
  v.optional("probability", options.probability, {0, 1});
  v.optional("layers", options.layers, {1, 16});
  v.optional("magnitude", options.magnitude, {0, 30});
  excluded(v, "exclude", options.exclude);
}

void fields(auto& v, Of<Augmentation> auto& augmentation) {
  const Augmentation none;
  v.optional("random_resized_crop", augmentation.random_resized_crop);
  v.optional("rand_augment", augmentation.rand_augment);
  v.omittable("shift", augmentation.shift, none.shift, {0, 1000});
  v.omittable("flip", augmentation.flip);
  alpha(v, "mixup", augmentation.mixup);
  alpha(v, "cutmix", augmentation.cutmix);
  v.omittable("mix_probability", augmentation.mix_probability, none.mix_probability, {0, 1});
  v.omittable("cutmix_share", augmentation.cutmix_share, none.cutmix_share, {0, 1});
}

void read_augmentation(FieldReader& reader, Augmentation& augmentation) {
  fields(reader, augmentation);
}

Augmentation augmentation_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  Augmentation augmentation;
  fields(reader, augmentation);
  reader.finish();
  return augmentation;
}

std::string to_yaml(const Augmentation& augmentation) {
  YAML::Emitter out;
  out << YAML::Flow << YAML::BeginMap;
  FieldWriter writer(out);
  fields(writer, augmentation);
  out << YAML::EndMap;
  return out.c_str();
}

}  // namespace ridgewalk
