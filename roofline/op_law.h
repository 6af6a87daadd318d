// How long the ops of one kind take on a machine where they were measured (`ridgewalk calibrate`).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "roofline/cost.h"

namespace ridgewalk {

// How fast a working set is read over and over: from the cache that holds it.
struct ReadBandwidth {
  Bytes set;
  BytesPerSecond bandwidth;
  bool operator==(const ReadBandwidth&) const = default;
};
// In ascending order of the set; between two sets bandwidth is a power of the size, beyond the ends
// it is constant.
using ReadBandwidths = std::vector<ReadBandwidth>;
// Throws std::invalid_argument without bandwidths.
Seconds read_time(Bytes moved, Bytes set, const ReadBandwidths& bandwidths);

// How sure a law is: the median of |law / measured - 1| over the steps that it leads (nothing for a
// kind that only runs inside others), and the interquartile range of each of its figures over
// resamples of the networks, as a share of the figure (nothing where that is 0 or was not
// resampled).
struct OpLawSpread {
  std::optional<double> error = {}, overhead = {}, rate = {}, weights = {}, input = {}, output = {};
  bool operator==(const OpLawSpread&) const = default;
};

// An op takes overhead + MACs / gmacs + the shares of the read times of its weights, inputs and
// output that its computing does not hide: 0 where all is hidden, 1 where it waits for every byte.
// Weights come from the cache that holds those of the whole network, as they return only with the
// next image; activations from the one that holds the op's inputs and output.
struct OpLaw {
  std::string kind;        // of law_kind()
  double overhead_us = 0;  // of each op
  // 1e9 MACs/s, or elements of the output of an op without MACs; absent where these cost nothing
  // beside the rest.
  std::optional<double> gmacs = {};
  double weights = 0;  // shares
  double input = 0;
  double output = 0;
  int ops = 0;  // that it was fitted to
  OpLawSpread spread = {};
  bool operator==(const OpLaw&) const = default;
};

// "conv 3x3 stride 2", "depthwise 5x5", "activation gelu": ops that run the same code. A
// convolution of the image (stem) and one of a single pixel (linear) are kinds of their own.
std::string law_kind(const Graph& graph, const Op& op);

// Laws of a machine on which everything takes `factor` times as long.
std::vector<OpLaw> slowed(std::vector<OpLaw> laws, double factor);

// Ops of a graph that ran as one, and how long they took.
struct TimedStep {
  const Graph* graph = nullptr;  // norms folded
  std::vector<int> ops;
  Seconds seconds = {};
  double weight = 1;  // counts as this many steps
};

// The laws of all kinds at once, none of their terms negative, with the least sum of
// (law - measured)^2 / (measured * the whole network's latency): networks count alike, large or
// small, and within one the error is between a relative one, which small ops would rule, and an
// absolute one, which large ops would. Throws std::invalid_argument for a step that took no time.
std::vector<OpLaw> fit_op_laws(const std::vector<TimedStep>& steps, DataType type,
                               const ReadBandwidths& bandwidths);

// An op by its law: what it takes by itself, and the bytes of weights that it waits for, whose time
// depends on the weights of the whole network.
struct OpByLaw {
  Seconds seconds = {};
  Bytes waited = {};
};
// One per op of the graph (norms folded), in its order, of `batch` images together: as many times
// the MACs and the activations, the weights once. Nothing for a kind without a law. Where ops
// of a network are priced apart from the rest of it, only that rest's weights are missing.
std::vector<std::optional<OpByLaw>> ops_by_law(const Graph& graph, DataType type,
                                               const std::vector<OpLaw>& laws,
                                               const ReadBandwidths& bandwidths, int batch = 1);
// The time of `waited` bytes of a network that has `weights` in all.
Seconds wait_for_weights(Bytes waited, Bytes weights, const ReadBandwidths& bandwidths);
// The least and the most that one byte takes in networks with `fewest` to `most` bytes of weights.
std::pair<Seconds, Seconds> wait_per_byte(Bytes fewest, Bytes most,
                                          const ReadBandwidths& bandwidths);

// The same with the weights of `graph`.
std::vector<std::optional<Seconds>> op_times(const Graph& graph, DataType type,
                                             const std::vector<OpLaw>& laws,
                                             const ReadBandwidths& bandwidths, int batch = 1);

}  // namespace ridgewalk
