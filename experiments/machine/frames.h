// Frames per second of several threads that each run a frame of their own, as a camera's pipeline
// does.
#pragma once

#include <functional>
#include <memory>

#include "supernet/inference/inference.h"

namespace ridgewalk {

struct FrameRate {
  int threads = 1;
  double latency_seconds = 0;  // median over the frames of all threads
  double frames_per_second = 0;
};

// `compile` is called once in each thread, with one thread for LibTorch; then all run for
// `seconds`, at least three frames each. What it throws is thrown here.
FrameRate measure_frames(const std::function<std::unique_ptr<Inference>()>& compile, int threads,
                         double seconds);

}  // namespace ridgewalk
