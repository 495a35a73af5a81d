// SPDX-License-Identifier: MIT
// The bodies of the kernels of probabilities, written once for every instruction set.

#if defined(LABELSMOOTH_SOFTMAX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_SOFTMAX_INL_H
#undef LABELSMOOTH_SOFTMAX_INL_H
#else
#define LABELSMOOTH_SOFTMAX_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>  // std::copy_n
#include <cmath>      // std::isfinite, std::isinf, std::isnan
#include <limits>     // std::numeric_limits

#include "exp-inl.h"
#include "log1p-inl.h"
#include "row-inl.h"
#include "softmax.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;

HWY_INLINE hn::Vec<Doubles> LoadDoubles(Doubles d, const double* from) { return hn::LoadU(d, from); }
HWY_INLINE hn::Vec<Doubles> LoadDoubles(Doubles d, const float* from) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, Doubles>(), from));
}

// u is 0 or less. Where exp(u) is 0, u may be -inf: bound it, so that their product is 0 too.
HWY_INLINE hn::Vec<Doubles> Bounded(Doubles d, hn::Vec<Doubles> u) {
  return hn::Max(u, hn::Set(d, 2 * ExpConstants<double>::kLeast));
}

// body(i, u, present) for each vector of u = scale * (z - max); lanes past the end, which `present` leaves
// out of the last one, hold 0. Fetches what lies behind z, mostly the next row: without, its max takes five
// times as long, half of what the exps take.
template <class T, class Body>
HWY_INLINE void ForEachVector(Doubles d, const T* z, int64_t n, double max, double scale, const Body& body) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto vmax = hn::Set(d, max), by = hn::Set(d, scale);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hwy::Prefetch(z + n + i);
    body(i, hn::Mul(hn::Sub(LoadDoubles(d, z + i), vmax), by), hn::FirstN(d, static_cast<size_t>(lanes)));
  }
  if (i == n) return;
  HWY_ALIGN double values[HWY_MAX_BYTES / sizeof(double)] = {};
  std::copy_n(z + i, n - i, values);
  const auto present = hn::FirstN(d, static_cast<size_t>(n - i));
  body(i, hn::IfThenElseZero(present, hn::Mul(hn::Sub(hn::Load(d, values), vmax), by)), present);
}

template <class T>
void Exps(const T* z, int64_t n, double scale, double* e, SoftmaxSums& sums) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const Doubles d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t argmax;
  const T max = Largest(hn::ScalableTag<T>(), z, n, &argmax);
  const int64_t hole = argmax / lanes * lanes;
  sums = {kNan, kNan, kNan, kNan, kNan, -1};
  if (std::isinf(max) || argmax == n) return;

  auto tail = hn::Zero(d), tail_u = tail, squares = tail;
  ForEachVector(d, z, n, max, scale, [&](int64_t i, auto u, auto present) {
    auto value = BoundedExp(d, u);
    if (HWY_LIKELY(i + lanes <= n)) {
      hn::StoreU(value, d, e + i);
    } else {
      HWY_ALIGN double values[HWY_MAX_BYTES / sizeof(double)];
      hn::Store(value, d, values);
      std::copy_n(values, n - i, e + i);
      value = hn::IfThenElseZero(present, value);
    }
    if (i == hole)
      value =
          hn::IfThenElseZero(hn::Ne(hn::Iota(d, 0.0), hn::Set(d, static_cast<double>(argmax - i))), value);
    tail = hn::Add(tail, value);
    tail_u = hn::MulAdd(Bounded(d, u), value, tail_u);
    squares = hn::MulAdd(value, value, squares);
  });
  const double total = AddLanes(d, tail);
  if (std::isnan(total)) return;  // NaN took no part in the max
  sums = {max,   total, AddLanes(d, tail_u), AddLanes(d, squares), hn::GetLane(hn::MaxOfLanes(d, squares)),
          argmax};
}

template <class T>
void Moments(const T* z, int64_t n, double scale, SoftmaxMoments& moments) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const Doubles d;
  int64_t argmax;
  const double max = Largest(hn::ScalableTag<T>(), z, n, &argmax);
  moments = {kNan, kNan, kNan, kNan};
  if (!std::isfinite(max)) return;
  auto sum = hn::Zero(d), first = sum, second = sum, third = sum;
  ForEachVector(d, z, n, max, scale, [&](int64_t, auto u, auto present) {
    const auto x = Bounded(d, u), e = hn::IfThenElseZero(present, BoundedExp(d, u));
    const auto xe = hn::Mul(x, e), xxe = hn::Mul(x, xe);
    sum = hn::Add(sum, e);
    first = hn::Add(first, xe);
    second = hn::Add(second, xxe);
    third = hn::MulAdd(x, xxe, third);
  });
  const double total = AddLanes(d, sum);
  if (std::isnan(total)) return;  // NaN took no part in the max
  moments = {max, AddLanes(d, first) / total, AddLanes(d, second) / total, AddLanes(d, third) / total};
}

inline void Add(const double* e, double factor, const double* second, double second_factor, int64_t n,
                double* sums) {
  const Doubles d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto by = hn::Set(d, factor), second_by = hn::Set(d, second_factor);
  int64_t k = 0;
  for (; k + lanes <= n; k += lanes) {
    const auto sum = hn::MulAdd(hn::LoadU(d, e + k), by, hn::LoadU(d, sums + k));
    hn::StoreU(hn::MulAdd(hn::LoadU(d, second + k), second_by, sum), d, sums + k);
  }
  for (; k < n; ++k) sums[k] += e[k] * factor + second[k] * second_factor;
}

inline int64_t AtLeast(const double* e, int64_t n, double factor, double limit, int64_t* found) {
  const Doubles d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto by = hn::Set(d, factor), least = hn::Set(d, limit);
  int64_t count = 0, k = 0;
  const auto find_each = [&](int64_t end) {
    for (; k < end; ++k) {
      if (e[k] * factor >= limit) found[count++] = k;
    }
  };
  constexpr int64_t kUnroll = 4;  // few are: one branch for as many vectors
  while (k + kUnroll * lanes <= n) {
    auto greatest = hn::Zero(d);
    for (int64_t i = 0; i < kUnroll; ++i) greatest = hn::Max(greatest, hn::LoadU(d, e + k + i * lanes));
    if (HWY_UNLIKELY(!hn::AllFalse(d, hn::Ge(hn::Mul(greatest, by), least)))) {
      find_each(k + kUnroll * lanes);
    } else {
      k += kUnroll * lanes;
    }
  }
  find_each(n);
  return count;
}

inline void Log1pOf(double* x, int64_t n) {
  const Doubles d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(Log1p(d, hn::LoadU(d, x + i)), d, x + i);
  HWY_ALIGN double values[HWY_MAX_BYTES / sizeof(double)] = {};
  std::copy_n(x + i, n - i, values);
  hn::Store(Log1p(d, hn::Load(d, values)), d, values);
  std::copy_n(values, n - i, x + i);
}

inline const SoftmaxKernels* TargetSoftmaxKernels() {
  static constexpr SoftmaxKernels kKernels = {
      {&Exps<float>, &Moments<float>}, {&Exps<double>, &Moments<double>}, &Add, &AtLeast, &Log1pOf};
  return &kKernels;
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
