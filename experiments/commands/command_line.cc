#include "experiments/commands/command_line.h"

#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <limits>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/compact.h"
#include "space/error.h"
#include "space/file.h"
#include "space/number.h"
#include "space/suggestion.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {

namespace po = boost::program_options;

namespace {

constexpr int kLargestWidth = 65536;

struct PlanOption {
  const char* name;
  int CompactPlan::* field;
  int low, high;
  const char* about;
};
constexpr PlanOption kPlanOptions[] = {
    {"base", &CompactPlan::base, 1, kLargestWidth, "channels of every block"},
    {"expanded", &CompactPlan::expanded, 1, kLargestWidth, "channels within a block"},
    {"n1", &CompactPlan::n1, 0, 12, "stride-2 convolution pairs"},
    {"n2", &CompactPlan::n2, 0, 1000, "pairs of ConvNext and ExtraDW"},
    {"n3", &CompactPlan::n3, 0, 1000, "pairs of gate and ConvNext"},
    {"n4", &CompactPlan::n4, 0, 1000, "pairs of gate and attention"},
    {"heads", &CompactPlan::heads, 1, 256, "query heads; they divide base"},
    {"kv-stride", &CompactPlan::kv_stride, 1, 2, "of the attention's keys and values"},
    {"hidden", &CompactPlan::hidden, 1, kLargestWidth, "features before the classifier"},
};

// "from 1 to 8", or "at least 0" where the upper end does not matter.
std::string range_text(double low, double high) {
  return high > 1e12 ? fmt::format("at least {}", low) : fmt::format("from {} to {}", low, high);
}

}  // namespace

CommandLine::CommandLine(std::string usage, std::string about, const char* positional, int most)
    : usage_(std::move(usage)), about_(std::move(about)), options_("Options") {
  add()("help,h", "print this help");
  add()("quiet,q", "no progress and no log on stderr");
  if (positional != nullptr) {
    add()(positional, po::value<std::vector<std::string>>()->composing());
    positional_.add(positional, most);
  }
}

void CommandLine::add_bounds(po::options_description& options, const Number& number,
                             const std::string& about, const po::value_semantic* value) {
  numbers_.push_back(number);
  const std::string text = about + ", " + range_text(number.low, number.high);
  options.add_options()(number.name.c_str(), value, text.c_str());
}

void CommandLine::add_seed(const std::string& about, std::optional<int64_t> otherwise) {
  add_number<int64_t>("seed", 0, std::numeric_limits<int64_t>::max(), about, otherwise);
}

void CommandLine::add_input_options() {
  add_number<int>("resolution", 1, kLargestResolution, "input height and width in pixels");
  add_number<int>("classes", 1, kMostClasses, "classes of the head");
  add_number<int>("channels", 1, 1024, "channels of the input");
  po::options_description custom("The network `custom` (space/compact.h)");
  for (const auto& [name, field, low, high, about] : kPlanOptions) {
    add_bounds(custom, {name, true, double(low), double(high)}, about, po::value<int>());
  }
  add_bounds(custom, {"squeezed", true, 1, kLargestWidth}, "channels within a gate (base / 4)",
             po::value<int>());
  add_bounds(custom, {"squeeze-ratio", false, 1e-6, 16}, "squeezed / base", po::value<double>());
  add_bounds(custom, {"dropout", false, 0, 0.99}, "before the classifier", po::value<double>());
  options_.add(custom);
}

void CommandLine::add_data_options(bool crop_fraction) {
  add()("strict", "stop at an image file that cannot be decoded");
  if (crop_fraction) add_crop_option();
}

void CommandLine::add_crop_option() {
  add_number<double>("crop-fraction", 0.01, 1,
                     "share of an image file's shorter side that is kept where the crop is not "
                     "random",
                     FolderOptions{}.crop_fraction);
}

bool CommandLine::parse(const Arguments& arguments) {
  try {
    const po::parsed_options parsed =
        po::command_line_parser(arguments).options(options_).positional(positional_).run();
    for (const po::option& option : parsed.options) {
      for (const Number& number : numbers_) {
        if (number.name == option.string_key) check(number, option.value.at(0));
      }
    }
    po::store(parsed, values_);
    po::notify(values_);
  } catch (const po::unknown_option& error) {
    fail_unknown(error.get_option_name());
  } catch (const po::error& error) {
    fail(std::string(error.what()) + "; --help lists the options");
  }
  if (!has("help")) return true;
  std::cout << "Usage: ridgewalk " << usage_ << "\n\n" << about_ << "\n\n" << options_;
  return false;
}

void CommandLine::check(const Number& number, const std::string& text) const {
  const std::optional<int64_t> whole = parse_whole(text);
  const std::optional<double> value = !number.is_whole ? parse_real(text)
                                      : whole          ? std::optional(double(*whole))
                                                       : std::nullopt;
  if (!value) fail("--" + number.name + ": " + number_complaint(text, number.is_whole));
  if (!(*value >= number.low && *value <= number.high)) {
    fail("--" + number.name + " is " + text + "; it must be " +
         range_text(number.low, number.high));
  }
}

void CommandLine::fail(const std::string& message) const {
  throw Error("ridgewalk " + usage_.substr(0, usage_.find(' ')) + ": " + message);
}

void CommandLine::fail_unknown(const std::string& option) const {
  std::vector<std::string> known;
  for (const auto& one : options_.options()) {
    const std::string& name = one->long_name();
    if (positional_.max_total_count() == 0 || name != positional_.name_for_position(0)) {
      known.push_back("--" + name);
    }
  }
  fail("unknown option '" + option + "'; " + suggestion(option, known) + " (--help lists all)");
}

std::string CommandLine::required(const char* name) const {
  if (!has(name)) throw Error(std::string("--") + name + " is missing; usage: ridgewalk " + usage_);
  return get<std::string>(name);
}

std::vector<std::string> CommandLine::words() const {
  const std::string name = positional_.name_for_position(0);
  if (!has(name.c_str())) throw Error("an argument is missing; usage: ridgewalk " + usage_);
  return get<std::vector<std::string>>(name.c_str());
}

uint64_t CommandLine::seed() const { return uint64_t(get<int64_t>("seed")); }

Architecture CommandLine::custom_architecture() const {
  CompactPlan plan;
  for (const PlanOption& option : kPlanOptions) {
    if (has(option.name)) plan.*option.field = get<int>(option.name);
  }
  if (has("squeezed")) plan.squeezed = get<int>("squeezed");
  if (has("squeeze-ratio")) plan.squeeze_ratio = get<double>("squeeze-ratio");
  if (has("dropout")) plan.dropout = get<double>("dropout");
  Architecture architecture{.name = "custom", .resolution = 32};
  apply(plan, architecture);
  return architecture;
}

Architecture CommandLine::architecture(const std::string& name_or_path) const {
  const bool is_custom = name_or_path == "custom";
  const auto refuse_unless_custom = [&](const char* option) {
    if (is_custom || !has(option)) return;
    throw Error(std::string("--") + option + " is only for the network `custom`");
  };
  for (const PlanOption& option : kPlanOptions) refuse_unless_custom(option.name);
  refuse_unless_custom("squeezed");
  refuse_unless_custom("squeeze-ratio");
  refuse_unless_custom("dropout");
  Architecture architecture = is_custom ? custom_architecture() : find_architecture(name_or_path);
  if (has("resolution")) architecture.resolution = get<int>("resolution");
  if (has("classes")) architecture.classes = get<int>("classes");
  if (has("channels")) architecture.channels = get<int>("channels");
  validate(architecture);
  return architecture;
}

Architecture CommandLine::classifier(const std::string& name_or_path) const {
  Architecture found = architecture(name_or_path);
  require_classifier(found);
  return found;
}

FolderOptions CommandLine::folder_options(int resolution) const {
  FolderOptions options{.resolution = resolution, .strict = has("strict"), .quiet = is_quiet()};
  if (has("crop-fraction")) options.crop_fraction = get<double>("crop-fraction");
  return options;
}

Dataset dataset_of(const SearchConfig& config, const CommandLine& line,
                   const std::string& weights) {
  const auto& resolutions = config.space.resolution;
  FolderOptions folder =
      line.folder_options(*std::max_element(resolutions.begin(), resolutions.end()));
  folder.crop_fraction = config.crop_fraction;
  const Distillation& shared = config.weights.distillation;
  const Distillation& alone = config.train.distillation;
  const bool of_shared = shared.labels || (shared.teacher && !alone.labels);
  const std::string& before = weights.empty() ? config.weights.start : weights;
  Dataset data = load_dataset(config.data, config.search_validation,
                              split_seed(of_shared ? shared : alone, config.seed, before), folder);
  if (!config.weights.start.empty()) {  // then so are all weights that come from it
    if (const auto learned = read_provenance(before)) normalize_as(*learned, data);
  }
  return data;
}

Dataset data_to_evaluate(const std::string& weights, const Architecture& architecture,
                         const CommandLine& line, const Session& session, bool holds_out) {
  const auto provenance = read_provenance(weights);
  FolderOptions folder = line.folder_options(architecture.resolution);
  if (provenance && provenance->crop_fraction > 0 && !line.given("crop-fraction")) {
    folder.crop_fraction = provenance->crop_fraction;
  }
  const bool has_split = holds_out && provenance;
  Dataset data = load_dataset(line.required("data"), has_split ? provenance->held_out : 0,
                              has_split ? provenance->split_seed : 0, folder);
  require_fits(architecture, data);
  if (!provenance) {
    if (!data.class_names.empty()) {
      say(session, fmt::format("{}: does not name its classes; they are taken to be those of {}",
                               weights, data.name));
    }
    return data;
  }
  require_same_classes(*provenance, weights, data);
  normalize_as(*provenance, data);
  say_other_images(*provenance, weights, data, architecture.resolution, session);
  return data;
}

std::string command_text(const std::string& command, const Arguments& arguments) {
  const std::string plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  std::string text = "ridgewalk " + command;
  bool is_left_out = false;  // the value of an option that is
  for (const std::string& word : arguments) {
    const bool is_value = std::exchange(is_left_out, word == "--workers" || word == "--lease");
    if (is_value || is_left_out || word == "--resume" || word.starts_with("--workers=") ||
        word.starts_with("--lease=")) {
      continue;
    }
    text += ' ';
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
      text += word;
      continue;
    }
    text += '\'';
    for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

std::vector<MacsPerByte> parse_ridge_points(const std::string& text, int count,
                                            const std::string& option) {
  const auto number = [&](const std::string& part) {
    const std::optional<double> value = parse_real(part);
    if (!value || !(*value >= 0 && *value <= 1e6)) {
      throw Error(option + ": '" + part +
                  "' is not a ridge point from 0 to 1000000; give a:b or a list like 0,5,31.2");
    }
    return *value;
  };
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    return ridge_points(number(text.substr(0, colon)), number(text.substr(colon + 1)), count);
  }
  std::vector<MacsPerByte> points;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    if (points.size() == kMostRidgePoints) {
      throw Error(fmt::format("{} lists more than {} ridge points; give fewer, or a:b", option,
                              kMostRidgePoints));
    }
    points.push_back({number(part)});
  }
  if (points.empty()) throw Error(option + " is empty; give a:b or a list like 0,5,31.2");
  return points;
}

void refuse_overwriting(const std::string& out, const std::string& input) {
  // The latter are what is read of a folder.
  for (const char* file : {"", "/model.safetensors", "/quantized.yaml", "/architecture.yaml"}) {
    std::error_code ignored;
    if (!std::filesystem::equivalent(out, input + file, ignored)) continue;
    throw Error("--out: '" + out + "' would replace what it is made from; give another file");
  }
}

void require_possible_folder(const std::string& out) {
  std::filesystem::path first = std::filesystem::absolute(out);  // that is there
  while (!path_exists(first.string())) first = first.parent_path();
  if (!is_folder(first.string())) {
    throw Error(out, 0,
                "cannot be made: " + first.string() + " is no folder; choose another --out");
  }
  if (access(first.c_str(), W_OK | X_OK) != 0) {
    throw Error(out, 0,
                "cannot be made: " + first.string() +
                    " is a folder that you may not write to; choose another --out");
  }
}

}  // namespace ridgewalk
