#include "space/lowering.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

namespace ridgewalk {
namespace {

// The name of an op in two pieces, which are put together where names are wanted.
struct Name {
  Name(const char* name) : part(name) {}
  Name(const std::string& before, const char* name) : prefix(&before), part(name) {}
  std::string text() const { return prefix == nullptr ? part : *prefix + part; }

  const std::string* prefix = nullptr;
  const char* part;
};

// An op that is made in its place by emplace_back(NewOp()). Without this, each is first filled with
// zeros, which takes a quarter of a lowering.
struct NewOp {
  operator Op() const {
    Op op;
    return op;
  }
};

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
    graph_.ops.push_back({.kind = OpKind::kInput,
                          .name = "input",
                          .output = {a.channels, a.resolution, a.resolution}});
    int x = last();
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

  // An op whose output has the shape of its input.
  Op& add(OpKind kind, Name name, int x) {
    Op& op = graph_.ops.emplace_back(NewOp());
    op.kind = kind;
    op.inputs.push_back(x);
    op.output = shape(x);
    if (naming_ != Naming::kNone) op.name = name.text();
    return op;
  }
  int last() const { return static_cast<int>(graph_.ops.size()) - 1; }

  int conv(Name name, int x, int width, int kernel = 1, int stride = 1, bool bias = false) {
    Op& op = add(OpKind::kConv, name, x);
    op.output = {width, reduced(op.output.height, stride), reduced(op.output.width, stride)};
    op.kernel = kernel;
    op.stride = stride;
    op.bias = bias;
    return last();
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

  int depthwise(Name name, int x, int kernel, int stride) {
    const int index = conv(name, x, shape(x).channels, kernel, stride);
    graph_.ops[index].kind = OpKind::kDepthwise;
    return index;
  }

  int same_shape(OpKind kind, Name name, int x) {
    add(kind, name, x);
    return last();
  }

  int norm(Name name, int x) { return same_shape(OpKind::kNorm, name, x); }

  int activation(Name name, int x, Activation activation) {
    if (activation == Activation::kNone) return x;
    add(OpKind::kActivation, name, x).activation = activation;
    return last();
  }

  int layer_scale(const std::string& prefix, int x) {
    if (architecture_.layer_scale == 0) return x;
    Op& op = add(OpKind::kLayerScale, {prefix, ".layer_scale"}, x);
    op.layer_scale = architecture_.layer_scale;
    return last();
  }

  int residual(const std::string& prefix, int branch, int skip) {
    if (shape(branch) != shape(skip)) return branch;
    Op& op = add(OpKind::kAdd, {prefix, ".add"}, branch);
    op.inputs.push_back(skip);
    const Regularization& r = architecture_.regularization;
    // timm's rule: block i of n, the head's first convolution counted.
    op.drop = r.drop_path * (r.flat_drop_path ? 1 : double(block_index_) / double(block_count_));
    return last();
  }

  int mean(Name of, Inputs options) {
    if (options.size() == 1) return options[0];
    const std::string prefix = of.text();
    add(OpKind::kMean, {prefix, ".mean"}, options[0]).inputs = std::move(options);
    return last();
  }

  // An optional depthwise convolution and its norm; their average when there are several kernels.
  int depthwise_options(Name name, int x, std::span<const int> kernels, int stride,
                        Activation act) {
    Inputs options;
    for (int kernel : kernels) {
      int y = x;
      if (kernel > 0) {
        std::string own = naming_ == Naming::kNone ? "" : name.text();
        if (naming_ == Naming::kShared) own += ".k" + std::to_string(kernel);
        y = norm({own, ".bn"}, depthwise({own, ".conv"}, x, kernel, stride));
        y = activation({own, ".act"}, y, act);
      }
      options.push_back(y);
    }
    return mean(name, std::move(options));
  }

  int block(const std::string& prefix, int x, const Conv& b) {
    const int y = grouped(conv({prefix, ".conv"}, x, b.width, b.kernel, b.stride), b.groups);
    return activation({prefix, ".act"}, norm({prefix, ".bn1"}, y), b.activation);
  }

  int block(const std::string& prefix, int x, const FusedIb& b) {
    int y = grouped(conv({prefix, ".conv_exp"}, x, b.expanded, b.kernel, b.stride), b.groups);
    y = activation({prefix, ".act"}, norm({prefix, ".bn1"}, y), b.activation);
    y = norm({prefix, ".bn2"}, conv({prefix, ".conv_pwl"}, y, b.width));
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const Uib& b, const BlockBlend& blend = {}) {
    const auto kernels = [](const std::vector<int>& blended, const int& own) {
      return blended.empty() ? std::span(&own, 1) : std::span(blended);
    };
    const bool stride_on_first = b.kernel2 == 0 && blend.kernel2.empty();
    int y = depthwise_options({prefix, ".dw_start"}, x, kernels(blend.kernel1, b.kernel1),
                              stride_on_first ? b.stride : 1, Activation::kNone);
    y = norm({prefix, ".pw_exp.bn"},
             grouped(conv({prefix, ".pw_exp.conv"}, y, b.expanded), b.groups));
    y = activation({prefix, ".pw_exp.act"}, y, b.activation);
    y = depthwise_options({prefix, ".dw_mid"}, y, kernels(blend.kernel2, b.kernel2),
                          stride_on_first ? 1 : b.stride, b.activation);
    y = norm({prefix, ".pw_proj.bn"},
             grouped(conv({prefix, ".pw_proj.conv"}, y, b.width), b.groups));
    y = layer_scale(prefix, y);
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const DepthwiseSeparable& b) {
    int y = norm({prefix, ".bn1"}, depthwise({prefix, ".conv_dw"}, x, b.kernel, b.stride));
    y = activation({prefix, ".act1"}, y, b.activation);
    if (b.squeeze_excite) y = block(prefix + ".se", y, *b.squeeze_excite);
    y = norm({prefix, ".bn2"}, grouped(conv({prefix, ".conv_pw"}, y, b.width), b.groups));
    if (!b.linear) return activation({prefix, ".act2"}, y, b.activation);
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const InvertedResidual& b) {
    int y = norm({prefix, ".bn1"}, grouped(conv({prefix, ".conv_pw"}, x, b.expanded), b.groups));
    y = activation({prefix, ".act1"}, y, b.activation);
    y = norm({prefix, ".bn2"}, depthwise({prefix, ".conv_dw"}, y, b.kernel, b.stride));
    y = activation({prefix, ".act2"}, y, b.activation);
    if (b.squeeze_excite) y = block(prefix + ".se", y, *b.squeeze_excite);
    y = norm({prefix, ".bn3"}, grouped(conv({prefix, ".conv_pwl"}, y, b.width), b.groups));
    return b.stride == 1 ? residual(prefix, y, x) : y;
  }

  int block(const std::string& prefix, int x, const SqueezeExcite& gate) {
    const int channels = shape(x).channels;
    int g = pool({prefix, ".pool"}, x);
    g = conv({prefix, ".conv_reduce"}, g, squeezed(gate, channels), 1, 1, true);
    g = activation({prefix, ".act"}, g, gate.activation);
    g = conv({prefix, ".conv_expand"}, g, channels, 1, 1, true);
    const bool is_hard = gate.function == GateFunction::kHardSigmoid;
    g = same_shape(is_hard ? OpKind::kHardSigmoid : OpKind::kSigmoid, {prefix, ".gate"}, g);
    add(OpKind::kMultiply, {prefix, ".multiply"}, x).inputs.push_back(g);
    return last();
  }

  // Keys or values: [depthwise, norm] -> 1x1 conv.
  int keys_or_values(const std::string& prefix, int x, int width, int stride) {
    if (stride > 1) {
      x = norm({prefix, ".norm"}, depthwise({prefix, ".down_conv"}, x, 3, stride));
    }
    return conv({prefix, ".proj"}, x, width);
  }

  int block(const std::string& prefix, int x, const MobileMqa& b) {
    const int y = norm({prefix, ".norm"}, x);
    const int query = conv({prefix, ".attn.query.proj"}, y, b.heads * b.key_dim);
    const int key = keys_or_values(prefix + ".attn.key", y, b.kv_heads * b.key_dim, b.kv_stride);
    const int value =
        keys_or_values(prefix + ".attn.value", y, b.kv_heads * b.value_dim, b.kv_stride);
    const Shape positions = shape(x);
    const int queries = positions.height * positions.width;
    const int keys = shape(key).height * shape(key).width;
    Op& scores = add(OpKind::kAttentionScores, {prefix, ".attn.scores"}, query);
    scores.inputs.push_back(key);
    scores.output = {b.heads, queries, keys};
    scores.heads = b.heads;
    scores.kv_heads = b.kv_heads;
    const int weights = same_shape(OpKind::kSoftmax, {prefix, ".attn.softmax"}, last());
    Op& mix = add(OpKind::kAttentionMix, {prefix, ".attn.mix"}, weights);
    mix.inputs.push_back(value);
    mix.output = {b.heads * b.value_dim, positions.height, positions.width};
    mix.heads = b.heads;
    mix.kv_heads = b.kv_heads;
    const int out = conv({prefix, ".attn.output.proj"}, last(), positions.channels);
    return residual(prefix, layer_scale(prefix, out), x);
  }

  int attention_options(const std::string& prefix, int x,
                        const std::vector<std::optional<MobileMqa>>& attention) {
    Inputs options;
    for (const auto& mqa : attention) options.push_back(mqa ? block(prefix + ".mqa", x, *mqa) : x);
    return mean({prefix, ".mqa"}, std::move(options));
  }

  int pool(Name name, int x) {
    add(OpKind::kPool, name, x).output = {shape(x).channels, 1, 1};
    return last();
  }

  // What the names of a block begin with.
  std::string block_prefix(int stage, int number) const {
    if (naming_ == Naming::kNone) return "";
    return "blocks." + std::to_string(stage) + "." + std::to_string(number);
  }

  int stage(int s, int x) {
    static const StageBlend kNoBlend;
    const StageBlend& blend = blends_.empty() ? kNoBlend : blends_[s];
    Inputs outputs;  // at the depths to be averaged
    int uibs = 0;
    int index = 0;
    for (const Block& b : architecture_.stages[s]) {
      const bool shared = naming_ == Naming::kShared;
      const std::string own = block_prefix(s, index);
      if (const auto* uib = std::get_if<Uib>(&b)) {
        static const BlockBlend kNone;
        const BlockBlend& options = uibs < std::ssize(blend.blocks) ? blend.blocks[uibs] : kNone;
        const std::string prefix = shared ? block_prefix(s, uibs) : own;
        x = block(prefix + options.own_weights, x, *uib, options);
        ++uibs;
        if (!options.attention.empty()) x = attention_options(prefix, x, options.attention);
        if (std::find(blend.depths.begin(), blend.depths.end(), uibs) != blend.depths.end()) {
          outputs.push_back(x);
        }
      } else if (const auto* mqa = std::get_if<MobileMqa>(&b)) {
        x = block(shared ? block_prefix(s, uibs - 1) + ".mqa" : own, x, *mqa);
      } else if (const auto* fused = std::get_if<FusedIb>(&b)) {
        // Named apart, since the stage may also be a conv pair.
        x = block(shared ? own + ".fused" : own, x, *fused);
      } else {
        std::visit([&](const auto& other) { x = block(own, x, other); }, b);
      }
      ++index;
      ++block_index_;
    }
    if (outputs.empty()) return x;
    const std::string name = "blocks." + std::to_string(s);
    return mean(name.c_str(), std::move(outputs));
  }

  // In timm the convolution before the pool is a block after the last stage if another convolution
  // follows the pool (MobileNetV3 and V4), otherwise conv_head (V2).
  Graph head(int x) {
    const Architecture& a = architecture_;
    if (a.head.width > 0 && a.head.features > 0) {
      x = block(block_prefix(int(a.stages.size()), 0), x,
                Conv{.kernel = 1, .width = a.head.width, .activation = a.activation});
    } else if (a.head.width > 0) {
      x = activation("act2", norm("bn2", conv("conv_head", x, a.head.width)), a.activation);
    }
    x = pool("global_pool", x);
    if (a.head.features > 0) {
      x = conv("conv_head", x, a.head.features, 1, 1, !a.head.features_norm);
      if (a.head.features_norm) x = norm("norm_head", x);
      x = activation("act2", x, a.activation);
    }
    Op& classifier = add(OpKind::kLinear, "classifier", x);
    classifier.output = {a.classes, 1, 1};
    classifier.bias = true;
    classifier.drop = a.regularization.dropout;
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
