#include "supernet/formats/slices.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

constexpr std::string_view kBlocks = "blocks.", kClassifier = "classifier.";

// "blocks.2.1.pw_exp.conv.weight" in its parts.
struct BlockName {
  int stage = 0, block = 0;
  std::string rest;  // "pw_exp.conv.weight"
};

std::optional<BlockName> block_name(const std::string& name) {
  if (!name.starts_with(kBlocks)) return std::nullopt;
  BlockName parts;
  const char* const end = name.data() + name.size();
  const auto number = [&](const char* from, int& value) -> const char* {
    const auto [after, error] = std::from_chars(from, end, value);
    return error == std::errc() && after < end && *after == '.' ? after + 1 : nullptr;
  };
  const char* const block = number(name.data() + kBlocks.size(), parts.stage);
  const char* const rest = block == nullptr ? nullptr : number(block, parts.block);
  if (rest == nullptr || parts.stage < 0 || parts.block < 0) return std::nullopt;
  parts.rest.assign(rest, end);
  return parts;
}

// What a block is, by the names of its parameters.
enum class Kind { kOther, kUib, kFused, kAttention };

Kind kind_of(const std::string& rest) {
  if (rest.starts_with("attn.")) return Kind::kAttention;
  if (rest.starts_with("pw_exp.")) return Kind::kUib;
  if (rest.starts_with("conv_exp.")) return Kind::kFused;
  return Kind::kOther;
}

// "dw_mid.conv.weight" -> "dw_mid.k5.conv.weight", by the kernel of the block's convolution.
std::string with_kernel(const NamedWeights& network, const std::string& block, std::string rest) {
  for (const std::string option : {"dw_start", "dw_mid"}) {
    if (!rest.starts_with(option + ".")) continue;
    const auto found = network.tensors.find(block + option + ".conv.weight");
    if (found == network.tensors.end() || found->second.dim() != 4) return rest;
    return option + ".k" + std::to_string(found->second.size(3)) + rest.substr(option.size());
  }
  return rest;
}

bool is_same_kernel(const std::vector<int64_t>& own, const torch::Tensor& given) {
  if (given.dim() != int64_t(own.size())) return false;
  for (size_t d = 2; d < own.size(); ++d) {
    if (given.size(int64_t(d)) != own[d]) return false;
  }
  return true;
}

torch::Tensor prefix(torch::Tensor tensor, const std::vector<int64_t>& shape) {
  for (size_t d = 0; d < shape.size(); ++d) tensor = tensor.narrow(int64_t(d), 0, shape[d]);
  return tensor;
}

// Of the networks that may be sliced: shared weights are dense.
void require_dense(const NamedWeights& network, const std::string& path) {
  const std::string projection = "pw_proj.conv.weight";
  for (const auto& [name, tensor] : network.tensors) {
    const auto parts = block_name(name);
    if (!parts || parts->rest != projection || tensor.dim() != 4) continue;
    const auto expansion = network.tensors.find(name.substr(0, name.size() - projection.size()) +
                                                "pw_exp.conv.weight");
    if (expansion == network.tensors.end() || expansion->second.dim() != 4) continue;
    if (tensor.size(1) == expansion->second.size(0)) continue;
    throw Error(path, 0,
                "tensor '" + name +
                    "' is of a convolution in groups, and the space's are dense; give the weights "
                    "of a network without groups");
  }
}

}  // namespace

std::map<std::string, std::string> shared_names(const NamedWeights& network) {
  std::map<std::pair<int, int>, Kind> kinds;  // by stage and block, in their order
  for (const auto& [name, tensor] : network.tensors) {
    if (const auto parts = block_name(name)) {
      Kind& kind = kinds[{parts->stage, parts->block}];
      if (kind == Kind::kOther) kind = kind_of(parts->rest);
    }
  }
  // As lowering names them: UIBs are counted alone, and attention belongs to the one before it.
  std::map<std::pair<int, int>, std::string> prefixes;
  int stage = -1, uibs = 0;
  for (const auto& [place, kind] : kinds) {
    if (place.first != stage) uibs = 0;
    stage = place.first;
    const std::string start = std::string(kBlocks) + std::to_string(stage) + ".";
    const std::string own = start + std::to_string(place.second);
    switch (kind) {
      case Kind::kUib:
        prefixes[place] = start + std::to_string(uibs++) + ".";
        break;
      case Kind::kAttention:
        prefixes[place] = start + std::to_string(uibs - 1) + ".mqa.";
        break;
      case Kind::kFused:
        prefixes[place] = own + ".fused.";
        break;
      case Kind::kOther:
        prefixes[place] = own + ".";
        break;
    }
  }
  std::map<std::string, std::string> shared;
  for (const auto& [name, tensor] : network.tensors) {
    const auto parts = block_name(name);
    if (!parts) {
      shared[name] = name;
      continue;
    }
    const std::string block = name.substr(0, name.size() - parts->rest.size());
    shared[name] =
        prefixes.at({parts->stage, parts->block}) + with_kernel(network, block, parts->rest);
  }
  return shared;
}

SlicesTaken take_slices(const NamedWeights& network, const std::string& path, bool with_classifier,
                        ParameterStore& shared) {
  at::NoGradGuard no_grad;
  require_dense(network, path);
  std::map<std::string, torch::Tensor> given;
  for (const auto& [own, name] : shared_names(network)) given[name] = network.tensors.at(own);
  SlicesTaken taken;
  for (const Parameter& parameter : shared.parameters()) {
    if (!is_learned(parameter.role)) continue;
    ++taken.of_tensors;
    taken.of_elements += parameter.elements();
    const auto found = given.find(parameter.name);
    if (found == given.end() || !is_same_kernel(parameter.shape, found->second)) continue;
    if (!with_classifier && parameter.name.starts_with(kClassifier)) continue;
    const torch::Tensor& tensor = found->second;
    if (!tensor.is_floating_point() || !tensor.isfinite().all().item<bool>()) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' holds what weights cannot be; write it again");
    }
    std::vector<int64_t> shape = parameter.shape;
    for (size_t d = 0; d < shape.size(); ++d)
      shape[d] = std::min(shape[d], tensor.size(int64_t(d)));
    const torch::Tensor target = prefix(shared.full(parameter.name), shape);
    target.copy_(prefix(tensor, shape));
    ++taken.tensors;
    taken.elements += target.numel();
  }
  if (taken.tensors == 0) {
    throw Error(path, 0,
                "has no tensor that the space has, too; give the weights of a network of such "
                "blocks, under timm's names");
  }
  return taken;
}

void copy_slices(const ParameterStore& shared, const SearchSpace& space, const Architecture& member,
                 ParameterStore& own) {
  at::NoGradGuard no_grad;
  const Graph named = lower(member), slices = lower(decode_blended(space, encode(space, member)));
  for (size_t i = 0; i < named.ops.size(); ++i) {
    const std::vector<Parameter> to = parameters(named, int(i)), from = parameters(slices, int(i));
    for (size_t p = 0; p < to.size(); ++p) {
      own.full(to[p].name).copy_(prefix(shared.full(from[p].name), to[p].shape));
    }
  }
}

}  // namespace ridgewalk
