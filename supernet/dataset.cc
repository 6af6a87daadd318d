#include "supernet/dataset.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>

#include "space/error.h"
#include "supernet/idx.h"

namespace ridgewalk {
namespace {

constexpr const char* kFashionMnist = "/usr/share/datasets/fashion-mnist";

// `stem`, gzipped or not.
std::string idx_path(const std::string& folder, const std::string& stem) {
  for (const std::string& path : {folder + "/" + stem + ".gz", folder + "/" + stem}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw Error(folder + "/" + stem + ".gz", 0,
              "is not there; install Debian's dataset-fashion-mnist or give idx:DIR");
}

ImageSet read_set(const std::string& folder, const std::string& part) {
  const std::string images_path = idx_path(folder, part + "-images-idx3-ubyte");
  const std::string labels_path = idx_path(folder, part + "-labels-idx1-ubyte");
  const IdxArray images = read_idx(images_path, 3);
  const IdxArray labels = read_idx(labels_path, 1);
  if (images.shape[0] != labels.shape[0]) {
    throw Error(labels_path, 0,
                "has " + std::to_string(labels.shape[0]) + " labels for " +
                    std::to_string(images.shape[0]) + " images");
  }
  if (images.shape[1] != images.shape[2]) throw Error(images_path, 0, "images must be square");
  ImageSet set;
  set.images = torch::empty({images.shape[0], images.shape[1], images.shape[2], 1}, torch::kUInt8);
  std::copy(images.bytes.begin(), images.bytes.end(), set.images.data_ptr<uint8_t>());
  set.labels = torch::empty({labels.shape[0]}, torch::kLong);
  std::copy(labels.bytes.begin(), labels.bytes.end(), set.labels.data_ptr<int64_t>());
  return set;
}

// Fisher-Yates, the same on every machine.
std::vector<int64_t> permutation(int64_t size, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

ImageSet subset(const ImageSet& set, const std::vector<int64_t>& indices) {
  const auto index = torch::tensor(indices, torch::kLong);
  return {set.images.index_select(0, index), set.labels.index_select(0, index)};
}

}  // namespace

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

Dataset load_dataset(const std::string& spec, int64_t search_validation, uint64_t seed) {
  std::string folder = kFashionMnist;
  if (spec.rfind("idx:", 0) == 0) {
    folder = spec.substr(4);
  } else if (spec != "fashion-mnist") {
    throw Error(spec, 0, "is no data set; give fashion-mnist or idx:DIR");
  }
  const ImageSet all = read_set(folder, "train");
  Dataset data{
      .name = spec, .train = {}, .search_validation = {}, .test = read_set(folder, "t10k")};
  if (search_validation < 0 || search_validation >= all.size()) {
    throw Error(spec, 0,
                "has " + std::to_string(all.size()) + " training images; " +
                    std::to_string(search_validation) +
                    " cannot be held out for search validation");
  }
  std::vector<int64_t> order = permutation(all.size(), seed);
  data.search_validation = subset(all, {order.begin(), order.begin() + search_validation});
  data.train = subset(all, {order.begin() + search_validation, order.end()});
  data.classes =
      int(std::max(all.labels.max().item<int64_t>(), data.test.labels.max().item<int64_t>())) + 1;
  data.channels = int(all.images.size(3));
  data.resolution = int(all.images.size(1));
  if (data.test.images.size(1) != data.resolution) {
    throw Error(folder, 0, "test images are not of the size of the training images");
  }
  const torch::Tensor pixels = data.train.images.to(torch::kDouble) / 255;
  data.mean = pixels.mean().item<double>();
  data.deviation = std::max(1e-6, pixels.std().item<double>());
  return data;
}

void require_fits(const Architecture& architecture, const Dataset& data) {
  if (architecture.channels == data.channels && architecture.classes == data.classes) return;
  throw Error("architecture '" + architecture.name + "' takes " +
              std::to_string(architecture.channels) + " channels to " +
              std::to_string(architecture.classes) + " classes; " + data.name + " has " +
              std::to_string(data.channels) + " and " + std::to_string(data.classes) +
              " (--channels and --classes change them)");
}

BatchOrder::BatchOrder(int64_t set_size, int64_t batch_size, uint64_t seed)
    : set_size_(set_size),
      batch_size_(std::min(batch_size, set_size)),
      batches_(set_size / batch_size_),
      seed_(seed) {}

std::vector<int64_t> BatchOrder::indices(int64_t number) {
  const int64_t epoch = number / batches_;
  if (epoch != epoch_) {
    permutation_ = permutation(set_size_, mix(seed_, uint64_t(epoch)));
    epoch_ = epoch;
  }
  const auto first = permutation_.begin() + (number % batches_) * batch_size_;
  return {first, first + batch_size_};
}

std::vector<Draw> draws(const std::vector<int64_t>& images, uint64_t seed) {
  std::vector<Draw> result;
  for (size_t n = 0; n < images.size(); ++n) result.push_back({images[n], mix(seed, n)});
  return result;
}

Batch make_batch(const Dataset& data, const ImageSet& set, std::span<const Draw> draws,
                 const Augmentation& augmentation) {
  const int64_t count = int64_t(draws.size());
  const int64_t side = data.resolution;
  const int64_t channels = data.channels;
  torch::Tensor pixels = torch::empty({count, side, side, channels});
  torch::Tensor labels = torch::empty({count}, torch::kLong);
  const uint8_t* from = set.images.data_ptr<uint8_t>();
  const int64_t* label = set.labels.data_ptr<int64_t>();
  float* to = pixels.data_ptr<float>();
  const float scale = float(1 / (255 * data.deviation));
  const float offset = float(-data.mean / data.deviation);
  at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      uint64_t bits = draws[size_t(n)].seed;
      const int64_t range = 2 * augmentation.shift + 1;
      const int64_t dy = int64_t(bits % uint64_t(range)) - augmentation.shift;
      bits /= uint64_t(range);
      const int64_t dx = int64_t(bits % uint64_t(range)) - augmentation.shift;
      const bool flip = augmentation.flip && (bits >> 40 & 1);
      const uint8_t* image = from + draws[size_t(n)].image * side * side * channels;
      float* out = to + n * side * side * channels;
      for (int64_t y = 0; y < side; ++y) {
        for (int64_t x = 0; x < side; ++x) {
          const int64_t sy = y + dy;
          const int64_t sx = (flip ? side - 1 - x : x) + dx;
          const bool inside = sy >= 0 && sy < side && sx >= 0 && sx < side;
          for (int64_t c = 0; c < channels; ++c) {
            *out++ = inside ? float(image[(sy * side + sx) * channels + c]) * scale + offset : 0.0f;
          }
        }
      }
    }
  });
  for (int64_t n = 0; n < count; ++n) labels.data_ptr<int64_t>()[n] = label[draws[size_t(n)].image];
  return {pixels.permute({0, 3, 1, 2}), labels, {}};
}

}  // namespace ridgewalk
