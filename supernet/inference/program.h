// A list of calls, of oneDNN primitives and of functions, whose values share one arena. Only for
// the .cc files of inference: oneDNN stays out of all other headers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "supernet/inference/module.h"
#include "supernet/inference/onednn.h"

namespace ridgewalk {

class Program : public CompiledNetwork {
 public:
  // A constant, or bytes in the arena that live from the first call that uses them to the last.
  using Value = int;
  // oneDNN's argument index (DNNL_ARG_SRC...) and the value bound to it.
  using Bindings = std::vector<std::pair<int, Value>>;

  const dnnl::engine& engine() const { return engine_; }
  dnnl::memory::desc layout(Value value) const { return values_[size_t(value)].layout; }

  Value constant(dnnl::memory memory);
  Value value(const dnnl::memory::desc& layout);
  // The bytes of `value`, from `offset` on, with another layout.
  Value alias(Value value, const dnnl::memory::desc& layout, size_t offset = 0);
  // Bytes that are lost with the step; all steps share them.
  Value scratchpad(const dnnl::memory::desc& layout);
  // Its bytes are set for each run: set_input().
  Value input(const dnnl::memory::desc& layout);

  // Appends a call, whose descriptor must have been made with attributes(), to the next step.
  template <class Primitive>
  void add(const typename Primitive::primitive_desc& description, Bindings bindings) {
    append(Primitive(description), description.scratchpad_desc(), std::move(bindings));
  }
  // Appends a function, which is given where the operands lie.
  using Function = std::function<void(uint8_t* const* operands)>;
  void add(Function function, const std::vector<Value>& operands);
  // Puts scratchpads behind the arena.
  static dnnl::primitive_attr attributes(const dnnl::post_ops& post_ops = {});

  // What was added since the last step is a step that computes `value`.
  void end_step(Value value) {
    ends_.push_back(calls_.size());
    step_values_.push_back(value);
  }

  // Lays the values out in the arena; `outputs` outlive the last step. To be called once, after the
  // last step.
  void finish(std::vector<Value> outputs);

  size_t size() const override { return ends_.size(); }
  void run_step(size_t step) override;
  void set_input(const void* bytes) override;
  const void* value_of_step(size_t step) const override {
    return values_[size_t(step_values_[step])].memory.get_data_handle();
  }
  const void* output(size_t index) const override {
    return values_[size_t(outputs_[index])].memory.get_data_handle();
  }
  size_t arena_bytes() const override { return arena_bytes_; }
  size_t scratchpad_bytes() const override { return scratchpad_bytes_; }

 private:
  struct Slot {
    dnnl::memory::desc layout;
    dnnl::memory memory = {};
    Value root = 0;  // the value whose bytes these are
    bool in_arena = false;
    bool is_scratchpad = false;
    size_t offset = 0;         // of a root in the arena, of an alias in its root
    int first = 0, last = -1;  // the calls that use a root
  };
  struct Call {
    dnnl::primitive primitive;
    Function function;  // in its place
    Bindings bindings;
    std::vector<dnnl_exec_arg_t> arguments = {};
    std::vector<uint8_t*> operands = {};
  };

  void append(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, Bindings bindings);
  void append(Call call);
  void run(Call& call);
  size_t place_values();
  bool is_constant(const Slot& slot) const {
    return !slot.in_arena && &slot != &values_[size_t(input_)];
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<Slot> values_;
  std::vector<Call> calls_;
  std::vector<size_t> ends_;  // of steps: the call after the last
  std::vector<Value> step_values_;
  // The arena, the scratchpad, then the constants: together, so that huge pages hold all.
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<uint8_t, Free> bytes_;
  size_t arena_bytes_ = 0, scratchpad_bytes_ = 0;
  Value input_ = -1;
  std::vector<Value> outputs_;
};

}  // namespace ridgewalk
