#include "supernet/training/distill_rounds.h"

#include <vector>

namespace ridgewalk {

void exchange_rows(ProcessGroup& group, const Rounds& rounds, torch::Tensor rows) {
  const auto for_rows = [&](int64_t rank, const auto& use) {
    for (int64_t place = 0; place < rounds.per_replica(); ++place) {
      const int64_t count = rounds.count(place, rank);
      if (count > 0) use(rows.narrow(0, rounds.first_image(place, rank), count));
    }
  };
  std::vector<int64_t> sizes(size_t(group.size()));
  std::vector<torch::Tensor> own{torch::empty({0}, rows.options())};
  for (int64_t rank = 0; rank < group.size(); ++rank) {
    for_rows(rank, [&](const torch::Tensor& part) {
      sizes[size_t(rank)] += part.numel();
      if (rank == group.rank()) own.push_back(part.flatten());
    });
  }
  const std::vector<torch::Tensor> all = group.exchanged(torch::cat(own), sizes);
  for (int64_t rank = 0; rank < group.size(); ++rank) {
    int64_t place = 0;
    for_rows(rank, [&](torch::Tensor part) {
      part.copy_(all[size_t(rank)].narrow(0, place, part.numel()).view(part.sizes()));
      place += part.numel();
    });
  }
}

}  // namespace ridgewalk
