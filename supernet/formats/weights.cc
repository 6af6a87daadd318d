#include "supernet/formats/weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include "space/error.h"
#include "space/fold.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/safetensors.h"

namespace ridgewalk {
namespace {

constexpr const char* kCounter = ".num_batches_tracked";

bool is_float(torch::ScalarType type) {
  return type == torch::kFloat || type == torch::kHalf || type == torch::kBFloat16;
}

std::string shape_text(c10::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

bool is_head(const std::string& name) { return name.starts_with("classifier."); }

// The running variance of a norm whose counter is named so.
std::string norm_of_counter(const std::string& name) {
  if (!name.ends_with(kCounter)) return "";
  return name.substr(0, name.size() - std::strlen(kCounter)) + ".running_var";
}

bool is_counter(const torch::Tensor& tensor) {
  return tensor.scalar_type() == torch::kLong && tensor.numel() == 1;
}

// The head of another class count: same features, other rows.
bool fits_other_classes(const torch::Tensor& given, const torch::Tensor& own) {
  return given.dim() == own.dim() && given.dim() > 0 &&
         given.sizes().slice(1) == own.sizes().slice(1);
}

void copy_all(const TensorFile& file, const std::string& path, ParameterStore& parameters,
              bool reset_head) {
  torch::NoGradGuard no_grad;
  std::map<std::string, const torch::Tensor*> given;
  for (const auto& [name, tensor] : file.tensors) given[name] = &tensor;
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
    if (!is_float(tensor.scalar_type())) {
      throw Error(path, 0, "tensor '" + parameter.name + "' is not a floating-point tensor");
    }
    if (tensor.sizes() == own.sizes()) {
      if (is_head(parameter.name) && has_other_classes) continue;
      own.copy_(tensor);
      if (!own.isfinite().all().item<bool>()) {
        throw Error(path, 0, "tensor '" + parameter.name + "' holds NaN or infinity");
      }
    } else if (!is_head(parameter.name) || !fits_other_classes(tensor, own)) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' is " + shape_text(tensor.sizes()) +
                      ", expected " + shape_text(own.sizes()) + "; it belongs to another network");
    } else if (!reset_head) {
      throw Error(path, 0,
                  "tensor '" + parameter.name + "' is " + shape_text(tensor.sizes()) +
                      ", expected " + shape_text(own.sizes()) +
                      "; it has other classes: --classes keeps the file's, train --reset-head "
                      "starts the head anew");
    }
  }
  for (const auto& [name, tensor] : given) {
    if (known.count(name) == 0 &&
        !(known.count(norm_of_counter(name)) != 0 && is_counter(*tensor))) {
      throw Error(path, 0, "tensor '" + name + "' is not of this network");
    }
  }
}

// The scale and shift of the norms and layer scales that `origins` adds to its convolution.
void fold_into(const Graph& graph, const ParameterStore& from, const std::vector<int>& origins,
               ParameterStore& to) {
  const Op& convolution = graph.ops[origins[0]];
  torch::Tensor weight = from.full(convolution.name + ".weight").to(torch::kDouble);
  torch::Tensor bias = convolution.bias ? from.full(convolution.name + ".bias").to(torch::kDouble)
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

}  // namespace

void save_weights(const std::string& path, const ParameterStore& parameters,
                  torch::ScalarType type) {
  TensorFile file{.metadata = {{"format", "pt"}}, .tensors = {}};
  for (const Parameter& parameter : parameters.parameters()) {
    const torch::Tensor tensor = parameters.full(parameter.name).to(type);
    if (type == torch::kHalf && !tensor.isfinite().all().item<bool>()) {
      throw Error(path, 0, "tensor '" + parameter.name + "' does not fit fp16; bf16 holds it");
    }
    file.tensors.emplace_back(parameter.name, tensor);
    if (parameter.role == ParameterRole::kRunningVar) {
      const std::string module = parameter.name.substr(0, parameter.name.rfind('.'));
      file.tensors.emplace_back(module + kCounter, torch::zeros({}, torch::kLong));
    }
  }
  write_safetensors(path, file);
}

void load_weights(const std::string& path, ParameterStore& parameters, bool reset_head) {
  copy_all(read_safetensors(path), path, parameters, reset_head);
}

Network fold_norms(const Graph& graph, const ParameterStore& parameters) {
  torch::NoGradGuard no_grad;
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
  if (!path.ends_with(".onnx")) {
    Network network{graph, ParameterStore(graph, device)};
    load_weights(path, network.parameters);
    return network;
  }
  const TensorFile file = read_onnx(path);
  Graph folded = fold_norms(graph).graph;
  const std::string bias = "conv_stem.bias";  // which only the folded network has
  const bool is_folded = std::any_of(file.tensors.begin(), file.tensors.end(),
                                     [&](const auto& entry) { return entry.first == bias; });
  Network network{is_folded ? folded : graph, ParameterStore(is_folded ? folded : graph, device)};
  copy_all(file, path, network.parameters, false);
  return network;
}

}  // namespace ridgewalk
