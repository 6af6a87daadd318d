#include "experiments/evidence/network_code.h"

#include <algorithm>
#include <optional>

#include "space/error.h"
#include "space/file.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

std::vector<std::string> symbols_of(const std::string& name, const std::string& separator) {
  std::vector<std::string> symbols;
  if (separator.empty()) {
    for (char symbol : name) symbols.emplace_back(1, symbol);
    return symbols;
  }
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find(separator, begin), name.size());
    symbols.push_back(name.substr(begin, end - begin));
    begin = end + separator.size();
  }
  return symbols;
}

NetworkCode::Meaning meaning_of(const YamlSource& source) {
  NetworkCode::Meaning meaning;
  if (source.node.IsMap()) {
    for (const auto& entry : source.node) {
      const YamlSource value{entry.second, source.file};
      meaning.options[entry.first.Scalar()] = yaml_value<std::string>(value, "an option");
    }
    return meaning;
  }
  meaning.option = yaml_value<std::string>(source, "what a symbol stands for");
  meaning.is_absent = meaning.option == "none";
  return meaning;
}

// A space's choices by name.
class Choices {
 public:
  explicit Choices(const SearchSpace& space) : list_(choices(space)), decisions_(list_.size(), 0) {
    for (size_t i = 0; i < list_.size(); ++i) index_[list_[i].name] = i;
    decided_.resize(list_.size());
  }

  bool has(const std::string& name) const { return index_.contains(name); }

  void decide(const std::string& name, const std::string& option) {
    const auto at = index_.find(name);
    if (at == index_.end()) throw Error("the space has no choice '" + name + "'");
    const std::vector<std::string>& options = list_[at->second].options;
    const auto found = std::find(options.begin(), options.end(), option);
    if (found == options.end()) {
      throw Error("'" + option + "' is not among the space's options of '" + name + "'");
    }
    decisions_[at->second] = int(found - options.begin());
    decided_[at->second] = true;
  }

  // Throws Error where a choice of several options that matters is left open.
  Decisions finished(const SearchSpace& space) {
    deactivate_unused(space, choice_layout(space), decisions_);
    for (size_t i = 0; i < list_.size(); ++i) {
      if (decided_[i] || decisions_[i] == kInactive || list_[i].options.size() == 1) continue;
      throw Error("no place of the code decides '" + list_[i].name + "'");
    }
    return decisions_;
  }

 private:
  std::vector<Choice> list_;
  Decisions decisions_;
  std::map<std::string, size_t> index_;
  std::vector<bool> decided_;
};

// "stages.1" of the block "stages.1.2".
std::string stage_of(const std::string& block) { return block.substr(0, block.rfind('.')); }

}  // namespace

NetworkCode load_network_code(const std::string& path) {
  const YamlSource source = parse_yaml(read_file(path), path);
  if (!source.node.IsMap()) source.fail("a code has the keys separator, places and symbols");
  NetworkCode code;
  for (const auto& entry : source.node) {
    const std::string& key = entry.first.Scalar();
    const YamlSource value{entry.second, path};
    if (key == "separator") {
      code.separator = yaml_value<std::string>(value, key);
    } else if (key == "places" && value.node.IsSequence()) {
      for (const auto& place : value.node) {
        code.places.push_back(yaml_value<std::string>({place, path}, "a place"));
      }
    } else if (key == "symbols" && value.node.IsMap()) {
      for (const auto& symbol : value.node) {
        code.symbols[symbol.first.Scalar()] = meaning_of({symbol.second, path});
      }
    } else {
      value.fail("'" + key + "' is not separator, a list of places or a mapping of symbols");
    }
  }
  if (code.places.empty()) source.fail("missing key 'places'");
  return code;
}

Decisions decisions_of(const std::string& name, const NetworkCode& code, const SearchSpace& space) {
  const std::vector<std::string> symbols = symbols_of(name, code.separator);
  if (symbols.size() != code.places.size()) {
    throw Error("'" + name + "' has " + std::to_string(symbols.size()) + " symbols for " +
                std::to_string(code.places.size()) + " places");
  }
  Choices choices(space);
  std::map<std::string, int> blocks;  // that are there, by stage
  for (size_t i = 0; i < symbols.size(); ++i) {
    const std::string& place = code.places[i];
    const auto found = code.symbols.find(symbols[i]);
    if (choices.has(place)) {
      choices.decide(place, found == code.symbols.end() ? symbols[i] : found->second.option);
      continue;
    }
    if (found == code.symbols.end()) {
      throw Error("the code does not say what the symbol '" + symbols[i] + "' stands for");
    }
    int& count = blocks[stage_of(place)];
    if (found->second.is_absent) {
      // What follows would begin the stage, with its stride, and be another network.
      if (count == 0) throw Error("'" + name + "' leaves the first block of a stage out");
      continue;
    }
    const std::string block = stage_of(place) + "." + std::to_string(count++) + ".";
    for (const auto& [choice, option] : found->second.options)
      choices.decide(block + choice, option);
  }
  for (const auto& [stage, count] : blocks) choices.decide(stage + ".depth", std::to_string(count));
  return choices.finished(space);
}

}  // namespace ridgewalk
