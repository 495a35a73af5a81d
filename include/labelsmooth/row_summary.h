// SPDX-License-Identifier: MIT
// The idea of the library: all that a row's loss and gradient need of its classes, in 80 bytes that merge.
// Lanes, chunks, threads and ranks add up by the same function.
#pragma once

#include <cstdint>  // int64_t
#include <limits>   // std::numeric_limits

#include "labelsmooth/export.h"

namespace labelsmooth {

/// Summary of some classes of one row. z_k - max is 0 wherever z_k equals max, at -inf too, and a term
/// whose weight is 0 is 0 even where z_k = -inf. The default is the identity of merge: no classes seen.
struct RowSummary {
  double max = -std::numeric_limits<double>::infinity();
  double tail = 0;        // sum over k != argmax of exp(z_k - max): without the max's own 1, so that
                          // log1p(tail) is exact for confident rows
  double tail_z = 0;      // sum over k != argmax of (z_k - max) exp(z_k - max), for the entropy
  double label_dot = 0;   // sum of t_k (z_k - max)
  double label_mass = 0;  // sum of t_k
  double prior_dot = 0;   // sum of v_k (z_k - max), v_k = class weight * prior
  double prior_mass = 0;  // sum of v_k
  double prior_norm = 0;  // sum of the prior itself; uniform counts 1 a class
  int64_t argmax = -1;    // the lowest index on ties; the first NaN of a row that has one
  int64_t classes = 0;    // how many were seen
};
static_assert(sizeof(RowSummary) == 80);

/// Summary of the union of two disjoint sets of classes. merge(x, y) and merge(y, x) have the same bits;
/// the identity changes nothing; a NaN max wins and makes tail, tail_z and the dots NaN. O(1).
/// Not associative in bits: fold in index order for reproducible results.
LABELSMOOTH_API RowSummary merge(const RowSummary& x, const RowSummary& y);

}  // namespace labelsmooth
