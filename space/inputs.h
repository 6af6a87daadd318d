// The indices of the ops that an op reads.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ridgewalk {

// In order. One or two, as most ops read, need no allocation.
class Inputs {
 public:
  Inputs() = default;
  Inputs(std::initializer_list<int> list) {
    for (int input : list) push_back(input);
  }
  explicit Inputs(const std::vector<int>& list) {
    for (int input : list) push_back(input);
  }

  void push_back(int input) {
    if (many_.empty() && few_count_ < few_.size()) {
      few_[few_count_++] = input;
    } else {
      push_to_many(input);
    }
  }

  size_t size() const { return many_.empty() ? few_count_ : many_.size(); }
  bool empty() const { return size() == 0; }
  const int* begin() const { return many_.empty() ? few_.data() : many_.data(); }
  const int* end() const { return begin() + size(); }
  int* begin() { return const_cast<int*>(std::as_const(*this).begin()); }
  int* end() { return begin() + size(); }
  int operator[](size_t i) const { return begin()[i]; }
  int& operator[](size_t i) { return begin()[i]; }
  int at(size_t i) const {
    if (i >= size()) throw std::out_of_range("an op has fewer inputs");
    return begin()[i];
  }
  bool operator==(const Inputs& other) const { return std::ranges::equal(*this, other); }

 private:
  void push_to_many(int input) {
    if (many_.empty()) many_.assign(few_.begin(), few_.end());
    few_count_ = 0;
    many_.push_back(input);
  }

  std::array<int, 2> few_ = {};
  size_t few_count_ = 0;
  std::vector<int> many_ = {};  // all of them, where there are more
};

}  // namespace ridgewalk
