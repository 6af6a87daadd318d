// MACs, bytes and seconds as types, so that a factor of two (FLOP or MAC) or of a thousand cannot
// slip in unnoticed. All are doubles: whole MACs and bytes are exact up to 2^53.
#pragma once

#include <compare>

namespace ridgewalk {

template <class Unit>
struct Quantity {
  double value = 0;
  auto operator<=>(const Quantity&) const = default;
  Quantity& operator+=(Quantity other) {
    value += other.value;
    return *this;
  }
  friend Quantity operator+(Quantity a, Quantity b) { return {a.value + b.value}; }
  friend Quantity operator-(Quantity a, Quantity b) { return {a.value - b.value}; }
  friend Quantity operator*(double factor, Quantity a) { return {factor * a.value}; }
  friend double operator/(Quantity a, Quantity b) { return a.value / b.value; }
};

using Macs = Quantity<struct MacUnit>;  // one multiply-accumulate; half of what "FLOPs" counts
using Bytes = Quantity<struct ByteUnit>;
using Seconds = Quantity<struct SecondUnit>;
using MacsPerSecond = Quantity<struct MacsPerSecondUnit>;
using BytesPerSecond = Quantity<struct BytesPerSecondUnit>;
// Operational intensity, and the ridge point at which a machine stops waiting for memory.
using MacsPerByte = Quantity<struct MacsPerByteUnit>;

constexpr Macs operator*(MacsPerByte intensity, Bytes bytes) {
  return {intensity.value * bytes.value};
}
constexpr Seconds operator/(Macs macs, MacsPerSecond rate) { return {macs.value / rate.value}; }
constexpr Seconds operator/(Bytes bytes, BytesPerSecond rate) { return {bytes.value / rate.value}; }
constexpr MacsPerByte operator/(Macs macs, Bytes bytes) { return {macs.value / bytes.value}; }
constexpr MacsPerByte operator/(MacsPerSecond peak, BytesPerSecond bandwidth) {
  return {peak.value / bandwidth.value};
}

}  // namespace ridgewalk
