// What the subcommands' command lines have in common.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <boost/program_options.hpp>

#include "experiments/commands/commands.h"
#include "experiments/machine/launcher.h"
#include "experiments/run/context.h"
#include "experiments/run/work_folder.h"
#include "roofline/cost.h"
#include "space/architecture.h"
#include "space/error.h"
#include "space/number.h"

namespace ridgewalk {

inline constexpr int kLargestResolution = 8192,
                     kMostClasses = 1'000'000;  // of --resolution, --classes

// The options of one subcommand. Construct, add() what is its own, then parse().
class CommandLine {
 public:
  // `usage` is the line after "Usage: ridgewalk "; `positional` the name of the words without a
  // dash, `most` how many there may be (-1 for any).
  CommandLine(std::string usage, std::string about, const char* positional, int most);

  // Flags and texts. Numbers have add_number().
  boost::program_options::options_description_easy_init add() { return options_.add_options(); }
  // A number (int, int64_t or double) from `low` to `high`, and what it is where it is not given.
  // --help states the range and parse() checks it, before anything else is done.
  template <class T>
  void add_number(const char* name, std::type_identity_t<T> low, std::type_identity_t<T> high,
                  const std::string& about, std::optional<std::type_identity_t<T>> otherwise = {}) {
    auto* value = boost::program_options::value<T>();
    if (otherwise) value->default_value(*otherwise, number_text(double(*otherwise)));
    add_bounds(options_, {name, std::is_integral_v<T>, double(low), double(high)}, about, value);
  }
  void add_seed(const std::string& about, std::optional<int64_t> otherwise = {});  // --seed
  void add_input_options();  // --resolution, --classes, --channels, the arguments of `custom`
  // --threads, --device, --precision; the defaults that are stated are those given to session().
  void add_session_options(const char* threads = "all cores", const char* precision = "auto");
  // --precision takes int8, too: for commands that run quantised networks. To be called first.
  void allow_int8() { takes_int8_ = true; }
  // The same for a command that runs independent pieces of work in lanes: --jobs of them, with one
  // thread each unless told otherwise.
  void add_lanes_options(const std::string& pieces);

  // --strict and, unless a configuration has it, --crop-fraction.
  void add_data_options(bool crop_fraction = true);
  void add_crop_option();
  void add_group_options();                             // --group-timeout
  void add_loader_options();                            // --loader-threads
  void add_workers_options(const std::string& trials);  // --workers, --lease

  // False after --help has been printed. Throws Error on an unknown or malformed option and on a
  // number out of its range.
  bool parse(const Arguments& arguments);

  // After parse(): waits for the processes that a launcher started beside this one, if it did. Then
  // session() has their group; others than the first are quiet. Throws Error.
  ProcessGroup* join_group();

  bool has(const char* name) const { return values_.count(name) > 0; }
  // By the user, not by default.
  bool given(const char* name) const { return has(name) && !values_[name].defaulted(); }
  template <class T>
  T get(const char* name) const {
    return values_[name].as<T>();
  }
  // Nothing where the option is absent.
  template <class T>
  std::optional<T> find(const char* name) const {
    return has(name) ? std::optional(get<T>(name)) : std::nullopt;
  }
  // Throws Error saying that the option is needed.
  std::string required(const char* name) const;
  std::vector<std::string> words() const;
  uint64_t seed() const;
  std::optional<Workers> workers() const;  // nothing without --workers

  // A catalogue name, a file or `custom`, with --resolution, --classes and --channels applied.
  Architecture architecture(const std::string& name_or_path) const;
  // The same; throws Error for a detector.
  Architecture classifier(const std::string& name_or_path) const;
  // Those that this process shares with no other of its group.
  int usable_cores() const;
  // How the images of a folder are read for a network of this resolution.
  FolderOptions folder_options(int resolution) const;
  // Sets the number of threads: --threads, else `threads`, or where that is 0 all usable cores;
  // with add_lanes_options() one, and as many lanes as there are cores for them unless --jobs says
  // otherwise. Warns of more threads than cores, those of loaders aside. The precision is
  // --precision, else `precision`; "auto" is that of the run in --out, where that is resumed, or of
  // the trials in --workers, else what this machine trains faster in. Throws Error for far more
  // threads than cores, an unknown device or precision.
  Session session(int threads = 0, const std::string& precision = "auto") const;

 private:
  struct Number {
    std::string name;
    bool is_whole;
    double low, high;
  };
  void add_bounds(boost::program_options::options_description& options, const Number& number,
                  const std::string& about, const boost::program_options::value_semantic* value);
  void check(const Number& number, const std::string& text) const;
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail_unknown(const std::string& option) const;
  Architecture custom_architecture() const;
  int set_threads_and_lanes(int threads) const;
  DataType precision(const std::string& name, torch::Device device) const;
  bool is_quiet() const { return has("quiet") || (group_ && !group_->is_first()); }

  std::string usage_, about_;
  boost::program_options::options_description options_;
  boost::program_options::positional_options_description positional_;
  boost::program_options::variables_map values_;
  std::vector<Number> numbers_;
  std::optional<Launch> launch_;
  std::shared_ptr<ProcessGroup> group_;
  bool takes_int8_ = false;
};

// What a command does that may run in several processes: parses, joins its group, catches
// interrupts and returns the exit code of `run`, as as_member() has it.
int run_in_group(CommandLine& line, const Arguments& arguments, const std::function<int()>& run);

// `threads`, with a warning on stderr when the process may not use as many cores, unless `quiet`;
// with several jobs, of as many in each. Throws Error for more than 64 that are also more than
// eight for each core.
int checked_threads(int threads, bool quiet, int jobs = 1);

// Runs `make`, naming the option in what it throws.
template <class Make>
auto at_option(const std::string& option, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    throw Error(option + ": " + error.what());
  }
}

// The value of an option that names one of an enum's. Throws Error.
template <Named Enum>
Enum option_named(const std::string& option, const std::string& name) {
  return at_option(option, [&] { return value_named<Enum>(name); });
}

// The data of a search, split as it says. Throws Error.
Dataset dataset_of(const SearchConfig& config, const CommandLine& line,
                   const std::string& weights = "");

// The data of --data, held against what the weights say they were trained on, with images cut out
// and normalised as they were then. Throws Error.
Dataset data_to_evaluate(const std::string& weights, const Architecture& architecture,
                         const CommandLine& line, const Session& session, bool holds_out = false);

// The command as a shell takes it, without --resume, --workers and --lease: a report depends
// neither on interruptions nor on who did the work.
std::string command_text(const std::string& command, const Arguments& arguments);

// "0:500" or "0,5,31.2": the ends of a sweep of `count` points, or the points themselves, at most
// 10,000. Throws Error.
std::vector<MacsPerByte> parse_ridge_points(const std::string& text, int count,
                                            const std::string& option = "--ridge");

// Throws Error where `out` is the file `input`, or one that is read of the folder `input`, under
// whatever path: what is read is not replaced.
void refuse_overwriting(const std::string& out, const std::string& input);

// Throws Error where no folder `out` can be made or written to, before the work whose results it
// shall hold. Makes nothing.
void require_possible_folder(const std::string& out);

}  // namespace ridgewalk
