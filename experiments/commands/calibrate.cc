#include <algorithm>
#include <filesystem>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/machine/calibration.h"
#include "experiments/machine/measurement.h"
#include "experiments/machine/resources.h"
#include "experiments/report/report.h"
#include "experiments/run/counted.h"
#include "experiments/run/progress.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/inference/peaks.h"

namespace ridgewalk {
namespace {

constexpr double kSmallestSetKib = 16;      // per thread
constexpr double kLargestSetKib = 1 << 20;  // beyond every cache: memory itself
constexpr int kResamples = 20;

Sourced sourced(const MeasuredRate& rate, const std::string& source) {
  return {.value = four_digits(rate.value),
          .source = fmt::format("{}, spread {:.1f} %", source, 100 * rate.spread)};
}

// At most a quarter of the memory that is available.
double largest_set_kib() {
  return std::min(kLargestSetKib, available_memory().value_or(0) / 1024 / 4);
}

void measure_bare_machine(int threads, const std::string& source, Progress& progress,
                          Profile& profile) {
  int done = 0;
  for (DataType type : kValues<DataType>) {
    progress.update(done++, "peak " + std::string(to_string(type)));
    if (const auto rate = measure_peak_gmacs(type, threads)) {
      profile.peak_gmacs[type] = sourced(*rate, source);
    }
  }
  for (double kib = kSmallestSetKib * threads; kib <= largest_set_kib(); kib *= 4) {
    progress.update(done++, fmt::format("{:.0f} KiB", kib));
    const MeasuredRate rate = measure_bandwidth_gbps({1024 * kib}, threads);
    profile.working_sets.push_back({kib, sourced(rate, source)});
  }
  if (profile.working_sets.empty()) {
    throw Error("too little free memory to measure its bandwidth; free some");
  }
  profile.bandwidth_gbps = profile.working_sets.back().gbps;
}

std::string agreement_text(const NetworkAgreement& agreement) {
  return fmt::format("mean error {:.1f} %, {:.0f} % within 5 %, {:.0f} % within 10 %, Spearman {}",
                     100 * agreement.mean_error, 100 * agreement.within_5,
                     100 * agreement.within_10, spearman_text(agreement)) +
         (agreement.spearman_interval
              ? fmt::format(" ({:.0f} % interval: {})", 100 * kAgreementCoverage,
                            description(agreement.spearman_interval->method))
              : "");
}

// The rates of other kinds are elements, not MACs: there is no peak to compare them with.
bool has_macs(const std::string& kind) {
  constexpr std::string_view kKinds[] = {"conv", "stem", "depthwise", "linear", "attention"};
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](std::string_view start) { return kind.starts_with(start); });
}

void print(const Profile& profile) {
  fmt::print("{}\n\n", profile.description);
  for (const auto& [type, peak] : profile.peak_gmacs) {
    fmt::print("peak {:<5} {:>9.4g} GMACs/s   {}\n", to_string(type), peak.value, peak.source);
  }
  for (const WorkingSet& set : profile.working_sets) {
    fmt::print("{:>7.0f} KiB {:>8.4g} GB/s read\n", set.kib, set.gbps.value);
  }
  fmt::print("mnv4-conv-medium {:.4g} ms   {}\n", profile.probe_ms->value,
             profile.probe_ms->source);
  fmt::print("effective: ridge point {:.4g} MACs/byte, peak {:.4g} GMACs/s\n\n",
             profile.effective_ridge_point->value, profile.effective_peak_gmacs->value);
  const double peak = profile.peak_gmacs.count(profile.data_type) > 0
                          ? profile.peak_gmacs.at(profile.data_type).value
                          : 0;
  fmt::print("{:<23} {:>5} {:>7} {:>12} {:>15} {:>8} {:>13} {:>13} {:>13}\n", "ops", "count",
             "error", "overhead us", "G/s", "of peak", "weights", "input", "output");
  const auto figure = [](double value, const std::optional<double>& spread) {
    if (value == 0) return std::string("-");
    return fmt::format("{:.3g}{}", value,
                       spread ? fmt::format(" ±{:.0f}%", 50 * *spread) : std::string());
  };
  for (const OpLaw& law : profile.op_laws) {
    const OpLawSpread& spread = law.spread;
    fmt::print("{:<23} {:>5} {:>7} {:>12} {:>15} {:>8} {:>13} {:>13} {:>13}\n", law.kind, law.ops,
               spread.error ? fmt::format("{:.1f} %", 100 * *spread.error) : "-",
               figure(law.overhead_us, spread.overhead), figure(law.gmacs.value_or(0), spread.rate),
               law.gmacs && peak > 0 && has_macs(law.kind)
                   ? fmt::format("{:.0f} %", 100 * *law.gmacs / peak)
                   : "-",
               figure(law.weights, spread.weights), figure(law.input, spread.input),
               figure(law.output, spread.output));
  }
  fmt::print(
      "error: median of the ops. ±: half the interquartile range over {} resamples of networks.\n"
      "G/s: MACs, or elements of the output where there are none. weights, input, output:\n"
      "share of the time to read them that computing does not hide.\n\n",
      kResamples);
  fmt::print("{}\n", profile.op_laws_source);
}

CommandLine calibrate_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "calibrate --out PROFILE.yaml [--threads N] [--precision fp32|bf16|int8]",
      "Measures this machine's CPU: peaks by data type, bandwidth by working set, and the time\n"
      "of each kind of op, from the ops of random networks. Writes a profile with the spread of\n"
      "each figure, for `describe --profile` and `sweep --measure`. Takes some minutes; leave\n"
      "the machine alone meanwhile. In int8 the networks are quantised as for `bench`.",
      nullptr, 0);
  line.allow_int8();
  line.add_number<int>("networks", 16, 10000, "random networks to measure", 80);
  line.add_number<double>("seconds", 0, 3600, "of runs in each repeat", 0.1);
  line.add_number<int>("repeats", 1, 1000, "in each of three passes", 3);
  line.add_seed("of the networks", 0);
  line.add()("out", po::value<std::string>(), "profile to write");
  line.add_session_options("1", "fp32");
  return line;
}

struct CalibrateOptions {
  std::string out;
  int networks = 0;
  uint64_t seed = 0;
  DataType precision = DataType::kFp32;
  TimingOptions timing;
  bool quiet = false;
};

CalibrateOptions calibrate_options(const CommandLine& line) {
  const std::string out = line.required("out");
  const Session session = line.session(1, "fp32");
  if (!session.compute.device.is_cpu()) throw Error("--device: calibrate measures only the CPU");
  return {.out = out,
          .networks = line.get<int>("networks"),
          .seed = line.seed(),
          .precision = session.compute.precision,
          .timing = {.threads = at::get_num_threads(),
                     .repeats = line.get<int>("repeats"),
                     .seconds = line.get<double>("seconds"),
                     .per_step = true},
          .quiet = session.quiet};
}

// What is known before anything is measured.
Profile empty_profile(const CalibrateOptions& options) {
  const int threads = options.timing.threads;
  return {.name = std::filesystem::path(options.out).stem().string(),
          .description = fmt::format("{}, {}, {}", cpu_name(), counted(threads, "thread"),
                                     to_string(options.precision)),
          .data_type = options.precision,
          .machine = cpu_name(),
          .threads = threads};
}

void measure_ops(const CalibrateOptions& options, const std::string& source, Profile& profile) {
  const auto [networks, probes] =
      time_networks(calibration_networks(options.networks, options.seed), options.precision,
                    options.timing, options.quiet);
  profile.probe_ms = sourced({1e3 * quantile(probes, 0.5), relative_spread(probes)}, source);
  fit_effective(networks, fmt::format("fitted to {} random networks {}", networks.size(), source),
                profile);
  const NetworkAgreement held_out = held_out_agreement(networks, profile);
  profile.op_laws =
      fit_op_laws(networks, profile.data_type, profile.read_bandwidths(), kResamples, options.seed);
  profile.op_laws_source =
      fmt::format("{} random networks, {}; predicted by laws of the others: {}", networks.size(),
                  source, agreement_text(held_out));
}

}  // namespace

int calibrate_command(const Arguments& arguments) {
  CommandLine line = calibrate_line();
  if (!line.parse(arguments)) return 0;
  const CalibrateOptions options = calibrate_options(line);
  {
    const FileWriter refuses_a_bad_path_now(options.out);
  }
  const std::string source = "measured by ridgewalk calibrate, " + now_text();
  Profile profile = empty_profile(options);
  {
    constexpr int kAbout = std::size(kValues<DataType>) + 9;  // types, and sets up to 1 GiB
    Progress progress("bare machine", 0, kAbout, 0, options.quiet);
    measure_bare_machine(options.timing.threads, source, progress, profile);
  }
  measure_ops(options, source, profile);
  write_file(options.out, to_yaml(profile));
  if (!options.quiet) print(profile);
  return 0;
}

}  // namespace ridgewalk
