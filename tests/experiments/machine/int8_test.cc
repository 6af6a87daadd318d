// experiments/int8 with a program that trains and quantises to what is known.
#include <algorithm>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>

#include "tests/folder_test.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// Three members, whose int8 is 0.1, 0.2 and 0.9 points below the 90 % of fp32, and 0.8 points
// better with --zero-points; QAT loses nothing. Searches of an odd seed find network 1, of an even
// one 2. Each command leaves a line in `log`.
constexpr const char* kQuantizer = R"(#!/bin/sh
set -eu
command=$1 network=$2 options="$*"
while [ $# -gt 0 ]; do
  case $1 in --members) count=${2#*:} ;; --out) out=$2 ;; --method) method=$2 ;; esac
  shift
done
echo "$options" >>"$LOG"
mkdir -p "$out"
case $command in
  sweep)
    mkdir -p "$out/members"
    for i in $(seq 1 "$count"); do touch "$out/members/m$i.yaml"; done ;;
  search) printf 'name: found\nwidth: 8\n' >"$out/found.yaml" ;;
  train) touch "$out/weights.safetensors" "$out/result.yaml" ;;
  quantize)
    case $network in *1.yaml) top1=0.899 ;; *2.yaml) top1=0.898 ;; *) top1=0.891 ;; esac
    case $options in *--zero-points*) top1=0.899 ;; esac
    [ "$method" = ptq ] || top1=0.9
    printf ' "fp32": {\n  "top1": 0.9,\n },\n "int8": {\n  "top1": %s,\n' $top1 >"$out/report.json" ;;
esac
)";

class Int8Script : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    const std::string program = write("program", kQuantizer);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  }
  // What it prints.
  std::string run(const std::string& what, const std::string& options = "",
                  const std::string& environment = "") {
    const std::string command =
        "env -u DATA -u INPUT -u METHODS -u NETWORKS -u SEARCH -u TRAINING LOG='" + path("log") +
        "' COUNT=3 SEEDS='1 2' " + environment + " experiments/int8 " + what + " '" + path("out") +
        "' '" + path("program") + "' " + options + " >'" + path("printed") + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return read(path("printed"));
  }
  int64_t commands() const {
    const std::string log = read(path("log"));
    return std::count(log.begin(), log.end(), '\n');
  }
};

// (0.1 + 0.2 + 0.9) / 3 = 0.4.
TEST_F(Int8Script, SaysWhatMembersLose) {
  EXPECT_EQ(run("members"),
            "ptq: 3 networks lose 0.40 points on average, 2 of them at most 0.5; m3 loses most, "
            "0.90\n");
  EXPECT_EQ(read(path("out/members.csv")),
            "network,fp32_top1,ptq_top1,ptq_drop\n"
            "m1,0.9000,0.8990,0.10\nm2,0.9000,0.8980,0.20\nm3,0.9000,0.8910,0.90\n");
  EXPECT_EQ(commands(), 1 + 3 * 2);
}

TEST_F(Int8Script, GoesOnWhereItWas) {
  const std::string first = run("members");
  std::filesystem::remove(path("out/m2/result.yaml"));
  std::filesystem::remove(path("out/m3-ptq--sensitivity0/report.json"));
  EXPECT_EQ(run("members"), first);
  EXPECT_EQ(commands(), 7 + 3) << "a sweep, a training and a quantisation";
  EXPECT_THAT(read(path("log")), HasSubstr("--resume"));
  EXPECT_THAT(run("members", "--zero-points=all"), HasSubstr("lose 0.10 points"));
  EXPECT_EQ(commands(), 10 + 4) << "a sweep and three quantisations";
}

TEST_F(Int8Script, HoldsSearchesBesideEachOther) {
  const std::string text = run("search");
  EXPECT_THAT(text, HasSubstr("ptq: 4 networks lose 0.15 points on average"));
  EXPECT_THAT(text, HasSubstr("qat: 4 networks lose 0.00 points on average"));
  EXPECT_EQ(read(path("out/networks/trained-2.yaml")), "name: trained-2\nwidth: 8\n");
  EXPECT_THAT(read(path("out/search.csv")), HasSubstr("off-2,0.9000,0.8980,0.20,0.9000,0.00\n"));
  EXPECT_THAT(read(path("log")), HasSubstr("--quantized trained --seed 2"));
}

TEST_F(Int8Script, TakesNetworksOfTheCatalogueAndOtherImages) {
  const std::string environment =
      "NETWORKS='first second' DATA=imagefolder:colours METHODS='ptq qat'"
      " INPUT='--channels 3 --resolution 48' TRAINING=short.yaml";
  EXPECT_THAT(run("catalogue", "", environment),
              HasSubstr("ptq: 2 networks lose 0.90 points on average"));
  EXPECT_EQ(read(path("out/catalogue.csv")),
            "network,fp32_top1,ptq_top1,ptq_drop,qat_top1,qat_drop\n"
            "first,0.9000,0.8910,0.90,0.9000,0.00\nsecond,0.9000,0.8910,0.90,0.9000,0.00\n");
  const std::string given = " --channels 3 --resolution 48 ";
  EXPECT_THAT(read(path("log")), HasSubstr("train second" + given +
                                           "--data imagefolder:colours "
                                           "--config short.yaml"));
  EXPECT_THAT(read(path("log")), HasSubstr("quantize second" + given + "--weights"));
}

}  // namespace
}  // namespace ridgewalk
