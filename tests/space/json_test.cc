#include "space/json.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

template <class Whole>
void expect_refused(const char* text) {
  EXPECT_THROW(json::parse(text).get<Whole>(), json::exception) << text;
  EXPECT_THROW(ordered_json::parse(text).get<Whole>(), json::exception) << text;
  Whole value{};
  EXPECT_THROW(json::parse(text).get_to(value), json::exception) << text;
  EXPECT_THROW(json::parse("[" + std::string(text) + "]").get<std::vector<Whole>>(),
               json::exception)
      << text;
}

TEST(Json, WholeNumbersAreReadOrRefused) {
  for (const char* text : {"1.5", "1.0", "1e3", "1e300", "true", "null", "\"1\"", "[]",
                           "2147483648", "-2147483649", "18446744073709551615"}) {
    expect_refused<int>(text);
  }
  expect_refused<int64_t>("9223372036854775808");
  expect_refused<uint64_t>("-1");
  expect_refused<uint64_t>("18446744073709551616");  // is read as a double
  EXPECT_EQ(json::parse("2147483647").get<int>(), std::numeric_limits<int>::max());
  EXPECT_EQ(json::parse("-2147483648").get<int>(), std::numeric_limits<int>::min());
  EXPECT_EQ(json::parse("18446744073709551615").get<uint64_t>(),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(json::parse("-9223372036854775808").get<int64_t>(),
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ(json::parse("[0,-1]").get<std::vector<int>>(), (std::vector<int>{0, -1}));
}

TEST(Json, NumbersAreWrittenAsBefore) {
  EXPECT_EQ((json{1, -1, uint64_t{1} << 63, size_t{3}, true, 0.5}).dump(),
            "[1,-1,9223372036854775808,3,true,0.5]");
  EXPECT_EQ(json(std::vector<int>{1, 2}).dump(), "[1,2]");
  EXPECT_TRUE(json::parse("true").get<bool>());
  EXPECT_EQ(json::parse("3").get<double>(), 3);
}

}  // namespace
}  // namespace ridgewalk
