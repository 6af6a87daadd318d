#include "space/suggestion.h"

#include <gmock/gmock.h>

#include "space/catalog.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The examples of Levenshtein's and Damerau's distances in textbooks.
TEST(EditDistance, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("saturday", "sunday"), 3);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("same", "same"), 0);
  EXPECT_EQ(edit_distance("teh", "the"), 1);
  EXPECT_EQ(edit_distance("ca", "abc"), 3);  // 2 where a part may be edited twice
}

TEST(NearestNames, AreOrderedByDistance) {
  EXPECT_THAT(nearest_names("coarce", {"fine", "coarse", "hybrid"}, 1), ElementsAre("coarse"));
  EXPECT_THAT(nearest_names("MNV4_Conv_Small", {"mnv4-conv-large", "mnv4-conv-small"}, 2),
              ElementsAre("mnv4-conv-small", "mnv4-conv-large"));
  EXPECT_THAT(nearest_names("pixel6", {"pixel3-cpu", "pixel6-cpu"}, 1), ElementsAre("pixel6-cpu"));
}

TEST(Suggestion, NamesWhatIsAlikeAndElseTheNearest) {
  EXPECT_EQ(suggestion("coarce", {"coarse", "fine", "hybrid"}), "did you mean coarse?");
  EXPECT_EQ(suggestion("kernel3", {"kernel1", "kernel2", "width"}),
            "did you mean kernel1 or kernel2?");
  EXPECT_EQ(suggestion("pixle6", {"pixel6-cpu", "coral-edgetpu"}), "did you mean pixel6-cpu?");
  EXPECT_EQ(suggestion("xyz", {"sgd", "rmsprop", "adamw"}), "known are sgd, rmsprop, adamw");
  const std::string far = suggestion("resnet-50-of-torchvision", catalog_names());
  EXPECT_THAT(far, HasSubstr("the nearest known names are "));
  EXPECT_EQ(std::count(far.begin(), far.end(), ','), 2);
  EXPECT_THAT(suggestion("mobilenet-v9", catalog_names()), HasSubstr("mobilenet-v1"));
  EXPECT_EQ(suggestion("mnv4-conv-smal", catalog_names()).find("did you mean mnv4-conv-small"), 0u);
}

TEST(Suggestion, StaysShortWhateverWasAsked) {
  EXPECT_LT(suggestion(std::string(1 << 20, 'x'), catalog_names()).size(), 200u);
}

}  // namespace
}  // namespace ridgewalk
