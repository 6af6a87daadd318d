#include "space/lowering.h"

#include <algorithm>

namespace ridgewalk {
namespace {

int reduced(int size, int stride) { return (size + stride - 1) / stride; }

// Appends operations to a graph. Every method returns the index of its output.
class Lowering {
 public:
  explicit Lowering(const Architecture& architecture, Naming naming,
                    const std::vector<StageBlend>& blends)
      : architecture_(architecture), naming_(naming), blends_(blends) {}

  Graph run() {
    const Architecture& a = architecture_;
    graph_.name = a.name;
    graph_.norm = a.norm;
    block_count_ = a.head.width > 0 && a.head.features > 0 ? 1 : 0;
    for (const auto& stage : a.stages) block_count_ += std::ssize(stage);
    constexpr int64_t kOpsOfBlock = 16;  // as many as most have
    graph_.ops.reserve(size_t(kOpsOfBlock * (block_count_ + 1)));
    int x = add({.kind = OpKind::kInput,
                 .name = "input",
                 .output = {a.channels, a.resolution, a.resolution}});
    x = grouped(conv("conv_stem", x, a.stem.width, a.stem.kernel, a.stem.stride), a.stem.groups);
    x = activation("act1", norm("bn1", x), a.stem.activation);
    for (size_t s = 0; s < a.stages.size(); ++s) {
      begin_part();
      x = stage(static_cast<int>(s), x);
    }
    begin_part();
    if (!a.detector) return head(x);
    append_detector(*a.detector, a.classes, a.activation, graph_);
    return std::move(graph_);
  }

 private:
  const Shape& shape(int index) const { return graph_.ops[index].output; }

  void begin_part() { graph_.part_begins.push_back(static_cast<int>(graph_.ops.size())); }

  int add(Op op) {
    graph_.ops.push_back(std::move(op));
    return static_cast<int>(graph_.ops.size()) - 1;
  }

  int conv(std::string name, int x, int width, int kernel = 1, int stride = 1, bool bias = false) {
    const Shape in = shape(x);
    return add({.kind = OpKind::kConv,
                .name = std::move(name),
                .inputs = {x},
                .output = {width, reduced(in.height, stride), reduced(in.width, stride)},
                .kernel = kernel,
                .stride = stride,
                .bias = bias});
  }

  // The same in groups; with as many as there are channels it is depthwise.
  int grouped(int index, int groups) {
    Op& op = graph_.ops[index];
    op.groups = groups;
    if (groups > 1 && groups == shape(op.inputs[0]).channels && groups == op.output.channels) {
      op.kind = OpKind::kDepthwise;
    }
    return index;
  }

  int depthwise(std::string name, int x, int kernel, int stride) {
    const Shape in = shape(x);
    return add({.kind = OpKind::kDepthwise,
                .name = std::move(name),
                .inputs = {x},
                .output = {in.channels, reduced(in.height, stride), reduced(in.width, stride)},
                .kernel = kernel,
                .stride = stride});
  }

  int same_shape(OpKind kind, std::string name, std::vector<int> inputs) {
    const Shape output = shape(inputs[0]);
    return add(
        {.kind = kind, .name = std::move(name), .inputs = std::move(inputs), .output = output});
  }

  int norm(std::string name, int x) { return same_shape(OpKind::kNorm, std::move(name), {x}); }

  int activation(std::string name, int x, Activation activation) {
    if (activation == Activation::kNone) return x;
    const int index = same_shape(OpKind::kActivation, std::move(name), {x});
    graph_.ops[index].activation = activation;
    return index;
  }

  int layer_scale(const std::string& prefix, int x) {
    if (architecture_.layer_scale == 0) return x;
    const int index = same_shape(OpKind::kLayerScale, prefix + ".layer_scale", {x});
    graph_.ops[index].layer_scale = architecture_.layer_scale;
    return index;
  }

  int residual(const std::string& prefix, int branch, int skip) {
    if (shape(branch) != shape(skip)) return branch;
    const int index = same_shape(OpKind::kAdd, prefix + ".add", {branch, skip});
    const Regularization& r = architecture_.regularization;
    // timm's rule: block i of n, the head's first convolution counted.
    graph_.ops[index].drop =
        r.drop_path * (r.flat_drop_path ? 1 : double(block_index_) / double(block_count_));
    return index;
  }

  int mean(std::string name, const std::vector<int>& options) {
    return options.size() == 1 ? options[0] : same_shape(OpKind::kMean, std::move(name), options);
  }

  // An optional depthwise convolution and its norm; their average when there are several kernels.
  int depthwise_options(const std::string& name, int x, const std::vector<int>& kernels, int stride,
                        Activation act) {
    std::vector<int> options;
    for (int kernel : kernels) {
      int y = x;
      if (kernel > 0) {
        const std::string own =
            naming_ == Naming::kShared ? name + ".k" + std::to_string(kernel) : name;
        y = norm(own + ".bn", depthwise(own + ".conv", x, kernel, stride));
        y = activation(own + ".act", y, act);
      }
      options.push_back(y);
    }
    return mean(name + ".mean", options);
  }

  int block(const std::string& prefix, int x, const Conv& b) {
    const int y = grouped(conv(prefix + ".conv", x, b.width, b.kernel, b.stride), b.groups);
    return activation(prefix + ".act", norm(prefix + ".bn1", y), b.activation);
  }

  int block(const std::string& prefix, int x, const FusedIb& b) {
    int y = grouped(conv(prefix + ".conv_exp", x, b.expanded, b.kernel, b.stride), b.groups);
    y = activation(prefix + ".act", norm(prefix + ".bn1", y), b.activation);
    y = norm(prefix + ".bn2", conv(prefix + ".conv_pwl", y, b.width));
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const Uib& b, const BlockBlend& blend = {}) {
    const auto kernels = [](const std::vector<int>& blended, int own) {
      return blended.empty() ? std::vector<int>{own} : blended;
    };
    const bool stride_on_first = b.kernel2 == 0 && blend.kernel2.empty();
    int y = depthwise_options(prefix + ".dw_start", x, kernels(blend.kernel1, b.kernel1),
                              stride_on_first ? b.stride : 1, Activation::kNone);
    y = norm(prefix + ".pw_exp.bn",
             grouped(conv(prefix + ".pw_exp.conv", y, b.expanded), b.groups));
    y = activation(prefix + ".pw_exp.act", y, b.activation);
    y = depthwise_options(prefix + ".dw_mid", y, kernels(blend.kernel2, b.kernel2),
                          stride_on_first ? 1 : b.stride, b.activation);
    y = norm(prefix + ".pw_proj.bn", grouped(conv(prefix + ".pw_proj.conv", y, b.width), b.groups));
    y = layer_scale(prefix, y);
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const DepthwiseSeparable& b) {
    int y = norm(prefix + ".bn1", depthwise(prefix + ".conv_dw", x, b.kernel, b.stride));
    y = activation(prefix + ".act1", y, b.activation);
    if (b.squeeze_excite) y = block(prefix + ".se", y, *b.squeeze_excite);
    y = norm(prefix + ".bn2", grouped(conv(prefix + ".conv_pw", y, b.width), b.groups));
    if (!b.linear) return activation(prefix + ".act2", y, b.activation);
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const InvertedResidual& b) {
    int y = norm(prefix + ".bn1", grouped(conv(prefix + ".conv_pw", x, b.expanded), b.groups));
    y = activation(prefix + ".act1", y, b.activation);
    y = norm(prefix + ".bn2", depthwise(prefix + ".conv_dw", y, b.kernel, b.stride));
    y = activation(prefix + ".act2", y, b.activation);
    if (b.squeeze_excite) y = block(prefix + ".se", y, *b.squeeze_excite);
    y = norm(prefix + ".bn3", grouped(conv(prefix + ".conv_pwl", y, b.width), b.groups));
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const SqueezeExcite& gate) {
    const int channels = shape(x).channels;
    int g = pool(prefix + ".pool", x);
    g = conv(prefix + ".conv_reduce", g, squeezed(gate, channels), 1, 1, true);
    g = activation(prefix + ".act", g, gate.activation);
    g = conv(prefix + ".conv_expand", g, channels, 1, 1, true);
    const bool is_hard = gate.function == GateFunction::kHardSigmoid;
    g = same_shape(is_hard ? OpKind::kHardSigmoid : OpKind::kSigmoid, prefix + ".gate", {g});
    return same_shape(OpKind::kMultiply, prefix + ".multiply", {x, g});
  }

  // Keys or values: [depthwise, norm] -> 1x1 conv.
  int keys_or_values(const std::string& prefix, int x, int width, int stride) {
    if (stride > 1) {
      x = norm(prefix + ".norm", depthwise(prefix + ".down_conv", x, 3, stride));
    }
    return conv(prefix + ".proj", x, width);
  }

  int block(const std::string& prefix, int x, const MobileMqa& b) {
    const int y = norm(prefix + ".norm", x);
    const int query = conv(prefix + ".attn.query.proj", y, b.heads * b.key_dim);
    const int key = keys_or_values(prefix + ".attn.key", y, b.key_dim, b.kv_stride);
    const int value = keys_or_values(prefix + ".attn.value", y, b.value_dim, b.kv_stride);
    const Shape positions = shape(x);
    const int queries = positions.height * positions.width;
    const int keys = shape(key).height * shape(key).width;
    const int scores = add({.kind = OpKind::kAttentionScores,
                            .name = prefix + ".attn.scores",
                            .inputs = {query, key},
                            .output = {b.heads, queries, keys},
                            .heads = b.heads});
    const int weights = same_shape(OpKind::kSoftmax, prefix + ".attn.softmax", {scores});
    const int mixed = add({.kind = OpKind::kAttentionMix,
                           .name = prefix + ".attn.mix",
                           .inputs = {weights, value},
                           .output = {b.heads * b.value_dim, positions.height, positions.width},
                           .heads = b.heads});
    const int out = conv(prefix + ".attn.output.proj", mixed, positions.channels);
    return residual(prefix, layer_scale(prefix, out), x);
  }

  int attention_options(const std::string& prefix, int x,
                        const std::vector<std::optional<MobileMqa>>& attention) {
    std::vector<int> options;
    for (const auto& mqa : attention) options.push_back(mqa ? block(prefix + ".mqa", x, *mqa) : x);
    return mean(prefix + ".mqa.mean", options);
  }

  int pool(std::string name, int x) {
    return add({.kind = OpKind::kPool,
                .name = std::move(name),
                .inputs = {x},
                .output = {shape(x).channels, 1, 1}});
  }

  int stage(int s, int x) {
    static const StageBlend kNoBlend;
    const StageBlend& blend = blends_.empty() ? kNoBlend : blends_[s];
    const std::string stage_prefix = "blocks." + std::to_string(s) + ".";
    std::vector<int> outputs;  // at the depths to be averaged
    int uibs = 0;
    int index = 0;
    for (const Block& b : architecture_.stages[s]) {
      const bool shared = naming_ == Naming::kShared;
      const std::string prefix = stage_prefix + std::to_string(shared ? uibs : index);
      const std::string own = stage_prefix + std::to_string(index);
      if (const auto* uib = std::get_if<Uib>(&b)) {
        static const BlockBlend kNone;
        const BlockBlend& options = uibs < std::ssize(blend.blocks) ? blend.blocks[uibs] : kNone;
        x = block(prefix, x, *uib, options);
        ++uibs;
        if (!options.attention.empty()) x = attention_options(prefix, x, options.attention);
        if (std::find(blend.depths.begin(), blend.depths.end(), uibs) != blend.depths.end()) {
          outputs.push_back(x);
        }
      } else if (const auto* mqa = std::get_if<MobileMqa>(&b)) {
        x = block(shared ? stage_prefix + std::to_string(uibs - 1) + ".mqa" : prefix, x, *mqa);
      } else if (const auto* fused = std::get_if<FusedIb>(&b)) {
        // Named apart, since the stage may also be a conv pair.
        x = block(shared ? own + ".fused" : own, x, *fused);
      } else {
        std::visit([&](const auto& other) { x = block(own, x, other); }, b);
      }
      ++index;
      ++block_index_;
    }
    return outputs.empty() ? x : mean(stage_prefix + "mean", outputs);
  }

  // In timm the convolution before the pool is a block after the last stage if another convolution
  // follows the pool (MobileNetV3 and V4), otherwise conv_head (V2).
  Graph head(int x) {
    const Architecture& a = architecture_;
    if (a.head.width > 0 && a.head.features > 0) {
      const std::string prefix = "blocks." + std::to_string(a.stages.size()) + ".0";
      x = block(prefix, x, Conv{.kernel = 1, .width = a.head.width, .activation = a.activation});
    } else if (a.head.width > 0) {
      x = activation("act2", norm("bn2", conv("conv_head", x, a.head.width)), a.activation);
    }
    x = pool("global_pool", x);
    if (a.head.features > 0) {
      x = conv("conv_head", x, a.head.features, 1, 1, !a.head.features_norm);
      if (a.head.features_norm) x = norm("norm_head", x);
      x = activation("act2", x, a.activation);
    }
    add({.kind = OpKind::kLinear,
         .name = "classifier",
         .inputs = {x},
         .output = {a.classes, 1, 1},
         .bias = true,
         .drop = a.regularization.dropout});
    return std::move(graph_);
  }

  const Architecture& architecture_;
  const Naming naming_;
  const std::vector<StageBlend>& blends_;
  Graph graph_;
  int64_t block_index_ = 0;
  int64_t block_count_ = 0;
};

}  // namespace

Graph lower(const Architecture& architecture, Naming naming) {
  validate(architecture);
  return Lowering(architecture, naming, {}).run();
}

Graph lower(const BlendedArchitecture& blended) {
  validate(blended.architecture);
  return Lowering(blended.architecture, Naming::kShared, blended.stages).run();
}

}  // namespace ridgewalk
