#include <filesystem>
#include <sstream>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/evidence/fit_answer.h"
#include "experiments/run/counted.h"
#include "space/error.h"
#include "space/file.h"
#include "space/suggestion.h"

namespace ridgewalk {
namespace {

CommandLine fit_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "fit MEASUREMENTS.csv [--latency COLUMN] [--terms floor,...] [--out PROFILE.yaml]",
      "Ridge point and peak of a device from measured latencies, by least squares on relative\n"
      "error, judged on networks held out. The table's first line names its columns: network\n"
      "(catalogue name, YAML file, or decisions of --space), a latency ending in _s, _ms or\n"
      "_us, and optionally resolution, classes, channels, and batch: how many images the\n"
      "latency is of.",
      "measurements", 1);
  line.add()("latency", po::value<std::string>()->default_value(""), "column to fit");
  line.add()("terms", po::value<std::string>()->default_value("auto"),
             "beside ridge point and peak: depthwise, overhead, floor, or none; auto takes those "
             "that predict networks held out best");
  line.add_number<double>("ridge-point", 0, 1e6, "keep this one, fit the rest");
  line.add()("test", po::value<std::string>(), "table to predict instead of held-out parts");
  line.add()("space", po::value<std::string>(), "search space of the decisions");
  line.add()("dtype", po::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32; the ridge point is per "
             "byte of these");
  line.add()("bytes", po::value<std::string>()->default_value("mnv4"),
             "mnv4, mnv4-adds, weights-out, out-only, aten or block-fused");
  line.add()("kernels", po::value<std::string>()->default_value("fused"),
             "what an overhead is of: fused (ops with MACs) or unfused (every op: norms, "
             "activations, adds by themselves)");
  line.add_seed("of resamples and parts", 0);
  line.add()("out", po::value<std::string>(), "profile to write");
  line.add()("json", "for machines");
  return line;
}

// Nothing for "auto".
std::optional<FitTerms> parse_terms(const std::string& list) {
  if (list == "auto") return std::nullopt;
  FitTerms terms;
  if (list == "none") return terms;
  if (list.empty()) throw Error("--terms is empty; give depthwise, overhead, floor, none or auto");
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    if (part == "depthwise") {
      terms.depthwise_cost = true;
    } else if (part == "overhead") {
      terms.op_overhead = true;
    } else if (part == "floor") {
      terms.floor = true;
    } else if (part == "auto" || part == "none") {
      throw Error("--terms: '" + part + "' stands alone; leave it or the others out");
    } else {
      throw Error("--terms: no term is named '" + part + "'; " +
                  suggestion(part, {"depthwise", "overhead", "floor", "none", "auto"}));
    }
  }
  return terms;
}

FitQuestion question_of(const CommandLine& line) {
  FitQuestion question{
      .table = line.words()[0],
      .reading = {.column = line.get<std::string>("latency"),
                  .counting = {.type = option_named<DataType>("--dtype",
                                                              line.get<std::string>("dtype")),
                               .bytes = option_named<ByteConvention>(
                                   "--bytes", line.get<std::string>("bytes")),
                               .kernels = option_named<KernelConvention>(
                                   "--kernels", line.get<std::string>("kernels"))}},
      .test = line.find<std::string>("test"),
      .terms = parse_terms(line.get<std::string>("terms")),
      .ridge_point = {},
      .seed = line.seed(),
      .is_type_given = line.given("dtype")};
  if (const auto point = line.find<double>("ridge-point")) question.ridge_point = {*point};
  if (line.has("space")) question.reading.space = load_search_space(line.get<std::string>("space"));
  return question;
}

// Says that networks do not determine a ridge point that they were asked for.
std::string note_on_ridge_point(const FitQuestion& question, const FitAnswer& answer) {
  if (question.ridge_point || answer.ridge_point_is_determined()) return "";
  return "; they do not determine it (several terms, or a range of ridge points, predict as well)";
}

std::string source_of(const FitQuestion& question, const FitAnswer& answer) {
  const std::string& column = question.reading.column;
  return fmt::format("fitted by ridgewalk to {} of {}{}",
                     counted(int64_t(count_networks(answer.table.rows)), "network"), question.table,
                     column.empty() ? "" : " " + column);
}

Profile profile_of(const FitQuestion& question, const FitAnswer& answer, const std::string& out) {
  const std::string source = source_of(question, answer);
  const WorkCounting& counting = question.reading.counting;
  const auto& [terms, fitted, held_out, mean_error] = answer.choice();
  const bool has_peak = fitted.seconds_per_mac > 0;
  if (!has_peak && fitted.op_overhead.value == 0) {
    throw Error(
        "--out: one latency for all networks explains these best; such a profile is of no use");
  }
  Profile profile{.name = std::filesystem::path(out).stem().string(),
                  .description = source,
                  .data_type = counting.type};
  profile.fitted_batches = answer.table.batches;
  if (has_peak) {
    profile.effective_ridge_point =
        Sourced{fitted.ridge_point.value, source + note_on_ridge_point(question, answer)};
    profile.effective_peak_gmacs = Sourced{1e-9 / fitted.seconds_per_mac, source};
    if (terms.depthwise_cost) profile.terms.depthwise_cost = {fitted.depthwise_cost, source};
  }
  if (terms.op_overhead) {
    profile.terms.op_overhead_us = {1e6 * fitted.op_overhead.value, source};
    profile.terms.kernels = counting.kernels;
  }
  if (terms.floor) profile.terms.floor_ms = {1e3 * fitted.floor.value, source};
  return profile;
}

}  // namespace

int fit_command(const Arguments& arguments) {
  CommandLine line = fit_line();
  if (!line.parse(arguments)) return 0;
  const FitQuestion question = question_of(line);
  if (const auto out = line.find<std::string>("out")) {
    if (const ByteConvention bytes = question.reading.counting.bytes;
        bytes != ByteConvention::kMnv4) {
      throw Error("--out: a profile's bytes are counted by mnv4, not by " +
                  std::string(to_string(bytes)) +
                  "; leave out --bytes to write a profile, or --out to see this fit alone");
    }
    refuse_overwriting(*out, question.table);
    if (const auto test = line.find<std::string>("test")) refuse_overwriting(*out, *test);
  }
  const FitAnswer found = answer(question);
  const Json result = answer_json(question, found);
  if (line.has("json")) {
    fmt::print("{}\n", result.dump(1));
  } else {
    print_answer(result, found);
  }
  if (const auto out = line.find<std::string>("out")) {
    write_file(*out, to_yaml(profile_of(question, found, *out)));
  }
  return 0;
}

}  // namespace ridgewalk
