// One architecture of a search space as a list of option indices.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "space/lowering.h"
#include "space/search_space.h"

namespace ridgewalk {

// One index a choice, in the order of choices(). kInactive where the architecture has no use for
// the choice (a block beyond the depth); so decode() and encode() are each the inverse of the
// other.
using Decisions = std::vector<int>;
constexpr int kInactive = -1;
// Only during op warm-up: every option of the choice runs, and their results are averaged.
constexpr int kBlend = -2;

// Sets what the other decisions leave without use to kInactive. A blended depth keeps every block.
void deactivate_unused(const SearchSpace& space, const ChoiceLayout& layout, Decisions& decisions);

// Every choice drawn uniformly and independently, then deactivate_unused().
Decisions sample(const SearchSpace& space, std::mt19937_64& random);

// Throws Error when a decision is out of range, or active where it has no use, or not where it has.
Architecture decode(const SearchSpace& space, const Decisions& decisions);
// As decode(), for decisions with kBlend.
BlendedArchitecture decode_blended(const SearchSpace& space, const Decisions& decisions);

// Throws Error saying what the space lacks when the architecture is not a member.
Decisions encode(const SearchSpace& space, const Architecture& architecture);

// Architectures that together touch every parameter of the space at its largest extent: all filters
// at their widest, all depths at their largest, and every kind, kernel and attention in one of
// them.
std::vector<Architecture> covering(const SearchSpace& space);

}  // namespace ridgewalk
