// SPDX-License-Identifier: MIT
#include "evaluate/smooth_ece.h"

#include <algorithm>  // std::clamp, std::max, std::min
#include <bit>        // std::bit_ceil
#include <cmath>      // std::abs, std::cos, std::exp, std::isinf, std::sin, std::sqrt
#include <limits>     // std::numeric_limits
#include <numbers>    // std::numbers::pi

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

struct Complex {
  double re, im;
};
Complex times(const Complex& x, const Complex& y) {
  return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}

/// Real and imaginary parts of one signal; stages write from one of these into another.
struct Signal {
  double* __restrict re, * __restrict im;
  Complex operator[](size_t i) const { return {re[i], im[i]}; }
  void set(size_t i, const Complex& x) const { re[i] = x.re, im[i] = x.im; }
};

/// Of the `apart` transforms of 4 `quarter` numbers that lie in `x` side by side: number p of each quarter to
/// where 4 `apart` transforms of `quarter` numbers want it in `y`.
inline void join_quarters(const Signal& x, size_t quarter, size_t apart, size_t p, size_t q,
                          const Complex (&turn)[3], const Signal& y) {
  const Complex a = x[q + apart * p], b = x[q + apart * (p + quarter)], c = x[q + apart * (p + 2 * quarter)],
                d = x[q + apart * (p + 3 * quarter)];
  const Complex even = {a.re + c.re, a.im + c.im}, odd = {b.re + d.re, b.im + d.im};
  const Complex even_less = {a.re - c.re, a.im - c.im}, turned = {d.im - b.im, b.re - d.re};  // i (b - d)
  y.set(q + apart * (4 * p), {even.re + odd.re, even.im + odd.im});
  y.set(q + apart * (4 * p + 1), times(turn[0], {even_less.re - turned.re, even_less.im - turned.im}));
  y.set(q + apart * (4 * p + 2), times(turn[1], {even.re - odd.re, even.im - odd.im}));
  y.set(q + apart * (4 * p + 3), times(turn[2], {even_less.re + turned.re, even_less.im + turned.im}));
}

/// X_k = sum of x_j exp(-2 pi i j k / size), in place; size a power of two up to kSmoothCells. Stockham's
/// order, four at a time: no bits to reverse, and long loops over neighbours.
void fourier(std::vector<double>& re, std::vector<double>& im) {
  const size_t size = re.size();
  std::vector<double> other_re(size), other_im(size);
  size_t n = size, apart = 1;
  for (; n >= 4; n /= 4, apart *= 4) {
    const size_t quarter = n / 4;
    const Signal x = {re.data(), im.data()}, y = {other_re.data(), other_im.data()};
    const double *turn_re = &turns().re[n / 2], *turn_im = &turns().im[n / 2];
    const auto stage = [&](size_t p, size_t q) {
      const Complex once = {turn_re[p], turn_im[p]}, twice = {turn_re[2 * p], turn_im[2 * p]};
      join_quarters(x, quarter, apart, p, q, {once, twice, times(once, twice)}, y);
    };
    if (apart == 1) {  // or the inner loop would have one turn, and no vectors
      for (size_t p = 0; p < quarter; ++p) stage(p, 0);
    } else {
      for (size_t p = 0; p < quarter; ++p) {
        for (size_t q = 0; q < apart; ++q) stage(p, q);
      }
    }
    re.swap(other_re);
    im.swap(other_im);
  }
  for (size_t q = 0; n == 2 && q < apart; ++q) {
    const Complex a = {re[q], im[q]}, b = {re[q + apart], im[q + apart]};
    re[q] = a.re + b.re, im[q] = a.im + b.im;
    re[q + apart] = a.re - b.re, im[q + apart] = a.im - b.im;
  }
}

/// Calls body(m, exp(-(m pi sigma)^2 / 2)) for m = 1, 2, ... while that matters, m at most `most`. By
/// products: each is the one before times exp(-(2 m - 1) (pi sigma)^2 / 2); what they round is some 1e-12 of
/// the sums.
template <class Body>
void each_damping(double sigma, int most, const Body& body) {
  const double exponent = kPi * sigma * (kPi * sigma) / 2;
  const double less = std::exp(-2 * exponent);
  double damping = 1, factor = std::exp(-exponent);
  for (int m = 1; m <= most; ++m, factor *= less) {
    damping *= factor;
    if (damping < 1e-17) break;
    body(m, damping);
  }
}

/// At least smooth_ece_at(cosines, sigma), and nearly that for noise: a mean of absolute values is at most
/// the root mean square, which Parseval has without a transform.
double smooth_ece_bound(const std::vector<double>& cosines, double sigma) {
  double square = cosines[0] * cosines[0];
  each_damping(sigma, kSmoothCells,
               [&](int m, double damping) { square += 2 * damping * cosines[m] * (damping * cosines[m]); });
  return (1 + 1e-9) * std::sqrt(square);
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
  std::vector<double> re(size), im(size);                         // y_0 + i y_1, y_2 + i y_3, ...
  double odd = x[0] - x[n];                                       // X_1
  const auto take = [&](size_t j, double& front, double& back) {  // y_j and y_{n - j}
    const double mean = (x[j] + x[n - j]) / 2, difference = x[j] - x[n - j];
    front = mean + minus_sine[j] * difference;
    back = mean - minus_sine[j] * difference;
    odd += difference * cosine[j];
  };
  re[0] = x[0] + x[n];
  (size % 2 == 0 ? re : im)[size / 2] = x[size];
  for (size_t i = 1; i < size / 2; ++i) take(2 * i, re[i], re[size - i]);
  for (size_t i = 0; i < size / 2; ++i) take(2 * i + 1, im[i], im[size - 1 - i]);
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
  std::vector<double> folded(points + 1);
  folded[0] = cosines[0];
  each_damping(sigma, kSmoothCells, [&](int m, double damping) {
    const int turn = m & (2 * points - 1);  // on the points, cosine m is that one, and 2 points less it
    folded[turn <= points ? turn : 2 * points - turn] += 2 * damping * cosines[m];
  });
  return cosine_sums(folded);
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
    if (middle >= kLeastSigma && smooth_ece_bound(cosines, middle) <= middle) {
      high = middle, at_high = kUnknown;
      continue;
    }
    const double value = middle < kLeastSigma ? kUnknown : smooth_ece_at(cosines, middle);
    if (value <= middle) {
      high = middle, at_high = value;
    } else {
      low = middle;
    }
  }
  return {std::isinf(at_high) ? smooth_ece_at(cosines, high) : at_high, high};
}

}  // namespace labelsmooth
