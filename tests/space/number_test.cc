#include "space/number.h"

#include <limits>

#include <gmock/gmock.h>

namespace ridgewalk {
namespace {

TEST(WholeNumbers, AreDecimalDigits) {
  EXPECT_EQ(parse_whole("0"), 0);
  EXPECT_EQ(parse_whole("10"), 10);
  EXPECT_EQ(parse_whole("-7"), -7);
  EXPECT_EQ(parse_whole("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parse_whole("-9223372036854775808"), std::numeric_limits<int64_t>::min());
}

// One reader takes them for one number, the next for another or for none.
TEST(WholeNumbers, InOtherNotationsAreRefused) {
  for (const char* text : {"010",
                           "00",
                           "-01",
                           "0x10",
                           "0o10",
                           "0b1",
                           "1_000",
                           "1,000",
                           "1e3",
                           "1.0",
                           "+5",
                           " 5",
                           "5 ",
                           "5\n",
                           "",
                           "-",
                           "--5",
                           "five",
                           "٣",
                           "9223372036854775808",
                           "-9223372036854775809"}) {
    EXPECT_EQ(parse_whole(text), std::nullopt) << text;
  }
}

TEST(RealNumbers, AreDecimal) {
  EXPECT_EQ(parse_real("0"), 0.0);
  EXPECT_EQ(parse_real("0.25"), 0.25);
  EXPECT_EQ(parse_real(".25"), 0.25);
  EXPECT_EQ(parse_real("-3"), -3.0);
  EXPECT_EQ(parse_real("1e3"), 1000.0);
  EXPECT_EQ(parse_real("2.5e-05"), 2.5e-5);
}

TEST(RealNumbers, InOtherNotationsAreRefused) {
  for (const char* text : {"010", "01.5", "-00.5", "0x1p3", "+5", " 5", "5 ", "1_0", "1,5", "", ".",
                           "inf", "nan", ".inf", ".nan", "1e999", "e3"}) {
    EXPECT_EQ(parse_real(text), std::nullopt) << text;
  }
}

TEST(NumberComplaint, SaysWhatToWrite) {
  EXPECT_EQ(number_complaint("010", true), "'010' has a leading zero; write 10");
  EXPECT_EQ(number_complaint("-0012", true), "'-0012' has a leading zero; write -12");
  EXPECT_EQ(number_complaint("00", true), "'00' has a leading zero; write 0");
  EXPECT_EQ(number_complaint("01.5", false), "'01.5' has a leading zero; write 1.5");
  EXPECT_EQ(number_complaint("99999999999999999999", true), "'99999999999999999999' is too large");
  EXPECT_THAT(number_complaint("0x10", true), testing::HasSubstr("decimal digits alone"));
  EXPECT_THAT(number_complaint("many", false), testing::HasSubstr("'many' is not a number"));
}

}  // namespace
}  // namespace ridgewalk
