#include "search/fair_sampler.h"

#include <numeric>
#include <set>
#include <utility>

#include "space/error.h"

namespace ridgewalk {
namespace {

std::vector<int> shuffled_deck(int options, std::mt19937_64& random) {
  std::vector<int> deck(static_cast<size_t>(options));
  std::iota(deck.begin(), deck.end(), 0);
  for (size_t i = deck.size() - 1; i > 0; --i) std::swap(deck[i], deck[random() % (i + 1)]);
  return deck;
}

}  // namespace

FairSampler::FairSampler(const SearchSpace& space) : space_(space), layout_(choice_layout(space)) {
  for (const Choice& choice : choices(space)) options_.push_back(int(choice.options.size()));
  decks_.resize(options_.size());
}

Decisions FairSampler::sample(std::mt19937_64& random) {
  Decisions decisions;
  for (size_t c = 0; c < decks_.size(); ++c) {
    if (decks_[c].empty()) decks_[c] = shuffled_deck(options_[c], random);
    decisions.push_back(decks_[c].back());
  }
  deactivate_unused(space_, layout_, decisions);
  for (size_t c = 0; c < decks_.size(); ++c) {
    if (decisions[c] != kInactive) decks_[c].pop_back();
  }
  return decisions;
}

void FairSampler::restore(Decks decks) {
  bool fits = decks.size() == decks_.size();
  for (size_t c = 0; fits && c < decks.size(); ++c) {
    const std::set<int> cards(decks[c].begin(), decks[c].end());
    fits = cards.size() == decks[c].size() &&
           (cards.empty() || (*cards.begin() >= 0 && *cards.rbegin() < options_[c]));
  }
  if (!fits) throw Error("the saved decks of fair sampling are not of this space");
  decks_ = std::move(decks);
}

}  // namespace ridgewalk
