// SPDX-License-Identifier: MIT
#include "evaluate/smooth_ece.h"

#include "targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evaluate/smooth_ece.cc"
#include <hwy/foreach_target.h>  // must precede highway.h
#include <hwy/highway.h>

#include "evaluate/smooth_ece-inl.h"

#if HWY_ONCE

#include <algorithm>  // std::any_of, std::min
#include <cmath>      // std::cos, std::exp, std::sin, std::sqrt
#include <numbers>    // std::numbers::pi

#include "chosen_target.h"

namespace labelsmooth {
namespace {

HWY_EXPORT(TargetSmoothKernels);

const SmoothKernels& smooth_kernels() { return *chosen_target(HWY_DISPATCH_TABLE(TargetSmoothKernels))(); }

constexpr double kPi = std::numbers::pi;

const Turn* turns() {
  static const std::vector<Turn> kTurns = [] {
    std::vector<Turn> all(2 * kSmoothCells);
    for (int half = 1; half <= kSmoothCells; half *= 2) {
      for (int j = 0; j < half; ++j) all[half + j] = {std::cos(kPi * j / half), -std::sin(kPi * j / half)};
    }
    return all;
  }();
  return kTurns.data();
}

Abreast first_damping(const Abreast& sigma) {
  Abreast damping;
  for (int r = 0; r < kAbreast; ++r) damping.of[r] = std::exp(-(kPi * sigma.of[r]) * (kPi * sigma.of[r]) / 2);
  return damping;
}

}  // namespace

SmoothPlace smooth_place(double c) {
  const int node = std::min(static_cast<int>(c * kSmoothCells), kSmoothCells - 1);
  return {node, c * kSmoothCells - node};
}

const std::vector<Abreast>& CosineSums::operator()(const std::vector<Abreast>& x) {
  const size_t n = x.size() - 1;
  sums_.resize(x.size());
  if (n == 1) {
    for (int r = 0; r < kAbreast; ++r) {
      sums_[0].of[r] = x[0].of[r] + x[1].of[r];
      sums_[1].of[r] = x[0].of[r] - x[1].of[r];
    }
    return sums_;
  }
  for (auto* part : {&re_, &im_, &other_re_, &other_im_}) part->resize(n / 2);
  smooth_kernels().cosine_sums(x.data(), n, turns(),
                               {re_.data(), im_.data(), other_re_.data(), other_im_.data()}, sums_.data());
  return sums_;
}

const std::vector<Abreast>& SmoothEce::smoothed(const Abreast& sigma, int points) {
  folded_.resize(points + 1);
  smooth_kernels().fold(cosines_.data(), first_damping(sigma), points, folded_.data());
  return transform_(folded_);
}

Abreast SmoothEce::at(const Abreast& sigma) {
  Abreast areas;
  smooth_kernels().area(smoothed(sigma, kSmoothCells).data(), kSmoothCells, areas);
  return areas;
}

/// At least at(sigma), and nearly that for noise: a mean of absolute values is at most the root mean square,
/// which Parseval has without a transform.
Abreast SmoothEce::bound(const Abreast& sigma) const {
  Abreast bound;
  smooth_kernels().sum_of_squares(cosines_.data(), first_damping(sigma), bound);
  for (double& one : bound.of) one = (1 + 1e-9) * std::sqrt(one);
  return bound;
}

SmoothEce::Solution SmoothEce::solve() {
  constexpr int kHalvings = 10;
  constexpr double kLeastSigma = 1e-3, kUnknown = -1;
  Abreast low, high, at_high, middle;
  for (int r = 0; r < kAbreast; ++r) high.of[r] = 1, at_high.of[r] = kUnknown;
  for (int step = 0; step < kHalvings; ++step) {
    for (int r = 0; r < kAbreast; ++r) middle.of[r] = (low.of[r] + high.of[r]) / 2;
    const Abreast most = bound(middle);
    bool open[kAbreast];
    for (int r = 0; r < kAbreast; ++r) open[r] = middle.of[r] >= kLeastSigma && most.of[r] > middle.of[r];
    const bool any = std::any_of(open, open + kAbreast, [](bool one) { return one; });
    const Abreast value = any ? at(middle) : Abreast();
    for (int r = 0; r < kAbreast; ++r) {
      if (middle.of[r] < kLeastSigma || (open[r] && value.of[r] > middle.of[r])) {
        low.of[r] = middle.of[r];
      } else {
        high.of[r] = middle.of[r];
        at_high.of[r] = open[r] ? value.of[r] : kUnknown;
      }
    }
  }
  const bool any = std::any_of(at_high.of, at_high.of + kAbreast, [](double one) { return one == kUnknown; });
  return {any ? at(high) : at_high, high};
}

}  // namespace labelsmooth

#endif  // HWY_ONCE
