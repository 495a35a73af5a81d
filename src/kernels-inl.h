// SPDX-License-Identifier: MIT
// The row kernel's body, written once for every instruction set and both types.

#if defined(LABELSMOOTH_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_KERNELS_INL_H
#undef LABELSMOOTH_KERNELS_INL_H
#else
#define LABELSMOOTH_KERNELS_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>  // std::copy_n, std::find, std::find_if, std::max_element, std::min
#include <cmath>      // std::isinf, std::isnan
#include <limits>     // std::numeric_limits

#include "exp-inl.h"
#include "kernels.h"
#include "tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 32 vectors to a block: a lane adds 16 numbers in T before they move on to double, which keeps f32 sums
// near one rounding error and costs nothing visible.
constexpr int64_t kBlockVectors = 32;

// Pairs of lanes added up in double.
template <class D>
HWY_INLINE hn::Vec<hn::ScalableTag<double>> Widen([[maybe_unused]] D d, hn::Vec<D> x) {
  const hn::ScalableTag<double> d64;
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return x;
  } else {
#if HWY_TARGET == HWY_SCALAR
    return hn::PromoteTo(d64, x);  // one lane, no halves
#else
    const hn::Half<D> half;
    return hn::Add(hn::PromoteTo(d64, hn::LowerHalf(half, x)), hn::PromoteTo(d64, hn::UpperHalf(half, x)));
#endif
  }
}

// A sum in lanes of T within a block, in lanes of double above.
template <class D>
class LaneSum {
  using V = hn::Vec<D>;
  using D64 = hn::ScalableTag<double>;
  hn::Vec<D> block_;
  hn::Vec<D64> total_;

 public:
  explicit HWY_INLINE LaneSum(D d) : block_(hn::Zero(d)), total_(hn::Zero(D64())) {}
  HWY_INLINE void Add(V x) { block_ = hn::Add(block_, x); }
  HWY_INLINE void MulAdd(V x, V y) { block_ = hn::MulAdd(x, y, block_); }
  HWY_INLINE void CloseBlock(D d) {
    total_ = hn::Add(total_, Widen(d, block_));
    block_ = hn::Zero(d);
  }
  // Of the closed blocks; the order of the lanes is fixed.
  HWY_INLINE double Value() const { return AddLanes(D64(), total_); }
};

// What a pass over x = z - max adds up.
template <class D, PriorSum kPrior, bool kEntropy>
class Sums {
  using T = hn::TFromD<D>;
  using V = hn::Vec<D>;
  LaneSum<D> tail_, tail_z_, prior_dot_;

 public:
  explicit HWY_INLINE Sums(D d) : tail_(d), tail_z_(d), prior_dot_(d) {}
  HWY_INLINE void Add(D d, V x, V v) { AddTerms(d, x, v, ExpNonPositive(d, x)); }
  // Only tail has to leave out the argmax and the lanes past the end: x is 0 there.
  HWY_INLINE void AddSome(D d, V x, V v, hn::Mask<D> in_tail) {
    AddTerms(d, x, v, hn::IfThenElseZero(in_tail, ExpNonPositive(d, x)));
  }
  HWY_INLINE void CloseBlock(D d) {
    tail_.CloseBlock(d);
    if constexpr (kEntropy) tail_z_.CloseBlock(d);
    if constexpr (kPrior != PriorSum::none) prior_dot_.CloseBlock(d);
  }
  HWY_INLINE void AddTo(ChunkSums& sums) const {
    sums.tail += tail_.Value();
    if constexpr (kEntropy) sums.tail_z += tail_z_.Value();
    if constexpr (kPrior != PriorSum::none) sums.prior_dot += prior_dot_.Value();
  }

 private:
  HWY_INLINE void AddTerms(D d, V x, V v, V e) {
    tail_.Add(e);
    // Where e is 0, x may be -inf: bound x so that the product is 0 too.
    if constexpr (kEntropy) tail_z_.MulAdd(hn::Max(x, hn::Set(d, 2 * ExpConstants<T>::kLeast)), e);
    if constexpr (kPrior == PriorSum::plain) prior_dot_.Add(x);
    if constexpr (kPrior == PriorSum::weighted) {
      prior_dot_.MulAdd(v, hn::IfThenElseZero(hn::Ne(v, hn::Zero(d)), x));
    }
  }
};

// Up to a vector of values, the rest `filler`: no read past the end, whatever the instruction set.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadPart(D d, const T* from, int64_t count, T filler) {
  HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(hn::Set(d, filler), d, values);
  std::copy_n(from, count, values);
  return hn::Load(d, values);
}

// The largest value and the block where it was first seen; some other value, or NaN, if the chunk holds NaN.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE T Largest(D d, const T* HWY_RESTRICT z, int64_t n, int64_t* block) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const T lowest = -std::numeric_limits<T>::infinity();
  T largest = lowest;
  *block = 0;
  for (int64_t begin = 0; begin < n; begin += kBlockVectors * lanes) {
    const int64_t end = std::min(n, begin + kBlockVectors * lanes);
    auto most = hn::Set(d, lowest);
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) most = hn::Max(most, hn::LoadU(d, z + i));
    if (i < end) most = hn::Max(most, LoadPart(d, z + i, end - i, lowest));
    if (hn::AllFalse(d, hn::Gt(most, hn::Set(d, largest)))) continue;  // a reduction per rise, not per block
    largest = hn::GetLane(hn::MaxOfLanes(d, most));
    *block = begin;
  }
  return largest;
}

// The chunks that hold NaN, or whose max is infinite: rows of no value, unless the rest of the row has one.
template <class T>
HWY_NOINLINE void SummarizeOddChunk(const T* z, int64_t n, ChunkSums& sums) {
  const T* nan = std::find_if(z, z + n, [](T value) { return std::isnan(value); });
  if (nan != z + n) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    sums = {kNan, kNan, kNan, kNan, nan - z};
  } else {
    // All -inf: z - max is 0 for each. With a +inf the row is NaN whatever its sums.
    const T* max = std::max_element(z, z + n);
    sums = {*max, static_cast<double>(n - 1), 0, 0, max - z};
  }
}

template <PriorSum kPrior, bool kEntropy, class T>
HWY_INLINE void SummarizeChunk(const T* HWY_RESTRICT z, int64_t n, const T* HWY_RESTRICT v, ChunkSums& sums) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t block;
  const T max = Largest(d, z, n, &block);
  const int64_t argmax = std::find(z + block, z + n, max) - z;
  if (std::isinf(max) || argmax == n) return SummarizeOddChunk(z, n, sums);
  sums = {max, 0, 0, 0, argmax};

  const auto vmax = hn::Set(d, max);
  const auto weights = [&](int64_t i) {
    if constexpr (kPrior == PriorSum::weighted) return hn::LoadU(d, v + i);
    return hn::Zero(d);
  };
  // Two sets of sums, so that one addition need not wait for the other.
  Sums<decltype(d), kPrior, kEntropy> even(d), odd(d);
  const auto add_whole = [&](int64_t i, int64_t end) {
    for (; i + 2 * lanes <= end; i += 2 * lanes) {
      even.Add(d, hn::Sub(hn::LoadU(d, z + i), vmax), weights(i));
      odd.Add(d, hn::Sub(hn::LoadU(d, z + i + lanes), vmax), weights(i + lanes));
    }
    if (i < end) even.Add(d, hn::Sub(hn::LoadU(d, z + i), vmax), weights(i));
  };
  const auto not_argmax = [&](int64_t i) {  // argmax - i outside [0, lanes) matches no lane
    return hn::Ne(hn::Iota(d, T{0}), hn::Set(d, static_cast<T>(argmax - i)));
  };

  const int64_t whole = n / lanes * lanes;
  for (int64_t begin = 0; begin < whole; begin += kBlockVectors * lanes) {
    const int64_t end = std::min(whole, begin + kBlockVectors * lanes);
    const int64_t hole = argmax >= begin && argmax < end ? argmax / lanes * lanes : end;
    add_whole(begin, hole);
    if (hole < end) {
      even.AddSome(d, hn::Sub(hn::LoadU(d, z + hole), vmax), weights(hole), not_argmax(hole));
      add_whole(hole + lanes, end);
    }
    even.CloseBlock(d);
    odd.CloseBlock(d);
  }
  if (whole < n) {
    const int64_t rest = n - whole;
    const auto x = hn::Sub(LoadPart(d, z + whole, rest, max), vmax);  // 0 past the end
    const auto u = kPrior == PriorSum::weighted ? LoadPart(d, v + whole, rest, T{0}) : hn::Zero(d);
    const auto present = hn::FirstN(d, static_cast<size_t>(rest));
    even.AddSome(d, x, u, hn::And(present, not_argmax(whole)));
    even.CloseBlock(d);
  }
  even.AddTo(sums);
  odd.AddTo(sums);
  // NaN took no part in the max, but has reached the sums.
  if (std::isnan(sums.tail)) SummarizeOddChunk(z, n, sums);
}

template <class T>
void Summarize(const T* z, int64_t n, PriorSum prior, const T* v, bool entropy, ChunkSums& sums) {
  with_sums(prior, entropy,
            [&]<PriorSum kPrior, bool kEntropy>() { SummarizeChunk<kPrior, kEntropy>(z, n, v, sums); });
}

template <class T>
double Dot(const T* z, int64_t n, double max, const T* v) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto vmax = hn::Set(d, static_cast<T>(max));
  LaneSum<decltype(d)> sum(d);
  const auto add = [&](hn::Vec<decltype(d)> logit, hn::Vec<decltype(d)> weight) {
    sum.MulAdd(weight, hn::IfThenElseZero(hn::Ne(weight, hn::Zero(d)), hn::Sub(logit, vmax)));
  };
  const int64_t whole = n / lanes * lanes;
  for (int64_t begin = 0; begin < whole; begin += kBlockVectors / 2 * lanes) {
    const int64_t end = std::min(whole, begin + kBlockVectors / 2 * lanes);
    for (int64_t i = begin; i < end; i += lanes) add(hn::LoadU(d, z + i), hn::LoadU(d, v + i));
    sum.CloseBlock(d);
  }
  if (whole < n) {
    add(LoadPart(d, z + whole, n - whole, T{0}), LoadPart(d, v + whole, n - whole, T{0}));
    sum.CloseBlock(d);
  }
  return sum.Value();
}

template <bool kEntropy, class T>
HWY_INLINE void DifferentiateChunk(const T* z, int64_t n, double max, double probability_factor,
                                   double entropy_factor, double prior_factor, const T* v, T* dz) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto vmax = hn::Set(d, static_cast<T>(max));
  const auto p_factor = hn::Set(d, static_cast<T>(probability_factor));
  const auto x_factor = hn::Set(d, static_cast<T>(entropy_factor));
  const auto v_factor = hn::Set(d, static_cast<T>(prior_factor));
  const auto value = [&](hn::Vec<decltype(d)> logit, hn::Vec<decltype(d)> prior) {
    const auto x = hn::Sub(logit, vmax);
    auto factor = p_factor;
    // Where exp(x) is 0, x may be -inf: bound x so that the product is 0 too.
    if constexpr (kEntropy)
      factor = hn::MulAdd(hn::Max(x, hn::Set(d, 2 * ExpConstants<T>::kLeast)), x_factor, p_factor);
    return hn::MulSub(ExpNonPositive(d, x), factor, prior);
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto prior = v == nullptr ? v_factor : hn::Mul(hn::LoadU(d, v + i), v_factor);
    hn::StoreU(value(hn::LoadU(d, z + i), prior), d, dz + i);
  }
  if (i < n) {
    const auto prior = v == nullptr ? v_factor : hn::Mul(LoadPart(d, v + i, n - i, T{0}), v_factor);
    HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(value(LoadPart(d, z + i, n - i, static_cast<T>(max)), prior), d, values);
    std::copy_n(values, n - i, dz + i);
  }
}

template <class T>
void Differentiate(const T* z, int64_t n, double max, double probability_factor, double entropy_factor,
                   double prior_factor, const T* v, T* dz) {
  entropy_factor == 0
      ? DifferentiateChunk<false>(z, n, max, probability_factor, 0, prior_factor, v, dz)
      : DifferentiateChunk<true>(z, n, max, probability_factor, entropy_factor, prior_factor, v, dz);
}

template <class T>
constexpr TypeKernels<T> kTypeKernels = {
    {&Summarize<T>, &Dot<T>, &Differentiate<T>},
    {static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>())), &PackTile<T>, &UnpackTile<T>, &TileMaxima<T>,
     &TileExps<T>, &FinishTile<T>, &TotalTile<T>, &DifferentiateTile<T>}};

// One table per instruction set; HWY_EXPORT collects them.
inline const Kernels* TargetKernels() {
  static constexpr Kernels kKernels = {nullptr, kTypeKernels<float>, kTypeKernels<double>};
  return &kKernels;
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
