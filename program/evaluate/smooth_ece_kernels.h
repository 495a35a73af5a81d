// SPDX-License-Identifier: MIT
// What of the smooth calibration error is built once per instruction set.
#pragma once

#include <cstddef>  // size_t

#include "evaluate/smooth_ece.h"

namespace labelsmooth {

/// exp(-pi i j / half), j < half, of every power of two: [half + j].
struct Turn {
  double re, im;
};
struct CosineScratch {
  Abreast *re, *im, *other_re, *other_im;  // (n / 2,) each
};

/// `first_damping`: exp(-(pi sigma)^2 / 2).
struct SmoothKernels {
  /// n a power of two >= 2.
  void (*cosine_sums)(const Abreast* x, size_t n, const Turn* turns, const CosineScratch& scratch,
                      Abreast* sums);
  /// The cosines of the smoothed function as `points` tell them apart, 0..points.
  void (*fold)(const Abreast* cosines, const Abreast& first_damping, size_t points, Abreast* folded);
  /// Integral of the smoothed function's square over [0, 1].
  void (*sum_of_squares)(const Abreast* cosines, const Abreast& first_damping, Abreast& sums);
  /// Integral of |.| over straight lines between the points.
  void (*area)(const Abreast* values, size_t points, Abreast& areas);
};

}  // namespace labelsmooth
