#include "space/compact.h"

#include "space/error.h"

namespace ridgewalk {
namespace {

void require(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return;
  throw Error(std::string("compact network: ") + name + " is " + std::to_string(value) +
              "; it must be from " + std::to_string(low) + " to " + std::to_string(high));
}

void check(const CompactPlan& plan) {
  require("base", plan.base, 1, 65536);
  require("expanded", plan.expanded, 1, 65536);
  if (plan.squeezed && plan.squeeze_ratio) {
    throw Error("compact network: squeezed and squeeze_ratio exclude each other; give only one");
  }
  if (plan.squeezed) require("squeezed", *plan.squeezed, 1, 65536);
  if (plan.squeeze_ratio && !(*plan.squeeze_ratio > 0 && *plan.squeeze_ratio <= 16)) {
    throw Error("compact network: squeeze_ratio must be above 0 and at most 16");
  }
  require("n1", plan.n1, 0, 12);
  require("n2", plan.n2, 0, 1000);
  require("n3", plan.n3, 0, 1000);
  require("n4", plan.n4, 0, 1000);
  require("heads", plan.heads, 1, 256);
  require("kv_stride", plan.kv_stride, 1, 2);
  require("hidden", plan.hidden, 1, 65536);
  if (plan.base % plan.heads != 0) {
    throw Error("compact network: " + std::to_string(plan.heads) +
                " heads do not divide the base " + std::to_string(plan.base) +
                "; choose a divisor");
  }
}

}  // namespace

void apply(const CompactPlan& plan, Architecture& architecture) {
  check(plan);
  constexpr Activation kSilu = Activation::kSilu;
  const int squeezed =
      plan.squeezed.value_or(make_divisible(plan.base * plan.squeeze_ratio.value_or(0.25), 1));
  const SqueezeExcite gate{.ratio = double(squeezed) / plan.base,
                           .divisor = 1,
                           .activation = kSilu,
                           .function = GateFunction::kSigmoid};
  const Uib convnext{.kernel1 = 5,
                     .kernel2 = 0,
                     .expanded = plan.expanded,
                     .width = plan.base,
                     .activation = kSilu};
  Uib extra_dw = convnext;
  extra_dw.kernel2 = 3;
  const int head_dim = plan.base / plan.heads;
  const MobileMqa attention{
      .heads = plan.heads, .key_dim = head_dim, .value_dim = head_dim, .kv_stride = plan.kv_stride};
  const auto repeat = [&](int count, const Block& first, const Block& second) {
    auto& stage = architecture.stages.emplace_back();
    for (int i = 0; i < count; ++i) {
      stage.push_back(first);
      stage.push_back(second);
    }
  };
  architecture.activation = kSilu;
  architecture.stem = {.kernel = 3, .stride = 1, .width = plan.base, .activation = kSilu};
  architecture.stages.clear();
  repeat(plan.n1, Conv{.kernel = 3, .stride = 2, .width = plan.expanded, .activation = kSilu},
         Conv{.kernel = 1, .stride = 1, .width = plan.base, .activation = kSilu});
  repeat(plan.n2, convnext, extra_dw);
  repeat(plan.n3, gate, convnext);
  repeat(plan.n4, gate, attention);
  architecture.head = {.width = 0, .features = plan.hidden};
  architecture.regularization.dropout = plan.dropout;
}

}  // namespace ridgewalk
