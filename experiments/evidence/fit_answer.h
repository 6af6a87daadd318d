// A device's figures from a table of latencies, with all that says how far to trust them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/evidence/fit_table.h"
#include "experiments/evidence/judgement.h"
#include "experiments/run/json.h"
#include "roofline/held_out.h"
#include "roofline/next_networks.h"
#include "roofline/ridge_certainty.h"

namespace ridgewalk {

struct FitQuestion {
  std::string table;  // CSV
  TableReading reading;
  std::optional<std::string> test;  // a table to predict
  std::optional<FitTerms> terms;    // of the sets, the one that predicts best where not given
  std::optional<MacsPerByte> ridge_point;
  uint64_t seed = 0;
  bool is_type_given = true;  // or assumed
};

// A set of terms: what it fits, how sure its ridge point is, and whether held-out errors rule it
// out.
struct FitAlternative {
  TriedTerms tried;
  RidgeCertainty certainty;  // nothing where the ridge point is given
  bool is_worse = false;     // than the best
};

struct FitNext {
  std::string network;
  double share = 1;  // of the ridge point's interval that remains, with those before it
};

struct FitAnswer {
  FitTable table;
  std::vector<Measured> tested;  // those of the table, or of the test's table
  int tested_before = 0;         // networks of the test's table that were fitted
  std::vector<FitAlternative> alternatives;
  size_t chosen = 0;  // of the alternatives
  HeldOut held_out;   // of the tested
  std::vector<Judgement> judgements;
  std::vector<FitNext> next;

  const TriedTerms& choice() const { return alternatives[chosen].tried; }
  // The alternatives that are not worse than the best have rooflines, and ridge points within a
  // factor of two of the chosen one's.
  bool alternatives_agree() const;
  bool ridge_point_is_determined() const;
};

// Throws Error with file and line for what is wrong with a table.
FitAnswer answer(const FitQuestion& question);

Json answer_json(const FitQuestion& question, const FitAnswer& answer);
void print_answer(const Json& json, const FitAnswer& answer);

}  // namespace ridgewalk
