#include "supernet/formats/weights.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "space/error.h"
#include "space/file.h"
#include "space/fold.h"
#include "space/hash.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/safetensors.h"

namespace ridgewalk {
namespace {

constexpr const char* kCounter = ".num_batches_tracked";
constexpr const char* kAveraged = "n_averaged";  // of torch.optim.swa_utils.AveragedModel

// Where torch.compile puts a module that it wraps.
constexpr std::string_view kCompiled = "_orig_mod.";

bool is_onnx(const std::string& path) { return path.ends_with(".onnx"); }

// The file itself, of a path that may be a folder.
std::string safetensors_path(const std::string& path) {
  std::error_code unreadable;
  return std::filesystem::is_directory(path, unreadable) ? path + "/model.safetensors" : path;
}

std::string shape_text(c10::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

bool is_head(const std::string& name) { return name.starts_with("classifier."); }

// The running variance of the norm that a counter belongs to; empty for other names.
std::string norm_of_counter(const std::string& name) {
  if (!name.ends_with(kCounter)) return "";
  return name.substr(0, name.size() - std::strlen(kCounter)) + ".running_var";
}

bool is_counter(const torch::Tensor& tensor) { return tensor.numel() == 1; }

// A counter of what wraps the network, which is no part of it.
bool is_of_wrapper(const std::string& name, const torch::Tensor& tensor) {
  return is_counter(tensor) && (name == kAveraged || name.ends_with(std::string(".") + kAveraged));
}

std::string without_compiled(std::string name) {
  for (size_t at; (at = name.find(kCompiled)) != std::string::npos;) {
    name.erase(at, kCompiled.size());
  }
  return name;
}

// Tensors by the network's own names. DataParallel (`module.`), Lightning (`model.`) and others
// wrap a network as a member of their own, whose name then stands before every other: what stands
// before `known`, one of the network's names.
std::map<std::string, const torch::Tensor*> by_own_names(const TensorFile& file,
                                                         const std::string& path,
                                                         const std::string& known) {
  std::map<std::string, const torch::Tensor*> given;
  std::string prefix;
  for (const auto& [full, tensor] : file.tensors) {
    const std::string name = without_compiled(full);
    if (is_of_wrapper(name, tensor)) continue;
    if (!given.emplace(name, &tensor).second) {
      throw Error(path, 0, "names tensor '" + name + "' twice");
    }
    if (name.ends_with("." + known)) prefix = name.substr(0, name.size() - known.size());
  }
  if (prefix.empty() || given.count(known) > 0) return given;
  std::map<std::string, const torch::Tensor*> unwrapped;
  for (const auto& [name, tensor] : given) {
    if (!name.starts_with(prefix)) {
      if (name.ends_with(kCounter) && is_counter(*tensor)) continue;
      return given;
    }
    unwrapped.emplace(name.substr(prefix.size()), tensor);
  }
  return unwrapped;
}

void require_possible(const Parameter& parameter, const torch::Tensor& value,
                      const std::string& path) {
  const std::string tensor = "tensor '" + parameter.name + "' holds ";
  if (!value.isfinite().all().item<bool>()) throw Error(path, 0, tensor + "NaN or infinity");
  if (parameter.role == ParameterRole::kRunningVar && value.lt(0).any().item<bool>()) {
    throw Error(path, 0, tensor + "a negative variance; the file is damaged, write it again");
  }
}

// A head for another number of classes: the same features, other rows.
bool fits_other_classes(const torch::Tensor& given, const torch::Tensor& own) {
  return given.dim() == own.dim() && given.dim() > 0 &&
         given.sizes().slice(1) == own.sizes().slice(1);
}

void copy_all(const TensorFile& file, const std::string& path, ParameterStore& parameters,
              bool reset_head) {
  at::NoGradGuard no_grad;
  const auto given = by_own_names(file, path, parameters.parameters().at(0).name);
  const bool has_other_classes =
      reset_head && std::any_of(parameters.parameters().begin(), parameters.parameters().end(),
                                [&](const Parameter& parameter) {
                                  const auto found = given.find(parameter.name);
                                  return is_head(parameter.name) && found != given.end() &&
                                         found->second->sizes() != parameter.shape;
                                });
  std::set<std::string> known;
  for (const Parameter& parameter : parameters.parameters()) {
    known.insert(parameter.name);
    const auto found = given.find(parameter.name);
    if (found == given.end()) {
      throw Error(path, 0, "lacks tensor '" + parameter.name + "'; it belongs to another network");
    }
    const torch::Tensor& tensor = *found->second;
    torch::Tensor own = parameters.full(parameter.name);
    if (!tensor.is_floating_point()) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' is not a floating-point tensor" +
                      (tensor.scalar_type() == torch::kChar
                           ? "; give the weights that were quantised, not the result"
                           : ""));
    }
    if (tensor.sizes() == own.sizes()) {
      if (is_head(parameter.name) && has_other_classes) continue;
      own.copy_(tensor);
      require_possible(parameter, own, path);
    } else if (!is_head(parameter.name) || !fits_other_classes(tensor, own)) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' is " + shape_text(tensor.sizes()) +
                      ", expected " + shape_text(own.sizes()) + "; it belongs to another network");
    } else if (!reset_head) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' is " + shape_text(tensor.sizes()) +
                      ", expected " + shape_text(own.sizes()) +
                      "; it has other classes: --classes keeps the file's, train --reset-head "
                      "starts with a new head");
    }
  }
  for (const auto& [name, tensor] : given) {
    if (known.count(name) == 0 &&
        !(known.count(norm_of_counter(name)) != 0 && is_counter(*tensor))) {
      throw Error(path, 0, "tensor '" + name + "' is not of this network");
    }
  }
}

// Folds the norms and layer scales of `origins` into their convolution, the first of them. It has
// parameters of its own then, whatever it shared.
void fold_into(const Graph& graph, const ParameterStore& from, const std::vector<int>& origins,
               ParameterStore& to) {
  const Op& convolution = graph.ops[origins[0]];
  const std::string& source = parameter_prefix(convolution);
  torch::Tensor weight = from.full(source + ".weight").to(torch::kDouble);
  torch::Tensor bias = convolution.bias ? from.full(source + ".bias").to(torch::kDouble)
                                        : torch::zeros({weight.size(0)}, weight.options());
  for (size_t i = 1; i < origins.size(); ++i) {
    const Op& op = graph.ops[origins[i]];
    const auto own = [&](const char* suffix) {
      return from.full(op.name + suffix).to(torch::kDouble);
    };
    torch::Tensor scale;
    if (op.kind == OpKind::kNorm) {
      scale = own(".weight") / torch::sqrt(own(".running_var") + graph.norm.epsilon);
      bias = (bias - own(".running_mean")) * scale + own(".bias");
    } else {
      scale = own(".gamma");
      bias = bias * scale;
    }
    weight = weight * scale.view({-1, 1, 1, 1});
  }
  to.full(convolution.name + ".weight").copy_(weight);
  to.full(convolution.name + ".bias").copy_(bias);
}

// `export` of a quantised network writes integers, between operations that scale them.
void refuse_quantized(const OnnxFile& file, const std::string& path) {
  if (!file.is_quantized) return;
  throw Error(path, 0,
              "is of a quantised network; give the folder that `quantize` wrote with --precision "
              "int8, or the weights in fp32");
}

// `export --features` leaves out what comes after the last map.
void refuse_features(const OnnxFile& file, const std::string& path) {
  if (file.outputs.empty() || !file.outputs[0].starts_with("features_")) return;
  throw Error(path, 0,
              "gives feature maps (" + file.outputs.front() + " to " + file.outputs.back() +
                  "), no classes: it was written by export --features and has no classifier; give "
                  "the weights, or ONNX that was exported without --features");
}

}  // namespace

void save_weights(const std::string& path, const ParameterStore& parameters, torch::ScalarType type,
                  const std::optional<Provenance>& provenance) {
  TensorFile file{.metadata = {{"format", "pt"}}, .tensors = {}};
  if (provenance) file.metadata[kProvenanceKey] = to_json(*provenance);
  for (const Parameter& parameter : parameters.parameters()) {
    const torch::Tensor tensor = parameters.full(parameter.name).to(type);
    if (type != torch::kFloat && !tensor.isfinite().all().item<bool>()) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' does not fit " +
                      (type == torch::kHalf ? "fp16; bf16 holds it" : "bf16; fp32 holds it"));
    }
    file.tensors.emplace_back(parameter.name, tensor);
    if (parameter.role == ParameterRole::kRunningVar) {
      const std::string module = parameter.name.substr(0, parameter.name.rfind('.'));
      file.tensors.emplace_back(module + kCounter, torch::zeros({}, torch::kLong));
    }
  }
  write_safetensors(path, file);
}

std::optional<Provenance> load_weights(const std::string& path, ParameterStore& parameters,
                                       bool reset_head) {
  const std::string file = safetensors_path(path);
  const TensorFile tensors = read_safetensors(file);
  copy_all(tensors, file, parameters, reset_head);
  return provenance_in(tensors.metadata, file);
}

NamedWeights read_named_weights(const std::string& path) {
  const std::string file = safetensors_path(path);
  const TensorFile tensors = read_safetensors(file);
  NamedWeights weights{.tensors = {}, .provenance = provenance_in(tensors.metadata, file)};
  for (const auto& [name, tensor] : by_own_names(tensors, file, "conv_stem.weight")) {
    weights.tensors.emplace(name, *tensor);
  }
  return weights;
}

std::optional<Provenance> read_provenance(const std::string& path) {
  const std::string file = safetensors_path(path);
  return provenance_in(is_onnx(path) ? read_onnx(path).metadata : read_safetensors(file).metadata,
                       file);
}

uint64_t weights_hash(const std::string& path) {
  return hash_of(read_file(safetensors_path(path)));
}

void require_possible(const ParameterStore& parameters, const std::string& path) {
  for (const Parameter& parameter : parameters.parameters()) {
    require_possible(parameter, parameters.full(parameter.name), path);
  }
}

Network fold_norms(const Graph& graph, const ParameterStore& parameters) {
  at::NoGradGuard no_grad;
  FoldedGraph folded = fold_norms(graph);
  ParameterStore store(folded.graph, parameters.values().device());
  store.copy_common(parameters);
  for (const std::vector<int>& origins : folded.origins) {
    if (origins.size() > 1) fold_into(graph, parameters, origins, store);
  }
  return {std::move(folded.graph), std::move(store)};
}

Network fresh_network(const Graph& graph) {
  ParameterStore parameters(graph);
  parameters.initialize(0);
  return fold_norms(graph, parameters);
}

Network load_network(const std::string& path, const Graph& graph, torch::Device device) {
  if (!is_onnx(path)) {
    Network network{graph, ParameterStore(graph, device)};
    network.provenance = load_weights(path, network.parameters);
    return network;
  }
  const OnnxFile file = read_onnx(path);
  refuse_features(file, path);
  refuse_quantized(file, path);
  Graph folded = fold_norms(graph).graph;
  const std::string bias = "conv_stem.bias";  // which only the folded network has
  const bool is_folded = std::any_of(file.tensors.begin(), file.tensors.end(),
                                     [&](const auto& entry) { return entry.first == bias; });
  Network network{is_folded ? folded : graph, ParameterStore(is_folded ? folded : graph, device)};
  copy_all(file, path, network.parameters, false);
  network.provenance = provenance_in(file.metadata, path);
  return network;
}

}  // namespace ridgewalk
