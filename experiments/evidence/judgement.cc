#include "experiments/evidence/judgement.h"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

constexpr int kResamples = 1000;
constexpr double kCoverage = 0.9;

std::vector<double> latencies(const std::vector<Measured>& networks) {
  std::vector<double> values;
  for (const Measured& network : networks) values.push_back(network.latency.value);
  return values;
}

Judgement judge(const std::string& predictor, const std::vector<double>& predicted, size_t unknowns,
                const std::vector<Measured>& networks, uint64_t seed) {
  const std::vector<double> measured = latencies(networks);
  std::vector<std::string> names;
  for (const Measured& network : networks) names.push_back(network.network);
  const RowsOfNetworks rows = rows_of_networks(names);
  const Agreement whole = agreement(predicted, measured);
  const std::vector<Agreement> resampled =
      resampled_agreement(predicted, measured, rows, kResamples, seed);
  const auto values_of = [&](double Agreement::* figure) {
    std::vector<double> values;
    for (const Agreement& one : resampled) values.push_back(one.*figure);
    return values;
  };
  const auto correlation = [&](RankCorrelation kind, double Agreement::* figure) {
    return Figure{whole.*figure, correlation_interval(kind, whole.*figure, rows.size(), kCoverage,
                                                      values_of(figure))};
  };
  const std::vector<double> errors = errors_of_networks(networks, predicted);
  return {.predictor = predictor,
          .spearman = correlation(RankCorrelation::kSpearman, &Agreement::spearman),
          .kendall_tau_b = correlation(RankCorrelation::kKendall, &Agreement::kendall_tau_b),
          .mean_error = {whole.mean_error, mean_error_interval(errors, unknowns, kCoverage)},
          .median_error = {whole.median_error, median_interval(errors, kCoverage)},
          .within_10 = {whole.within_10, share_interval(whole.within_10, rows.size(), kCoverage)}};
}

}  // namespace

std::vector<Judgement> judge_all(const HeldOut& held_out, const std::vector<Measured>& networks,
                                 uint64_t seed) {
  std::vector<Judgement> judgements{
      judge("roofline", held_out.roofline, held_out.unknowns, networks, seed)};
  for (size_t b = 0; b < std::size(kValues<Baseline>); ++b) {
    Judgement& judgement = judgements.emplace_back(judge(
        std::string(to_string(kValues<Baseline>[b])), held_out.baselines[b], 1, networks, seed));
    if (kValues<Baseline>[b] != Baseline::kConstant) continue;
    judgement.spearman = judgement.kendall_tau_b = {NAN, {}};
  }
  return judgements;
}

Json judgements_json(const std::vector<Judgement>& judgements) {
  const auto correlation = [](const Figure& figure) {
    return std::isnan(figure.value) ? Json() : figure_json(figure);
  };
  Json result;
  for (const Judgement& judgement : judgements) {
    result[judgement.predictor] = {{"spearman", correlation(judgement.spearman)},
                                   {"kendall_tau_b", correlation(judgement.kendall_tau_b)},
                                   {"mean_error", figure_json(judgement.mean_error)},
                                   {"median_error", figure_json(judgement.median_error)},
                                   {"within_10_percent", figure_json(judgement.within_10)}};
  }
  return result;
}

std::string judgements_table(const std::vector<Judgement>& judgements) {
  std::string text = fmt::format("{:<16}{:>23}{:>23}{:>23}{:>23}{:>23}\n", "", "Spearman",
                                 "Kendall tau-b", "mean error %", "median error %", "within 10 %");
  std::vector<Figure> figures;
  for (const Judgement& j : judgements) {
    text += fmt::format("{:<16}{:>23}{:>23}{:>23}{:>23}{:>23}\n", j.predictor,
                        figure_text(j.spearman, 1, 3), figure_text(j.kendall_tau_b, 1, 3),
                        figure_text(j.mean_error, 100, 1), figure_text(j.median_error, 100, 1),
                        figure_text(j.within_10, 100, 1));
    figures.insert(figures.end(),
                   {j.spearman, j.kendall_tau_b, j.mean_error, j.median_error, j.within_10});
  }
  return text + fmt::format("brackets: {:.0f} % intervals: {}\n", 100 * kCoverage,
                            interval_methods(figures));
}

}  // namespace ridgewalk
