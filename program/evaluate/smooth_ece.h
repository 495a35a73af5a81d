// SPDX-License-Identifier: MIT
// Smooth calibration error (Blasiok and Nakkiran 2024) in a form that keeps its mass: no bins.
//
//   smECE_sigma = integral over t in [0, 1] of |(1/N) sum_i (f_i - y_i) K(t, f_i)|,
//   K(t, f) = sum over whole j of phi_sigma(t - 2j - f) + phi_sigma(t - 2j + f),
// a Gaussian reflected at 0 and 1, which integrates to 1 wherever f lies. In cosines
//   K(t, f) = 1 + 2 sum_{m >= 1} exp(-(m pi sigma)^2 / 2) cos(m pi t) cos(m pi f),
// so one cosine transform of the residuals serves every sigma. Eight sets of residuals go side by side, each
// with its own sigma: redraws of one model's labels. What one comes to has nothing of the others in it.
#pragma once

#include <vector>  // std::vector

namespace labelsmooth {

inline constexpr int kSmoothCells = 4096;

/// Where c in [0, 1] lies on the grid of kSmoothCells + 1 nodes: mass 1 - fraction on `node`, the rest
/// beyond.
struct SmoothPlace {
  int node;
  double fraction;
};
SmoothPlace smooth_place(double c);

/// One number of each of eight redraws.
inline constexpr int kAbreast = 8;
struct alignas(64) Abreast {
  double of[kAbreast] = {};
};

/// X_m = sum over j of x_j cos(pi m j / n), m = 0..n, of n + 1 numbers, n a power of two up to kSmoothCells.
class CosineSums {
 public:
  /// Valid until the next call.
  const std::vector<Abreast>& operator()(const std::vector<Abreast>& x);

 private:
  std::vector<Abreast> re_, im_, other_re_, other_im_, sums_;
};

/// Memory 2 MB, for any number of sets.
class SmoothEce {
 public:
  SmoothEce() : residuals_(kSmoothCells + 1) {}
  /// f - y, summed by node and divided by N: to be filled, then taken.
  std::vector<Abreast>& residuals() { return residuals_; }
  void take() { cosines_ = transform_(residuals_); }

  /// The sigma at which smECE_sigma = sigma, by ten halvings of [0, 1], so in steps of 2^-10; the value is
  /// that at the upper end.
  struct Solution {
    Abreast value, sigma;
  };
  Solution solve();
  Abreast at(const Abreast& sigma);
  /// The smoothed residuals at i / points, i = 0..points, a power of two; exact whatever their number. Valid
  /// until the next call.
  const std::vector<Abreast>& smoothed(const Abreast& sigma, int points);

 private:
  Abreast bound(const Abreast& sigma) const;

  std::vector<Abreast> residuals_, cosines_, folded_;
  CosineSums transform_;
};

}  // namespace labelsmooth
