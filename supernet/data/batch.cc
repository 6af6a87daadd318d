#include "supernet/data/batch.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "space/error.h"
#include "space/file.h"
#include "supernet/data/image_codec.h"

namespace ridgewalk {
namespace {

// What a draw's seed is mixed with for each random choice; shift and flip take the seed itself.
enum Purpose : uint64_t { kCrop = 21, kRandAugment = 22, kMixing = 23 };

// A file, cropped and resized. A JPEG is decoded no larger than the crop needs.
Image read_crop(const std::string& path, const Dataset& data,
                const std::optional<RandomResizedCrop>& crop, uint64_t seed) {
  const std::string bytes = read_file(path);
  const ImageSize size = image_size(bytes);
  const Box box = crop ? random_box(*crop, size.height, size.width, mix(seed, kCrop))
                       : centre_box(size.height, size.width, data.crop_fraction);
  const double shorter = std::min(box.height * size.height, box.width * size.width);
  // Between four and eight eighths libjpeg takes longer than for all.
  const double needed = std::ceil(8 * data.resolution / shorter);
  const int eighths = needed > 4 ? 8 : std::max(1, int(needed));
  const Image image = resize(decode_image(bytes, eighths), box, data.resolution);
  return data.channels == 1 ? grey(image) : image;
}

// The draw's image as the network will see it, before shift, flip and normalisation. `index` moves
// on to the next image whose file can be decoded.
Image augmented(const Dataset& data, const ImageSet& set, int64_t& index, uint64_t seed,
                const Augmentation& augmentation) {
  const auto& crop = augmentation.random_resized_crop;
  Image image;
  if (set.paths.empty()) {
    const int side = data.resolution;
    image = {side, side, data.channels, {}};
    const uint8_t* from = set.images.data_ptr<uint8_t>() + index * set.images.stride(0);
    image.pixels.assign(from, from + set.images.stride(0));
    if (crop) image = resize(image, random_box(*crop, side, side, mix(seed, kCrop)), side);
  }
  for (int64_t tries = 0; image.pixels.empty(); ++tries) {
    const std::string& path = set.paths[size_t(index)];
    if (tries == set.size()) {
      throw Error(path, 0, "cannot be decoded, nor can any other image of the set");
    }
    try {
      image = read_crop(path, data, crop, seed);
    } catch (const Error& error) {
      data.damaged->add(path, error.what());
      index = (index + 1) % set.size();
    }
  }
  if (augmentation.rand_augment) {
    rand_augment(*augmentation.rand_augment, mix(seed, kRandAugment), image);
  }
  return image;
}

// Shifts, flips and normalises pixels [H, W, C] to `to`, alike.
void normalize(const uint8_t* pixels, const Dataset& data, const Augmentation& augmentation,
               uint64_t seed, float* to) {
  const int64_t side = data.resolution;
  const int64_t channels = data.channels;
  std::array<float, 3> scale{}, offset{};
  for (size_t c = 0; c < 3; ++c) {
    scale[c] = float(1 / (255 * data.deviation[c]));
    offset[c] = float(-data.mean[c] / data.deviation[c]);
  }
  uint64_t bits = seed;
  const int64_t range = 2 * augmentation.shift + 1;
  const int64_t dy = int64_t(bits % uint64_t(range)) - augmentation.shift;
  bits /= uint64_t(range);
  const int64_t dx = int64_t(bits % uint64_t(range)) - augmentation.shift;
  const bool flip = augmentation.flip && (bits >> 40 & 1);
  for (int64_t y = 0; y < side; ++y) {
    const int64_t sy = y + dy;
    const bool row_inside = sy >= 0 && sy < side;
    for (int64_t x = 0; x < side; ++x) {
      const int64_t sx = (flip ? side - 1 - x : x) + dx;
      const bool inside = row_inside && sx >= 0 && sx < side;
      const uint8_t* pixel = pixels + (inside ? (sy * side + sx) * channels : 0);
      for (int64_t c = 0; c < channels; ++c) {
        *to++ = inside ? float(pixel[c]) * scale[size_t(c)] + offset[size_t(c)] : 0.0f;
      }
    }
  }
}

// Writes the draw's image, not mixed, to `to` [H, W, C] and returns its label.
int64_t write_image(const Dataset& data, const ImageSet& set, Draw draw,
                    const Augmentation& augmentation, float* to) {
  const bool as_it_is =
      set.paths.empty() && !augmentation.random_resized_crop && !augmentation.rand_augment;
  if (as_it_is) {
    const uint8_t* pixels = set.images.data_ptr<uint8_t>() + draw.image * set.images.stride(0);
    normalize(pixels, data, augmentation, draw.seed, to);
  } else {
    const Image image = augmented(data, set, draw.image, draw.seed, augmentation);
    normalize(image.pixels.data(), data, augmentation, draw.seed, to);
  }
  return set.labels.data_ptr<int64_t>()[draw.image];
}

// Mixes the partner into `to` and returns its label.
int64_t mix_in(const Mixing& mixing, const Dataset& data, const ImageSet& set,
               const Augmentation& augmentation, float* to) {
  const int64_t side = data.resolution;
  const int64_t channels = data.channels;
  std::vector<float> other(static_cast<size_t>(side * side * channels));
  const int64_t label =
      write_image(data, set, {mixing.partner, mixing.partner_seed}, augmentation, other.data());
  if (mixing.boxed) {
    for (int64_t y = mixing.top; y < mixing.bottom; ++y) {
      const auto row = other.begin() + y * side * channels;
      std::copy(row + mixing.left * channels, row + mixing.right * channels,
                to + (y * side + mixing.left) * channels);
    }
  } else {
    const float share = float(mixing.share);
    for (size_t i = 0; i < other.size(); ++i) to[i] = share * to[i] + (1 - share) * other[i];
  }
  return label;
}

}  // namespace

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
                 const Augmentation& augmentation, bool parallel) {
  const int64_t count = int64_t(draws.size());
  const int64_t side = data.resolution;
  torch::Tensor pixels = torch::empty({count, side, side, data.channels});
  torch::Tensor labels = torch::empty({count}, torch::kLong);
  torch::Tensor targets;
  if (augmentation.mixes()) targets = torch::empty({count, data.classes});
  const auto make = [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Draw& draw = draws[size_t(n)];
      float* to = pixels.data_ptr<float>() + n * pixels.stride(0);
      const int64_t label = write_image(data, set, draw, augmentation, to);
      labels.data_ptr<int64_t>()[n] = label;
      if (!augmentation.mixes()) continue;
      const Mixing mixing =
          draw_mixing(augmentation, set.size(), data.resolution, mix(draw.seed, kMixing));
      float* target = targets.data_ptr<float>() + n * data.classes;
      std::fill_n(target, data.classes, 0.0f);
      target[label] = float(mixing.share);
      if (mixing.share == 1) continue;
      target[mix_in(mixing, data, set, augmentation, to)] += float(1 - mixing.share);
    }
  };
  if (parallel) {
    at::parallel_for(0, count, set.paths.empty() ? 16 : 1, make);
  } else {
    make(0, count);
  }
  return {pixels.permute({0, 3, 1, 2}), labels, targets};
}

Batch make_evaluation_batch(const Dataset& data, const ImageSet& set,
                            const std::vector<int64_t>& images) {
  if (set.paths.empty()) return make_batch(data, set, draws(images, 0), {});
  const int64_t side = data.resolution;
  torch::Tensor pixels = torch::empty({int64_t(images.size()), side, side, data.channels});
  std::vector<char> decoded(images.size());  // not bool: threads write to neighbours
  at::parallel_for(0, int64_t(images.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const std::string& path = set.paths[size_t(images[size_t(n)])];
      try {
        const Image image = read_crop(path, data, {}, 0);
        normalize(image.pixels.data(), data, {}, 0,
                  pixels.data_ptr<float>() + n * pixels.stride(0));
        decoded[size_t(n)] = 1;
      } catch (const Error& error) {
        data.damaged->add(path, error.what());
      }
    }
  });
  std::vector<int64_t> kept;
  for (size_t n = 0; n < images.size(); ++n) {
    if (decoded[n]) kept.push_back(int64_t(n));
  }
  torch::Tensor labels = set.labels.index_select(0, torch::tensor(images, torch::kLong));
  if (kept.size() < images.size()) {
    const torch::Tensor index = torch::tensor(kept, torch::kLong);
    pixels = pixels.index_select(0, index);
    labels = labels.index_select(0, index);
  }
  return {pixels.permute({0, 3, 1, 2}), labels, {}};
}

}  // namespace ridgewalk
