// Samples of a space in which every option of a choice is used equally often.
#pragma once

#include <random>
#include <vector>

#include "space/decisions.h"

namespace ridgewalk {

// Deals the options of each choice from a shuffled deck of its own (FairNAS, arXiv 1907.01845,
// section 3, for choices that need not have the same number of options): of as many consecutive
// samples that use a choice as it has options, each uses another one. A sample that has no use for
// a choice, such as one of a block beyond its depth, takes no card of it.
class FairSampler {
 public:
  using Decks = std::vector<std::vector<int>>;

  explicit FairSampler(const SearchSpace& space);

  Decisions sample(std::mt19937_64& random);

  // What is left of each choice's deck; the next card is the last one.
  const Decks& decks() const { return decks_; }
  // Throws Error when these cannot be decks of this space.
  void restore(Decks decks);

 private:
  SearchSpace space_;
  ChoiceLayout layout_;
  std::vector<int> options_;  // of each choice
  Decks decks_;
};

}  // namespace ridgewalk
