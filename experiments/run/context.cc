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
  say(session, fmt::format("{}: files that could not be decoded: {}; "
                           "left out of training and evaluations",
                           data.name, data.damaged->count()));
}

void say_other_images(const Provenance& trained_on, const std::string& weights, const Dataset& data,
                      int resolution, const Session& session) {
  if (trained_on.resolution != resolution) {
    say(session, fmt::format("{}: was trained on images of {} pixels; here they have {}", weights,
                             trained_on.resolution, resolution));
  }
  const bool are_cut = trained_on.crop_fraction > 0 && !data.train.paths.empty();
  if (are_cut && trained_on.crop_fraction != data.crop_fraction) {
    say(session, fmt::format("{}: was trained with a crop fraction of {}; here it is {} "
                             "(--crop-fraction changes it)",
                             weights, trained_on.crop_fraction, data.crop_fraction));
  }
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
