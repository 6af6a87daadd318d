// What a user can get wrong in a file: each answered with file, line and what to do.
#include "space/embedded.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kArchitecture = R"(name: small
resolution: 32
activation: relu
stem: {block: conv, kernel: 3, stride: 2, width: 16}
stages:
  - - {block: uib, kernel1: 0, kernel2: 3, stride: 2, expanded: 64, width: 24}
    - {block: mqa, heads: 2, key_dim: 8, value_dim: 8, kv_stride: 1}
head: {width: 32, features: 40}
)";

struct Mistake {
  std::string from, to;
  int line;
  std::string remedy;
};

TEST(BadArchitecture, IsRefusedWithFileLineAndRemedy) {
  ASSERT_NO_THROW(architecture_from_yaml(kArchitecture, "a.yaml"));
  const std::vector<Mistake> mistakes = {
      {"resolution:", "resolutoin:", 1,
       "missing key 'resolution'; is 'resolutoin' a misspelling of it?"},
      {"features", "featurs", 8, "unknown key 'featurs'; did you mean features or features_norm?"},
      {"expanded: 64", "expanded: 64, expand: 4", 6,
       "unknown key 'expand'; did you mean expanded?"},
      {"expanded: 64, ", "", 6, "missing key 'expanded'"},
      {"resolution: 32", "resolution: large", 2, "'resolution' must be a whole number"},
      {"resolution: 32", "resolution: 32.5", 2, "'resolution' must be a whole number"},
      {"resolution: 32", "resolution: [32]", 2, "'resolution' must be a whole number"},
      {"resolution: 32", "resolution: 0", 1, "resolution is 0; it must be from 1 to 8192"},
      {"resolution: 32", "resolution: 99999999999", 2, "'resolution' must be a whole number"},
      {"resolution: 32", "resolution: 32\nresolution: 64", 3, "'resolution' is given twice"},
      {"activation: relu", "activation: swish", 3,
       "no activation is named 'swish'; did you mean hard_swish"},
      {"activation: relu", "layer_scale: .nan", 3, "'layer_scale' must be a number"},
      {"activation: relu", "layer_scale: -1", 1, "layer_scale must be from 0 to 1"},
      {"resolution: 32", "resolution: 032", 2, "'032' has a leading zero; write 32"},
      {"resolution: 32", "resolution: 0x20", 2, "'0x20' is not a whole number"},
      {"resolution: 32", "resolution: 3.2e1", 2, "decimal digits alone"},
      {"resolution: 32", "resolution: 3_2", 2, "decimal digits alone"},
      {"resolution: 32", "resolution: +32", 2, "decimal digits alone"},
      {"resolution: 32", "resolution: ' 32'", 2, "decimal digits alone"},
      {"activation: relu", "layer_scale: 00.5", 3, "'00.5' has a leading zero; write 0.5"},
      {"block: uib", "block: ibu", 6, "no block is named 'ibu'; "},
      {"kernel2: 3", "kernel2: 0", 6, "there is no depthwise convolution"},
      {"kernel2: 3", "kernel2: 4", 6, "kernel2 is 4; it must be odd"},
      {"stride: 2, expanded", "stride: 3, expanded", 6, "stride is 3; it must be from 1 to 2"},
      {"width: 24", "width: -1", 6, "width is -1; it must be from 1 to 65536"},
      {"block: uib, kernel1: 0, kernel2: 3,",
       "block: inverted_residual, squeeze_excite: {gate: tanh},", 6,
       "no gate is named 'tanh'; known are hard_sigmoid, sigmoid"},
      {"block: uib, kernel1: 0, kernel2: 3,",
       "block: inverted_residual, squeeze_excite: {ratio: 0},", 6, "ratio must be above 0"},
      {"width: 24}", "width: 24}\n    - {block: squeeze_excite, divisor: 0}", 7, "divisor is 0"},
      {"activation: relu", "norm: {epsilon: -1}", 1, "norm.epsilon must be from 0 to 1"},
      {"activation: relu", "norm: {eps: 1}", 3, "unknown key 'eps'"},
      {"activation: relu", "regularization: {dropout: 1}", 1, "dropout must be from 0 to 0.99"},
      {"activation: relu", "compact: {base: 24, expanded: 64}", 4, "unknown key 'stem'"},
      {"heads: 2", "heads: 0", 7, "heads is 0; it must be from 1 to 256"},
      {"block: conv, kernel: 3, stride: 2",
       "block: mqa, heads: 1, key_dim: 1, value_dim: 1, kv_stride: 1", 4, "unknown key 'width'"},
      {"{width: 32, features: 40}", "[32, 40]", 8, "expected a mapping"},
      {"  - - {block: uib", "  - {block: uib", 7, "not YAML"},
      {"features: 40}", "features: 40", 9, "not YAML"},
  };
  for (const Mistake& mistake : mistakes) {
    const std::string text = replaced(kArchitecture, mistake.from, mistake.to);
    EXPECT_THAT(error_of([&] { architecture_from_yaml(text, "a.yaml"); }),
                AllOf(StartsWith("a.yaml:" + std::to_string(mistake.line) + ": "),
                      HasSubstr(mistake.remedy)))
        << text;
  }
}

const std::string kSpace = R"(name: small
resolution: [16, 32]
stem: {kernel: 3, stride: 2, width: [16]}
stages:
  - {block: uib, stride: 2, width: [24, 32], depth: [1, 2],
     expansion: [2, 4], kernel1: [0, 3], kernel2: [0, 3],
     attention: [none, {heads: 2, key_dim: 8, value_dim: 8, kv_stride: 1}]}
  - stride: 2
    width: [40]
    depth: 1
    blocks:
      - {kernel1: [0, 3], kernel2: [3]}
head: {width: 32, features: 40}
)";

TEST(BadCompactPlan, IsRefusedNamingTheArgument) {
  const auto refusal = [](const std::string& plan) {
    return error_of([&] {
      architecture_from_yaml("name: c\nresolution: 28\ncompact: {" + plan + "}\n", "c.yaml");
    });
  };
  EXPECT_THAT(refusal("base: 24"), AllOf(StartsWith("c.yaml:3: "), HasSubstr("'expanded'")));
  EXPECT_THAT(refusal("base: 24, expanded: 64, heads: 5"),
              AllOf(StartsWith("c.yaml:1: "), HasSubstr("5 heads do not divide the base 24")));
  EXPECT_THAT(refusal("base: 0, expanded: 64"), HasSubstr("base is 0; it must be from 1"));
  EXPECT_THAT(refusal("base: 24, expanded: 64, n1: 99"), HasSubstr("n1 is 99"));
  EXPECT_THAT(refusal("base: 24, expanded: 64, dropout: 2"), HasSubstr("dropout must be"));
  EXPECT_THAT(refusal("base: 24, expanded: 64, depth: 2"), HasSubstr("unknown key 'depth'"));
}

TEST(BadSearchSpace, IsRefusedWithFileLineAndRemedy) {
  ASSERT_NO_THROW(search_space_from_yaml(kSpace, "s.yaml"));
  const std::vector<Mistake> mistakes = {
      {"resolution: [16, 32]", "resolutions: [16, 32]", 1, "missing key 'resolution'"},
      {"head:", "classses: 10\nhead:", 13, "unknown key 'classses'; did you mean classes?"},
      {"width: [16]", "widht: [16]", 3, "missing key 'width'"},
      {"resolution: [16, 32]", "resolution: []", 2, "'resolution' is empty; list at least one"},
      {"resolution: [16, 32]", "resolution: [16, 16]", 1, "lists 16 twice"},
      {"resolution: [16, 32]", "resolution: [16, x]", 2, "must be a whole number"},
      {"resolution: [16, 32]", "resolution: 16\nactivation: [relu, lu]", 3,
       "no activation is named 'lu'; the nearest known names are relu"},
      {"resolution: [16, 32]", "resolution: 16\nchannels: 0", 1, "channels is 0"},
      {"resolution: [16, 32]", "resolution: 16\nlayer_scale: [0, 2]", 1, "layer_scale cannot be 2"},
      {"kernel: 3, stride: 2", "kernel: 2, stride: 2", 1, "kernel is 2; it must be odd"},
      {"kernel: 3, stride: 2", "kernel: 3, stride: 5", 1, "stride is 5; it must be from 1 to 2"},
      {"block: uib", "block: [uib, uib]", 5, "lists uib twice"},
      {"block: uib", "block: mqa", 5,
       "no block of a stage is named 'mqa'; known are uib, fused_ib, conv_pair"},
      {"kernel2: [0, 3]", "kernel2: [0]", 5, "kernel2 cannot be 0"},
      {"kernel2: [3]", "kernel2: [0, 3]", 8, "stages.1.0.kernel2 cannot be 0"},
      {"kernel2: [3]", "kernel3: [3]", 12,
       "unknown key 'kernel3'; did you mean kernel1 or kernel2?"},
      {"kernel1: [0, 3], kernel2: [0, 3]", "kernel1: [0, 2]", 5, "kernel1 cannot be 2"},
      {"depth: [1, 2]", "depth: [1, 2, 2]", 5, "lists 2 twice"},
      {"depth: [1, 2]", "depth: [0, 2]", 5, "depth cannot be 0"},
      {"depth: [1, 2]", "depth: [1000000000]", 5, "'depth' must be from 1 to 256"},
      {"depth: 1\n", "depth: 2\n", 12, "as many blocks as the largest depth"},
      {"expansion: [2, 4]", "expansion: [2, 2.1]", 1, "round to the same channels"},
      {"expansion: [2, 4]", "expansion: [2, .inf]", 6, "'expansion' must be a number"},
      {"expansion: [2, 4]", "expansion: []", 6, "'expansion' is empty; list at least one"},
      {"width: [24, 32]", "width: [60000]", 1, "choose a smaller one"},
      {"width: [24, 32]", "width: []", 5, "'width' is empty; list at least one"},
      {"[none, {heads: 2", "[some, {heads: 2", 7, "attention must be 'none' or {heads: ...}"},
      {"heads: 2", "head: 2", 7, "missing key 'heads'"},
      {"heads: 2", "heads: 2000", 5, "attention cannot be"},
      {"width: 32, features", "width: -1, features", 1, "head.width is -1; it must be"},
  };
  for (const Mistake& mistake : mistakes) {
    const std::string text = replaced(kSpace, mistake.from, mistake.to);
    EXPECT_THAT(error_of([&] { search_space_from_yaml(text, "s.yaml"); }),
                AllOf(StartsWith("s.yaml:" + std::to_string(mistake.line) + ": "),
                      HasSubstr(mistake.remedy)))
        << text;
  }
}

TEST(BadFile, IsNamed) {
  EXPECT_THAT(error_of([] { load_architecture("no/such.yaml"); }),
              AllOf(StartsWith("no/such.yaml: "), HasSubstr("give the name of an existing file")));
  EXPECT_THAT(error_of([] { load_search_space("tests"); }), StartsWith("tests: cannot be read"));
}

std::string repeated(const std::string& part, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += part;
  return text;
}

// Recursion of the parser must not end the program.
TEST(NestingBomb, IsRefused) {
  std::string aliases = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    aliases +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + "," + before + "]\n";
  }
  const std::vector<std::string> bombs = {
      repeated("[", 100000),      repeated("{a: ", 100000),
      repeated("- ", 20000),      repeated("? ", 20000),
      repeated("[ #]\n", 100000), "#" + repeated("]", 1000) + "\n" + repeated("[", 100000),
      repeated("&a [", 50000),    "&a [*a]",
      "name: &a {x: *a}",         aliases,
  };
  for (const std::string& bomb : bombs) {
    EXPECT_THAT(error_of([&] { architecture_from_yaml(bomb, "bomb"); }), StartsWith("bomb:"));
    EXPECT_THAT(error_of([&] { search_space_from_yaml(bomb, "bomb"); }), StartsWith("bomb:"));
    const std::string inside = "name: x\nresolution: 8\nstages:\n  - " + bomb;
    EXPECT_THAT(error_of([&] { architecture_from_yaml(inside, "bomb"); }), StartsWith("bomb:"));
  }
}

TEST(BrokenFile, OfTheCatalogueParsesOrIsRefused) {
  for (const EmbeddedFile& file : embedded_catalog()) {
    expect_parses_or_refuses(std::string(file.text), 500, [](const auto& text, const auto& name) {
      const Architecture a = architecture_from_yaml(text, name);
      EXPECT_EQ(architecture_from_yaml(to_yaml(a), name), a) << text;
    });
  }
}

TEST(BrokenFile, OfTheSpacesParsesOrIsRefused) {
  for (const EmbeddedFile& file : embedded_search_spaces()) {
    expect_parses_or_refuses(std::string(file.text), 1000, [](const auto& text, const auto& name) {
      const SearchSpace space = search_space_from_yaml(text, name);
      EXPECT_EQ(search_space_from_yaml(to_yaml(space), name), space) << text;
      EXPECT_GE(size(space), 1);
    });
  }
}

// Texts come back as U+FFFD from a file that is written with bytes that are not UTF-8.
TEST(BadYaml, TextsAreUtf8) {
  for (const char* name : {"a\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    const std::string text = replaced(kArchitecture, "small", "\"" + std::string(name) + "\"");
    const Architecture read = architecture_from_yaml(text, "a.yaml");
    EXPECT_EQ(read.name, name);
    EXPECT_EQ(architecture_from_yaml(to_yaml(read), "written").name, name);
  }
  // A Latin-1 e, a cut sequence, an overlong slash, a surrogate, what is no character, too large.
  for (const char* name : {"a\xE9", "\xE2\x82", "\xC0\xAF", "\xED\xA0\x80", "\xEF\xBF\xBF",
                           "\xF4\x90\x80\x80", "\xE0\x80\xAF", "\x80"}) {
    expect_error([&] { architecture_from_yaml(replaced(kArchitecture, "small", name), "a.yaml"); },
                 "a.yaml:1: 'name' must be a text in UTF-8");
  }
  // Only what is read: a comment may be Latin-1.
  EXPECT_NO_THROW(architecture_from_yaml("# caf\xE9\n" + kArchitecture, "a.yaml"));
}

// Ten lines of ten aliases each stand for 10^10 blocks.
TEST(BadYaml, AliasesDoNotGrowWithoutEnd) {
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i <= 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1) + " ";
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int n = 0; n < 10; ++n) text += before + ", ";
    text += "]\n";
  }
  expect_error([&] { architecture_from_yaml(text, "a.yaml"); }, "a.yaml:", "write them out");
  expect_error([&] { architecture_from_yaml("stages: &a [*a]\n", "a.yaml"); }, "a.yaml:1",
               "stand for too much, or for themselves");
  const std::string stem = "stem: &stem {block: conv, kernel: 3, stride: 2, width: 16}";
  const std::string shared = replaced(
      replaced(kArchitecture, "stem: {block: conv, kernel: 3, stride: 2, width: 16}", stem),
      "  - - {block: uib", "  - [*stem, *stem]\n  - - {block: uib");
  EXPECT_EQ(architecture_from_yaml(shared, "a.yaml").stages[0].size(), 2u);
}

}  // namespace
}  // namespace ridgewalk
