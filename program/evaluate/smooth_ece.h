// SPDX-License-Identifier: MIT
// Smooth calibration error (Blasiok and Nakkiran 2024) in a form that keeps its mass: no bins.
//
//   smECE_sigma = integral over t in [0, 1] of |(1/N) sum_i (f_i - y_i) K(t, f_i)|,
//   K(t, f) = sum over whole j of phi_sigma(t - 2j - f) + phi_sigma(t - 2j + f),
// a Gaussian reflected at 0 and 1, which integrates to 1 wherever f lies. In cosines
//   K(t, f) = 1 + 2 sum_{m >= 1} exp(-(m pi sigma)^2 / 2) cos(m pi t) cos(m pi f),
// so one cosine transform of the residuals serves every sigma.
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

/// X_m = sum over j of x_j cos(pi m j / n), m = 0..n, of n + 1 numbers; n a power of two.
std::vector<double> cosine_sums(const std::vector<double>& x);

struct SmoothEce {
  double value, sigma;
};
/// cosines: cosine_sums of the residuals f - y, divided by N, on the grid's nodes. The sigma at which
/// smECE_sigma = sigma, by ten halvings of [0, 1], so in steps of 2^-10; value is that at the upper end.
SmoothEce smooth_ece(const std::vector<double>& cosines);
double smooth_ece_at(const std::vector<double>& cosines, double sigma);

/// The smoothed function at i / points, i = 0..points; exact whatever `points`, a power of two.
std::vector<double> smoothed(const std::vector<double>& cosines, double sigma, int points);

}  // namespace labelsmooth
