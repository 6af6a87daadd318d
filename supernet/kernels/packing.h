// Operands of matrix products in the order in which the products read them.
#pragma once

#include "supernet/kernels/matrix_kernel.h"

namespace ridgewalk {

template <class T>
int64_t units(int64_t depth) {
  return (depth + UnitOf<T>::kDepth - 1) / UnitOf<T>::kDepth;
}

// Units that pack() writes.
template <class T>
int64_t packed_units(int64_t depth, int64_t columns) {
  const int64_t panel = panel_columns();
  return (columns + panel - 1) / panel * panel * units<T>(depth);
}

// The right operand [depth, columns] whose number (d, c) is from[d * depth_stride + c *
// column_stride]; one of the strides is 1. Panels have the strides packed_panel() and
// panel_columns().
template <class T>
void pack(const float* from, int64_t depth_stride, int64_t column_stride, int64_t depth,
          int64_t columns, typename UnitOf<T>::Unit* to);
template <class T>
int64_t packed_panel(int64_t depth) {
  return panel_columns() * units<T>(depth);
}

// As pack(), of integers whose columns lie one after the other, `stride` apart: [columns, depth].
void pack_integers(const int16_t* from, int64_t stride, int64_t depth, int64_t columns,
                   UnitOf<int16_t>::Unit* to);

// Rows (2 i, 2 i + 1) of rows [count, channels] as units [ceil(count / 2), channels]; a row that
// is missing is 0.
void pair_rows(const Bf16* rows, int64_t count, int64_t channels, uint32_t* to);

}  // namespace ridgewalk
