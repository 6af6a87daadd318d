#include <algorithm>
#include <filesystem>

#include <unistd.h>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/machine/calibration.h"
#include "experiments/report/report.h"
#include "experiments/run/progress.h"
#include "roofline/fit.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/inference/peaks.h"

namespace ridgewalk {
namespace {

constexpr double kSmallestSetKib = 16;      // of a thread
constexpr double kLargestSetKib = 1 << 20;  // beyond every cache: memory itself
// Over the networks in turn, so that no moment of a busy machine is the whole of one's time.
constexpr int kPasses = 3;
constexpr int kResamples = 20;

Sourced sourced(const MeasuredRate& rate, const std::string& source) {
  return {.value = four_digits(rate.value),
          .source = fmt::format("{}, spread {:.1f} %", source, 100 * rate.spread)};
}

struct TimedNetworks {
  std::vector<TimedNetwork> networks;
  std::vector<double> probes;  // seconds
};

// Of each network the pass that took the median.
TimedNetworks time_networks(const std::vector<Architecture>& architectures, DataType precision,
                            const TimingOptions& options, bool quiet) {
  TimedNetworks timed;
  std::vector<std::vector<Timing>> passes(architectures.size());
  Progress progress("calibrate", 0, kPasses * int(architectures.size()), 0, quiet);
  int done = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    for (size_t i = 0; i < architectures.size(); ++i) {
      progress.update(done, architectures[i].name);
      if (done++ % kProbeEvery == 0) timed.probes.push_back(time_probe(precision, options));
      TimedNetwork network = time_network(architectures[i], precision, options);
      passes[i].push_back(std::move(network.timing));
      if (pass == 0) timed.networks.push_back(std::move(network));
    }
  }
  for (size_t i = 0; i < passes.size(); ++i) {
    std::sort(passes[i].begin(), passes[i].end(),
              [](const Timing& a, const Timing& b) { return a.median_seconds < b.median_seconds; });
    timed.networks[i].timing = std::move(passes[i][kPasses / 2]);
  }
  return timed;
}

// No larger than a quarter of what the system has left.
double largest_set_kib() {
  const double free_kib = double(sysconf(_SC_AVPHYS_PAGES)) * double(sysconf(_SC_PAGESIZE)) / 1024;
  return std::min(kLargestSetKib, free_kib / 4);
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
  if (profile.working_sets.empty())
    throw Error("too little free memory to measure its bandwidth; free some");
  profile.bandwidth_gbps = profile.working_sets.back().gbps;
}

void fit_effective(const std::vector<TimedNetwork>& networks, const std::string& source,
                   Profile& profile) {
  std::vector<Measured> measured;
  for (const TimedNetwork& network : networks) {
    // calibration_networks() has no network twice.
    measured.push_back(
        {network_work(network.graph.name, network.graph, profile.data_type, ByteConvention::kMnv4),
         {network.timing.median_seconds},
         std::to_string(measured.size())});
  }
  std::vector<const Measured*> all;
  for (const Measured& one : measured) all.push_back(&one);
  const Fit fitted = fit(all, {});
  const auto figure = [&](double value) { return Sourced{four_digits(value), source}; };
  profile.effective_ridge_point = figure(fitted.ridge_point.value);
  profile.effective_peak_gmacs = figure(1e-9 / fitted.seconds_per_mac);
}

std::string agreement_text(const Agreement& agreement) {
  return fmt::format(
      "mean error {:.1f} %, {:.0f} % within 5 %, {:.0f} % within 10 %, Spearman {:.3f}",
      100 * agreement.mean_error, 100 * agreement.within_5, 100 * agreement.within_10,
      agreement.spearman);
}

// Elements of other kinds are held against no peak.
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

}  // namespace

int calibrate_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "calibrate --out PROFILE.yaml [--threads N] [--precision fp32|bf16]",
      "Measures this machine's CPU: peaks by data type, bandwidth by working set, and what\n"
      "each kind of op takes, from the ops of random networks. Writes a profile with the\n"
      "spread of each figure, for `describe --profile` and `sweep --measure`. Some minutes;\n"
      "leave the machine alone meanwhile.",
      nullptr, 0);
  line.add()("networks", po::value<int>()->default_value(80), "random networks to measure");
  line.add()("seconds", po::value<double>()->default_value(0.1), "of runs in each repeat");
  line.add()("repeats", po::value<int>()->default_value(3), "in each of three passes");
  line.add()("seed", po::value<int64_t>()->default_value(0), "of the networks");
  line.add()("out", po::value<std::string>(), "profile to write");
  line.add_session_options("1", "fp32");
  if (!line.parse(arguments)) return 0;
  const std::string out = line.required("out");
  const Session session = line.session(1, "fp32");
  if (!session.compute.device.is_cpu()) throw Error("--device: calibrate measures the CPU alone");
  const int count = line.get<int>("networks");
  if (count < 16 || count > 10000) throw Error("--networks must be from 16 to 10000");
  const TimingOptions timing{.threads = at::get_num_threads(),
                             .repeats = line.get<int>("repeats"),
                             .seconds = line.get<double>("seconds"),
                             .per_step = true};
  validate(timing);
  const DataType precision = session.compute.precision;
  const std::string machine =
      fmt::format("{}, {} thread{}", cpu_name(), timing.threads, timing.threads == 1 ? "" : "s");
  const std::string source = "measured by ridgewalk calibrate, " + now_text();
  Profile profile{.name = std::filesystem::path(out).stem().string(),
                  .description = machine + ", " + std::string(to_string(precision)),
                  .data_type = precision,
                  .machine = cpu_name(),
                  .threads = timing.threads};

  { const FileWriter refuses_a_bad_path_now(out); }
  const std::vector<Architecture> architectures = calibration_networks(count, line.seed());
  {
    constexpr int kAbout = std::size(kValues<DataType>) + 9;  // types, and sets up to 1 GiB
    Progress progress("bare machine", 0, kAbout, 0, line.has("quiet"));
    measure_bare_machine(timing.threads, source, progress, profile);
  }
  const auto [networks, probes] =
      time_networks(architectures, precision, timing, line.has("quiet"));
  profile.probe_ms = sourced({1e3 * quantile(probes, 0.5), relative_spread(probes)}, source);
  fit_effective(networks, fmt::format("fitted to {} random networks {}", count, source), profile);
  const Agreement held_out = held_out_agreement(networks, profile);
  profile.op_laws =
      fit_op_laws(networks, profile.data_type, profile.read_bandwidths(), kResamples, line.seed());
  profile.op_laws_source =
      fmt::format("{} random networks, {}; predicted by laws of the others: {}", count, source,
                  agreement_text(held_out));
  write_file(out, to_yaml(profile));
  if (!line.has("quiet")) print(profile);
  return 0;
}

}  // namespace ridgewalk
