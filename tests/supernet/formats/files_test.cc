// IDX, safetensors and ONNX: what is read back, and what is refused.
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "space/lowering.h"
#include "supernet/data/idx.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/safetensors.h"
#include "supernet/formats/weights.h"
#include "supernet/network/executor.h"
#include "tests/formula_weights.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("ridgewalk-files-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }
  std::string write_gzip(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), unsigned(bytes.size()));
    gzclose(file);
    return path;
  }
  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static void expect_error(auto run, const std::string& path, const std::string& says) {
    try {
      run();
      ADD_FAILURE() << "accepted; expected an error that says: " << says;
    } catch (const Error& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find(path), std::string::npos) << what;
      EXPECT_NE(what.find(says), std::string::npos) << what;
    }
  }

  fs::path folder_;
};

using Idx = Files;
using Safetensors = Files;

// Two images of 2 x 3.
const std::string kImages(
    "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03"
    "abcdefghijkl",
    28);

TEST_F(Idx, ReadsPlainAndGzippedFiles) {
  for (const std::string& path : {write("a", kImages), write_gzip("b.gz", kImages)}) {
    const IdxArray array = read_idx(path, 3);
    EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 2, 3}));
    EXPECT_EQ(std::string(array.bytes.begin(), array.bytes.end()), "abcdefghijkl");
  }
}

TEST_F(Idx, RefusesEveryTruncation) {
  const std::string zipped = read(write_gzip("full.gz", kImages));
  for (size_t length = 0; length < kImages.size(); ++length) {
    EXPECT_THROW(read_idx(write("cut", kImages.substr(0, length)), 3), Error) << length;
  }
  for (size_t length = 0; length < zipped.size(); ++length) {
    EXPECT_THROW(read_idx(write("cut.gz", zipped.substr(0, length)), 3), Error) << length;
  }
}

TEST_F(Idx, SaysWhatIsWrong) {
  const std::string missing = (folder_ / "none").string();
  expect_error([&] { read_idx(missing, 3); }, missing, "cannot be read");
  const std::string png = write("png", "\x89PNG....................");
  expect_error([&] { read_idx(png, 3); }, png, "not an IDX file");
  const std::string labels = write("labels", kImages);
  expect_error([&] { read_idx(labels, 1); }, labels, "expected 1");
  const std::string longer = write("longer", kImages + "x");
  expect_error([&] { read_idx(longer, 3); }, longer, "goes on");
  // A header that promises 2^96 bytes must not be believed.
  const std::string huge = write(
      "huge", std::string("\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  expect_error([&] { read_idx(huge, 3); }, huge, "cannot be");
}

TEST_F(Idx, SurvivesCorruption) {
  const std::string zipped = read(write_gzip("full.gz", kImages));
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = i % 2 ? zipped : kImages;
    bytes[random() % bytes.size()] = char(random());
    const std::string path = write("bad", bytes);
    try {
      read_idx(path, 3);
    } catch (const Error&) {
    }
  }
}

TensorFile small_file() {
  return {.metadata = {{"format", "pt"}},
          .tensors = {{"a", torch::arange(6).to(torch::kFloat).view({2, 3})},
                      {"count", torch::tensor(int64_t{7}, torch::kLong)},
                      {"empty", torch::empty({0, 4})}}};
}

TEST_F(Safetensors, SurvivesARoundTrip) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_TRUE(torch::equal(file.at("a"), small_file().at("a")));
  EXPECT_EQ(file.at("count").item<int64_t>(), 7);
  EXPECT_EQ(file.at("empty").sizes().vec(), (std::vector<int64_t>{0, 4}));
}

// The layout that Python's safetensors writes: 8 bytes of length, header, data.
TEST_F(Safetensors, ReadsWhatTheFormatPrescribes) {
  const std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string path = write("py", std::string(1, char(header.size())) + std::string(7, '\0') +
                                           header + std::string("\0\0\x80?\0\0\0@", 8));
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.at("x")[0].item<float>(), 1);
  EXPECT_EQ(file.at("x")[1].item<float>(), 2);
}

TEST_F(Safetensors, KeepsHalfPrecisionAsItIs) {
  const std::string path = (folder_ / "half.safetensors").string();
  const auto values = torch::tensor({1.0f, -2.5f, 65504.0f});
  write_safetensors(path, {.metadata = {},
                           .tensors = {{"half", values.to(torch::kHalf)},
                                       {"brain", values.to(torch::kBFloat16)}}});
  const std::string bytes = read(path);
  EXPECT_NE(bytes.find(R"("dtype":"F16")"), std::string::npos);
  EXPECT_NE(bytes.find(R"("dtype":"BF16")"), std::string::npos);
  const TensorFile file = read_safetensors(path);
  EXPECT_TRUE(torch::equal(file.at("half"), values.to(torch::kHalf)));
  EXPECT_TRUE(torch::equal(file.at("brain"), values.to(torch::kBFloat16)));
}

TEST_F(Safetensors, IsMappedAndOutlivesItsFile) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  torch::Tensor a = read_safetensors(path).at("a");
  fs::remove(path);
  EXPECT_TRUE(torch::equal(a, small_file().at("a")));
}

TEST_F(Safetensors, IsNotChangedByWhoWritesToItsTensors) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const std::string bytes = read(path);
  read_safetensors(path).at("a").add_(1);
  EXPECT_EQ(read(path), bytes);
}

// Python pads its headers to 8 bytes, other writers need not.
TEST_F(Safetensors, ReadsDataThatIsNotAligned) {
  std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  header.resize((header.size() + 7) / 8 * 8 + 3, ' ');
  const std::string path = write("odd", std::string(1, char(header.size())) + std::string(7, '\0') +
                                            header + std::string("\0\0\x80?\0\0\0@", 8));
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.at("x")[1].item<float>(), 2);
  EXPECT_EQ(uintptr_t(file.at("x").data_ptr()) % 4, 0u);
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const std::string bytes = read(path);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THROW(read_safetensors(write("cut", bytes.substr(0, length))), Error) << length;
  }
}

TEST_F(Safetensors, SaysWhatIsWrong) {
  const auto file = [&](const std::string& header, size_t data) {
    return write("bad", std::string(1, char(header.size())) + std::string(7, '\0') + header +
                            std::string(data, 'x'));
  };
  const auto refused = [&](const std::string& header, size_t data, const std::string& says) {
    const std::string path = file(header, data);
    expect_error([&] { read_safetensors(path); }, path, says);
  };
  refused(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "'x' does not fill");
  refused(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "cut off");
  refused(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8, "none of F32");
  refused(
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      6, "overlaps");
  refused(
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      8, "'x' twice");
  refused(R"({"x":{"dtype":"F32","shape":[99999999999999,99999999999],"data_offsets":[0,4]}})", 4,
          "larger");
  refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "a gap before");
  refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "goes on after");
  refused("[1,2]", 0, "not a safetensors file");
  refused("{{{{", 0, "damaged");
}

TEST_F(Safetensors, SurvivesCorruption) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const std::string good = read(path);
  std::mt19937_64 random(1);
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = good;
    for (uint64_t n = random() % 3 + 1; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    const std::string bad = write("bad", bytes);
    try {
      read_safetensors(bad);
    } catch (const Error&) {
    }
  }
}

// A folder in the way is met at the end, when the file is renamed.
TEST_F(Safetensors, LeavesNothingBehindWhereItCannotWrite) {
  for (const std::string& path :
       {(folder_ / "no-such-folder" / "w.safetensors").string(), folder_.string(),
        folder_.string() + "/", std::string("/dev/null"), std::string()}) {
    expect_error([&] { write_safetensors(path, small_file()); }, path, "written");
    EXPECT_FALSE(fs::exists(path + ".partial")) << path;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Safetensors, FollowsALink) {
  const fs::path target = folder_ / "target", link = folder_ / "link";
  std::ofstream(target) << "old";
  fs::create_symlink(target, link);
  write_safetensors(link.string(), small_file());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(torch::equal(read_safetensors(target.string()).at("a"), small_file().at("a")));
}

Architecture small_hybrid() {
  Architecture a{.name = "small", .resolution = 16, .channels = 1, .classes = 5};
  a.layer_scale = 0.5;
  a.stem.width = 8;
  a.stages = {{Uib{.kernel1 = 3, .kernel2 = 3, .expanded = 16, .width = 8, .stride = 2},
               MobileMqa{.heads = 2, .key_dim = 4, .value_dim = 6, .kv_stride = 2},
               Uib{.kernel1 = 3, .kernel2 = 0, .expanded = 16, .width = 8}}};
  a.head = {.width = 16, .features = 24};
  return a;
}

class Weights : public Files {
 protected:
  Weights() : graph_(lower(small_hybrid())), store_(graph_) { fill(store_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  // The network's file, changed.
  std::string changed(const std::function<void(TensorFile&)>& change) {
    save_weights(path("good"), store_);
    TensorFile file = read_safetensors(path("good"));
    change(file);
    write_safetensors(path("changed"), file);
    return path("changed");
  }
  void expect_refused(const std::function<void(TensorFile&)>& change, const std::string& says) {
    const std::string file = changed(change);
    ParameterStore other(graph_);
    expect_error([&] { load_weights(file, other); }, file, says);
  }
  torch::Tensor logits(const Graph& graph, ParameterStore& store) const {
    torch::NoGradGuard no_grad;
    return Executor(graph, store).forward(uniform(1, {3, 1, 16, 16}), NormMode::kRunning);
  }

  Graph graph_;
  ParameterStore store_;
};
using Onnx = Weights;

torch::Tensor& find(TensorFile& file, const std::string& name) {
  for (auto& [known, tensor] : file.tensors) {
    if (known == name) return tensor;
  }
  throw std::out_of_range(name);
}

TEST_F(Weights, HaveTimmsNamesInItsOrderWithCounters) {
  save_weights(path("w"), store_);
  const TensorFile file = read_safetensors(path("w"));
  ASSERT_GT(file.tensors.size(), 7u);
  const char* names[] = {"conv_stem.weight",
                         "bn1.weight",
                         "bn1.bias",
                         "bn1.running_mean",
                         "bn1.running_var",
                         "bn1.num_batches_tracked",
                         "blocks.0.0.dw_start.conv.weight"};
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(file.tensors[i].first, names[i]);
  EXPECT_EQ(file.at("bn1.num_batches_tracked").scalar_type(), torch::kLong);
}

TEST_F(Weights, ComeBackFromHalfPrecisionRounded) {
  for (torch::ScalarType type : {torch::kHalf, torch::kBFloat16}) {
    save_weights(path("half"), store_, type);
    ParameterStore again(graph_);
    load_weights(path("half"), again);
    EXPECT_TRUE(torch::equal(again.values(), store_.values().to(type).to(torch::kFloat)));
  }
}

TEST_F(Weights, LoadWithoutTheCounters) {
  const std::string file = changed([](TensorFile& f) {
    std::erase_if(f.tensors, [](const auto& entry) { return entry.first.ends_with("tracked"); });
  });
  ParameterStore again(graph_);
  load_weights(file, again);
  EXPECT_TRUE(torch::equal(again.values(), store_.values()));
}

TEST_F(Weights, AreRefusedNamingTheTensor) {
  expect_refused([](TensorFile& f) { f.tensors.erase(f.tensors.begin()); },
                 "lacks tensor 'conv_stem.weight'");
  expect_refused([](TensorFile& f) { f.tensors.emplace_back("extra", torch::zeros({1})); },
                 "tensor 'extra' is not of this network");
  expect_refused([](TensorFile& f) { find(f, "bn1.bias") = torch::zeros({9}); },
                 "tensor 'bn1.bias' is [9], expected [8]");
  expect_refused([](TensorFile& f) { find(f, "bn1.bias") = torch::zeros({8}, torch::kLong); },
                 "tensor 'bn1.bias' is not a floating-point tensor");
  expect_refused(
      [](TensorFile& f) {
        find(f, "classifier.weight") = torch::zeros({5, 25});
      },
      "it belongs to another network");
}

TEST_F(Weights, KeepAFreshHeadForOtherClassesOnlyWhenAsked) {
  save_weights(path("w"), store_);
  Architecture other = small_hybrid();
  other.classes = 7;
  ParameterStore parameters(lower(other));
  parameters.initialize(3);
  const auto head = parameters.full("classifier.weight").clone();
  expect_error([&] { load_weights(path("w"), parameters); }, path("w"), "--reset-head");
  load_weights(path("w"), parameters, true);
  EXPECT_TRUE(torch::equal(parameters.full("classifier.weight"), head));
  EXPECT_TRUE(torch::equal(parameters.full("conv_head.weight"), store_.full("conv_head.weight")));
}

TEST_F(Weights, FoldedGiveTheSameLogits) {
  Network folded = fold_norms(graph_, store_);
  const auto expected = logits(graph_, store_);
  EXPECT_TRUE(torch::allclose(logits(folded.graph, folded.parameters), expected, 1e-5, 1e-6));
}

TEST_F(Onnx, ComesBackAsTheSameNetworkFoldedOrNot) {
  const auto expected = logits(graph_, store_);
  write_onnx(path("kept.onnx"), graph_, store_);
  const Network folded = fold_norms(graph_, store_);
  write_onnx(path("folded.onnx"), folded.graph, folded.parameters);
  for (const char* name : {"kept.onnx", "folded.onnx"}) {
    Network network = load_network(path(name), graph_, torch::kCPU);
    EXPECT_TRUE(torch::allclose(logits(network.graph, network.parameters), expected, 1e-5, 1e-6));
  }
  Architecture other = small_hybrid();
  other.head.features = 32;
  expect_error([&] { load_network(path("kept.onnx"), lower(other), torch::kCPU); },
               path("kept.onnx"), "conv_head.weight");
}

TEST_F(Onnx, SurvivesTruncationAndCorruption) {
  write_onnx(path("good.onnx"), graph_, store_);
  const std::string good = read(path("good.onnx"));
  const auto attempt = [&](const std::string& bytes) {
    const std::string bad = write("bad.onnx", bytes);
    try {
      load_network(bad, graph_, torch::kCPU);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find(bad), 0u) << error.what();
    }
  };
  for (size_t length = 0; length < good.size(); length += 97) {
    const std::string cut = write("cut.onnx", good.substr(0, length));
    EXPECT_THROW(load_network(cut, graph_, torch::kCPU), Error) << length;
  }
  std::mt19937_64 random(2);
  for (int i = 0; i < 1500; ++i) {
    std::string bytes = good;
    for (uint64_t n = random() % 3 + 1; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    attempt(bytes);
  }
  expect_error([&] { read_onnx(write("text.onnx", "not a model")); }, "text.onnx", "not an ONNX");
}

TEST_F(Onnx, LeavesNothingBehindWhereItCannotWrite) {
  for (const std::string& target :
       {(folder_ / "no-such-folder" / "a.onnx").string(), folder_.string()}) {
    expect_error([&] { write_onnx(target, graph_, store_); }, target, "written");
    EXPECT_FALSE(fs::exists(target + ".partial")) << target;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace ridgewalk
