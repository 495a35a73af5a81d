// SPDX-License-Identifier: MIT
#include "evaluate/smooth_ece.h"

#include <algorithm>  // std::clamp, std::max, std::min
#include <bit>        // std::bit_ceil
#include <cmath>      // std::abs, std::cos, std::exp, std::floor, std::sin
#include <limits>     // std::numeric_limits
#include <numbers>    // std::numbers::pi
#include <utility>    // std::swap

namespace labelsmooth {
namespace {

constexpr double kPi = std::numbers::pi;

/// exp(-pi i j / half), j < half, of every power of two up to kSmoothCells: [half + j]. Real and imaginary
/// parts stand apart throughout, so that compilers make vectors of the loops.
struct Turns {
  std::vector<double> re, im;
};
const Turns& turns() {
  static const Turns kTurns = [] {
    Turns all{std::vector<double>(2 * kSmoothCells), std::vector<double>(2 * kSmoothCells)};
    for (int half = 1; half <= kSmoothCells; half *= 2) {
      for (int j = 0; j < half; ++j) {
        all.re[half + j] = std::cos(kPi * j / half);
        all.im[half + j] = -std::sin(kPi * j / half);
      }
    }
    return all;
  }();
  return kTurns;
}

/// One stage: pairs of transforms of `half` numbers become one.
void join_halves(double* __restrict re, double* __restrict im, const double* __restrict turn_re,
                 const double* __restrict turn_im, size_t half) {
  double* __restrict re2 = re + half, * __restrict im2 = im + half;
  for (size_t j = 0; j < half; ++j) {
    const double x = re2[j] * turn_re[j] - im2[j] * turn_im[j];
    const double y = re2[j] * turn_im[j] + im2[j] * turn_re[j];
    re2[j] = re[j] - x;
    im2[j] = im[j] - y;
    re[j] += x;
    im[j] += y;
  }
}

/// X_k = sum of x_j exp(-2 pi i j k / size), in place; size a power of two up to kSmoothCells (Cooley,
/// Tukey).
void fourier(std::vector<double>& re, std::vector<double>& im) {
  const size_t size = re.size();
  for (size_t i = 1, j = 0; i < size; ++i) {  // bits reversed
    size_t bit = size / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(re[i], re[j]), std::swap(im[i], im[j]);
  }
  const Turns& turn = turns();
  for (size_t half = 1; half < size; half *= 2) {
    for (size_t begin = 0; begin < size; begin += 2 * half)
      join_halves(&re[begin], &im[begin], &turn.re[half], &turn.im[half], half);
  }
}

}  // namespace

SmoothPlace smooth_place(double c) {
  const int node = std::min(static_cast<int>(c * kSmoothCells), kSmoothCells - 1);
  return {node, c * kSmoothCells - node};
}

// By one Fourier transform of half as many complex numbers: y below is real, its sums give every second X,
// and differences of the others.
std::vector<double> cosine_sums(const std::vector<double>& x) {
  const size_t n = x.size() - 1;
  if (n == 1) return {x[0] + x[1], x[0] - x[1]};
  const size_t size = n / 2;
  const double *cosine = &turns().re[n], *minus_sine = &turns().im[n];
  std::vector<double> re(size), im(size);  // y_0 + i y_1, y_2 + i y_3, ...
  double odd = x[0] - x[n];                // X_1
  for (size_t j = 0; j < n; ++j) {
    const double y = j == 0 ? x[0] + x[n] : (x[j] + x[n - j]) / 2 + minus_sine[j] * (x[j] - x[n - j]);
    (j % 2 == 0 ? re : im)[j / 2] = y;
    if (j > 0) odd += x[j] * cosine[j];
  }
  fourier(re, im);

  std::vector<double> sums(n + 1);
  const double *turn_re = &turns().re[size], *turn_im = &turns().im[size];
  sums[0] = re[0] + im[0];
  sums[1] = odd;
  for (size_t k = 1; k < size; ++k) {
    const double even_re = (re[k] + re[size - k]) / 2, even_im = (im[k] - im[size - k]) / 2;
    const double odd_re = (im[k] + im[size - k]) / 2, odd_im = (re[size - k] - re[k]) / 2;
    sums[2 * k] = even_re + turn_re[k] * odd_re - turn_im[k] * odd_im;
    sums[2 * k + 1] = odd -= even_im + turn_re[k] * odd_im + turn_im[k] * odd_re;
  }
  sums[n] = re[0] - im[0];
  return sums;
}

std::vector<double> smoothed(const std::vector<double>& cosines, double sigma, int points) {
  std::vector<double> damped(points + 1);
  damped[0] = cosines[0];
  for (int m = 1; m <= std::min(points, kSmoothCells); ++m) {
    const double x = m * kPi * sigma;
    const double damping = std::exp(-x * x / 2);
    if (damping < 1e-17) break;
    damped[m] = 2 * damping * cosines[m];
  }
  return cosine_sums(damped);
}

double smooth_ece_at(const std::vector<double>& cosines, double sigma) {
  const auto wanted = static_cast<unsigned>(std::min(10 / std::max(sigma, 1e-6), double{kSmoothCells}));
  const int points = static_cast<int>(std::clamp<unsigned>(std::bit_ceil(wanted), 256, kSmoothCells));
  const std::vector<double> values = smoothed(cosines, sigma, points);
  double sum = 0;  // of the integral of |.| over straight lines between the points
  for (int i = 0; i < points; ++i) {
    const double a = values[i], b = values[i + 1], size = std::abs(a) + std::abs(b);
    sum += a * b >= 0 ? size : (a * a + b * b) / size;
  }
  return sum / (2.0 * points);
}

SmoothEce smooth_ece(const std::vector<double>& cosines) {
  constexpr int kHalvings = 10;
  constexpr double kLeastSigma = 1e-3, kUnknown = std::numeric_limits<double>::infinity();
  double low = 0, high = 1, at_high = kUnknown;
  for (int step = 0; step < kHalvings; ++step) {
    const double middle = (low + high) / 2;
    const double value = middle < kLeastSigma ? kUnknown : smooth_ece_at(cosines, middle);
    if (middle < value) {
      low = middle;
    } else {
      high = middle, at_high = value;
    }
  }
  return {high < 1 ? at_high : smooth_ece_at(cosines, high), high};
}

}  // namespace labelsmooth
