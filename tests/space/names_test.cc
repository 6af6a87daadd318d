#include "space/names.h"

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;

enum class Side { kLeft, kRight };

}  // namespace

template <>
inline constexpr auto kNames<Side> = name_table<Side>(
    "side", {{Side::kLeft, "left"}, {Side::kRight, "right"}, {Side::kLeft, "port"}});

namespace {

TEST(Names, AreReadAndWritten) {
  EXPECT_EQ(to_string(Side::kRight), "right");
  EXPECT_EQ(value_named<Side>("right"), Side::kRight);
}

TEST(Names, OfOneValueAreAllReadAndTheFirstIsWritten) {
  EXPECT_EQ(value_named<Side>("port"), Side::kLeft);
  EXPECT_EQ(to_string(Side::kLeft), "left");
  EXPECT_THAT(kValues<Side>, ElementsAre(Side::kLeft, Side::kRight));
}

TEST(Names, AreSuggestedForOneThatIsUnknown) {
  EXPECT_EQ(error_of([] { value_named<Side>("Right"); }),
            "no side is named 'Right'; did you mean right?");
}

}  // namespace
}  // namespace ridgewalk
