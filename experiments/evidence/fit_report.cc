#include <algorithm>

#include <fmt/format.h>

#include "experiments/evidence/fit_answer.h"
#include "experiments/run/counted.h"

namespace ridgewalk {
namespace {

// Where a search ended at an end of its range, the figure is only a bound.
enum class Bound { kNone, kAtMost, kAtLeast };

Bound ridge_bound(double ridge_point) {
  if (ridge_point > 0 && ridge_point <= 1.01 * kLowestRidgePoint) return Bound::kAtMost;
  return ridge_point >= 0.99 * kHighestRidgePoint ? Bound::kAtLeast : Bound::kNone;
}

Bound depthwise_bound(double cost) {
  return cost >= 0.99 * kHighestDepthwiseCost ? Bound::kAtLeast : Bound::kNone;
}

std::string bounded_text(double value, Bound bound) {
  const char* const before = bound == Bound::kAtMost    ? "at most "
                             : bound == Bound::kAtLeast ? "at least "
                                                        : "";
  return before + fmt::format("{:.4g}", value);
}

// `is_searched`: whether the ridge point was not given.
Json fitted_json(const TriedTerms& tried, bool is_searched) {
  const auto& [terms, fitted, held_out, mean_error] = tried;
  Json result = {{"ridge_point", nullptr}, {"peak_gmacs", nullptr}, {"bandwidth_gbps", nullptr}};
  if (fitted.seconds_per_mac > 0) {
    result["ridge_point"] = fitted.ridge_point.value;
    result["peak_gmacs"] = 1e-9 / fitted.seconds_per_mac;
    const bool is_bound = is_searched && ridge_bound(fitted.ridge_point.value) != Bound::kNone;
    if (fitted.ridge_point.value > 0 && !is_bound) {
      result["bandwidth_gbps"] = 1e-9 / fitted.seconds_per_mac / fitted.ridge_point.value;
    }
  }
  if (terms.depthwise_cost) result["depthwise_cost"] = fitted.depthwise_cost;
  if (terms.op_overhead) result["op_overhead_us"] = 1e6 * fitted.op_overhead.value;
  if (terms.floor) result["floor_ms"] = 1e3 * fitted.floor.value;
  return result;
}

Json interval_json(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json();
}

Json alternatives_json(const FitAnswer& answer) {
  Json list = Json::array();
  for (const FitAlternative& one : answer.alternatives) {
    list.push_back({{"terms", text_of(one.tried.terms)},
                    {"held_out_error", one.tried.mean_error},
                    {"is_worse", one.is_worse},
                    {"ridge_point", fitted_json(one.tried, true)["ridge_point"]},
                    {"fit", fitted_json(one.tried, true)},
                    {"ridge_point_interval", interval_json(one.certainty.interval)}});
  }
  return list;
}

Json networks_json(const FitAnswer& answer) {
  Json rows = Json::array();
  for (size_t i = 0; i < answer.tested.size(); ++i) {
    const Measured& network = answer.tested[i];
    const double measured = network.latency.value;
    const double predicted = answer.choice().fit.predict(network.work).value;
    rows.push_back({{"name", network.work.name},
                    {"measured_ms", 1e3 * measured},
                    {"fitted_ms", 1e3 * predicted},
                    {"error", predicted / measured - 1},
                    {"held_out_error", answer.held_out.roofline[i] / measured - 1}});
  }
  return rows;
}

std::string protocol_text(const FitQuestion& question, const FitAnswer& answer) {
  const size_t fitted = count_networks(answer.table.rows);
  if (question.test) {
    return fmt::format("fitted on {} networks, predicted {} others", fitted,
                       count_networks(answer.tested));
  }
  const bool by_one = fitted <= (question.terms ? 60 : 20);
  const std::string parts = by_one ? "each network predicted by a fit of the others"
                                   : "each tenth predicted by a fit of the other nine";
  if (question.terms) return parts;
  return parts + (fitted <= 60 ? ", the terms chosen anew in each" : ", the terms chosen once");
}

std::string why_no_interval(size_t networks, size_t unknowns) {
  if (networks < kFewestForRidge) {
    return fmt::format("there are {} networks, and it takes at least {}", networks,
                       kFewestForRidge);
  }
  if (networks <= unknowns) {
    return fmt::format("{} networks leave nothing to judge {} figures by", networks, unknowns);
  }
  return "all resamples of the networks end at 0 or at the end of the search (1000)";
}

void add_notes_on_ridge_point(const FitAnswer& answer, Json& result) {
  Json& notes = result["warnings"];
  const FitAlternative& own = answer.alternatives[answer.chosen];
  if (!own.certainty.is_determined) {
    notes.push_back(fmt::format(
        "these latencies do not determine the ridge point: {}",
        own.certainty.interval
            ? "resamples of the networks give values more than a factor of two apart, or at the "
              "end of the search (0 to 1000)"
            : why_no_interval(count_networks(answer.table.rows),
                              unknowns_of(own.tried.terms, std::nullopt))));
  } else if (!own.certainty.interval) {
    notes.push_back("the ridge point has no interval: all resamples of the networks give the same");
  }
  if (!answer.alternatives_agree()) {
    double low = own.tried.fit.ridge_point.value, high = low;
    bool is_one_without = false;
    for (const FitAlternative& one : answer.alternatives) {
      if (one.is_worse) continue;
      is_one_without |= one.tried.fit.seconds_per_mac == 0;
      if (one.tried.fit.seconds_per_mac == 0) continue;
      low = std::min(low, one.tried.fit.ridge_point.value);
      high = std::max(high, one.tried.fit.ridge_point.value);
    }
    notes.push_back(
        low >= high
            ? std::string("terms that predict as well give no ridge point: these "
                          "latencies do not determine it")
            : fmt::format("terms that predict as well give ridge points from {:.3g} to {:.3g}{}: "
                          "these latencies "
                          "do not determine it, however narrow its interval under some of them",
                          low, high, is_one_without ? ", or none" : ""));
  }
}

void add_note_on_terms(const FitAnswer& answer, Json& result) {
  const FitAlternative& own = answer.alternatives[answer.chosen];
  if (!own.is_worse) return;
  std::vector<TriedTerms> tried;
  for (const FitAlternative& one : answer.alternatives) tried.push_back(one.tried);
  const TriedTerms& best = tried[best_of(tried)];
  std::string option = text_of(best.terms);
  std::erase(option, ' ');
  result["warnings"].push_back(fmt::format(
      "--terms {} predicts better: {:.1f} % of error on networks held out, not {:.1f} %", option,
      100 * best.mean_error, 100 * own.tried.mean_error));
}

void add_notes_on_rows(const FitAnswer& answer, Json& result) {
  const auto note = [&](int count, const char* of, const char* one, const char* many) {
    if (count > 0) result["warnings"].push_back(counted(count, of) + (count == 1 ? one : many));
  };
  note(answer.table.repeats, "row",
       " measures a network again: it counts once, with the median of its latencies",
       " measure a network again: each network counts once, with the median of its latencies");
  note(answer.tested_before, "network", " of the test table was left out, as the fit has seen it",
       " of the test table were left out, as the fit has seen them");
  note(answer.table.not_measured, "row", " has no measurement of this column",
       " have no measurement of this column");
}

void print_networks(const Json& networks) {
  fmt::print("{:<28} {:>12} {:>12} {:>8} {:>8}\n", "network", "measured ms", "fitted ms", "error %",
             "held out");
  for (const Json& network : networks) {
    fmt::print("{:<28} {:>12.4g} {:>12.4g} {:>+8.1f} {:>+8.1f}\n",
               network["name"].get<std::string>(), network["measured_ms"].get<double>(),
               network["fitted_ms"].get<double>(), 100 * network["error"].get<double>(),
               100 * network["held_out_error"].get<double>());
  }
}

// "29.7 [23.6, 33.6]"
std::string ridge_text(const Json& ridge_point, const Json& interval, bool is_searched = true) {
  if (ridge_point.is_null()) return "none: MACs and bytes cost nothing beside the terms";
  const auto text_of_end = [&](const Json& end) {
    return bounded_text(end.get<double>(),
                        is_searched ? ridge_bound(end.get<double>()) : Bound::kNone);
  };
  const std::string text = text_of_end(ridge_point);
  if (interval.is_null()) return text;
  return text + fmt::format(" [{}, {}]", text_of_end(interval[0]), text_of_end(interval[1]));
}

void print_alternatives(const Json& result) {
  fmt::print("\n{:<28} {:>10}   {}\n", "terms", "held out %", "ridge point");
  for (const Json& one : result["alternatives"]) {
    const std::string terms = one["terms"];
    const bool is_chosen = terms == result["terms"].get<std::string>();
    fmt::print("{:<28} {:>10.1f}   {}{}\n", terms, 100 * one["held_out_error"].get<double>(),
               ridge_text(one["ridge_point"], one["ridge_point_interval"]),
               is_chosen                     ? "  <- fitted"
               : one["is_worse"].get<bool>() ? "  worse"
                                             : "");
  }
}

void print_fit(const Json& result) {
  const Json& fitted = result["fit"];
  fmt::print("\nridge point      {}{}{}\n",
             ridge_text(fitted["ridge_point"], result["ridge_point_interval"],
                        result.contains("ridge_point_is_determined")),
             fitted["ridge_point"].is_null()
                 ? ""
                 : fmt::format(" MACs/byte of {}", result["data_type"].get<std::string>()),
             result.value("ridge_point_is_determined", false) ? ", determined" : "");
  const auto print_figure = [&](const char* key, const char* form) {
    if (!fitted.contains(key) || fitted[key].is_null()) return;
    fmt::print(fmt::runtime(form), fitted[key].get<double>());
  };
  print_figure("peak_gmacs", "peak             {:.4g} GMAC/s\n");
  print_figure("bandwidth_gbps", "bandwidth        {:.4g} GB/s\n");
  if (!fitted["ridge_point"].is_null() && fitted["bandwidth_gbps"].is_null()) {
    fmt::print("bandwidth        not determined\n");
  }
  if (fitted.contains("depthwise_cost")) {
    const double cost = fitted["depthwise_cost"];
    fmt::print("depthwise cost   {} dense MACs a MAC\n", depthwise_bound(cost) == Bound::kNone
                                                             ? fmt::format("{:.3g}", cost)
                                                             : bounded_text(cost, Bound::kAtLeast));
  }
  print_figure("op_overhead_us", "op overhead      {:.4g} us\n");
  print_figure("floor_ms", "floor            {:.4g} ms\n");
}

// Where the suggested networks would tell something.
void print_next(const Json& next) {
  if (next.empty() || next.back()["share"].get<double>() > 0.95) return;
  for (const Json& one : next) {
    fmt::print("{:<16} {}: the interval shrinks to {:.0f} %\n",
               &one == &next.front() ? "measure next" : "", one["network"].get<std::string>(),
               100 * one["share"].get<double>());
  }
}

}  // namespace

Json answer_json(const FitQuestion& question, const FitAnswer& answer) {
  Json result = {{"table", question.table},
                 {"test", question.test ? Json(*question.test) : Json()},
                 {"latency", question.reading.column},
                 {"data_type", to_string(question.reading.counting.type)},
                 {"data_type_is_assumed", !question.is_type_given},
                 {"bytes", to_string(question.reading.counting.bytes)},
                 {"kernels", to_string(question.reading.counting.kernels)},
                 {"networks", networks_json(answer)},
                 {"protocol", protocol_text(question, answer)},
                 {"held_out", judgements_json(answer.judgements)},
                 {"terms", text_of(answer.choice().terms)},
                 {"alternatives", alternatives_json(answer)},
                 {"fit", fitted_json(answer.choice(), !question.ridge_point)},
                 {"ridge_point_interval", nullptr},
                 {"measure_next", Json::array()},
                 {"warnings", Json::array()}};
  if (!question.ridge_point) {
    const FitAlternative& own = answer.alternatives[answer.chosen];
    result["ridge_point_interval"] = interval_json(own.certainty.interval);
    result["ridge_point_is_determined"] = answer.ridge_point_is_determined();
    add_notes_on_ridge_point(answer, result);
  }
  add_note_on_terms(answer, result);
  for (const FitNext& one : answer.next) {
    result["measure_next"].push_back({{"network", one.network}, {"share", one.share}});
  }
  add_notes_on_rows(answer, result);
  return result;
}

void print_answer(const Json& result, const FitAnswer& answer) {
  fmt::print("{} of {} in {}{}, bytes by {}\n\n",
             counted(int64_t(count_networks(answer.tested)), "network"),
             (result["test"].is_null() ? result["table"] : result["test"]).get<std::string>(),
             result["data_type"].get<std::string>(),
             result["data_type_is_assumed"].get<bool>()
                 ? " (assumed; it sets the ridge point's scale: give --dtype)"
                 : "",
             result["bytes"].get<std::string>());
  print_networks(result["networks"]);
  fmt::print("\n{}\n{}", result["protocol"].get<std::string>(),
             judgements_table(answer.judgements));
  print_alternatives(result);
  print_fit(result);
  print_next(result["measure_next"]);
  for (const Json& warning : result["warnings"]) {
    fmt::print("note: {}\n", warning.get<std::string>());
  }
}

}  // namespace ridgewalk
