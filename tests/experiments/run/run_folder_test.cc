// The checkpoint of a run: what is resumed from it, and what is refused.
#include "experiments/run/run_folder.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "experiments/run/results.h"
#include "space/random.h"
#include "supernet/formats/safetensors.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string text_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/ridgewalk-run-" + std::to_string(getpid());
    std::filesystem::remove_all(path_);
    checkpoint_ = path_ + "/checkpoint.safetensors";
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  // One phase finished, the second at step 7.
  void stop_in_the_second_phase() const {
    RunFolder run = RunFolder::create(path_, "as before");
    run.begin<Json>("first");
    run.set_rates({.training = 100, .loader = 200});
    run.log({{"phase", "first"}});
    run.finish(Json{{"top1", 0.5}});
    run.begin<Json>("second");
    run.log({{"phase", "second"}, {"step", 6}});
    run.checkpoint(Json(7), {{"weight", torch::arange(3, torch::kFloat)}});
    run.log({{"phase", "second"}, {"step", 7}});  // after the checkpoint
  }

  std::string refusal(const std::string& fingerprint = "as before") const {
    return error_of([&] { RunFolder::resume(path_, fingerprint); });
  }

  // The checkpoint with other metadata.
  void rewrite(const std::string& key, const std::string& value) const {
    TensorFile file = read_safetensors(checkpoint_);
    for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
    file.metadata[key] = value;
    write_safetensors(checkpoint_, file);
  }

  std::string path_, checkpoint_;
};

TEST_F(Folder, ResumesWhereTheCheckpointWasWritten) {
  stop_in_the_second_phase();
  RunFolder run = RunFolder::resume(path_, "as before");
  EXPECT_EQ(run.result<Json>("first").value()["top1"], 0.5);
  EXPECT_FALSE(run.result<Json>("second"));
  EXPECT_EQ(run.rates("first")->loader, 200);
  EXPECT_FALSE(run.rates("second"));
  // What was logged after the checkpoint will be logged again.
  EXPECT_EQ(text_of(path_ + "/log.jsonl"),
            "{\"phase\":\"first\"}\n{\"phase\":\"second\",\"step\":6}\n");
  EXPECT_FALSE(run.begin<int>("third"));
  EXPECT_EQ(run.begin<int>("second"), 7);
  torch::Tensor weight = torch::zeros(3);
  run.restore({{"weight", weight}});
  EXPECT_TRUE(torch::equal(weight, torch::arange(3, torch::kFloat)));
  // The clock goes on from what it had shown.
  const double before = run.seconds("second");
  run.finish(Json(8));
  EXPECT_GE(run.seconds("second"), before);
}

// Two phases side by side, the second finished before the first; a crash between them.
TEST_F(Folder, HasPartsForPhasesThatRunSideBySide) {
  const auto advance = [](RunFolder& part, const std::string& phase, int step) {
    part.log({{"phase", phase}, {"step", step}});
    part.checkpoint(Json(step), {{"weight", torch::full({1}, float(step))}});
  };
  {
    RunFolder run = RunFolder::create(path_, "as before");
    RunFolder one = run.part("one"), two = run.part("two");
    EXPECT_FALSE(one.begin<int>("train one"));
    EXPECT_FALSE(two.begin<int>("train two"));
    advance(two, "train two", 1);
    advance(one, "train one", 1);
    two.set_rates({.training = 5, .loader = 6});
    two.finish(Json("done"));
  }
  RunFolder run = RunFolder::resume(path_, "as before");
  RunFolder one = run.part("one"), two = run.part("two");
  EXPECT_EQ(two.result<std::string>("train two"), "done");
  EXPECT_EQ(one.begin<int>("train one"), 1);
  torch::Tensor weight = torch::zeros(1);
  one.restore({{"weight", weight}});
  EXPECT_EQ(weight.item<float>(), 1);
  advance(one, "train one", 2);
  one.finish(Json("done, too"));
  run.adopt(one);
  run.adopt(two);
  EXPECT_EQ(run.result<std::string>("train one"), "done, too");
  EXPECT_EQ(run.result<std::string>("train two"), "done");
  EXPECT_EQ(run.rates("train two")->loader, 6);
  EXPECT_FALSE(run.rates("train one"));
  EXPECT_EQ(text_of(path_ + "/log.jsonl"),
            "{\"phase\":\"train one\",\"step\":1}\n{\"phase\":\"train one\",\"step\":2}\n"
            "{\"phase\":\"train two\",\"step\":1}\n");
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    EXPECT_THAT(entry.path().filename(),
                testing::AnyOf("checkpoint.safetensors", "log.jsonl", "environment.yaml"));
  }
}

TEST_F(Folder, RefusesAPartOfAnotherRun) {
  {
    RunFolder run = RunFolder::create(path_, "as before");
    run.part("one").checkpoint(Json(1), {});
  }
  std::filesystem::remove(checkpoint_);
  const RunFolder other = RunFolder::create(path_, "another");
  EXPECT_THAT(error_of([&] { other.part("one"); }), HasSubstr("is of another configuration"));
}

TEST_F(Folder, RefusesAnotherFingerprintAndASecondRun) {
  EXPECT_THAT(refusal(), HasSubstr("no run to resume"));
  stop_in_the_second_phase();
  EXPECT_THAT(refusal("as after"), HasSubstr("is of another configuration: the run has 'as before' "
                                             "where this has 'as after'; give what the run had"));
  EXPECT_THAT(error_of([&] { RunFolder::create(path_, "as before"); }), HasSubstr("--resume"));
  const RunFolder run = RunFolder::resume(path_, "as before");
  EXPECT_THAT(refusal(), HasSubstr("another ridgewalk is running there"));
}

// Only the data have changed: no other configuration.
TEST_F(Folder, NamesTheDataThatHaveChanged) {
  const auto with = [](const std::string& data) {
    return "seed: 1" + std::string(kDataLine) + data;
  };
  RunFolder::create(path_, with("imagefolder:my birds 00ff"));
  EXPECT_NO_THROW(RunFolder::resume(path_, with("imagefolder:my birds 00ff")));
  EXPECT_THAT(refusal(with("imagefolder:my birds 00fe")),
              HasSubstr("the images of imagefolder:my birds have changed since the run began"));
  EXPECT_THAT(
      refusal("seed: 2" + std::string(kDataLine) + "imagefolder:my birds 00fe"),
      HasSubstr("is of another configuration: the run has 'seed: 1' where this has 'seed: 2'"));
}

TEST_F(Folder, NamesANormalizationThatHasChanged) {
  const auto with = [](const std::string& mean) {
    return "seed: 1" + std::string(kDataLine) + "birds 00ff\nmean: " + mean + "\ndeviation: 0.2";
  };
  RunFolder::create(path_, with("0.5"));
  EXPECT_NO_THROW(RunFolder::resume(path_, with("0.5")));
  EXPECT_THAT(refusal(with("0.25")),
              HasSubstr("is of images that were normalised differently: the run has "
                        "'mean: 0.5' where this has 'mean: 0.25'"));
}

// One line tells; of a long one the part that differs.
TEST_F(Folder, NamesTheFirstLineThatDiffers) {
  const std::string recipe = "recipe: {" + std::string(200, 'a') + " epochs: ";
  RunFolder::create(path_, "data: d\nseed: 3\nthreads: 1\n" + recipe + "12}");
  EXPECT_THAT(refusal("data: d\nseed: 4\nthreads: 2\n" + recipe + "12}"),
              HasSubstr("the run has 'seed: 3' where this has 'seed: 4'; give what the run had"));
  EXPECT_THAT(refusal("data: d\nseed: 3\nthreads: 1\n" + recipe + "1}"),
              HasSubstr("the run has '12}' where this has '1}'"));
}

TEST_F(Folder, SaysThatARunIsOfAnEarlierVersion) {
  RunFolder::create(path_, "a: 1\n3 false cpu fp32 1 threads\ndata birds 00ff");
  EXPECT_THAT(refusal("a: 1\nseed: 3\ndevice: cpu\nthreads: 1\n\ndata birds 00ff"),
              HasSubstr("is of an earlier version, whose runs this one cannot continue"));
}

TEST_F(Folder, RefusesATruncatedCheckpoint) {
  stop_in_the_second_phase();
  const std::string whole = text_of(checkpoint_);
  for (size_t length = 0; length < whole.size(); length += 1 + whole.size() / 40) {
    std::ofstream(checkpoint_, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    EXPECT_THAT(refusal(), HasSubstr("checkpoint.safetensors")) << length << " bytes";
  }
  std::ofstream(checkpoint_, std::ios::binary | std::ios::trunc) << whole;
  EXPECT_NO_THROW(RunFolder::resume(path_, "as before"));
}

// A file that reads well and says something else.
TEST_F(Folder, RefusesAnAlteredCheckpoint) {
  stop_in_the_second_phase();
  const std::string state = read_safetensors(checkpoint_).metadata.at("run");
  std::string altered = state;
  altered.replace(altered.find("0.5"), 3, "0.9");
  rewrite("run", altered);
  EXPECT_THAT(refusal(), HasSubstr("is damaged"));
  rewrite("run", state);
  rewrite("hash", "0");
  EXPECT_THAT(refusal(), HasSubstr("is damaged"));
}

TEST_F(Folder, RefusesWeightsThatAreNoCheckpoint) {
  std::filesystem::create_directories(path_);
  write_safetensors(checkpoint_, {.metadata = {}, .tensors = {{"weight", torch::zeros(3)}}});
  EXPECT_THAT(refusal(), HasSubstr("is not a checkpoint of a run"));
}

TEST_F(Folder, RefusesAResultOfAnotherShape) {
  stop_in_the_second_phase();
  RunFolder run = RunFolder::resume(path_, "as before");
  EXPECT_THAT(error_of([&] { run.result<TrainingResult>("first"); }), HasSubstr("is damaged"));
  EXPECT_THAT(error_of([&] { run.result<StageOutcome>("first"); }), HasSubstr("is damaged"));
  EXPECT_THAT(error_of([&] { run.begin<std::vector<double>>("second"); }),
              HasSubstr("checkpoint.safetensors"));
}

// With the hash that it should have.
TEST_F(Folder, RefusesAStateOfAnotherShape) {
  stop_in_the_second_phase();
  const std::string good = read_safetensors(checkpoint_).metadata.at("run");
  for (const char* key : {"finished", "seconds", "images_per_second"}) {
    for (const Json& bad : {Json::array(), Json(3), Json(nullptr)}) {
      Json state = Json::parse(good);
      state[key] = bad;
      const std::string text = state.dump();
      uint64_t hash = text.size();
      for (const char c : text) hash = mix(hash, uint8_t(c));
      rewrite("run", text);
      rewrite("hash", fmt::format("{:016x}", hash));
      EXPECT_THAT(refusal(), HasSubstr("is damaged")) << key;
    }
  }
}

// What it lacks would be missing from the report.
TEST_F(Folder, RefusesALogThatIsShorterThanAtTheCheckpoint) {
  stop_in_the_second_phase();
  std::filesystem::resize_file(path_ + "/log.jsonl", 5);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("log.jsonl"), HasSubstr("shorter")));
  std::filesystem::remove(path_ + "/log.jsonl");
  EXPECT_THAT(refusal(), HasSubstr("log.jsonl"));
}

TEST_F(Folder, RefusesALogThatCannotBeWritten) {
  std::filesystem::create_directories(path_ + "/log.jsonl");
  EXPECT_THAT(error_of([&] { RunFolder::create(path_, ""); }),
              AllOf(HasSubstr("log.jsonl"), HasSubstr("Is a directory")));
}

TEST_F(Folder, RefusesAPathThatIsNoFolder) {
  std::ofstream{path_};
  EXPECT_THAT(error_of([&] { RunFolder::create(path_, ""); }), HasSubstr("choose another --out"));
}

}  // namespace
}  // namespace ridgewalk
