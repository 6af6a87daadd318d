// A list of oneDNN primitives whose values share one arena. Only for the .cc files of inference:
// oneDNN stays out of all other headers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "supernet/inference/module.h"
#include "supernet/inference/onednn.h"

namespace ridgewalk {

class Program : public CompiledNetwork {
 public:
  // A constant, or bytes in the arena that live from the first step that uses them to the last.
  using Value = int;
  // oneDNN's argument index (DNNL_ARG_SRC...) and the value bound to it.
  using Bindings = std::vector<std::pair<int, Value>>;

  const dnnl::engine& engine() const { return engine_; }
  dnnl::memory::desc layout(Value value) const { return values_[size_t(value)].layout; }

  Value constant(dnnl::memory memory);
  Value value(const dnnl::memory::desc& layout);
  // The bytes of `value` with another layout.
  Value alias(Value value, const dnnl::memory::desc& layout);
  // Its bytes are set for each run: set_input().
  Value input(const dnnl::memory::desc& layout);

  // Appends a step, whose descriptor must have been made with attributes().
  template <class Primitive>
  void add(const typename Primitive::primitive_desc& description, Bindings bindings) {
    append(Primitive(description), description.scratchpad_desc(), std::move(bindings));
  }
  // Puts scratchpads into the arena.
  static dnnl::primitive_attr attributes(const dnnl::post_ops& post_ops = {});

  // Lays the values out in the arena; `output` outlives the last step. To be called once, after the
  // last add().
  void finish(Value output);

  size_t size() const override { return steps_.size(); }
  void run_step(size_t step) override;
  void set_input(const void* bytes) override;
  const void* output() const override { return values_[size_t(output_)].memory.get_data_handle(); }
  size_t arena_bytes() const override { return arena_bytes_; }

 private:
  struct Slot {
    dnnl::memory::desc layout;
    dnnl::memory memory = {};
    Value root = 0;  // the value whose bytes these are
    bool in_arena = false;
    size_t offset = 0;
    int first = 0, last = -1;  // the steps that use a root
  };
  struct Step {
    dnnl::primitive primitive;
    Bindings bindings;
    std::vector<dnnl_exec_arg_t> arguments = {};
  };

  void append(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, Bindings bindings);
  size_t place_values();
  bool is_constant(const Slot& slot) const {
    return !slot.in_arena && &slot != &values_[size_t(input_)];
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<Slot> values_;
  std::vector<Step> steps_;
  // The arena, then the constants: together, so that huge pages hold both.
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<uint8_t, Free> bytes_;
  size_t arena_bytes_ = 0;
  Value input_ = -1, output_ = -1;
};

}  // namespace ridgewalk
