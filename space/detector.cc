#include "space/detector.h"

#include <map>
#include <string>

#include "space/error.h"
#include "space/features.h"

namespace ridgewalk {
namespace {

constexpr int kFirstLevel = 3, kLastOfBackbone = 5, kLastLevel = 7;

class DetectorLowering {
 public:
  DetectorLowering(const Detector& detector, int classes, Activation activation, Graph& graph)
      : detector_(detector), classes_(classes), activation_(activation), graph_(graph) {}

  void run() {
    const std::map<int, int> levels = pyramid(backbone_maps());
    for (const auto& [level, map] : levels) {
      output("scores_", level, tower("class", level, map, classes_ * detector_.anchors));
      output("boxes_", level, tower("box", level, map, 4 * detector_.anchors));
    }
  }

 private:
  const Shape& shape(int index) const { return graph_.ops[size_t(index)].output; }

  int add(Op op) {
    graph_.ops.push_back(std::move(op));
    return int(graph_.ops.size()) - 1;
  }
  int same_shape(OpKind kind, const std::string& name, Inputs inputs) {
    const Shape output = shape(inputs[0]);
    return add({.kind = kind, .name = name, .inputs = std::move(inputs), .output = output});
  }
  int norm(const std::string& name, int x) { return same_shape(OpKind::kNorm, name, {x}); }
  int activate(const std::string& name, int x) {
    if (activation_ == Activation::kNone) return x;
    const int index = same_shape(OpKind::kActivation, name, {x});
    graph_.ops[size_t(index)].activation = activation_;
    return index;
  }
  int pointwise(const std::string& name, int x, int width) {
    const Shape in = shape(x);
    return add({.kind = OpKind::kConv,
                .name = name,
                .inputs = {x},
                .output = {width, in.height, in.width},
                .bias = true});
  }
  // 3x3 depthwise, then 1x1 with a bias and nothing between them. `shared`, where it is not empty,
  // names the parameters of all that say the same.
  int separable(const std::string& name, int x, int width, int stride = 1,
                const std::string& shared = "") {
    const Shape in = shape(x);
    const Shape out{in.channels, (in.height + stride - 1) / stride,
                    (in.width + stride - 1) / stride};
    const int filtered = add({.kind = OpKind::kDepthwise,
                              .name = name + ".dw",
                              .inputs = {x},
                              .output = out,
                              .kernel = 3,
                              .stride = stride});
    const int mixed = pointwise(name + ".pw", filtered, width);
    if (!shared.empty()) {
      graph_.ops[size_t(filtered)].shared_name = shared + ".dw";
      graph_.ops[size_t(mixed)].shared_name = shared + ".pw";
    }
    return mixed;
  }
  int upsampled(const std::string& name, int x) {
    const Shape in = shape(x);
    return add({.kind = OpKind::kUpsample,
                .name = name,
                .inputs = {x},
                .output = {in.channels, 2 * in.height, 2 * in.width},
                .stride = 2});
  }
  void output(const char* kind, int level, int op) {
    graph_.outputs.push_back({kind + std::to_string(level), op});
  }

  // By level: the last map at each stride.
  std::map<int, int> backbone_maps() const {
    std::map<int, int> maps;
    for (const FeatureMap& map : feature_maps(graph_)) {
      for (int level = kFirstLevel; level <= kLastOfBackbone; ++level) {
        if (map.stride == 1 << level) maps[level] = map.op;
      }
    }
    if (int(maps.size()) != kLastOfBackbone - kFirstLevel + 1) {
      throw Error("'" + graph_.name +
                  "' cannot be a detector: its backbone has no maps at strides 8, 16 and 32");
    }
    return maps;
  }

  // Feature pyramid (arXiv 1612.03144) in the order of TF-models: levels 6 and 7 are made of level
  // 5, and every level is normalised at the end.
  std::map<int, int> pyramid(const std::map<int, int>& backbone) {
    const auto named = [](const char* layer, int level) {
      return std::string("fpn.") + layer + "_" + std::to_string(level);
    };
    const int width = detector_.pyramid;
    std::map<int, int> merged, levels;
    for (int level = kLastOfBackbone; level >= kFirstLevel; --level) {
      const bool is_top = level == kLastOfBackbone;
      const int above = is_top ? -1 : upsampled(named("upsample", level), merged[level + 1]);
      const int lateral = pointwise(named("lateral", level), backbone.at(level), width);
      merged[level] =
          is_top ? lateral : same_shape(OpKind::kAdd, named("add", level), {lateral, above});
    }
    for (const auto& [level, map] : merged) {
      levels[level] = separable(named("smooth", level), map, width);
    }
    for (int level = kLastOfBackbone + 1; level <= kLastLevel; ++level) {
      const int below = levels[level - 1];
      const bool is_first = level == kLastOfBackbone + 1;
      levels[level] = separable(named("coarser", level),
                                is_first ? below : activate(named("act", level), below), width, 2);
    }
    for (auto& [level, map] : levels) map = norm(named("norm", level), map);
    return levels;
  }

  int tower(const std::string& kind, int level, int x, int outputs) {
    const std::string shared = "head." + kind;
    const std::string own = shared + "_" + std::to_string(level);
    for (int i = 0; i < detector_.head_depth; ++i) {
      const std::string conv = ".conv_" + std::to_string(i);
      x = separable(own + conv, x, detector_.pyramid, 1, shared + conv);
      x = activate(own + ".act_" + std::to_string(i), norm(own + ".norm_" + std::to_string(i), x));
    }
    return separable(own + ".predict", x, outputs, 1, shared + ".predict");
  }

  const Detector& detector_;
  const int classes_;
  const Activation activation_;
  Graph& graph_;
};

int64_t statistics(const Graph& graph) {
  int64_t count = 0;
  for (size_t i = 0; i < graph.ops.size(); ++i) count += parameter_elements(graph, int(i)).running;
  return count;
}

}  // namespace

void append_detector(const Detector& detector, int classes, Activation activation,
                     Graph& backbone) {
  DetectorLowering(detector, classes, activation, backbone).run();
}

int64_t parameters_of_tf_models(const Graph& classifier, const Graph& detector) {
  int64_t count = parameter_count(detector) + statistics(detector);
  size_t common = 0;
  while (common < detector.ops.size() && common < classifier.ops.size() &&
         detector.ops[common].name == classifier.ops[common].name) {
    ++common;
  }
  for (size_t i = common; i < classifier.ops.size(); ++i) {
    if (classifier.ops[i].kind == OpKind::kLinear) continue;
    const ParameterElements elements = parameter_elements(classifier, int(i));
    count += elements.learned + elements.running;
  }
  return count;
}

}  // namespace ridgewalk
