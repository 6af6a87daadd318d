// What the subcommands' command lines have in common.
#pragma once

#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "experiments/commands/commands.h"
#include "experiments/run/context.h"
#include "roofline/cost.h"
#include "space/architecture.h"
#include "space/error.h"

namespace ridgewalk {

// The options of one subcommand. Construct, add() what is its own, then parse().
class CommandLine {
 public:
  // `usage` is the line after "Usage: ridgewalk "; `positional` the name of the words without a
  // dash, `most` how many there may be (-1 for any).
  CommandLine(std::string usage, std::string about, const char* positional, int most);

  boost::program_options::options_description_easy_init add() { return options_.add_options(); }
  void add_input_options();  // --resolution, --classes, --channels, the arguments of `custom`
  // --threads, --device, --precision; the defaults that are stated are those given to session().
  void add_session_options(const char* threads = "all cores", const char* precision = "auto");

  // --strict and, unless a configuration has it, --crop-fraction.
  void add_data_options(bool crop_fraction = true);
  void add_loader_options();  // --loader-threads

  // False after --help has been printed. Throws Error on an unknown or malformed option.
  bool parse(const Arguments& arguments);

  bool has(const char* name) const { return values_.count(name) > 0; }
  // By the user, not by default.
  bool given(const char* name) const { return has(name) && !values_[name].defaulted(); }
  template <class T>
  T get(const char* name) const {
    return values_[name].as<T>();
  }
  // Throws Error saying that the option is needed.
  std::string required(const char* name) const;
  std::vector<std::string> words() const;
  // --seed, an int64_t. Throws Error below 0.
  uint64_t seed() const;

  // A catalogue name, a file or `custom`, with --resolution, --classes and --channels applied.
  Architecture architecture(const std::string& name_or_path) const;
  // How the images of a folder are read for a network of this resolution. Throws Error.
  FolderOptions folder_options(int resolution) const;
  // Sets the number of threads (all cores unless --threads says otherwise, or `threads`, if not 0).
  Session session(int threads = 0, const std::string& precision = "auto") const;

 private:
  Architecture custom_architecture() const;

  std::string usage_, about_;
  boost::program_options::options_description options_;
  boost::program_options::positional_options_description positional_;
  boost::program_options::variables_map values_;
};

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
Dataset dataset_of(const SearchConfig& config, const CommandLine& line);

// The command as a shell takes it.
std::string command_text(const std::string& command, const Arguments& arguments);

// "0:500" or "0,5,31.2": ends of a sweep of `count` points, or the points themselves. Throws Error.
std::vector<MacsPerByte> parse_ridge_points(const std::string& text, int count,
                                            const std::string& option = "--ridge");
// The value of --dtype. Throws Error.
DataType parse_data_type(const std::string& name);
// The value of --bytes. Throws Error.
ByteConvention parse_byte_convention(const std::string& name);

}  // namespace ridgewalk
