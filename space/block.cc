#include "space/block.h"

#include <algorithm>
#include <cmath>

namespace ridgewalk {
namespace {

constexpr int kLargestWidth = 65536;

std::string range_violation(std::string_view field, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return std::string(field) + " is " + std::to_string(value) + "; it must be from " +
         std::to_string(low) + " to " + std::to_string(high);
}

std::string kernel_violation(std::string_view field, int value, bool may_be_absent) {
  if ((value == 0 && may_be_absent) || (value > 0 && value % 2 == 1 && value <= 31)) return {};
  return std::string(field) + " is " + std::to_string(value) + "; it must be odd, at most 31" +
         (may_be_absent ? ", or 0 for none" : "");
}

std::string stride_violation(int stride) { return range_violation("stride", stride, 1, 2); }

std::string width_violation(std::string_view field, int width) {
  return range_violation(field, width, 1, kLargestWidth);
}

// Whether the groups divide the channels of a convolution.
std::string groups_violation(int groups, std::string_view field, int width) {
  if (groups < 1) return range_violation("groups", groups, 1, kLargestWidth);
  if (width % groups == 0) return {};
  return "groups is " + std::to_string(groups) + "; it must divide " + std::string(field) + ", " +
         std::to_string(width);
}

std::string kv_heads_violation(int kv_heads, int heads) {
  if (kv_heads == 1 || kv_heads == heads) return {};
  return "kv_heads is " + std::to_string(kv_heads) + "; it must be 1 (multi-query) or as many as " +
         "heads, " + std::to_string(heads) + " (multi-head)";
}

std::string gate_violation(const std::optional<SqueezeExcite>& gate) {
  if (!gate) return {};
  if (!(gate->ratio > 0 && gate->ratio <= 16)) return "ratio must be above 0 and at most 16";
  return range_violation("divisor", gate->divisor, 1, kLargestWidth);
}

template <class... Texts>
std::string first_of(const Texts&... texts) {
  std::string found;
  ((found.empty() ? void(found = texts) : void()), ...);
  return found;
}

struct Violation {
  std::string operator()(const Conv& b) const {
    return first_of(kernel_violation("kernel", b.kernel, false), stride_violation(b.stride),
                    width_violation("width", b.width),
                    groups_violation(b.groups, "width", b.width));
  }
  std::string operator()(const FusedIb& b) const {
    return first_of(kernel_violation("kernel", b.kernel, false), stride_violation(b.stride),
                    width_violation("expanded", b.expanded), width_violation("width", b.width),
                    groups_violation(b.groups, "expanded", b.expanded));
  }
  std::string operator()(const Uib& b) const {
    std::string strided;
    if (b.stride != 1 && b.kernel1 == 0 && b.kernel2 == 0) {
      strided = "stride is 2, but there is no depthwise convolution to take it";
    }
    return first_of(kernel_violation("kernel1", b.kernel1, true),
                    kernel_violation("kernel2", b.kernel2, true), stride_violation(b.stride),
                    width_violation("expanded", b.expanded), width_violation("width", b.width),
                    groups_violation(b.groups, "expanded", b.expanded),
                    groups_violation(b.groups, "width", b.width), strided);
  }
  std::string operator()(const MobileMqa& b) const {
    return first_of(
        range_violation("heads", b.heads, 1, 256), range_violation("key_dim", b.key_dim, 1, 4096),
        range_violation("value_dim", b.value_dim, 1, 4096),
        range_violation("kv_stride", b.kv_stride, 1, 2), kv_heads_violation(b.kv_heads, b.heads));
  }
  std::string operator()(const DepthwiseSeparable& b) const {
    return first_of(kernel_violation("kernel", b.kernel, false), stride_violation(b.stride),
                    width_violation("width", b.width), groups_violation(b.groups, "width", b.width),
                    gate_violation(b.squeeze_excite));
  }
  std::string operator()(const InvertedResidual& b) const {
    return first_of(kernel_violation("kernel", b.kernel, false), stride_violation(b.stride),
                    width_violation("expanded", b.expanded), width_violation("width", b.width),
                    groups_violation(b.groups, "expanded", b.expanded),
                    groups_violation(b.groups, "width", b.width), gate_violation(b.squeeze_excite));
  }
  std::string operator()(const SqueezeExcite& b) const { return gate_violation(b); }
};

}  // namespace

int make_divisible(double value, int divisor) {
  value = std::min(value, 1e9);  // fits an int; no block accepts as much
  const int rounded =
      std::max(divisor, static_cast<int>(value + divisor / 2.0) / divisor * divisor);
  return rounded < 0.9 * value ? rounded + divisor : rounded;
}

std::string_view instantiation(const Uib& block) {
  if (block.kernel1 > 0) return block.kernel2 > 0 ? "ExtraDW" : "ConvNext";
  return block.kernel2 > 0 ? "IB" : "FFN";
}

int squeezed(const SqueezeExcite& gate, int channels) {
  return make_divisible(channels * gate.ratio, gate.divisor);
}

std::string violation(const Block& block) { return std::visit(Violation{}, block); }

std::string input_violation(const Block& block, int input_width) {
  return std::visit(
      [&](const auto& b) -> std::string {
        if constexpr (requires { b.groups; }) {
          return groups_violation(b.groups, "the channels of its input", input_width);
        } else {
          return {};
        }
      },
      block);
}

int output_width(const Block& block, int input_width) {
  return std::visit(
      [&](const auto& b) {
        if constexpr (requires { b.width; }) {
          return b.width;
        } else {
          return input_width;
        }
      },
      block);
}

}  // namespace ridgewalk
