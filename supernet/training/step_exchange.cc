#include "supernet/training/step_exchange.h"

#include <algorithm>
#include <numeric>

namespace ridgewalk {
namespace {

// The process that adds a slice's gradients: slices begin where their parameter does.
size_t part_of(const torch::Tensor& leaf, const std::vector<int64_t>& bounds) {
  const auto after = std::upper_bound(bounds.begin(), bounds.end(), leaf.storage_offset());
  return size_t(after - bounds.begin()) - 1;
}

torch::Tensor packed(std::vector<torch::Tensor> parts, torch::Device device,
                     torch::ScalarType type = torch::kFloat) {
  if (parts.empty()) return torch::empty({0}, torch::TensorOptions(device).dtype(type));
  for (torch::Tensor& part : parts) part = part.flatten();
  return torch::cat(parts).to(device);
}

// Reads tensors from a flat one, one after the other.
class Unpacker {
 public:
  explicit Unpacker(torch::Tensor flat) : flat_(std::move(flat)) {}
  torch::Tensor next(const torch::Tensor& like) {
    const torch::Tensor part = flat_.narrow(0, place_, like.numel()).view(like.sizes());
    place_ += like.numel();
    return part.to(like.device());
  }

 private:
  torch::Tensor flat_;
  int64_t place_ = 0;
};

// Takes no memory.
torch::Tensor zero_like(const torch::Tensor& leaf) {
  return torch::zeros({}, leaf.options().requires_grad(false)).expand(leaf.sizes());
}

// Gives each process the values of all pieces, and the gradients of its part from the pieces of
// others. In another's part those slices have zeros here: they are used all the same.
void deal_out(ProcessGroup& group, std::span<const StepPiece> pieces,
              const std::vector<int64_t>& bounds, torch::Device carrier) {
  const auto rank = size_t(group.rank());
  std::vector<std::vector<torch::Tensor>> to(static_cast<size_t>(group.size()));
  std::vector<int64_t> sizes(to.size());
  for (const StepPiece& piece : pieces) {
    for (const torch::Tensor& value : piece.values) {
      sizes[size_t(piece.owner)] += value.numel();
      if (piece.owner != group.rank()) continue;
      for (size_t r = 0; r < to.size(); ++r) {
        if (r != rank) to[r].push_back(value);
      }
    }
    for (torch::Tensor leaf : piece.leaves) {
      const size_t part = part_of(leaf, bounds);
      if (piece.owner != group.rank()) {
        if (part == rank) sizes[size_t(piece.owner)] += leaf.numel();
        continue;
      }
      if (!leaf.grad().defined()) leaf.mutable_grad() = zero_like(leaf);  // as in the others
      if (part != rank) to[part].push_back(leaf.grad());
    }
  }
  std::vector<torch::Tensor> own;
  for (auto& parts : to) own.push_back(packed(std::move(parts), carrier));
  std::vector<Unpacker> from;
  for (torch::Tensor& flat : group.dealt_out(own, sizes)) from.emplace_back(std::move(flat));
  for (const StepPiece& piece : pieces) {
    if (piece.owner == group.rank()) continue;
    Unpacker& theirs = from[size_t(piece.owner)];
    for (torch::Tensor value : piece.values) value.copy_(theirs.next(value));
    for (torch::Tensor leaf : piece.leaves) {
      leaf.mutable_grad() = part_of(leaf, bounds) == rank ? theirs.next(leaf) : zero_like(leaf);
    }
  }
}

}  // namespace

void exchange_values(ProcessGroup& group, std::span<const StepPiece> pieces) {
  at::NoGradGuard no_grad;
  std::vector<int64_t> sizes(size_t(group.size()));
  std::vector<torch::Tensor> own;
  torch::ScalarType type = torch::kFloat;
  for (const StepPiece& piece : pieces) {
    for (const torch::Tensor& value : piece.values) {
      type = value.scalar_type();
      sizes[size_t(piece.owner)] += value.numel();
      if (piece.owner == group.rank()) own.push_back(value);
    }
  }
  std::vector<Unpacker> from;
  for (torch::Tensor& flat : group.exchanged(packed(std::move(own), torch::kCPU, type), sizes)) {
    from.emplace_back(std::move(flat));
  }
  for (const StepPiece& piece : pieces) {
    if (piece.owner == group.rank()) continue;
    for (torch::Tensor value : piece.values) value.copy_(from[size_t(piece.owner)].next(value));
  }
}

void sum_gradients(ProcessGroup& group, std::span<const StepPiece> pieces, ParameterStore& store) {
  at::NoGradGuard no_grad;
  const std::vector<int64_t> bounds = part_bounds(store, group.size());
  const torch::Device carrier = group.carrier(store.values().device());
  deal_out(group, pieces, bounds, carrier);
  const auto rank = size_t(group.rank());
  std::vector<torch::Tensor> leaves;
  for (const StepPiece& piece : pieces) {
    leaves.insert(leaves.end(), piece.leaves.begin(), piece.leaves.end());
  }
  store.collect_gradients(leaves, {bounds[rank], bounds[rank + 1]});
  const torch::Tensor grads = store.grads();
  std::vector<int64_t> sizes;
  for (size_t r = 0; r + 1 < bounds.size(); ++r) sizes.push_back(bounds[r + 1] - bounds[r]);
  const auto parts =
      group.exchanged(grads.narrow(0, bounds[rank], sizes[rank]).to(carrier).contiguous(), sizes);
  for (size_t r = 0; r < parts.size(); ++r) {
    if (r != rank) grads.narrow(0, bounds[r], sizes[r]).copy_(parts[r]);
  }
}

std::vector<int> balanced_owners(std::span<const int64_t> costs, int processes) {
  std::vector<size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return costs[a] > costs[b]; });
  std::vector<int64_t> sums(static_cast<size_t>(processes));
  std::vector<int> owners(costs.size());
  for (size_t piece : order) {
    const auto least = std::min_element(sums.begin(), sums.end());
    *least += costs[piece];
    owners[piece] = int(least - sums.begin());
  }
  return owners;
}

std::vector<int64_t> part_bounds(const ParameterStore& store, int processes) {
  std::vector<int64_t> begins;
  for (const Parameter& parameter : store.parameters()) {
    const int64_t begin = store.full(parameter.name).storage_offset();
    if (begin < store.learned()) begins.push_back(begin);
  }
  std::sort(begins.begin(), begins.end());
  std::vector<int64_t> bounds{0};
  for (int r = 1; r < processes; ++r) {
    const auto next =
        std::lower_bound(begins.begin(), begins.end(), r * store.learned() / processes);
    bounds.push_back(next == begins.end() ? store.learned() : *next);
  }
  bounds.push_back(store.learned());
  return bounds;
}

}  // namespace ridgewalk
