// SPDX-License-Identifier: MIT
// The kernels of probabilities: where the loss needs a row's sums alone, calibration keeps every p_k, and a
// temperature needs the moments of the logits. In f64 whatever the logits' type, one exp an element. Built
// once per instruction set, chosen with the loss's kernels.
#pragma once

#include <cstdint>  // int64_t

namespace labelsmooth {

/// Of a row with u = scale * (z - max); NaN and -1 where it has no softmax (NaN or +inf in it, or -inf
/// alone).
struct SoftmaxSums {
  double max, tail, tail_u, squares;  // of z; over the others, as in RowSummary; of e over the others
  double most_square;                 // no square of these is above it; a lane's sum, so a part of `squares`
  int64_t argmax;                     // the lowest index on ties
};

/// E[u], E[u^2], E[u^3] under the softmax; u and NaN as above.
struct SoftmaxMoments {
  double max, first, second, third;
};

/// Contracts: n >= 1; scale > 0.
template <class T>
struct SoftmaxOf {
  /// e_k = exp(u_k), k < n, and their sums; e may be z.
  void (*exps)(const T* z, int64_t n, double scale, double* e, SoftmaxSums& sums);
  void (*moments)(const T* z, int64_t n, double scale, SoftmaxMoments& moments);
};

struct SoftmaxKernels {
  SoftmaxOf<float> f32;
  SoftmaxOf<double> f64;
  /// sums_k += factor * e_k + second_factor * second_k.
  void (*add)(const double* e, double factor, const double* second, double second_factor, int64_t n,
              double* sums);
  /// The k with factor * e_k >= limit to `found`, ascending. Returns how many they are.
  int64_t (*at_least)(const double* e, int64_t n, double factor, double limit, int64_t* found);
  /// x_i = log1p(x_i) of 0 <= x_i <= 2^1000, or NaN; any value beyond. Within 2 ulp.
  void (*log1p)(double* x, int64_t n);
};

/// Those of the instruction set in use (isa.h).
const SoftmaxKernels& softmax_kernels();

}  // namespace labelsmooth
