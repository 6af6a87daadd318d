#include "supernet/inference/program.h"

#include <algorithm>
#include <cstring>

#include <sys/mman.h>

#include "supernet/network/placement.h"

namespace ridgewalk {

namespace {
constexpr size_t kPage = size_t{1} << 21;  // a huge page

constexpr int kTries = 64;  // networks are placed once and run often

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }
}  // namespace

Program::Value Program::constant(dnnl::memory memory) {
  const dnnl::memory::desc layout = memory.get_desc();
  values_.push_back({.layout = layout, .memory = std::move(memory), .root = Value(values_.size())});
  return Value(values_.size()) - 1;
}

Program::Value Program::value(const dnnl::memory::desc& layout) {
  values_.push_back({.layout = layout, .root = Value(values_.size()), .in_arena = true});
  return Value(values_.size()) - 1;
}

Program::Value Program::alias(Value value, const dnnl::memory::desc& layout, size_t offset) {
  const Slot whole = values_[size_t(value)];
  const size_t before = whole.root == value ? 0 : whole.offset;
  values_.push_back(
      {.layout = layout, .root = whole.root, .in_arena = true, .offset = before + offset});
  return Value(values_.size()) - 1;
}

Program::Value Program::scratchpad(const dnnl::memory::desc& layout) {
  const Value result = value(layout);
  values_.back().is_scratchpad = true;
  scratchpad_bytes_ = std::max(scratchpad_bytes_, layout.get_size());
  return result;
}

Program::Value Program::input(const dnnl::memory::desc& layout) {
  input_ = constant(dnnl::memory(layout, engine_, nullptr));
  return input_;
}

dnnl::primitive_attr Program::attributes(const dnnl::post_ops& post_ops) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(post_ops);
  return attributes;
}

void Program::append(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad,
                     Bindings bindings) {
  if (scratchpad.get_size() > 0) {
    bindings.emplace_back(DNNL_ARG_SCRATCHPAD, this->scratchpad(scratchpad));
  }
  append({.primitive = std::move(primitive), .function = {}, .bindings = std::move(bindings)});
}

void Program::add(Function function, const std::vector<Value>& operands) {
  Call call{.primitive = {}, .function = std::move(function), .bindings = {}};
  for (Value operand : operands) call.bindings.emplace_back(int(call.bindings.size()), operand);
  append(std::move(call));
}

void Program::append(Call call) {
  const int index = int(calls_.size());
  for (const auto& [argument, value] : call.bindings) {
    Slot& root = values_[size_t(values_[size_t(value)].root)];
    if (root.last < 0) root.first = index;
    root.last = index;
  }
  calls_.push_back(std::move(call));
}

size_t Program::place_values() {
  std::vector<Slot*> roots;
  std::vector<Tenancy> values;
  for (size_t i = 0; i < values_.size(); ++i) {
    Slot& slot = values_[i];
    if (!slot.in_arena || slot.is_scratchpad || slot.root != Value(i) || slot.last < 0) continue;
    roots.push_back(&slot);
    values.push_back({.bytes = slot.layout.get_size(), .first = slot.first, .last = slot.last});
  }
  const Placement placement = place(values, kTries);
  for (size_t i = 0; i < roots.size(); ++i) roots[i]->offset = placement.offsets[i];
  return placement.bytes;
}

void Program::finish(std::vector<Value> outputs) {
  outputs_ = std::move(outputs);
  for (Value output : outputs_) {
    values_[size_t(values_[size_t(output)].root)].last = int(calls_.size());
  }
  arena_bytes_ = place_values();
  size_t bytes = rounded(arena_bytes_, kPlacementAlignment);
  for (Slot& slot : values_) {
    if (slot.is_scratchpad) slot.offset = bytes;  // one for all steps, which run in turn
  }
  bytes = rounded(bytes + scratchpad_bytes_, kPlacementAlignment);
  for (Slot& slot : values_) {
    if (!is_constant(slot)) continue;
    slot.offset = bytes;
    bytes = rounded(bytes + slot.layout.get_size(), kPlacementAlignment);
  }
  bytes_.reset(static_cast<uint8_t*>(std::aligned_alloc(kPage, rounded(bytes, kPage))));
  if (bytes_ == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  madvise(bytes_.get(), rounded(bytes, kPage), MADV_HUGEPAGE);  // small networks: 3 % faster
#endif
  for (size_t i = 0; i < values_.size(); ++i) {
    Slot& slot = values_[i];
    if (Value(i) == input_) continue;
    const size_t in_root = slot.root == Value(i) ? 0 : slot.offset;
    uint8_t* place = bytes_.get() + values_[size_t(slot.root)].offset + in_root;
    if (is_constant(slot)) {
      std::memcpy(place, slot.memory.get_data_handle(), slot.layout.get_size());
    }
    slot.memory = dnnl::memory(slot.layout, engine_, place);
  }
  for (Call& call : calls_) {
    for (const auto& [argument, value] : call.bindings) {
      call.arguments.push_back({argument, values_[size_t(value)].memory.get()});
    }
  }
}

void Program::set_input(const void* bytes) {
  values_[size_t(input_)].memory.set_data_handle(const_cast<void*>(bytes));
}

void Program::run_step(size_t index) {
  for (size_t i = index == 0 ? 0 : ends_[index - 1]; i < ends_[index]; ++i) run(calls_[i]);
}

void Program::run(Call& call) {
  if (call.function) {
    call.operands.clear();
    for (const auto& [argument, value] : call.bindings) {
      void* bytes = values_[size_t(value)].memory.get_data_handle();
      call.operands.push_back(static_cast<uint8_t*>(bytes));
    }
    return call.function(call.operands.data());
  }
  dnnl::error::wrap_c_api(dnnl_primitive_execute(call.primitive.get(), stream_.get(),
                                                 int(call.arguments.size()), call.arguments.data()),
                          "oneDNN could not run a primitive");
}

}  // namespace ridgewalk
