#include "experiments/machine/frames.h"

#include <chrono>
#include <exception>
#include <future>
#include <latch>
#include <thread>

#include <ATen/Parallel.h>

#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

using FrameClock = std::chrono::steady_clock;

double seconds_from(FrameClock::time_point start) {
  return std::chrono::duration<double>(FrameClock::now() - start).count();
}

// Of one thread: the seconds of each frame.
std::vector<double> run_frames(Inference& network, double seconds, std::latch& all_are_ready) {
  const torch::Tensor images = torch::rand(network.image_shape());
  network.forward(images);
  all_are_ready.arrive_and_wait();
  std::vector<double> frames;
  const FrameClock::time_point begin = FrameClock::now();
  while (frames.size() < 3 || seconds_from(begin) < seconds) {
    const FrameClock::time_point start = FrameClock::now();
    network.forward(images);
    frames.push_back(seconds_from(start));
  }
  return frames;
}

}  // namespace

FrameRate measure_frames(const std::function<std::unique_ptr<Inference>()>& compile, int threads,
                         double seconds) {
  std::latch all_are_ready(threads);
  std::vector<std::future<std::vector<double>>> lanes;
  for (int i = 0; i < threads; ++i) {
    lanes.push_back(std::async(std::launch::async, [&] {
      at::set_num_threads(1);
      std::unique_ptr<Inference> network;
      try {
        network = compile();
      } catch (...) {
        all_are_ready.count_down();  // nobody waits for it
        throw;
      }
      return run_frames(*network, seconds, all_are_ready);
    }));
  }
  FrameRate rate{.threads = threads};
  std::vector<double> all;
  std::exception_ptr failure;
  for (auto& lane : lanes) {
    try {
      const std::vector<double> frames = lane.get();
      double total = 0;
      for (double frame : frames) total += frame;
      rate.frames_per_second += double(frames.size()) / total;
      all.insert(all.end(), frames.begin(), frames.end());
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  rate.latency_seconds = quantile(all, 0.5);
  return rate;
}

}  // namespace ridgewalk
