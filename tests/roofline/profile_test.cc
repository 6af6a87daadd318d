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
  EXPECT_EQ(built_in_profiles().size(), 5u);
  for (const std::string& name : built_in_profiles()) {
    const Profile profile = load_profile(name);
    EXPECT_EQ(profile.name, name);
    EXPECT_EQ(profile_from_yaml(to_yaml(profile), name), profile) << to_yaml(profile);
  }
}

TEST(Profile, PredictsWithTheEffectiveRidgePoint) {
  Profile profile;
  profile.datasheet_ridge_point = {18, "datasheet"};
  EXPECT_EQ(profile.ridge_point().value, 18);
  EXPECT_FALSE(profile.ridge_point_is_effective());
  profile.effective_ridge_point = {347.3, "fit"};
  EXPECT_EQ(profile.ridge_point().value, 347.3);
}

TEST(LoadProfile, NamesWhatThereIs) {
  EXPECT_THAT(error_of([] { load_profile("pixel-9"); }),
              AllOf(StartsWith("pixel-9: "), HasSubstr("pixel6-cpu"), HasSubstr("macs-only")));
}

const std::string kProfile = R"(name: machine
data_type: fp32
effective_ridge_point:
  value: 20.9
  source: a fit
peak_gmacs: {value: 162, source: the same}
)";

TEST(BadProfile, IsRefusedWithFileLineAndRemedy) {
  ASSERT_EQ(profile_from_yaml(kProfile, "p.yaml").peak_gmacs->value, 162);
  struct Mistake {
    std::string from, to;
    int line;
    std::string remedy;
  };
  const std::vector<Mistake> mistakes = {
      {"name: machine\n", "", 1, "missing key 'name'"},
      {"name:", "title:", 1, "missing key 'name'"},
      {"data_type: fp32", "data_type: fp64", 2, "there are int8, bf16, fp16, fp32"},
      {"peak_gmacs", "peak_tops", 6,
       "known here: name description data_type effective_ridge_point"},
      {"  source: a fit\n", "", 4, "missing key 'source'"},
      {"source: a fit", "source: ''", 5, "needs the source"},
      {"value: 20.9", "value: fast", 4, "'value' must be a number"},
      {"value: 20.9", "value: -1", 4, "at least 0"},
      {"value: 20.9", "value: .nan", 4, "finite"},
      {"value: 20.9", "value: .inf", 4, "finite"},
      {"value: 20.9", "value: 1e999", 4, "'value' must be a number"},
      {"value: 162", "value: 0", 6, "'peak_gmacs' must be a finite number, at least"},
      {"{value: 162, source: the same}", "162", 6, "expected a mapping"},
      {"effective_ridge_point:\n  value: 20.9\n  source: a fit\n", "", 1,
       "give effective_ridge_point or datasheet_ridge_point"},
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
