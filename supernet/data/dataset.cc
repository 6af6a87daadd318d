#include "supernet/data/dataset.h"

#include <algorithm>
#include <cmath>

#include "space/error.h"
#include "space/random.h"
#include "space/suggestion.h"
#include "supernet/data/cifar.h"
#include "supernet/data/class_names.h"
#include "supernet/data/idx.h"
#include "supernet/data/idx_folder.h"

namespace ridgewalk {
namespace {

constexpr const char* kFashionMnist = "/usr/share/datasets/fashion-mnist";

ImageSet in_memory(const std::vector<uint8_t>& pixels, torch::IntArrayRef shape,
                   const std::vector<uint8_t>& labels) {
  ImageSet set{torch::empty(shape, torch::kUInt8), torch::empty({shape[0]}, torch::kLong)};
  std::copy(pixels.begin(), pixels.end(), set.images.data_ptr<uint8_t>());
  std::copy(labels.begin(), labels.end(), set.labels.data_ptr<int64_t>());
  return set;
}

ImageSet read_idx_set(const std::string& folder, IdxPart part) {
  const std::string images_path = find_idx_file(folder, part, IdxContent::kImages);
  const std::string labels_path = find_idx_file(folder, part, IdxContent::kLabels);
  const IdxArray images = read_idx(images_path, 3);
  const IdxArray labels = read_idx(labels_path, 1);
  if (images.shape[0] != labels.shape[0]) {
    throw Error(labels_path, 0,
                "has " + std::to_string(labels.shape[0]) + " labels for " +
                    std::to_string(images.shape[0]) + " images");
  }
  if (images.shape[1] != images.shape[2]) throw Error(images_path, 0, "images must be square");
  return in_memory(images.bytes, {images.shape[0], images.shape[1], images.shape[2], 1},
                   labels.bytes);
}

// The readers leave all training images in `train`.
Dataset read_idx_folder(const std::string& folder) {
  Dataset data{.name = {},
               .train = read_idx_set(folder, IdxPart::kTrain),
               .search_validation = {},
               .test = read_idx_set(folder, IdxPart::kTest)};
  data.classes = int(std::max(data.train.labels.max().item<int64_t>(),
                              data.test.labels.max().item<int64_t>())) +
                 1;
  if (data.test.images.size(1) != data.train.images.size(1)) {
    throw Error(folder, 0, "has test images of another size than its training images");
  }
  return data;
}

Dataset of_cifar(const Cifar& cifar) {
  const auto set = [](const CifarSet& from) {
    return in_memory(from.pixels, {int64_t(from.labels.size()), 32, 32, 3}, from.labels);
  };
  return {.name = {},
          .train = set(cifar.train),
          .search_validation = {},
          .test = set(cifar.test),
          .classes = cifar.classes,
          .class_names = cifar.class_names};
}

Dataset of_folder(const std::string& folder, const FolderOptions& options) {
  Dataset data;
  data.damaged = std::make_shared<DamagedFiles>(options.strict, options.quiet);
  data.file_hashes = std::make_shared<FileHashes>();
  const ImageFolder images = read_image_folder(folder, *data.damaged);
  const auto set = [](const ImageFiles& files) {
    return ImageSet{{}, torch::tensor(files.labels, torch::kInt).to(torch::kLong), files.paths};
  };
  data.train = set(images.train);
  data.test = set(images.test);
  data.classes = int(images.classes.size());
  data.class_names = images.classes;
  data.crop_fraction = options.crop_fraction;
  return data;
}

ImageSet subset(const ImageSet& set, const std::vector<int64_t>& indices) {
  const auto index = torch::tensor(indices, torch::kLong);
  ImageSet part{{}, set.labels.index_select(0, index)};
  if (set.paths.empty()) {
    part.images = set.images.index_select(0, index);
  } else {
    for (const int64_t i : indices) part.paths.push_back(set.paths[size_t(i)]);
  }
  return part;
}

// Mean and deviation of each channel of the training images.
void normalize_by_pixels(Dataset& data) {
  const int64_t channels = data.channels;
  std::vector<std::array<int64_t, 256>> counts(static_cast<size_t>(channels));
  const uint8_t* pixel = data.train.images.data_ptr<uint8_t>();
  const int64_t pixels = data.train.images.numel() / channels;
  for (int64_t i = 0; i < pixels; ++i) {
    for (auto& channel : counts) ++channel[*pixel++];
  }
  for (size_t c = 0; c < counts.size(); ++c) {
    int64_t sum = 0;
    for (size_t v = 0; v < 256; ++v) sum += int64_t(v) * counts[c][v];
    const double mean = double(sum) / double(pixels) / 255;
    double squares = 0;
    for (size_t v = 0; v < 256; ++v) {
      squares += double(counts[c][v]) * std::pow(double(v) / 255 - mean, 2);
    }
    data.mean[c] = mean;
    data.deviation[c] = std::max(1e-6, std::sqrt(squares / double(pixels - 1)));
  }
}

}  // namespace

Dataset load_dataset(const std::string& spec, int64_t search_validation, uint64_t seed,
                     const FolderOptions& options) {
  const size_t colon = spec.find(':');
  const std::string kind = spec.substr(0, colon);
  const std::string folder = colon == std::string::npos ? "" : spec.substr(colon + 1);
  Dataset data;
  if (spec == "fashion-mnist") {
    data = read_idx_folder(kFashionMnist);
  } else if (kind == "idx" && !folder.empty()) {
    data = read_idx_folder(folder);
  } else if (kind == "cifar10" && !folder.empty()) {
    data = of_cifar(read_cifar10(folder));
  } else if (kind == "cifar100" && !folder.empty()) {
    data = of_cifar(read_cifar100(folder));
  } else if (kind == "imagefolder" && !folder.empty()) {
    data = of_folder(folder, options);
  } else {
    const std::vector<std::string> known{"fashion-mnist", "idx", "cifar10", "cifar100",
                                         "imagefolder"};
    throw Error(spec, 0, "is not a data set (" + suggestion(kind, known) + "); give " + kDatasets);
  }
  data.name = spec;
  if (data.class_names.empty()) data.class_names = known_class_names(spec);
  if (int(data.class_names.size()) != data.classes) data.class_names.clear();
  data.split_seed = seed;
  const ImageSet all = data.train;
  if (search_validation < 0 || search_validation >= all.size()) {
    throw Error(spec, 0,
                "has " + std::to_string(all.size()) + " training images; " +
                    std::to_string(search_validation) +
                    " cannot be held out for search validation");
  }
  const std::vector<int64_t> order = permutation(all.size(), seed);
  data.search_validation = subset(all, {order.begin(), order.begin() + search_validation});
  data.train = subset(all, {order.begin() + search_validation, order.end()});
  if (data.damaged) {
    data.channels = 3;
    data.resolution = options.resolution;
    data.mean = kImageNetMean;
    data.deviation = kImageNetDeviation;
  } else {
    data.channels = int(all.images.size(3));
    data.resolution = int(all.images.size(1));
    normalize_by_pixels(data);
  }
  return data;
}

std::string Dataset::class_text(int64_t label) const {
  return class_names.empty() ? std::to_string(label) : "'" + class_names[size_t(label)] + "'";
}

void require_fits(const Architecture& architecture, const Dataset& data) {
  if (architecture.channels == data.channels && architecture.classes == data.classes) return;
  throw Error("architecture '" + architecture.name + "' takes " +
              std::to_string(architecture.channels) + " channels to " +
              std::to_string(architecture.classes) + " classes; " + data.name + " has " +
              std::to_string(data.channels) + " and " + std::to_string(data.classes) +
              " (--channels and --classes change them)");
}

}  // namespace ridgewalk
