// How well fits predict networks that they have not seen, and which terms predict best.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roofline/fit.h"
#include "space/names.h"

namespace ridgewalk {

// One number per network times one fitted constant: what a roofline must beat.
enum class Baseline { kMacs, kOps, kBytes, kConstant };
template <>
inline constexpr auto kNames<Baseline> =
    name_table<Baseline>("baseline", {{Baseline::kMacs, "MACs alone"},
                                      {Baseline::kOps, "op count alone"},
                                      {Baseline::kBytes, "bytes alone"},
                                      {Baseline::kConstant, "a constant"}});

// Predictions for networks that the fit did not see, in the order of `networks`.
struct HeldOut {
  std::vector<double> roofline;                // seconds
  std::vector<std::vector<double>> baselines;  // one list per Baseline
  size_t unknowns = 1;  // of the roofline's fits, where they were of parts of the same networks
};

// |predicted / measured - 1| of each network, in the order in which they first appear: the mean
// over its rows.
std::vector<double> errors_of_networks(std::span<const Measured> rows,
                                       std::span<const double> predicted);

// Ridge point and peak alone, and with each choice of the terms: eight sets, in the order of their
// number of terms.
std::vector<FitTerms> sets_of_terms();
std::string text_of(const FitTerms& terms);  // "depthwise, floor", "none"

// A set of terms, tried on a table.
struct TriedTerms {
  FitTerms terms;
  Fit fit;
  std::vector<double> held_out;  // seconds, of each row by a fit of other networks
  double mean_error = 0;         // of these
};
// Of the sets, those with fewer unknowns than there are networks: at least one, or Error.
std::vector<TriedTerms> try_terms(std::span<const Measured> rows, std::span<const FitTerms> sets,
                                  std::optional<MacsPerByte> ridge_point, uint64_t seed);
// The place of the one with the least error; of those within 2 % of it the first, which has the
// fewest terms where they stand as in sets_of_terms().
size_t best_of(std::span<const TriedTerms> tried);
// Whether held-out errors show, at 95 % by a paired t test over networks, that a set predicts worse
// than another.
bool is_worse(const TriedTerms& set, const TriedTerms& than, std::span<const Measured> rows);

// One network at a time up to 60 networks, ten shuffled parts above; all rows of a network are in
// one part. Each part is predicted with the set of terms that predicts best within the others, one
// network at a time of up to 20, else ten parts; above 60 networks the choice is made once. Throws
// Error where the networks do not exceed the unknowns of any set.
HeldOut cross_validate(std::span<const Measured> rows, std::span<const FitTerms> sets,
                       std::optional<MacsPerByte> ridge_point, uint64_t seed);
// Fitted on `train`, predicted for `test`, which has none of the same networks.
HeldOut hold_out(std::span<const Measured> train, std::span<const Measured> test,
                 const FitTerms& terms, std::optional<MacsPerByte> ridge_point);

}  // namespace ridgewalk
