#include "space/lowering.h"

#include <map>
#include <set>

#include "space/catalog.h"
#include "tests/grouped_network.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

// Parameters of the released networks (timm 1.0.15, executed).
TEST(ParameterCount, IsThePublishedOne) {
  const std::map<std::string, int64_t> published = {
      {"mnv4-conv-small", 3774024},    {"mnv4-conv-medium", 9715512},
      {"mnv4-conv-large", 32590864},   {"mnv4-hybrid-medium", 11074648},
      {"mnv4-hybrid-large", 37764624}, {"mnv4-conv-small@0.5", 2238952},
  };
  for (const auto& [name, count] : published) {
    EXPECT_EQ(parameter_count(lower(find_architecture(name))), count) << name;
  }
}

class StateDict : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(StateDict, HasTimmsNamesShapesAndOrder) {
  const auto [name, file] = GetParam();
  const Graph graph = lower(find_architecture(name));
  std::vector<Parameter> own;
  for (int i = 0; i < std::ssize(graph.ops); ++i) {
    for (Parameter& parameter : parameters(graph, i)) own.push_back(std::move(parameter));
  }
  const std::vector<CsvRow> rows = read_csv(file);
  ASSERT_EQ(own.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(own[i].name, at(rows[i], "name"));
    EXPECT_EQ(own[i].shape, dimensions(at(rows[i], "shape"))) << own[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Timm, StateDict,
    testing::Values(std::pair("mnv4-conv-small", "tests/data/statedict_mobilenetv4_conv_small.csv"),
                    std::pair("mnv4-hybrid-medium",
                              "tests/data/statedict_mobilenetv4_hybrid_medium.csv")),
    [](const auto& test) { return test.index == 0 ? "ConvSmall" : "HybridMedium"; });

// Name of an op as the list of timm's layers has it.
std::string timm_layer(const Op& op) {
  std::string name = op.name;
  for (const auto& [own, timm] :
       std::map<std::string, std::string>{{".attn.scores", ".attn:qk"},
                                          {".attn.softmax", ".attn:softmax"},
                                          {".attn.mix", ".attn:av"},
                                          {".add", ":add"}}) {
    if (name.ends_with(own)) name = name.substr(0, name.size() - own.size()) + timm;
  }
  return name;
}

class Layers : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Layers, AreTimmsInOrderAndShape) {
  const auto [name, file] = GetParam();
  const Graph graph = lower(find_architecture(name));
  const std::vector<CsvRow> rows = read_csv(file);
  size_t row = 0;
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    if (op.kind == OpKind::kActivation) {  // timm counts it to the norm before it
      EXPECT_THAT(at(rows.at(row - 1), "type"), testing::EndsWith("+ReLU")) << op.name;
      continue;
    }
    ASSERT_LT(row, rows.size());
    const CsvRow& layer = rows[row++];
    EXPECT_EQ(timm_layer(op), at(layer, "name"));
    std::vector<int64_t> shape = dimensions(at(layer, "out_shape"));
    if (op.kind == OpKind::kAttentionMix) {  // timm's before the heads are laid side by side
      EXPECT_EQ(shape[1] * shape[2] * shape[3], op.output.elements());
      continue;
    }
    shape.resize(4, 1);
    EXPECT_EQ(shape,
              (std::vector<int64_t>{1, op.output.channels, op.output.height, op.output.width}))
        << op.name;
  }
  EXPECT_EQ(row, rows.size());
}

INSTANTIATE_TEST_SUITE_P(
    Timm, Layers,
    testing::Values(
        std::pair("mnv4-conv-small", "tests/data/layers_mobilenetv4_conv_small_r224.csv"),
        std::pair("mnv4-hybrid-medium", "tests/data/layers_mobilenetv4_hybrid_medium_r256.csv")),
    [](const auto& test) { return test.index == 0 ? "ConvSmall" : "HybridMedium"; });

TEST(SharedNaming, KeepsOneTensorPerKernelAndNumbersTheUibsAlone) {
  const Graph graph = lower(find_architecture("mnv4-hybrid-medium"), Naming::kShared);
  std::set<std::string> names;
  for (const Op& op : graph.ops) names.insert(op.name);
  EXPECT_TRUE(names.contains("blocks.2.0.dw_start.k3.conv"));
  EXPECT_TRUE(names.contains("blocks.2.0.dw_mid.k5.bn"));
  // timm's blocks.2.4 is the attention after UIB 3, blocks.2.5 is UIB 4.
  EXPECT_TRUE(names.contains("blocks.2.3.mqa.attn.query.proj"));
  EXPECT_TRUE(names.contains("blocks.2.4.pw_exp.conv"));
}

TEST(Lowering, HasSqueezeExciteWithBiases) {
  Architecture a{.name = "gate", .resolution = 8};
  a.stem.width = 8;
  a.stages = {{InvertedResidual{
      .expanded = 16, .width = 8, .squeeze_excite = SqueezeExcite{.ratio = 0.25, .divisor = 4}}}};
  const Graph graph = lower(a);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (int i = 0; i < std::ssize(graph.ops); ++i) {
    for (const Parameter& p : parameters(graph, i)) shapes[p.name] = p.shape;
  }
  EXPECT_EQ(shapes.at("blocks.0.0.se.conv_reduce.weight"), (std::vector<int64_t>{4, 16, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.0.0.se.conv_expand.bias"), (std::vector<int64_t>{16}));
}

// Shapes by PyTorch's rule: a weight has the input channels of one group.
TEST(Lowering, HasConvolutionsInGroups) {
  const Graph graph = lower(grouped_network());
  std::map<std::string, std::vector<int64_t>> shapes;
  std::map<std::string, OpKind> kinds;
  for (int i = 0; i < std::ssize(graph.ops); ++i) {
    kinds[graph.ops[size_t(i)].name] = graph.ops[size_t(i)].kind;
    for (const Parameter& p : parameters(graph, i)) shapes[p.name] = p.shape;
  }
  using Sizes = std::vector<int64_t>;
  EXPECT_EQ(shapes.at("blocks.0.0.conv_pw.weight"), (Sizes{32, 8, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.0.0.conv_pwl.weight"), (Sizes{24, 16, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.0.1.conv_pw.weight"), (Sizes{48, 6, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.1.0.conv.weight"), (Sizes{32, 3, 3, 3}));
  EXPECT_EQ(shapes.at("blocks.1.1.conv.weight"), (Sizes{32, 1, 5, 5}));
  EXPECT_EQ(shapes.at("blocks.2.0.conv_exp.weight"), (Sizes{64, 8, 3, 3}));
  EXPECT_EQ(shapes.at("blocks.2.0.conv_pwl.weight"), (Sizes{32, 64, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.2.1.pw_exp.conv.weight"), (Sizes{64, 16, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.2.1.pw_proj.conv.weight"), (Sizes{48, 32, 1, 1}));
  EXPECT_EQ(shapes.at("blocks.2.2.conv_pw.weight"), (Sizes{64, 3, 1, 1}));
  // As many groups as channels are depthwise.
  EXPECT_EQ(kinds.at("blocks.1.0.conv"), OpKind::kConv);
  EXPECT_EQ(kinds.at("blocks.1.1.conv"), OpKind::kDepthwise);
}

TEST(Lowering, RoundsOddSizesUp) {
  Architecture a{.name = "odd", .resolution = 29};
  a.stages = {{FusedIb{.stride = 2, .expanded = 16, .width = 8}}};
  const Graph graph = lower(a);
  const auto last = std::find_if(graph.ops.begin(), graph.ops.end(),
                                 [](const Op& op) { return op.name == "blocks.0.0.bn2"; });
  EXPECT_EQ(last->output, (Shape{8, 8, 8}));  // 29 -> 15 -> 8
}

// Of a graph with averages: every op after its inputs, and shapes that fit.
void expect_consistent(const Graph& graph) {
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    ASSERT_FALSE(op.inputs.empty()) << op.name;
    for (int input : op.inputs) {
      ASSERT_LT(input, static_cast<int>(i)) << op.name;
      const Shape in = graph.ops[input].output;
      if (op.kind == OpKind::kMean || op.kind == OpKind::kAdd || op.kind == OpKind::kNorm) {
        EXPECT_EQ(in, op.output) << op.name;
      }
      if (op.kind == OpKind::kConv || op.kind == OpKind::kDepthwise) {
        EXPECT_EQ((in.height + op.stride - 1) / op.stride, op.output.height) << op.name;
      }
      if (op.kind == OpKind::kDepthwise) {
        EXPECT_EQ(in.channels, op.output.channels) << op.name;
      }
    }
  }
}

const Op* find_op(const Graph& graph, const std::string& name) {
  for (const Op& op : graph.ops) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

// Inputs of the mean called `name`; 1 when there is no need for one.
size_t averaged(const Graph& graph, const std::string& name) {
  const Op* op = find_op(graph, name);
  return op == nullptr ? 1 : op->inputs.size();
}

TEST(BlendedLowering, AveragesAllOptionsOfEveryOperation) {
  std::mt19937_64 random(3);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const ChoiceLayout layout = choice_layout(space);
    const std::vector<Choice> list = choices(space);
    for (int repeat = 0; repeat < 20; ++repeat) {
      Decisions decisions;
      for (const Choice& choice : list) {
        const bool blend = choice.kind == ChoiceKind::kOperation;
        decisions.push_back(blend ? kBlend : static_cast<int>(random() % choice.options.size()));
      }
      deactivate_unused(space, layout, decisions);
      const Graph graph = lower(decode_blended(space, decisions));
      expect_consistent(graph);
      for (size_t s = 0; s < space.stages.size(); ++s) {
        const StageSpace& stage = space.stages[s];
        if (decisions[layout.stages[s].depth] != kBlend) continue;
        const std::string prefix = "blocks." + std::to_string(s) + ".";
        EXPECT_EQ(averaged(graph, prefix + "mean"), stage.depth.size());
        for (size_t b = 0; b < stage.blocks.size(); ++b) {
          const std::string block = prefix + std::to_string(b);
          EXPECT_EQ(averaged(graph, block + ".dw_start.mean"), stage.blocks[b].kernel1.size());
          EXPECT_EQ(averaged(graph, block + ".dw_mid.mean"), stage.blocks[b].kernel2.size());
          EXPECT_EQ(averaged(graph, block + ".mqa.mean"), stage.blocks[b].attention.size());
        }
      }
    }
  }
}

TEST(BlendedLowering, OfNothingBlendedIsTheSharedLowering) {
  std::mt19937_64 random(4);
  const SearchSpace space = tiny_space();
  for (int i = 0; i < 200; ++i) {
    const Decisions decisions = sample(space, random);
    const Graph blended = lower(decode_blended(space, decisions));
    const Graph plain = lower(decode(space, decisions), Naming::kShared);
    ASSERT_EQ(blended.ops.size(), plain.ops.size());
    for (size_t op = 0; op < plain.ops.size(); ++op) {
      EXPECT_EQ(blended.ops[op].name, plain.ops[op].name);
      EXPECT_EQ(blended.ops[op].inputs, plain.ops[op].inputs);
      EXPECT_EQ(blended.ops[op].output, plain.ops[op].output);
    }
  }
}

// Two are kept in place, more elsewhere.
TEST(Inputs, AreThoseGivenAfterACopy) {
  for (size_t count = 0; count < 6; ++count) {
    std::vector<int> given;
    for (size_t i = 0; i < count; ++i) given.push_back(int(7 * i));
    Inputs inputs;
    {
      const Inputs original(given);
      inputs = original;
    }
    EXPECT_EQ(std::vector<int>(inputs.begin(), inputs.end()), given);
    EXPECT_EQ(inputs.empty(), count == 0);
    if (count == 0) continue;
    inputs[count - 1] = -1;
    EXPECT_FALSE(inputs == Inputs(given));
    EXPECT_EQ(inputs[count - 1], -1);
  }
}

TEST(UnnamedLowering, IsTheNamedOneWithoutNames) {
  std::vector<Architecture> networks;
  for (const std::string& name : catalog_names()) networks.push_back(find_architecture(name));
  std::mt19937_64 random(5);
  const SearchSpace space = load_search_space("mobile");
  for (int i = 0; i < 20; ++i) networks.push_back(decode(space, sample(space, random)));
  for (const Architecture& network : networks) {
    const Graph named = lower(network), unnamed = lower(network, Naming::kNone);
    ASSERT_EQ(unnamed.ops.size(), named.ops.size());
    EXPECT_EQ(unnamed.part_begins, named.part_begins);
    for (size_t i = 0; i < named.ops.size(); ++i) {
      const Op &op = unnamed.ops[i], &other = named.ops[i];
      EXPECT_TRUE(op.name.empty() || i == 0 || network.detector) << other.name;
      EXPECT_EQ(op.kind, other.kind) << other.name;
      EXPECT_EQ(op.inputs, other.inputs) << other.name;
      EXPECT_EQ(op.output, other.output) << other.name;
      EXPECT_EQ(std::tuple(op.kernel, op.stride, op.heads, op.bias, op.activation),
                std::tuple(other.kernel, other.stride, other.heads, other.bias, other.activation))
          << other.name;
      EXPECT_EQ(std::tuple(op.layer_scale, op.drop), std::tuple(other.layer_scale, other.drop))
          << other.name;
    }
  }
}

// Pricing counts them without naming them.
TEST(ParameterElements, AreThoseOfTheNamedParameters) {
  std::vector<std::string> names = catalog_names();
  names.push_back("mnv4-hybrid-medium-retinanet");
  for (const std::string& name : names) {
    Architecture architecture = find_architecture(name);
    architecture.layer_scale = 1e-5;
    const Graph graph = lower(architecture);
    for (int i = 0; i < std::ssize(graph.ops); ++i) {
      ParameterElements named;
      for (const Parameter& parameter : parameters(graph, i)) {
        (is_learned(parameter.role) ? named.learned : named.running) += parameter.elements();
      }
      const ParameterElements counted = parameter_elements(graph, i);
      ASSERT_EQ(counted.learned, named.learned) << name << " " << graph.ops[size_t(i)].name;
      ASSERT_EQ(counted.running, named.running) << name << " " << graph.ops[size_t(i)].name;
    }
  }
}

}  // namespace
}  // namespace ridgewalk
