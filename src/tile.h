// SPDX-License-Identifier: MIT
// A tile: some rows side by side, class k of row r at tile[k * width + r], so that each lane of a vector is a
// row. For rows too short to fill vectors of their own, and for views whose classes are not contiguous.
#pragma once

#include <cstdint>  // int64_t

namespace labelsmooth {

/// Rows of a tile at most, and what their number is a multiple of: the lanes of the widest vector.
constexpr int64_t kTileRows = 128, kTileLanes = 16;

/// What will be wanted next, in bytes: of the rows from `row`, a vector's width of them, and of class k the
/// line at row * row_step + k * class_step. Fetched while the arithmetic goes on; null where nothing is.
struct Ahead {
  const char* from = nullptr;
  int64_t row_step = 0, class_step = 0;
};

/// What the kernels know of a tile's rows, an array each.
template <class T>
struct TileRows {
  template <class Value>
  using Column = Value[kTileRows];

  // Sums over classes, as in RowSummary.
  alignas(64) Column<T> max, argmax;
  alignas(64) Column<double> tail, tail_z, prior_dot;
  // What the row is asked for. `label` is -1 where the row does not count and past the last one; `b` is
  // divided by the prior's norm.
  alignas(64) Column<T> label;
  alignas(64) Column<T> label_exp;  // exp(label_dot)
  alignas(64) Column<double> label_dot, label_prior, a, b, weight, factor;
  // The loss, weighted, and the nll.
  alignas(64) Column<double> loss, nll, log_sum;
  // The gradient: share * exp(z - max) - prior_factor * v, and the label's own.
  alignas(64) Column<T> share, prior_factor, label_gradient;
};

}  // namespace labelsmooth
