// SPDX-License-Identifier: MIT
#include "evaluate/smooth_ece.h"

#include <algorithm>  // std::clamp, std::max, std::min
#include <bit>        // std::bit_ceil
#include <cmath>      // std::abs, std::cos, std::exp, std::floor, std::sin
#include <complex>    // std::complex
#include <numbers>    // std::numbers::pi
#include <utility>    // std::swap

namespace labelsmooth {
namespace {

using Complex = std::complex<double>;
constexpr double kPi = std::numbers::pi;

/// exp(-pi i j / kSmoothCells), j < kSmoothCells.
const std::vector<Complex>& roots() {
  static const std::vector<Complex> kRoots = [] {
    std::vector<Complex> all;
    for (int j = 0; j < kSmoothCells; ++j) {
      const double angle = kPi * j / kSmoothCells;
      all.emplace_back(std::cos(angle), -std::sin(angle));
    }
    return all;
  }();
  return kRoots;
}

/// Written out: the operator checks for infinities.
Complex times(const Complex& a, const Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

/// X_k = sum of x_j exp(-2 pi i j k / size), in place; size a power of two up to kSmoothCells (Cooley,
/// Tukey).
void fourier(std::vector<Complex>& x, const std::vector<Complex>& root) {
  const size_t size = x.size();
  for (size_t i = 1, j = 0; i < size; ++i) {  // bits reversed
    size_t bit = size / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (size_t half = 1; half < size; half *= 2) {
    const size_t stride = kSmoothCells / half;
    for (size_t begin = 0; begin < size; begin += 2 * half) {
      for (size_t j = 0; j < half; ++j) {
        const Complex a = x[begin + j], b = times(x[begin + j + half], root[j * stride]);
        x[begin + j] = a + b;
        x[begin + j + half] = a - b;
      }
    }
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
  const std::vector<Complex>& root = roots();
  const size_t stride = kSmoothCells / n;
  const auto y = [&](size_t j) {
    if (j == 0) return x[0] + x[n];
    return (x[j] + x[n - j]) / 2 + root[j * stride].imag() * (x[j] - x[n - j]);
  };
  std::vector<Complex> pairs(n / 2);
  double odd = x[0] - x[n];  // X_1
  for (size_t j = 0; j < n; j += 2) {
    pairs[j / 2] = {y(j), y(j + 1)};
    if (j > 0) odd += x[j] * root[j * stride].real();
    odd += x[j + 1] * root[(j + 1) * stride].real();
  }
  fourier(pairs, root);

  std::vector<double> sums(n + 1);
  for (size_t k = 0; k <= n / 2; ++k) {
    const Complex a = pairs[k % (n / 2)], b = std::conj(pairs[(n / 2 - k) % (n / 2)]);
    const Complex evens = (a + b) / 2.0, odds = times((a - b) / 2.0, {0, -1});
    const Complex turn = k < n / 2 ? root[2 * k * stride] : Complex(-1, 0);
    const Complex of_y = evens + times(turn, odds);
    sums[2 * k] = of_y.real();
    if (k > 0) odd -= of_y.imag();
    if (k < n / 2) sums[2 * k + 1] = odd;
  }
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
  constexpr double kLeastSigma = 1e-3;
  double low = 0, high = 1;
  for (int step = 0; step < kHalvings; ++step) {
    const double middle = (low + high) / 2;
    const bool too_small = middle < kLeastSigma || middle < smooth_ece_at(cosines, middle);
    (too_small ? low : high) = middle;
  }
  return {smooth_ece_at(cosines, high), high};
}

}  // namespace labelsmooth
