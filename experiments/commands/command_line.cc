#include "experiments/commands/command_line.h"

#include <iostream>
#include <sstream>
#include <thread>

#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/compact.h"
#include "space/error.h"

namespace ridgewalk {

namespace po = boost::program_options;

namespace {

struct PlanOption {
  const char* name;
  int CompactPlan::*field;
  const char* about;
};
constexpr PlanOption kPlanOptions[] = {
    {"base", &CompactPlan::base, "channels of every block"},
    {"expanded", &CompactPlan::expanded, "channels within a block"},
    {"n1", &CompactPlan::n1, "stride-2 convolution pairs"},
    {"n2", &CompactPlan::n2, "pairs of ConvNext and ExtraDW"},
    {"n3", &CompactPlan::n3, "pairs of gate and ConvNext"},
    {"n4", &CompactPlan::n4, "pairs of gate and attention"},
    {"heads", &CompactPlan::heads, "query heads; they divide base"},
    {"kv-stride", &CompactPlan::kv_stride, "of the attention's keys and values, 1 or 2"},
    {"hidden", &CompactPlan::hidden, "features before the classifier"},
};

}  // namespace

CommandLine::CommandLine(std::string usage, std::string about, const char* positional, int most)
    : usage_(std::move(usage)), about_(std::move(about)), options_("Options") {
  add()("help,h", "print this");
  add()("quiet,q", "no progress, no log on stderr");
  if (positional != nullptr) {
    add()(positional, po::value<std::vector<std::string>>()->composing());
    positional_.add(positional, most);
  }
}

void CommandLine::add_input_options() {
  add()("resolution", po::value<int>(), "input height and width in pixels");
  add()("classes", po::value<int>(), "classes of the head");
  add()("channels", po::value<int>(), "channels of the input");
  po::options_description custom("The network `custom` (space/compact.h)");
  for (const PlanOption& option : kPlanOptions) {
    custom.add_options()(option.name, po::value<int>(), option.about);
  }
  custom.add_options()("squeezed", po::value<int>(), "channels within a gate (default: base / 4)");
  custom.add_options()("squeeze-ratio", po::value<double>(), "squeezed / base");
  custom.add_options()("dropout", po::value<double>(), "before the classifier");
  options_.add(custom);
}

void CommandLine::add_session_options(const char* threads, const char* precision) {
  const std::string threads_text = std::string("CPU threads (default: ") + threads + ")";
  const std::string precision_text = std::string("auto, fp32 or bf16 (default: ") + precision + ")";
  add()("threads", po::value<int>(), threads_text.c_str());
  add()("device", po::value<std::string>()->default_value("cpu"), "cpu or cuda");
  add()("precision", po::value<std::string>(), precision_text.c_str());
}

void CommandLine::add_data_options(bool crop_fraction) {
  add()("strict", "stop at an image file that cannot be decoded");
  if (!crop_fraction) return;
  add()("crop-fraction", po::value<double>()->default_value(FolderOptions{}.crop_fraction, "0.875"),
        "of an image file's shorter side that is shown when it is not cropped at random");
}

void CommandLine::add_loader_options() {
  add()("loader-threads", po::value<int>(),
        "that make batches ahead (default: as --threads for files and rand_augment, else 0)");
}

bool CommandLine::parse(const Arguments& arguments) {
  try {
    po::store(po::command_line_parser(arguments).options(options_).positional(positional_).run(),
              values_);
    po::notify(values_);
  } catch (const po::error& error) {
    throw Error("ridgewalk " + usage_.substr(0, usage_.find(' ')) + ": " + error.what() +
                "; --help lists the options");
  }
  if (!has("help")) return true;
  std::cout << "Usage: ridgewalk " << usage_ << "\n\n" << about_ << "\n\n" << options_;
  return false;
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

uint64_t CommandLine::seed() const {
  const auto seed = get<int64_t>("seed");
  if (seed < 0) throw Error("--seed must be at least 0");
  return uint64_t(seed);
}

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
    throw Error(std::string("--") + option + " is for the network `custom` alone");
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

FolderOptions CommandLine::folder_options(int resolution) const {
  FolderOptions options{.resolution = resolution, .strict = has("strict"), .quiet = has("quiet")};
  if (has("crop-fraction")) options.crop_fraction = get<double>("crop-fraction");
  if (!(options.crop_fraction >= 0.01 && options.crop_fraction <= 1)) {
    throw Error("--crop-fraction must be from 0.01 to 1");
  }
  return options;
}

Session CommandLine::session(int threads, const std::string& precision) const {
  if (has("threads")) {
    threads = get<int>("threads");
    if (threads < 1 || threads > 4096) throw Error("--threads must be from 1 to 4096");
  }
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  at::set_num_threads(std::max(1, threads));
  Session session{.compute = {}, .quiet = has("quiet")};
  const auto device = get<std::string>("device");
  if (device == "cuda") {
    if (!torch::cuda::is_available()) {
      throw Error("--device cuda: this LibTorch finds no CUDA device; leave --device out");
    }
    session.compute.device = torch::kCUDA;
  } else if (device != "cpu") {
    throw Error("--device must be cpu or cuda");
  }
  session.compute.precision = at_option("--precision", [&] {
    return precision_named(has("precision") ? get<std::string>("precision") : precision,
                           session.compute.device);
  });
  if (has("loader-threads")) {
    session.compute.loader_threads = get<int>("loader-threads");
    if (*session.compute.loader_threads < 0 || *session.compute.loader_threads > 1024) {
      throw Error("--loader-threads must be from 0 to 1024");
    }
  }
  return session;
}

DataType parse_data_type(const std::string& name) {
  return option_named<DataType>("--dtype", name);
}

Dataset dataset_of(const SearchConfig& config, const CommandLine& line) {
  const auto& resolutions = config.space.resolution;
  FolderOptions folder =
      line.folder_options(*std::max_element(resolutions.begin(), resolutions.end()));
  folder.crop_fraction = config.crop_fraction;
  const Distillation& distillation =
      config.weights.distillation.labels ? config.weights.distillation : config.train.distillation;
  return load_dataset(config.data, config.search_validation, split_seed(distillation, config.seed),
                      folder);
}

std::string command_text(const std::string& command, const Arguments& arguments) {
  const std::string plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  std::string text = "ridgewalk " + command;
  for (const std::string& word : arguments) {
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

ByteConvention parse_byte_convention(const std::string& name) {
  return option_named<ByteConvention>("--bytes", name);
}

std::vector<MacsPerByte> parse_ridge_points(const std::string& text, int count,
                                            const std::string& option) {
  const auto number = [&](const std::string& part) {
    char* end = nullptr;
    const double value = std::strtod(part.c_str(), &end);
    if (part.empty() || *end != '\0' || !(value >= 0 && value <= 1e6)) {
      throw Error(option + ": '" + part + "' is no ridge point; give a:b or a list like 0,5,31.2");
    }
    return value;
  };
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    return ridge_points(number(text.substr(0, colon)), number(text.substr(colon + 1)), count);
  }
  std::vector<MacsPerByte> points;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) points.push_back({number(part)});
  if (points.empty()) throw Error(option + " is empty; give a:b or a list like 0,5,31.2");
  return points;
}

}  // namespace ridgewalk
