// YAML of search spaces. What is accepted survives being written, and its samples can be built.
#include <random>

#include "space/decisions.h"
#include "space/search_space.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuse_or_accept([&] {
    const SearchSpace space = search_space_from_yaml(text_of(data, size), "file");
    require(search_space_from_yaml(to_yaml(space), "written") == space,
            "a space is read as it was written");
    require(ridgewalk::size(space) >= 1, "a space has a member");
    std::mt19937_64 random(1);
    const Decisions decisions = sample(space, random);
    require(encode(space, decode(space, decisions)) == decisions, "a sample is a member");
  });
  return 0;
}
