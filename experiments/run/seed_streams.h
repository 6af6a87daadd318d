// The independent random streams of a run. Their numbers are part of every result: a new stream
// gets a new number.
#pragma once

#include "space/random.h"

namespace ridgewalk {

enum class SeedStream : uint64_t {
  kController = 100,      // + the search stage
  kSharedWeights = 200,   // + the search stage
  kRandomNetworks = 300,  // that a search and a comparison hold their networks against
  kSplit = 400,           // of the images held out
  kTraining = 500,        // from scratch
  kRankedNetworks = 600,
  kRankedTraining = 700,  // + the number of the training
  kRankingBootstrap = 800,
  kTrials = 900,  // of architectures with trained shared weights
  kFront = 1000,
  kProxies = 1200,
  kInt8Calibration = 1300,  // images of the ranges of a network that was trained
  kRecalibration = 1100,    // + the search stage: of the networks that are measured
};

inline uint64_t stream_seed(uint64_t seed, SeedStream stream, uint64_t number = 0) {
  return mix(seed, uint64_t(stream) + number);
}

}  // namespace ridgewalk
