// The environments are those that torchrun 2.15, srun of Slurm 22.05 and mpirun of Open MPI 4.1
// make.
#include "experiments/machine/launcher.h"

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

Variables torchrun() {
  return {{"RANK", "1"},       {"WORLD_SIZE", "4"},      {"LOCAL_WORLD_SIZE", "2"},
          {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29400"}};
}

Variables slurm() {
  return {{"SLURM_PROCID", "3"},         {"SLURM_NTASKS", "4"},
          {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_STEP_ID", "2"},
          {"SLURM_JOB_ID", "1234"},      {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
          {"SLURM_LOCALID", "1"},        {"SLURM_STEP_NODELIST", "node[03-04]"}};
}

Variables open_mpi() {
  return {{"OMPI_COMM_WORLD_RANK", "1"},
          {"OMPI_COMM_WORLD_SIZE", "2"},
          {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
          {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
          {"PMIX_NAMESPACE", "2837446657"}};
}

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

TEST(Launchers, SayWhichProcessThisIs) {
  EXPECT_EQ(launch_of(torchrun()), (Launch{{1, 4, "node1", 29400}, 2, 1}));
  EXPECT_EQ(launch_of(slurm()), (Launch{{3, 4, "node03", 21236}, 2, 1}));  // 20000 + 1234 + 2
  EXPECT_EQ(launch_of(open_mpi()), (Launch{{1, 2, "127.0.0.1", 26657}, 2, 1}));
  EXPECT_EQ(launch_of(without(torchrun(), "LOCAL_RANK"))->number_here, std::nullopt);
  EXPECT_EQ(
      launch_of(with(without(torchrun(), "LOCAL_RANK"), "LOCAL_WORLD_SIZE", "1"))->number_here, 0);
  // The agent of torchrun, which has the port, says so.
  EXPECT_EQ(launch_of(with(torchrun(), "TORCHELASTIC_USE_AGENT_STORE", "True"))->member.port,
            29401);
  // What is exported goes before what can be guessed.
  for (Variables variables : {slurm(), open_mpi()}) {
    variables["MASTER_ADDR"] = "other";
    variables["MASTER_PORT"] = "77";
    EXPECT_EQ(launch_of(variables)->member.host, "other");
    EXPECT_EQ(launch_of(variables)->member.port, 77);
  }
}

TEST(Launchers, OfSlurmNameTheFirstNode) {
  for (const auto& [list, first] :
       std::vector<std::pair<std::string, std::string>>{{"a", "a"},
                                                        {"a,b", "a"},
                                                        {"n[1,3]", "n1"},
                                                        {"n[007-010,12]", "n007"},
                                                        {"rack[2-3]-ib,other", "rack2-ib"}}) {
    EXPECT_EQ(launch_of(with(slurm(), "SLURM_STEP_NODELIST", list))->member.host, first) << list;
  }
}

TEST(Launchers, StartNothingWhereThereIsOneProcess) {
  EXPECT_EQ(launch_of({}), std::nullopt);
  EXPECT_EQ(launch_of({{"RANK", "0"}, {"WORLD_SIZE", "1"}}), std::nullopt);
  // The script of a job of four tasks is none of them.
  EXPECT_EQ(launch_of(without(without(with(slurm(), "SLURM_PROCID", "0"), "SLURM_STEP_ID"),
                              "SLURM_STEP_NUM_TASKS")),
            std::nullopt);
  EXPECT_EQ(launch_of(with(with(slurm(), "SLURM_STEP_NUM_TASKS", "1"), "SLURM_PROCID", "0")),
            std::nullopt);
}

TEST(Launchers, AreRefusedInALineWhereTheyContradictThemselves) {
  expect_error([] { launch_of(with(torchrun(), "RANK", "4")); },
               "RANK is '4'; it must be a whole number from 0 to 3");
  expect_error([] { launch_of(with(torchrun(), "RANK", "one")); }, "RANK is 'one'");
  expect_error([] { launch_of(with(torchrun(), "WORLD_SIZE", "0")); }, "WORLD_SIZE is '0'");
  expect_error([] { launch_of(with(torchrun(), "MASTER_PORT", "99999")); },
               "MASTER_PORT is '99999'");
  expect_error([] { launch_of(with(torchrun(), "LOCAL_RANK", "4")); }, "LOCAL_RANK is '4'");
  expect_error([] { launch_of(without(torchrun(), "WORLD_SIZE")); }, "lacks WORLD_SIZE", "export");
  expect_error([] { launch_of(without(torchrun(), "MASTER_PORT")); }, "lacks MASTER_PORT");
  expect_error([] { launch_of(without(torchrun(), "MASTER_ADDR")); }, "lacks MASTER_ADDR");
  expect_error([] { launch_of(with(open_mpi(), "OMPI_COMM_WORLD_LOCAL_SIZE", "1")); },
               "lacks MASTER_ADDR", "export");
}

}  // namespace
}  // namespace ridgewalk
