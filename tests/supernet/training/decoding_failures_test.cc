// Images that cannot be decoded are neither right nor wrong.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/lowering.h"
#include "supernet/training/evaluate.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"
#include "tests/image_files.h"
#include "tests/supernet/data/noise_dataset.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class DecodingFailures : public FolderTest {};

// Ten test images of one class, one of another; what cannot be decoded is neither right nor wrong.
TEST_F(DecodingFailures, AreLeftOutOfAnEvaluation) {
  const auto png = [](int shade) {
    return png_of(image_of(8, 8, 3, [&](int y, int x, int) { return shade + 3 * y + 5 * x; }));
  };
  for (const char* name : {"a", "b", "c"}) write(std::string("train/") + name + "/1.png", png(9));
  for (int i = 0; i < 10; ++i) write("test/a/" + std::to_string(i) + ".png", png(10 * i));
  const std::string cut = png(200).substr(0, 60);
  for (int i = 0; i < 3; ++i) write("test/b/" + std::to_string(i) + ".png", cut);
  write("test/b/page.png", "<html>");
  write("test/c/1.png", png(90));
  write("test/c/2.png", cut);
  const Dataset data = load_dataset("imagefolder:" + path(), 0, 0,
                                    {.resolution = 8, .strict = false, .quiet = true});
  Architecture architecture{.name = "net", .resolution = 8, .channels = 3, .classes = 3};
  architecture.stem.width = 8;
  architecture.head = {.width = 8, .features = 8};
  ParameterStore store(lower(architecture));
  store.initialize(1);
  // Says class 1, `b`, whatever it sees.
  store.full("classifier.weight").zero_();
  store.full("classifier.bias").copy_(torch::tensor({0.0f, 9.0f, 0.0f}));
  const Executor network(lower(architecture), store);
  for (int64_t batch_size : {2, 5, 100}) {
    const Accuracy accuracy = evaluate(network, data, data.test, {}, {.batch_size = batch_size});
    EXPECT_EQ(accuracy.images, 11);
    EXPECT_EQ(accuracy.undecodable, 5);
    EXPECT_EQ(accuracy.top1, 0);
    EXPECT_EQ(accuracy.top5, 1);
    EXPECT_THAT(accuracy.lost_classes, testing::ElementsAre("'b'"));
    // -log softmax of (0, 9, 0) at a class that is not b.
    EXPECT_NEAR(accuracy.loss, std::log(std::exp(9.0) + 2), 1e-5);
  }
  EXPECT_EQ(data.damaged->count(), 5);
  ImageSet without_c = data.test;  // whose two images are the last ones
  without_c.paths.resize(14);
  without_c.labels = data.test.labels.narrow(0, 0, 14);
  EXPECT_THAT(evaluate(network, data, without_c, {}, {}).lost_classes, testing::ElementsAre("'b'"));
  EXPECT_THAT(evaluate(network, data, without_c, {}, {.of_all_classes = true}).lost_classes,
              testing::ElementsAre("'b'", "'c'"));
  for (const char* name : {"a", "c"}) std::filesystem::remove_all(folder_ / "test" / name);
  const Dataset none{.name = "none",
                     .train = data.train,
                     .search_validation = {},
                     .test = {{}, torch::ones({2}, torch::kLong), {path("x.png"), path("y.png")}},
                     .classes = 3,
                     .channels = 3,
                     .resolution = 8,
                     .damaged = data.damaged};
  EXPECT_THAT(error_of([&] { evaluate(network, none, none.test, {}, {.batch_size = 2}); }),
              HasSubstr("none of 2 can be decoded"));
}

// NaN is not an answer, least of all that of class 0, which a ranking of NaN gives.
TEST(NotFinite, LogitsAreCountedAndRefused) {
  const Dataset data = noise_dataset(20);
  Architecture architecture{.name = "net", .resolution = 8, .channels = 3, .classes = 5};
  architecture.stem.width = 8;
  architecture.head = {.width = 8, .features = 8};
  ParameterStore store(lower(architecture));
  store.initialize(1);
  const Executor network(lower(architecture), store);
  Accuracy accuracy = evaluate(network, data, data.train, {}, {.batch_size = 7});
  EXPECT_EQ(accuracy.not_finite, 0);
  EXPECT_NO_THROW(require_finite(accuracy, "w"));
  // Finite weights, of which 1e37 / sqrt(0 + epsilon) is not.
  store.full("conv_stem.weight").fill_(1e37);
  store.full("bn1.running_var").zero_();
  accuracy = evaluate(network, data, data.train, {}, {.batch_size = 7});
  EXPECT_EQ(accuracy.not_finite, 20);
  EXPECT_THAT(error_of([&] { require_finite(accuracy, "w.st"); }),
              HasSubstr("w.st: gives logits or a loss that are not finite (logits of 20 of 20"));
}

}  // namespace
}  // namespace ridgewalk
