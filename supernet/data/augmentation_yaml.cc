#include "supernet/data/augmentation_yaml.h"

#include <algorithm>
#include <tuple>

namespace ridgewalk {
namespace {

// [low, high] of positive numbers.
void read_range(FieldReader& reader, const char* name, double& low, double& high, double least,
                double most) {
  if (!reader.has(name)) return;
  const std::vector<double> ends = reader.list<double>(name);
  if (ends.size() == 2 && ends[0] >= least && ends[0] <= ends[1] && ends[1] <= most) {
    low = ends[0];
    high = ends[1];
    return;
  }
  reader.child(name).fail("'" + std::string(name) + "' must be [low, high] from " +
                          number_text(least) + " to " + number_text(most));
}

RandomResizedCrop read_crop(const YamlSource& source) {
  FieldReader reader(source);
  RandomResizedCrop crop;
  read_range(reader, "scale", crop.least_area, crop.most_area, 0.001, 1);
  read_range(reader, "ratio", crop.least_ratio, crop.most_ratio, 0.01, 100);
  reader.finish();
  return crop;
}

RandAugment read_rand_augment(const YamlSource& source) {
  FieldReader reader(source);
  RandAugment options;
  bounded(reader, "probability", options.probability, 0, 1);
  bounded(reader, "layers", options.layers, 1, 16);
  bounded(reader, "magnitude", options.magnitude, 0, 30);
  if (reader.has("exclude")) {
    for (const std::string& name : reader.list<std::string>("exclude")) {
      const auto op = image_op_named(name);
      if (!op) {
        std::string known;
        for (int i = 0; i < kImageOps; ++i) known.append(" ").append(to_string(ImageOp(i)));
        reader.child("exclude").fail("no operation is named '" + name + "'; there are" + known);
      }
      if (std::find(options.exclude.begin(), options.exclude.end(), *op) == options.exclude.end()) {
        options.exclude.push_back(*op);
      }
    }
    std::sort(options.exclude.begin(), options.exclude.end());
    if (options.exclude.size() == kImageOps) {
      reader.child("exclude").fail("'exclude' leaves no operation; leave one or rand_augment out");
    }
  }
  reader.finish();
  return options;
}

void write_number(YAML::Emitter& out, const char* name, double value) {
  out << YAML::Key << name << YAML::Value << number_text(value);
}

void write_range(YAML::Emitter& out, const char* name, double low, double high) {
  out << YAML::Key << name << YAML::Value << YAML::Flow << YAML::BeginSeq << number_text(low)
      << number_text(high) << YAML::EndSeq;
}

void write_rand_augment(YAML::Emitter& out, const RandAugment& options) {
  out << YAML::BeginMap;
  write_number(out, "probability", options.probability);
  write_number(out, "layers", options.layers);
  write_number(out, "magnitude", options.magnitude);
  if (!options.exclude.empty()) {
    out << YAML::Key << "exclude" << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const ImageOp op : options.exclude) out << std::string(to_string(op));
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

}  // namespace

void read_augmentation(FieldReader& reader, Augmentation& augmentation) {
  if (reader.has("random_resized_crop")) {
    augmentation.random_resized_crop = read_crop(reader.child("random_resized_crop"));
  }
  if (reader.has("rand_augment")) {
    augmentation.rand_augment = read_rand_augment(reader.child("rand_augment"));
  }
  bounded(reader, "shift", augmentation.shift, 0, 1000);
  reader.optional("flip", augmentation.flip);
  for (auto [name, alpha] :
       {std::pair("mixup", &augmentation.mixup), std::pair("cutmix", &augmentation.cutmix)}) {
    bounded(reader, name, *alpha, 0, 1000);
    if (*alpha > 0 && *alpha < 0.01) {
      reader.child(name).fail("'" + std::string(name) + "' must be 0 (never) or at least 0.01");
    }
  }
  bounded(reader, "mix_probability", augmentation.mix_probability, 0, 1);
  bounded(reader, "cutmix_share", augmentation.cutmix_share, 0, 1);
}

Augmentation augmentation_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  Augmentation augmentation;
  read_augmentation(reader, augmentation);
  reader.finish();
  return augmentation;
}

std::string to_yaml(const Augmentation& augmentation) {
  const Augmentation none;
  YAML::Emitter out;
  out << YAML::Flow << YAML::BeginMap;
  if (const auto& crop = augmentation.random_resized_crop) {
    out << YAML::Key << "random_resized_crop" << YAML::Value << YAML::BeginMap;
    write_range(out, "scale", crop->least_area, crop->most_area);
    write_range(out, "ratio", crop->least_ratio, crop->most_ratio);
    out << YAML::EndMap;
  }
  if (const auto& options = augmentation.rand_augment) {
    out << YAML::Key << "rand_augment" << YAML::Value;
    write_rand_augment(out, *options);
  }
  if (augmentation.shift != 0) write_number(out, "shift", augmentation.shift);
  if (augmentation.flip) out << YAML::Key << "flip" << YAML::Value << true;
  for (const auto& [name, value, unless] :
       {std::tuple("mixup", augmentation.mixup, none.mixup),
        std::tuple("cutmix", augmentation.cutmix, none.cutmix),
        std::tuple("mix_probability", augmentation.mix_probability, none.mix_probability),
        std::tuple("cutmix_share", augmentation.cutmix_share, none.cutmix_share)}) {
    if (value != unless) write_number(out, name, value);
  }
  out << YAML::EndMap;
  return out.c_str();
}

}  // namespace ridgewalk
