// Lanes: threads that independent pieces of work are shared out to. What a piece computes must
// depend on nothing but the piece, so that results are the same, bit for bit, for any number of
// lanes.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

namespace ridgewalk {

// Calls work(i) for every i from 0 to count - 1 on up to `lanes` threads, of which the caller's is
// one, and returns when all are done. The pieces are begun in ascending order, each as soon as a
// lane is free; lanes that find none take part in the loops of those under way
// (network/shared_loop.h). In a lane LibTorch uses at::get_num_threads() threads; its guards (no
// gradients, autocast) do not reach other threads, so that a piece sets its own. When a piece
// throws, no further piece is begun, `stop` is requested, which a piece that takes long may watch,
// and what was thrown first is rethrown.
void in_lanes(int lanes, int64_t count, const std::function<void(int64_t)>& work,
              std::stop_source stop = {});

// at::set_num_threads(), for OpenBLAS as well. Threads that are started later follow it, too.
void set_threads(int threads);

}  // namespace ridgewalk
