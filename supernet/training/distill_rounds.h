// How the processes of a group share out the images that a teacher labels. Not installed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <torch/types.h>

#include "supernet/training/process_group.h"
#include "supernet/training/step_exchange.h"

namespace ridgewalk {

// Which batches of the replicas this process labels: of each round of as many batches as there are
// processes, that of its rank. The places of the rounds are numbered on over the replicas.
struct Rounds {
  int64_t images, batch_size;
  int64_t processes = 1, rank = 0;

  int64_t batches() const { return (images + batch_size - 1) / batch_size; }  // of a replica
  int64_t per_replica() const { return (batches() + processes - 1) / processes; }
  // Of its replica. The last round may have none for this process: then it is empty.
  int64_t first_image(int64_t place, int64_t of_rank) const {
    return std::min(images, (place % per_replica() * processes + of_rank) * batch_size);
  }
  int64_t count(int64_t place, int64_t of_rank) const {
    return std::min(batch_size, images - first_image(place, of_rank));
  }
};

// Gives every process the rows [images, k] of a replica that the others have labelled.
inline void exchange_rows(ProcessGroup& group, const Rounds& rounds, const torch::Tensor& rows) {
  std::vector<StepPiece> pieces;
  for (int rank = 0; rank < group.size(); ++rank) {
    for (int64_t place = 0; place < rounds.per_replica(); ++place) {
      const int64_t count = rounds.count(place, rank);
      if (count == 0) continue;
      pieces.push_back(
          {.owner = rank, .values = {rows.narrow(0, rounds.first_image(place, rank), count)}});
    }
  }
  exchange_values(group, pieces);
}

}  // namespace ridgewalk
