// What the phases of a run work with.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "experiments/run/config.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/run_folder.h"

namespace ridgewalk {

// How the phases of a run compute, and how much they say.
struct Session {
  Compute compute;
  bool quiet = false;
  int checkpoint_every = 100;  // steps
  // Requested when another of the trainings that run at the same time has failed.
  std::stop_token stop = {};
};

struct RunContext {
  RunFolder& run;
  const Dataset& data;
  const Session& session;
};

struct SearchContext : RunContext {
  const SearchConfig& config;
};

// A line on stderr, unless the session is quiet.
void say(const Session& session, const std::string& line);
// How many files of an image folder could not be decoded so far, if any.
void say_damaged(const Dataset& data, const Session& session);

// How images differ from those that the weights were trained on: in resolution, which is here
// `resolution`, and in what is cut out of files.
void say_other_images(const Provenance& trained_on, const std::string& weights, const Dataset& data,
                      int resolution, const Session& session);

// Says what training took, beside what the loader alone would give, and keeps it for the report;
// results hold no times.
void say_rates(const RunContext& context, const std::string& phase, double images, double seconds,
               const Loader& loader);

double seconds_since(std::chrono::steady_clock::time_point start);

// Writes a checkpoint of `state()` every `interval` steps, and when the user interrupts or another
// training has failed, which then throws Interrupted. All processes of a group come here at the
// same step, and stop where one of them is interrupted.
template <class State>
void checkpoint_if_due(const RunContext& context, int interval, int step, State state,
                       const NamedTensors& tensors) {
  bool stop = interrupted() || context.session.stop.stop_requested();
  if (const auto& group = context.session.compute.group) stop = group->any(stop);
  if (stop || step % interval == 0) context.run.checkpoint(state(), tensors);
  if (stop) throw Interrupted();
}

}  // namespace ridgewalk
