#include "supernet/data/augmentation.h"

#include <algorithm>
#include <cmath>

#include "space/random.h"

namespace ridgewalk {

Box random_box(const RandomResizedCrop& crop, int height, int width, uint64_t seed) {
  Random random(seed);
  const double log_least = std::log(crop.least_ratio);
  const double log_most = std::log(crop.most_ratio);
  for (int tries = 0; tries < 10; ++tries) {
    const double area = random.uniform(crop.least_area, crop.most_area) * height * width;
    const double ratio = std::exp(random.uniform(log_least, log_most));
    const double across = std::sqrt(area * ratio);
    const double down = std::sqrt(area / ratio);
    if (across > width || down > height) continue;
    return {.top = random.uniform() * (height - down) / height,
            .left = random.uniform() * (width - across) / width,
            .height = down / height,
            .width = across / width};
  }
  const double ratio = std::clamp(double(width) / height, crop.least_ratio, crop.most_ratio);
  const double across = std::min(double(width), height * ratio);
  const double down = std::min(double(height), width / ratio);
  return {.top = (1 - down / height) / 2,
          .left = (1 - across / width) / 2,
          .height = down / height,
          .width = across / width};
}

Mixing draw_mixing(const Augmentation& augmentation, int64_t set_size, int side, uint64_t seed) {
  Mixing mixing;
  Random random(seed);
  if (!augmentation.mixes() || !random.chance(augmentation.mix_probability)) return mixing;
  const bool both = augmentation.mixup > 0 && augmentation.cutmix > 0;
  mixing.boxed = both ? random.chance(augmentation.cutmix_share) : augmentation.cutmix > 0;
  mixing.partner = random.below(set_size);
  mixing.partner_seed = random.bits();
  const double share = random.beta(mixing.boxed ? augmentation.cutmix : augmentation.mixup);
  mixing.share = share;
  if (!mixing.boxed) return mixing;
  // A square of the partner's share around a random pixel, clipped at the image's edge; the label
  // follows the clipped area.
  const int half = int(std::sqrt(1 - share) * side / 2);
  const int y = int(random.below(side));
  const int x = int(random.below(side));
  mixing.top = std::max(0, y - half);
  mixing.bottom = std::min(side, y + half);
  mixing.left = std::max(0, x - half);
  mixing.right = std::min(side, x + half);
  const int area = (mixing.bottom - mixing.top) * (mixing.right - mixing.left);
  mixing.share = 1 - double(area) / (double(side) * side);
  return mixing;
}

}  // namespace ridgewalk
