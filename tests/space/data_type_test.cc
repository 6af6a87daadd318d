#include "space/data_type.h"

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

TEST(DataType, HasTheWidthThatItsNameSays) {
  EXPECT_EQ(bytes_per_element(value_named<DataType>("int8")), 1);
  EXPECT_EQ(bytes_per_element(value_named<DataType>("bf16")), 2);
  EXPECT_EQ(bytes_per_element(value_named<DataType>("fp16")), 2);
  EXPECT_EQ(bytes_per_element(value_named<DataType>("fp32")), 4);
}

// NumPy's and PyTorch's names are read too, but never written.
TEST(DataType, IsReadByItsLongName) {
  EXPECT_EQ(to_string(value_named<DataType>("float32")), "fp32");
  EXPECT_EQ(to_string(value_named<DataType>("bfloat16")), "bf16");
  EXPECT_EQ(to_string(value_named<DataType>("float16")), "fp16");
}

TEST(DataType, ThatIsUnknownGetsASuggestion) {
  EXPECT_THAT(error_of([] { value_named<DataType>("bf-16"); }),
              testing::StartsWith("no data type is named 'bf-16'; did you mean bf16"));
}

}  // namespace
}  // namespace ridgewalk
