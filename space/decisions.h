// One architecture of a search space as a list of option indices.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "space/lowering.h"
#include "space/search_space.h"

namespace ridgewalk {

// One index per choice, in the order of choices(). kInactive where the architecture has no use for
// the choice (a block beyond the depth), so that decode() and encode() are inverses of each other.
using Decisions = std::vector<int>;
constexpr int kInactive = -1;
// Only during operation warm-up: every option of the choice runs, and the results are averaged.
constexpr int kBlend = -2;

// Sets every decision that the others make irrelevant to kInactive. A blended depth keeps all
// blocks.
void deactivate_unused(const SearchSpace& space, const ChoiceLayout& layout, Decisions& decisions);

// Every choice drawn uniformly and independently, then deactivate_unused().
Decisions sample(const SearchSpace& space, std::mt19937_64& random);

// Throws Error when a decision is out of range, or active where it must not be, or the reverse.
Architecture decode(const SearchSpace& space, const Decisions& decisions);
// Like decode(), for decisions that may be kBlend.
BlendedArchitecture decode_blended(const SearchSpace& space, const Decisions& decisions);

// Throws Error with what the space lacks when the architecture is not a member of it.
Decisions encode(const SearchSpace& space, const Architecture& architecture);

// Architectures that together use every parameter of the space at its largest extent: all filters
// at their widest, all depths at their largest, and every kind of stage, kernel and attention in at
// least one of them; where blocks have weights of their own, also every combination of a block.
// Nothing is blended.
std::vector<BlendedArchitecture> covering(const SearchSpace& space);

}  // namespace ridgewalk
