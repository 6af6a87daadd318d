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

// "stages.1" of the block "stages.1.2".
std::string stage_of(const std::string& block) { return block.substr(0, block.rfind('.')); }

// A space's choices by name.
class Choices {
 public:
  explicit Choices(const SearchSpace& space) : list_(choices(space)), decisions_(list_.size(), 0) {
    for (size_t i = 0; i < list_.size(); ++i) index_[list_[i].name] = i;
    decided_.resize(list_.size());
  }

  bool has(const std::string& name) const { return index_.contains(name); }

  // Whether a block of a stage has this name: choices' names begin with it.
  bool has_block(const std::string& name) const {
    const auto next = index_.lower_bound(name + ".");
    return has(stage_of(name) + ".depth") && next != index_.end() &&
           next->first.starts_with(name + ".");
  }

  bool has_option(const std::string& name, const std::string& option) const {
    if (!has(name)) return false;
    const std::vector<std::string>& options = list_[index_.at(name)].options;
    return std::find(options.begin(), options.end(), option) != options.end();
  }

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

// The places of a code: choices, and the blocks of a stage from its first on.
std::vector<std::string> read_places(const YamlSource& source, const Choices& choices) {
  if (!source.node.IsSequence()) source.fail("'places' must be a list");
  std::vector<std::string> places;
  std::map<std::string, int> blocks;  // so far, by stage
  for (const auto& node : source.node) {
    const YamlSource place{node, source.file};
    const auto name = yaml_value<std::string>(place, "a place");
    if (std::find(places.begin(), places.end(), name) != places.end()) {
      place.fail("'" + name + "' is a place already; remove one");
    }
    places.push_back(name);
    if (choices.has(name)) continue;
    if (!choices.has_block(name)) {
      place.fail("the space has no block and no choice '" + name + "'");
    }
    const std::string next = stage_of(name) + "." + std::to_string(blocks[stage_of(name)]++);
    if (name != next) place.fail("'" + name + "' stands where '" + next + "' belongs");
  }
  if (places.empty()) source.fail("'places' is empty");
  return places;
}

// What a symbol stands for, which must be possible at one of the places.
NetworkCode::Meaning read_meaning(const YamlSource& source, const std::vector<std::string>& places,
                                  const Choices& choices) {
  NetworkCode::Meaning meaning;
  const auto somewhere = [&](const auto& is_possible) {
    return std::any_of(places.begin(), places.end(), is_possible);
  };
  if (!source.node.IsMap()) {
    meaning.option = yaml_value<std::string>(source, "what a symbol stands for");
    meaning.is_absent = meaning.option == "none";
    if (!meaning.is_absent && !somewhere([&](const std::string& place) {
          return choices.has_option(place, meaning.option);
        })) {
      source.fail("'" + meaning.option + "' is an option of no choice among the places");
    }
    return meaning;
  }
  for (const auto& entry : source.node) {
    const YamlSource value{entry.second, source.file};
    const std::string choice = yaml_value<std::string>({entry.first, source.file}, "a choice");
    const auto option = yaml_value<std::string>(value, "an option");
    if (!meaning.options.emplace(choice, option).second) {
      value.fail("'" + choice + "' is given twice; remove one");
    }
    if (!somewhere([&](const std::string& place) { return choices.has(place + "." + choice); })) {
      value.fail("no block among the places has a choice '" + choice + "'");
    }
    if (!somewhere([&](const std::string& place) {
          return choices.has_option(place + "." + choice, option);
        })) {
      value.fail("'" + option + "' is an option of '" + choice + "' in no block among the places");
    }
  }
  return meaning;
}

}  // namespace

NetworkCode load_network_code(const std::string& path, const SearchSpace& space) {
  FieldReader reader(parse_yaml(read_file(path), path));
  const Choices choices(space);
  NetworkCode code;
  reader.optional("separator", code.separator);
  code.places = read_places(reader.child("places"), choices);
  if (reader.has("symbols")) {
    const YamlSource symbols = reader.child("symbols");
    if (!symbols.node.IsMap()) symbols.fail("'symbols' must be a mapping");
    for (const auto& entry : symbols.node) {
      const YamlSource value{entry.second, path};
      const auto symbol = yaml_value<std::string>({entry.first, path}, "a symbol");
      if (!code.symbols.emplace(symbol, read_meaning(value, code.places, choices)).second) {
        value.fail("the symbol '" + symbol + "' is given twice; remove one");
      }
    }
  }
  reader.finish();
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
