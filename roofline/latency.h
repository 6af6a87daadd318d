// The roofline latency model: sum over operations of max(MACs / peak, bytes / bandwidth)
// (MobileNetV4, section 3, equation 1).
#pragma once

#include <span>
#include <vector>

#include "roofline/cost.h"

namespace ridgewalk {

// To 2^-10 of a MAC: sums of rounded times, up to 2^43 MACs, are exact and equal in any order.
Macs rounded(Macs time);

// Time of one op in units of one MAC at peak: max(MACs, ridge point * bytes), rounded. Ridge point
// 0 is MAC counting.
Macs op_time(const OpCost& cost, MacsPerByte ridge_point, DataType type);

// Sum of op_time over the operations. Divided by a machine's peak it is the latency in seconds.
Macs latency(std::span<const OpCost> costs, MacsPerByte ridge_point,
             DataType type = DataType::kInt8);
Macs latency(const Graph& graph, MacsPerByte ridge_point, DataType type = DataType::kInt8);

// As on the axis of the stages' type: an op of a head in a wider type counts as many times as its
// elements are wider, MACs and bytes (with_head()). Throws Error for a narrower head.
std::vector<OpCost> on_axis(std::vector<OpCost> costs, const Graph& graph, NetworkTypes types);

// Of a training step on `batch` images, forward and backward, without the optimiser: for each op
// the sum of both passes' max(MACs, ridge point * bytes), where each tensor is moved once in each
// pass. Forward, an op reads its weights and inputs and writes its output. Backward, it has twice
// the MACs; it reads its weights, its inputs and the gradient of its output, and writes the
// gradients of weights and inputs. An op that reads the images has no gradient of its input: once
// the MACs, and neither its weights nor that gradient.
Macs training_latency(const Graph& graph, int64_t batch, MacsPerByte ridge_point, DataType type);

// The ridge points of a sweep from `low` to `high`: 0 by itself, the others logarithmically spaced
// from 0.1 on, both ends included. Throws Error when the ends are not in order.
std::vector<MacsPerByte> ridge_points(double low, double high, int count = 101);

}  // namespace ridgewalk
