#include "experiments/run/context.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/run/progress.h"

namespace ridgewalk {

void say(const Session& session, const std::string& line) {
  if (!session.quiet) say(line + "\n");
}

void say_damaged(const Dataset& data, const Session& session) {
  if (!data.damaged || data.damaged->count() == 0) return;
  say(session,
      fmt::format("{}: files that could not be decoded: {}; in training others stand in for them, "
                  "evaluations leave them out",
                  data.name, data.damaged->count()));
}

void say_rates(const RunContext& context, const std::string& phase, double images, double seconds,
               const Loader& loader) {
  const Rates rates{.training = images / std::max(1e-9, seconds),
                    .loader = loader.images_per_second()};
  context.run.set_rates(rates);
  say(context.session,
      fmt::format("{}: {:.0f} s, {:.0f} training images/s; the loader alone {:.0f}", phase, seconds,
                  rates.training, rates.loader));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace ridgewalk
