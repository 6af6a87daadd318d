#include "supernet/network/parameters.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "space/error.h"
#include "supernet/kernels/row_kernel.h"

namespace ridgewalk {
namespace {

// FNV-1a, which is the same on every machine, unlike std::hash.
uint64_t name_hash(const std::string& text) {
  uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

int region(ParameterRole role) {
  if (role == ParameterRole::kWeight) return 0;
  return is_learned(role) ? 1 : 2;
}

// Adds numbers that lie side by side to a slice. A step has hundreds of small gradients, for each
// of which an operation of LibTorch takes microseconds.
void add_to_slice(const float* from, at::IntArrayRef sizes, at::IntArrayRef strides, float* to) {
  const int64_t count = c10::multiply_integers(sizes);
  if (sizes.empty() || strides[0] * sizes[0] == count) return add_row(from, count, to);
  const int64_t part = count / sizes[0];
  for (int64_t i = 0; i < sizes[0]; ++i) {
    add_to_slice(from + i * part, sizes.slice(1), strides.slice(1), to + i * strides[0]);
  }
}

torch::Tensor prefix(torch::Tensor tensor, const std::vector<int64_t>& shape) {
  for (size_t d = 0; d < shape.size(); ++d) {
    if (tensor.size(int64_t(d)) != shape[d]) tensor = tensor.narrow(int64_t(d), 0, shape[d]);
  }
  return tensor;
}

bool is_depthwise_option(const std::string& name) {
  return name.find(".dw_start.") != std::string::npos || name.find(".dw_mid.") != std::string::npos;
}

bool is_of_uib(const std::string& name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  return is_depthwise_option(name) || has(".pw_exp.") || has(".pw_proj.") ||
         (has(".layer_scale.") && !has(".mqa."));
}

}  // namespace

std::vector<Parameter> shared_parameters(const SearchSpace& space) {
  std::vector<Parameter> shared;
  std::map<std::string, size_t> index;
  for (const BlendedArchitecture& architecture : covering(space)) {
    const Graph graph = lower(architecture);
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      for (const Parameter& parameter : parameters(graph, int(i))) {
        const auto [place, is_new] = index.try_emplace(parameter.name, shared.size());
        if (is_new) {
          shared.push_back(parameter);
          continue;
        }
        std::vector<int64_t>& shape = shared[place->second].shape;
        for (size_t d = 0; d < shape.size(); ++d) shape[d] = std::max(shape[d], parameter.shape[d]);
      }
    }
  }
  return shared;
}

ParameterStore::ParameterStore(const Graph& graph, torch::Device device,
                               const std::vector<Parameter>& more) {
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (shares_earlier(graph, int(i))) continue;
    for (const Parameter& parameter : ridgewalk::parameters(graph, int(i))) {
      parameters_.push_back(parameter);
    }
  }
  parameters_.insert(parameters_.end(), more.begin(), more.end());
  note_layer_scales(graph);
  allocate(device);
}

ParameterStore::ParameterStore(const SearchSpace& space, torch::Device device)
    : parameters_(shared_parameters(space)) {
  for (const BlendedArchitecture& architecture : covering(space)) {
    note_layer_scales(lower(architecture));
  }
  allocate(device);
}

void ParameterStore::note_layer_scales(const Graph& graph) {
  for (const Op& op : graph.ops) {
    if (op.kind == OpKind::kLayerScale) layer_scales_[op.name + ".gamma"].value = op.layer_scale;
  }
  for (const Op& op : graph.ops) {
    if (op.kind != OpKind::kAdd) continue;
    const Op& branch = graph.ops[op.inputs[0]];
    if (branch.kind == OpKind::kLayerScale)
      layer_scales_[branch.name + ".gamma"].is_residual = true;
  }
}

void ParameterStore::allocate(torch::Device device) {
  // A GPU's kernels read several numbers at once and fault at an address that is no multiple of
  // their size. What fills the gaps is 0 and stays so. The CPU needs no gaps.
  const int64_t alignment = device.is_cpu() ? 1 : 16;
  int64_t offset = 0;
  for (int wanted : {0, 1, 2}) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& parameter = parameters_[i];
      if (region(parameter.role) != wanted) continue;
      places_[parameter.name] = {.offset = offset, .index = i, .slices = {}};
      offset += (parameter.elements() + alignment - 1) / alignment * alignment;
    }
    if (wanted == 0) decayed_ = offset;
    if (wanted == 1) learned_ = offset;
  }
  constexpr int64_t kMost = 1'000'000'000;  // 4 GB
  if (offset > kMost) {
    throw Error("the network has " + std::to_string(offset) +
                " parameters; at most 1000000000 are supported");
  }
  values_ = torch::zeros({offset}, torch::TensorOptions().device(device));
}

torch::Tensor ParameterStore::full(const std::string& name) const {
  const Place& place = places_.at(name);
  const Parameter& parameter = parameters_[place.index];
  return values_.narrow(0, place.offset, parameter.elements()).view(parameter.shape);
}

torch::Tensor ParameterStore::grads() {
  if (!grads_.defined()) grads_ = torch::zeros({learned_}, values_.options());
  return grads_;
}

void ParameterStore::initialize(uint64_t seed, Initialization initialization) {
  at::NoGradGuard no_grad;
  for (const Parameter& parameter : parameters_) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed ^ name_hash(parameter.name));
    const std::vector<int64_t>& shape = parameter.shape;
    torch::Tensor value = torch::zeros(shape);
    switch (parameter.role) {
      case ParameterRole::kWeight: {
        const bool attention = parameter.name.find(".attn.") != std::string::npos;
        const int64_t area = shape.size() == 4 ? shape[2] * shape[3] : 1;
        const double fan_out = double(area) * double(shape[0] / parameter.groups);
        if (attention) {
          const double bound =
              std::sqrt(6.0 / (double(area) * double(shape[0]) + double(area) * double(shape[1])));
          value.uniform_(-bound, bound, generator);
        } else if (shape.size() == 4) {
          value.normal_(0, std::sqrt(2 / fan_out), generator);
        } else {
          const double bound = 1 / std::sqrt(double(shape[0]));
          value.uniform_(-bound, bound, generator);
        }
        break;
      }
      case ParameterRole::kNormWeight:
      case ParameterRole::kRunningVar:
        value.fill_(1);
        break;
      case ParameterRole::kLayerScale: {
        const LayerScale& scale = layer_scales_.at(parameter.name);
        const bool starts_small = scale.is_residual || initialization == Initialization::kReleased;
        value.fill_(starts_small ? scale.value : 1);
        break;
      }
      case ParameterRole::kBias:
      case ParameterRole::kNormBias:
      case ParameterRole::kRunningMean:
        break;
    }
    full(parameter.name).copy_(value);
  }
}

torch::Tensor ParameterStore::slice(const std::string& name, const std::vector<int64_t>& shape,
                                    size_t leaves) {
  const auto found = places_.find(name);
  if (found == places_.end()) throw std::out_of_range("no parameter is named " + name);
  Place& place = found->second;
  if (place.slices.size() <= leaves) place.slices.resize(leaves + 1);
  for (const auto& [known, tensor] : place.slices[leaves]) {
    if (known == shape) return tensor;
  }
  const Parameter& parameter = parameters_[place.index];
  for (size_t d = 0; d < parameter.shape.size(); ++d) {
    if (d >= shape.size() || shape[d] > parameter.shape[d]) {
      throw std::out_of_range("parameter " + name + " is smaller than the slice asked for");
    }
  }
  torch::Tensor whole = full(name);
  if (const auto own = statistics_.find(leaves);
      own != statistics_.end() && !is_learned(parameter.role)) {
    whole =
        own->second.narrow(0, place.offset - learned_, parameter.elements()).view(parameter.shape);
  }
  torch::Tensor leaf = prefix(whole, shape).detach();
  leaf.set_requires_grad(is_learned(parameter.role));
  place.slices[leaves].emplace_back(shape, leaf);
  return leaf;
}

void ParameterStore::collect_gradients(const std::vector<torch::Tensor>& leaves,
                                       std::pair<int64_t, int64_t> own) {
  at::NoGradGuard no_grad;
  used_.clear();
  grads();  // there is a sum even of nothing
  for (torch::Tensor leaf : leaves) {
    const torch::Tensor gradient = leaf.grad();
    if (!gradient.defined()) continue;
    const int64_t offset = leaf.storage_offset();
    if (offset < decayed_) used_.push_back(leaf);
    if (offset >= own.first && offset < own.second) add_gradient(gradient, leaf.strides(), offset);
    leaf.mutable_grad().reset();
  }
}

void ParameterStore::add_gradient(const torch::Tensor& gradient, at::IntArrayRef strides,
                                  int64_t offset) {
  if (gradient.device().is_cpu() && gradient.is_contiguous()) {
    return add_to_slice(gradient.data_ptr<float>(), gradient.sizes(), strides,
                        grads().data_ptr<float>() + offset);
  }
  grads().as_strided(gradient.sizes(), strides, offset).add_(gradient);
}

void ParameterStore::separate_statistics(size_t first_set, size_t sets) {
  const auto own = values_.narrow(0, learned_, values_.numel() - learned_);
  for (size_t set = first_set; set < first_set + sets; ++set) statistics_[set] = own.clone();
}

void ParameterStore::begin_statistics() {
  at::NoGradGuard no_grad;
  const auto own = values_.narrow(0, learned_, values_.numel() - learned_);
  for (auto& [set, statistics] : statistics_) statistics.copy_(own);
}

void ParameterStore::average_statistics() {
  at::NoGradGuard no_grad;
  torch::Tensor sum = torch::zeros({values_.numel() - learned_}, values_.options());
  for (const auto& [set, statistics] : statistics_) sum.add_(statistics);
  values_.narrow(0, learned_, sum.numel()).copy_(sum.div_(double(statistics_.size())));
}

torch::Tensor ParameterStore::used() const {
  torch::Tensor used = torch::zeros({decayed_}, values_.options().dtype(torch::kBool));
  for (const torch::Tensor& leaf : used_) {
    used.as_strided(leaf.sizes(), leaf.strides(), leaf.storage_offset()).fill_(true);
  }
  return used;
}

void ParameterStore::copy_common(const ParameterStore& other) {
  at::NoGradGuard no_grad;
  for (const Parameter& parameter : parameters_) {
    const auto found = other.places_.find(parameter.name);
    if (found == other.places_.end()) continue;
    std::vector<int64_t> shape = parameter.shape;
    const std::vector<int64_t>& theirs = other.parameters_[found->second.index].shape;
    for (size_t d = 0; d < shape.size(); ++d) shape[d] = std::min(shape[d], theirs[d]);
    prefix(full(parameter.name), shape).copy_(prefix(other.full(parameter.name), shape));
  }
}

double share_in_common(const SearchSpace& space) {
  std::map<std::string, int64_t> largest;
  for (const BlendedArchitecture& architecture : covering(space)) {
    const Graph graph = lower(architecture);
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      for (const Parameter& parameter : parameters(graph, int(i))) {
        if (!is_learned(parameter.role)) continue;
        int64_t& elements = largest[parameter.name];
        elements = std::max(elements, parameter.elements());
      }
    }
  }
  const auto is_option = space.sharing == WeightSharing::kBlocks ? is_of_uib : is_depthwise_option;
  double common = 0;
  double all = 0;
  for (const auto& [name, elements] : largest) {
    all += double(elements);
    if (!is_option(name)) common += double(elements);
  }
  return common / all;
}

}  // namespace ridgewalk
