// The output of an op for a batch, and its gradient, as the training program's passes see them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "supernet/network/norm_pass.h"

namespace ridgewalk {

// Images in channels_last: rows [images * height * width, channels]. Where there is a norm, readers
// see x normalised by it, and `gradient` is that of what they see.
template <class T>
struct OpRows {
  T* x = nullptr;
  T* gradient = nullptr;
  int64_t images = 0, height = 0, width = 0, channels = 0;
  NormPass* norm = nullptr;

  int64_t per_image() const { return height * width; }
  int64_t rows() const { return images * per_image(); }
  int64_t elements() const { return rows() * channels; }
};

// What a backward pass does with the gradient of its input.
struct Contribution {
  bool wanted = true;
  bool adds = false;       // to what other readers have contributed
  bool completes = false;  // no other reader will: the norm of the input can add it up
};

// Memory that each thread keeps from call to call, one piece for each purpose.
enum class Scratch {
  kWeights,
  kOtherWeights,
  kInput,
  kInputPairs,
  kOutput,
  kOutputPairs,
  kImage,
  kGradient,
  kCount
};

template <class T>
T* scratch(Scratch purpose, int64_t count) {
  struct Free {
    void operator()(void* bytes) const { std::free(bytes); }
  };
  struct Piece {
    std::unique_ptr<void, Free> bytes;
    size_t size = 0;
  };
  thread_local Piece pieces[size_t(Scratch::kCount)];
  constexpr size_t kCacheLine = 64,
                   kMostReadBehind = 512;  // kernels may read behind the last number
  const size_t needed =
      (size_t(count) * sizeof(T) + kMostReadBehind + kCacheLine - 1) / kCacheLine * kCacheLine;
  Piece& piece = pieces[size_t(purpose)];
  if (piece.size < needed) {
    piece.bytes.reset();
    piece.bytes.reset(std::aligned_alloc(kCacheLine, needed));
    if (!piece.bytes) throw std::bad_alloc();
    piece.size = needed;
  }
  return static_cast<T*>(piece.bytes.get());
}

}  // namespace ridgewalk
