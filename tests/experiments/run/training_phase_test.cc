// Several trainings of a run at the same time.
#include "experiments/run/training_phase.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <gmock/gmock.h>

#include "space/decisions.h"
#include "supernet/training/lanes.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

class Trainings : public TinyDataset {
 protected:
  void SetUp() override { set_threads(1); }

  static std::vector<TrainingTask> tasks() {
    const SearchSpace space = load_search_space("fashion-mnist");
    std::mt19937_64 random(1);
    std::vector<TrainingTask> tasks;
    for (const char* name : {"a", "b", "c"}) {
      TrainOptions options;
      options.epochs = 2;
      options.batch_size = 50;
      options.augmentation = {.flip = true};
      options.seed = tasks.size();
      tasks.push_back({name, decode(space, sample(space, random)), options});
    }
    return tasks;
  }

  static std::vector<TrainingResult> train(const std::string& out, int lanes,
                                           const std::vector<TrainingTask>& tasks) {
    const std::string path = folder_ + "/" + out;
    RunFolder run =
        fs::exists(path) ? RunFolder::resume(path, "same") : RunFolder::create(path, "same");
    const Session session{
        .compute = {.lanes = lanes}, .quiet = true, .checkpoint_every = 4, .stop = {}};
    return training_phases({run, data_, session}, tasks);
  }

  // All that is left, the checkpoint with its times apart.
  static std::map<std::string, std::string> files(const std::string& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_ + "/" + out)) {
      const std::string name = entry.path().filename();
      std::ifstream stream(entry.path(), std::ios::binary);
      if (name == "checkpoint.safetensors") continue;
      files[name] = {std::istreambuf_iterator<char>(stream), {}};
    }
    return files;
  }
};

TEST_F(Trainings, GiveTheSameHoweverManyRunAtATime) {
  const auto one = train("one", 1, tasks());
  ASSERT_EQ(one.size(), 3u);
  EXPECT_GT(one[0].test.top1, 0.3);
  EXPECT_NE(one[0].test.loss, one[1].test.loss);
  const auto three = train("three", 3, tasks());
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(three[i].test.loss, one[i].test.loss);
  EXPECT_EQ(files("three"), files("one"));
  EXPECT_EQ(files("one").size(), 5u);  // the log, the environment and three files of weights
  // Nothing is done twice.
  EXPECT_EQ(train("three", 2, tasks())[2].test.loss, one[2].test.loss);
  EXPECT_EQ(files("three"), files("one"));
}

// The loss of one training becomes infinite: the other, which would take long, stops.
TEST_F(Trainings, StopWhenOneFails) {
  std::vector<TrainingTask> broken = tasks();
  broken[1].options.optimizer.learning_rate = 1e30;
  broken[0].options.epochs = broken[2].options.epochs = 1000;
  try {
    train("broken", 2, broken);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("is not finite at step"));
  }
  const auto left = files("broken");
  EXPECT_TRUE(left.contains("a.checkpoint.safetensors"));
  EXPECT_TRUE(left.contains("b.checkpoint.safetensors"));
  EXPECT_FALSE(left.contains("c.checkpoint.safetensors"));
}

}  // namespace
}  // namespace ridgewalk
