#include "roofline/profile.h"

#include <map>
#include <span>

#include "space/embedded.h"
#include "tests/helpers.h"

namespace ridgewalk {

std::span<const EmbeddedFile> embedded_profiles();

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// MobileNetV4, appendix F, table 16.
TEST(BuiltInProfiles, HaveThePapersRidgePoints) {
  const std::map<std::string, double> table = {{"pixel6-cpu", 31.2},
                                               {"galaxy-s23-cpu", 39.7},
                                               {"pixel4-dsp", 347.3},
                                               {"pixel8-edgetpu", 433.8}};
  for (const auto& [name, ridge_point] : table) {
    const Profile profile = load_profile(name);
    EXPECT_EQ(profile.ridge_point().value, ridge_point);
    EXPECT_TRUE(profile.ridge_point_is_effective());
    EXPECT_EQ(profile.data_type, DataType::kInt8);
    EXPECT_THAT(profile.effective_ridge_point->source, HasSubstr("table 16"));
  }
  EXPECT_EQ(load_profile("macs-only").ridge_point().value, 0);
}

TEST(BuiltInProfiles, GoToYamlAndBack) {
  EXPECT_GE(built_in_profiles().size(), 40u);
  for (const std::string& name : built_in_profiles()) {
    const Profile profile = load_profile(name);
    EXPECT_EQ(profile.name, name);
    EXPECT_EQ(profile_from_yaml(to_yaml(profile), name), profile) << to_yaml(profile);
  }
}

// Dense peaks and bandwidths of the vendors' datasheets, as MACs: 989 TFLOPS bf16 and 3.35 TB/s;
// 312 TFLOPS and 2.039 TB/s; 197 TFLOPS bf16, 394 TOPS int8 and 0.819 TB/s.
TEST(BuiltInProfiles, CountMacsAndDensePeaks) {
  const auto ridge = [](const char* name, DataType type) {
    return load_profile(name).datasheet_ridge_point(type)->value;
  };
  EXPECT_NEAR(ridge("nvidia-h100", DataType::kBf16), 989e12 / 2 / 3.35e12, 0.1);
  EXPECT_NEAR(ridge("nvidia-a100", DataType::kBf16), 312e12 / 2 / 2.039e12, 0.1);
  EXPECT_NEAR(ridge("tpu-v5e", DataType::kInt8), 394e12 / 2 / 0.819e12, 0.3);
  // The GPU's 170 sparse TOPS, without the DLAs', and 204.8 GB/s.
  EXPECT_NEAR(ridge("jetson-agx-orin", DataType::kInt8), 170e12 / 2 / 2 / 204.8e9, 1);
  for (const char* name : {"nvidia-a100", "nvidia-h100", "nvidia-h200"}) {
    EXPECT_EQ(ridge(name, DataType::kFp16), ridge(name, DataType::kBf16));
  }
}

// One Cortex-A72 runs 11.958 GFLOPS, four of them four times that (cpufp, Broadcom_BCM2711.md).
TEST(BuiltInProfiles, DoNotMixThreads) {
  const Profile one = load_profile("raspberry-pi-4-cpu-1-thread");
  const double peak = one.peak_gmacs.at(DataType::kFp32).value;
  EXPECT_NEAR(peak, 11.958 / 2, 0.01);
  EXPECT_NEAR(load_profile("raspberry-pi-4-cpu").peak_gmacs.at(DataType::kFp32).value, 4 * peak,
              0.1);
  EXPECT_LT(one.effective_peak_gmacs->value, peak);
}

TEST(BuiltInProfiles, MarkWhatIsFromMemory) {
  const auto is_marked = [](const Sourced& figure) {
    return figure.is_unverified || figure.source.find("memory") == std::string::npos;
  };
  for (const std::string& name : built_in_profiles()) {
    const Profile profile = load_profile(name);
    for (const auto& [type, peak] : profile.peak_gmacs) EXPECT_TRUE(is_marked(peak)) << name;
    EXPECT_TRUE(!profile.bandwidth_gbps || is_marked(*profile.bandwidth_gbps)) << name;
  }
}

TEST(Profile, PredictsWithTheEffectiveRidgePoint) {
  Profile profile;
  profile.peak_gmacs[DataType::kInt8] = {180, "datasheet"};
  profile.bandwidth_gbps = {10, "datasheet"};
  EXPECT_EQ(profile.ridge_point().value, 18);
  EXPECT_FALSE(profile.ridge_point_is_effective());
  EXPECT_EQ(profile.peak()->value, 180e9);
  EXPECT_EQ(profile.datasheet_ridge_point(DataType::kFp32), std::nullopt);
  profile.effective_ridge_point = {347.3, "fit"};
  EXPECT_EQ(profile.ridge_point().value, 347.3);
  EXPECT_EQ(profile.peak()->value, 180e9);  // the datasheet's, until one is fitted
  profile.effective_peak_gmacs = {90, "fit"};
  EXPECT_EQ(profile.peak()->value, 90e9);
  EXPECT_EQ(profile.datasheet_ridge_point(DataType::kInt8)->value, 18);
}

// As editors on Windows save it: a byte order mark, and lines that end in CRLF.
TEST(Profile, MayHaveAByteOrderMarkAndCrlf) {
  const Profile profile = profile_from_yaml(
      "\xEF\xBB\xBFname: machine\r\ndata_type: int8\r\nridge_point: {value: 18, source: here}\r\n",
      "p.yaml");
  EXPECT_EQ(profile.name, "machine");
  EXPECT_EQ(profile.ridge_point().value, 18);
}

TEST(LoadProfile, NamesWhatThereIs) {
  EXPECT_THAT(error_of([] { load_profile("pixel6"); }),
              AllOf(StartsWith("pixel6: "), HasSubstr("did you mean pixel6-cpu")));
}

const std::string kProfile = R"(name: machine
data_type: fp32
effective:
  ridge_point: {value: 20.9, source: a fit}
  peak_gmacs: {value: 162, source: the same}
)";

TEST(BadProfile, IsRefusedWithFileLineAndRemedy) {
  ASSERT_EQ(profile_from_yaml(kProfile, "p.yaml").peak()->value, 162e9);
  struct Mistake {
    std::string from, to;
    int line;
    std::string remedy;
  };
  const std::vector<Mistake> mistakes = {
      {"name: machine\n", "", 1, "missing key 'name'"},
      {"name:", "title:", 1, "missing key 'name'"},
      {"data_type: fp32", "data_type: fp64", 2,
       "no data type is named 'fp64'; known are int8, bf16, fp16, fp32"},
      {"effective:", "fitted_batches: [8]\neffective:", 3, "two numbers of images from 1 to 65536"},
      {"effective:", "fitted_batches: [8, 4]\neffective:", 3, "the smaller one first"},
      {"effective:", "fitted_batches: [0, 4]\neffective:", 3, "from 1 to"},
      {"peak_gmacs", "peak_tops", 5, "unknown key 'peak_tops'; known are ridge_point, peak_gmacs"},
      {", source: a fit", "", 4, "missing key 'source'"},
      {"source: a fit", "source: ''", 4, "needs the source"},
      {"value: 20.9", "value: fast", 4, "'value' must be a number"},
      {"value: 20.9", "value: -1", 4, "from 0 to 1e+15"},
      {"value: 20.9", "value: .nan", 4, "'value' must be a number"},
      {"value: 20.9", "value: .inf", 4, "'value' must be a number"},
      {"value: 20.9", "value: 1e999", 4, "'value' must be a number"},
      {"value: 162", "value: 0", 5, "'peak_gmacs' must be from"},
      {"{value: 162, source: the same}", "162", 5, "expected a mapping"},
      {"  ridge_point: {value: 20.9, source: a fit}\n", "", 4, "missing key 'ridge_point'"},
      {"effective:\n  ridge_point: {value: 20.9, source: a fit}\n  peak_gmacs: {value: 162, "
       "source: "
       "the same}\n",
       "", 1, "no ridge point for fp32; give its peak_gmacs"},
      {"data_type: fp32", "data_type: fp32\nterms: {cache_kib: {value: 1, source: a}}", 3,
       "go together"},
      {"data_type: fp32",
       "data_type: fp32\npeak_gmacs: {fp32: {value: 2, source: a}}\nbandwidth_gbps: {value: 1, "
       "source: a}\nridge_point: {value: 2, source: a}",
       5, "follows from peak_gmacs and bandwidth_gbps"},
  };
  for (const Mistake& mistake : mistakes) {
    const std::string text = replaced(kProfile, mistake.from, mistake.to);
    EXPECT_THAT(error_of([&] { profile_from_yaml(text, "p.yaml"); }),
                AllOf(StartsWith("p.yaml:" + std::to_string(mistake.line) + ": "),
                      HasSubstr(mistake.remedy)))
        << text;
  }
}

TEST(BrokenProfile, ParsesOrIsRefused) {
  for (const EmbeddedFile& file : embedded_profiles()) {
    expect_parses_or_refuses(std::string(file.text), 500, [](const auto& text, const auto& name) {
      const Profile profile = profile_from_yaml(text, name);
      // Not the profile: what is no UTF-8 is written as U+FFFD.
      const std::string written = to_yaml(profile);
      EXPECT_EQ(to_yaml(profile_from_yaml(written, name)), written);
    });
  }
}

}  // namespace
}  // namespace ridgewalk
