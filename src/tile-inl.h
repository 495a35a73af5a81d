// SPDX-License-Identifier: MIT
// The tile's kernels, written once for every instruction set and both types. Every lane is a row, so nothing
// that a row's neighbours hold can reach its bits.

#if defined(LABELSMOOTH_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_TILE_INL_H
#undef LABELSMOOTH_TILE_INL_H
#else
#define LABELSMOOTH_TILE_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>    // std::min
#include <type_traits>  // std::is_same_v

#include "exp-inl.h"
#include "kernels.h"
#include "log1p-inl.h"
#include "storage-inl.h"
#include "tile.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- rows to tile and back ----

// Classes that lie in a 128-bit block of T; 1 where vectors are shorter, and nothing is transposed.
template <class T>
constexpr int64_t kBlockClasses = HWY_TARGET == HWY_SCALAR ? 1 : 16 / sizeof(T);

#if HWY_TARGET != HWY_SCALAR
// Block b holds kClasses classes of row b * kClasses.
template <int64_t kClasses, class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const T* from, int64_t stride) {
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
  if constexpr (kLanes <= kClasses) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, LoadBlocks<kClasses>(half, from + kLanes / 2 * stride, stride),
                       LoadBlocks<kClasses>(half, from, stride));
  }
}
template <int64_t kClasses, class D, class T = hn::TFromD<D>>
HWY_INLINE void StoreBlocks(hn::Vec<D> v, D d, T* to, int64_t stride) {
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
  if constexpr (kLanes <= kClasses) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<D> half;
    StoreBlocks<kClasses>(hn::LowerHalf(half, v), half, to, stride);
    StoreBlocks<kClasses>(hn::UpperHalf(half, v), half, to + kLanes / 2 * stride, stride);
  }
}
// The same of elements as they lie in memory.
template <class D, class S, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadBlocksAs(D d, const S* from, int64_t stride) {
  if constexpr (std::is_same_v<S, T>) {
    return LoadBlocks<kBlockClasses<T>>(d, from, stride);
  } else {
    const hn::Rebind<uint16_t, D> du16;
    return Promote<S>(d, LoadBlocks<kBlockClasses<T>>(du16, reinterpret_cast<const uint16_t*>(from), stride));
  }
}
template <class D, class S, class T = hn::TFromD<D>>
HWY_INLINE void StoreBlocksAs(hn::Vec<D> v, D d, S* to, int64_t stride) {
  if constexpr (std::is_same_v<S, T>) {
    StoreBlocks<kBlockClasses<T>>(v, d, to, stride);
  } else {
    const hn::Rebind<uint16_t, D> du16;
    StoreBlocks<kBlockClasses<T>>(Demote<S>(d, v), du16, reinterpret_cast<uint16_t*>(to), stride);
  }
}

// Classes 0 and 1 of a vector's width of rows that are nothing else.
template <class D, class S, class T = hn::TFromD<D>>
HWY_INLINE void LoadPairs(D d, const S* from, hn::Vec<D>& first, hn::Vec<D>& second) {
  if constexpr (std::is_same_v<S, T>) {
    hn::LoadInterleaved2(d, from, first, second);
  } else {
    const hn::Rebind<uint16_t, D> du16;
    hn::Vec<decltype(du16)> low, high;
    hn::LoadInterleaved2(du16, reinterpret_cast<const uint16_t*>(from), low, high);
    first = Promote<S>(d, low);
    second = Promote<S>(d, high);
  }
}
template <class D, class S, class T = hn::TFromD<D>>
HWY_INLINE void StorePairs(hn::Vec<D> first, hn::Vec<D> second, D d, S* to) {
  if constexpr (std::is_same_v<S, T>) {
    hn::StoreInterleaved2(first, second, d, to);
  } else {
    const hn::Rebind<uint16_t, D> du16;
    hn::StoreInterleaved2(Demote<S>(d, first), Demote<S>(d, second), du16, reinterpret_cast<uint16_t*>(to));
  }
}

// Within each block: lane j of vector i becomes lane i of vector j.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void TransposeBlocks(D d, V* v) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    const V low = hn::InterleaveLower(d, v[0], v[1]);
    v[1] = hn::InterleaveUpper(d, v[0], v[1]);
    v[0] = low;
  } else {
    const hn::RepartitionToWide<hn::RebindToUnsigned<D>> wide;
    const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, v[0], v[1]));
    const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, v[0], v[1]));
    const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, v[2], v[3]));
    const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, v[2], v[3]));
    v[0] = hn::BitCast(d, hn::InterleaveLower(wide, low01, low23));
    v[1] = hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23));
    v[2] = hn::BitCast(d, hn::InterleaveLower(wide, high01, high23));
    v[3] = hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23));
  }
}

#endif

// Of rows whose classes lie side by side: calls pairs(row) for a vector's width of rows that are two classes
// and nothing else, block(row, class) for one of others by kBlockClasses, the last of which may overlap its
// neighbour, and element(row, class) for what is left.
template <class T, bool kBlocks, class Pairs, class Block, class Element>
HWY_INLINE void ForEachBlock(int64_t n, int64_t classes, int64_t stride, const Pairs& pairs,
                             const Block& block, const Element& element) {
  constexpr int64_t kBlock = kBlockClasses<T>;
  int64_t row = 0;
  if constexpr (kBlocks) {
    const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
    for (; classes == 2 && stride == 2 && row + lanes <= n; row += lanes) pairs(row);
    for (; classes >= kBlock && row + lanes <= n; row += lanes) {
      for (int64_t k = 0; k < classes; k += kBlock) block(row, std::min(k, classes - kBlock));
    }
  }
  for (; row < n; ++row) {
    for (int64_t k = 0; k < classes; ++k) element(row, k);
  }
}

// Calls vector(row, class) for vectors of rows, then element(row, class) for what is left.
template <class T, class Vector, class Element>
HWY_INLINE void ForEachColumn(int64_t n, int64_t classes, const Vector& vector, const Element& element) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (int64_t k = 0; k < classes; ++k) {
    int64_t row = 0;
    for (; row + lanes <= n; row += lanes) vector(row, k);
    for (; row < n; ++row) element(row, k);
  }
}

template <class T, class S>
void PackTile(const void* rows, int64_t stride, int64_t step, int64_t n, int64_t classes, int64_t width,
              T* HWY_RESTRICT tile) {
  const auto* from = static_cast<const S*>(rows);
  if (step != 1) {
    const hn::ScalableTag<T> d;
    return ForEachColumn<T>(
        n, classes,
        [&](int64_t row, int64_t k)
            HWY_ATTR { hn::StoreU(LoadAs(d, from + k * step + row), d, tile + k * width + row); },
        [&](int64_t row, int64_t k) { tile[k * width + row] = load<T>(from[k * step + row]); });
  }
  ForEachBlock<T, kHasVectors<S>>(
      n, classes, stride,
      [&]([[maybe_unused]] int64_t row) HWY_ATTR {
#if HWY_TARGET != HWY_SCALAR
        const hn::ScalableTag<T> d;
        hn::Vec<decltype(d)> first, second;
        LoadPairs(d, from + 2 * row, first, second);
        hn::StoreU(first, d, tile + row);
        hn::StoreU(second, d, tile + width + row);
#endif
      },
      [&]([[maybe_unused]] int64_t row, [[maybe_unused]] int64_t k) HWY_ATTR {
#if HWY_TARGET != HWY_SCALAR
        const hn::ScalableTag<T> d;
        hn::Vec<decltype(d)> v[kBlockClasses<T>];
        for (int64_t i = 0; i < kBlockClasses<T>; ++i)
          v[i] = LoadBlocksAs(d, from + (row + i) * stride + k, stride);
        TransposeBlocks(d, v);
        for (int64_t i = 0; i < kBlockClasses<T>; ++i) hn::StoreU(v[i], d, tile + (k + i) * width + row);
#endif
      },
      [&](int64_t row, int64_t k) { tile[k * width + row] = load<T>(from[row * stride + k]); });
}

template <class T, class S>
void UnpackTile(const T* HWY_RESTRICT tile, int64_t n, int64_t classes, int64_t width, void* rows,
                int64_t stride, int64_t step) {
  auto* to = static_cast<S*>(rows);
  if (step != 1) {
    const hn::ScalableTag<T> d;
    return ForEachColumn<T>(
        n, classes,
        [&](int64_t row, int64_t k)
            HWY_ATTR { StoreAs(hn::LoadU(d, tile + k * width + row), d, to + k * step + row); },
        [&](int64_t row, int64_t k) { store(tile[k * width + row], to[k * step + row]); });
  }
  ForEachBlock<T, kHasVectors<S>>(
      n, classes, stride,
      [&]([[maybe_unused]] int64_t row) HWY_ATTR {
#if HWY_TARGET != HWY_SCALAR
        const hn::ScalableTag<T> d;
        StorePairs(hn::LoadU(d, tile + row), hn::LoadU(d, tile + width + row), d, to + 2 * row);
#endif
      },
      [&]([[maybe_unused]] int64_t row, [[maybe_unused]] int64_t k) HWY_ATTR {
#if HWY_TARGET != HWY_SCALAR
        const hn::ScalableTag<T> d;
        hn::Vec<decltype(d)> v[kBlockClasses<T>];
        for (int64_t i = 0; i < kBlockClasses<T>; ++i) v[i] = hn::LoadU(d, tile + (k + i) * width + row);
        TransposeBlocks(d, v);
        for (int64_t i = 0; i < kBlockClasses<T>; ++i)
          StoreBlocksAs(v[i], d, to + (row + i) * stride + k, stride);
#endif
      },
      [&](int64_t row, int64_t k) { store(tile[k * width + row], to[row * stride + k]); });
}

// ---- sums ----

// Lanes of T as lanes of double: the lower and the upper half, the same twice where there is one lane.
template <class D>
struct Wide {
  using D64 = hn::ScalableTag<double>;
  static constexpr bool kSame = sizeof(hn::TFromD<D>) == 8 || HWY_TARGET == HWY_SCALAR;
  static constexpr int kParts = kSame ? 1 : 2;
  hn::Vec<D64> part[kParts];

  static HWY_INLINE Wide Of([[maybe_unused]] D d, hn::Vec<D> x) {
    Wide wide;
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
      wide.part[0] = x;
    } else {
#if HWY_TARGET == HWY_SCALAR
      wide.part[0] = hn::PromoteTo(D64(), x);
#else
      const hn::Half<D> half;
      wide.part[0] = hn::PromoteTo(D64(), hn::LowerHalf(half, x));
      wide.part[1] = hn::PromoteTo(D64(), hn::UpperHalf(half, x));
#endif
    }
    return wide;
  }
  HWY_INLINE Wide Minus(const Wide& other) const {
    Wide difference;
    for (int i = 0; i < kParts; ++i) difference.part[i] = hn::Sub(part[i], other.part[i]);
    return difference;
  }
  HWY_INLINE void StoreTo(double* to) const {
    for (int i = 0; i < kParts; ++i)
      hn::Store(part[i], D64(), to + static_cast<size_t>(i) * hn::Lanes(D64()));
  }
};

// A sum per lane: in T over the classes of a block, in double above.
template <class D>
class RowSum {
  using D64 = hn::ScalableTag<double>;
  hn::Vec<D> block_;
  Wide<D> total_;

 public:
  explicit HWY_INLINE RowSum(D d) : block_(hn::Zero(d)), total_(Wide<D>::Of(d, hn::Zero(d))) {}
  HWY_INLINE void Add(hn::Vec<D> x) { block_ = hn::Add(block_, x); }
  HWY_INLINE void MulAdd(hn::Vec<D> x, hn::Vec<D> y) { block_ = hn::MulAdd(x, y, block_); }
  HWY_INLINE void CloseBlock(D d) {
    const Wide<D> wide = Wide<D>::Of(d, block_);
    for (int i = 0; i < Wide<D>::kParts; ++i) total_.part[i] = hn::Add(total_.part[i], wide.part[i]);
    block_ = hn::Zero(d);
  }
  HWY_INLINE void StoreTo(double* to) const { total_.StoreTo(to); }
};

// The order of the lanes is fixed.
template <class D64>
HWY_INLINE double AddLanes(D64 d, hn::Vec<D64> x) {
  HWY_ALIGN double values[HWY_MAX_BYTES / sizeof(double)];
  hn::Store(x, d, values);
  double sum = 0;
  for (size_t i = 0; i < hn::Lanes(d); ++i) sum += values[i];
  return sum;
}

// Classes up to which a row's label is found by a comparison a class: a gather takes as long as some ten.
constexpr int64_t kFewClasses = 16;

template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> Gather(D d, const T* from, hn::Vec<D> index) {
  return hn::GatherIndex(d, from, hn::ConvertTo(hn::RebindToSigned<D>(), index));
}
// What a vector of rows has at its labels, with class 0 for the label -1.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> AtLabel(D d, const T* tile, int64_t classes, int64_t width, int64_t row,
                              hn::Vec<D> label) {
  if (classes > kFewClasses) {
    const auto width_lanes = hn::Set(d, static_cast<T>(width));
    return Gather(d, tile + row, hn::MulAdd(hn::Max(label, hn::Zero(d)), width_lanes, hn::Iota(d, T{0})));
  }
  auto found = hn::Load(d, tile + row), k_lanes = hn::Set(d, T{1});
  for (int64_t k = 1; k < classes; ++k) {
    found = hn::IfThenElse(hn::Eq(label, k_lanes), hn::Load(d, tile + k * width + row), found);
    k_lanes = hn::Add(k_lanes, hn::Set(d, T{1}));
  }
  return found;
}

// max, argmax and label_dot of each row; of a row with NaN some value or NaN.
template <class T>
void TileMaxima(const T* HWY_RESTRICT tile, int64_t n, int64_t classes, int64_t width, TileRows<T>& rows) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto one = hn::Set(d, T{1});
  for (int64_t row = 0; row < n; row += lanes) {
    const auto first = hn::Load(d, tile + row);
    auto max = first, argmax = hn::Zero(d);
    auto k_lanes = one;  // k in T: a conversion a class costs more than an addition
    for (int64_t k = 1; k < classes; ++k) {
      const auto z = hn::Load(d, tile + k * width + row);
      argmax = hn::IfThenElse(hn::Gt(z, max), k_lanes, argmax);
      max = hn::Max(max, z);  // the next class waits for this alone
      k_lanes = hn::Add(k_lanes, one);
    }
    // NaN elsewhere reaches the sums; class 0, as the argmax, is left out of the tail.
    max = hn::IfThenElse(hn::IsNaN(first), first, max);
    hn::Store(max, d, rows.max + row);
    hn::Store(argmax, d, rows.argmax + row);
    const auto z = AtLabel(d, tile, classes, width, row, hn::Load(d, rows.label + row));
    Wide<decltype(d)>::Of(d, z).Minus(Wide<decltype(d)>::Of(d, max)).StoreTo(rows.label_dot + row);
  }
}

constexpr int64_t kBlockTerms = 16;  // added up in T before they move on to double

template <PriorSum kPrior, bool kEntropy, class T>
HWY_INLINE void SumTile(T* HWY_RESTRICT tile, int64_t n, int64_t classes, int64_t width,
                        const T* HWY_RESTRICT v, const Ahead* ahead, TileRows<T>& rows) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto one = hn::Set(d, T{1});
  const Ahead next = ahead[0], gradient = ahead[1];
  for (int64_t row = 0; row < n; row += lanes) {
    const auto max = hn::Load(d, rows.max + row), argmax = hn::Load(d, rows.argmax + row);
    auto k_lanes = hn::Zero(d);
    const char *from = next.from + row * next.row_step, *to = gradient.from + row * gradient.row_step;
    RowSum<decltype(d)> tail(d), tail_z(d), prior_dot(d);
    for (int64_t begin = 0; begin < classes; begin += kBlockTerms) {
      const int64_t end = std::min(classes, begin + kBlockTerms);
      for (int64_t k = begin; k < end; ++k) {
        const auto x = hn::Sub(hn::Load(d, tile + k * width + row), max);
        const auto e = BoundedExp(d, x);
        hn::Store(e, d, tile + k * width + row);
        hwy::Prefetch(from);
        hwy::Prefetch(to);
        from += next.class_step, to += gradient.class_step;
        tail.Add(hn::IfThenElseZero(hn::Ne(argmax, k_lanes), e));
        k_lanes = hn::Add(k_lanes, one);
        // Where e is 0, x may be -inf: bound x so that the product is 0 too.
        if constexpr (kEntropy) tail_z.MulAdd(hn::Max(x, hn::Set(d, 2 * ExpConstants<T>::kLeast)), e);
        if constexpr (kPrior == PriorSum::plain) prior_dot.Add(x);
        if constexpr (kPrior == PriorSum::weighted) {
          const auto weight = hn::Set(d, v[k]);
          prior_dot.MulAdd(weight, hn::IfThenElseZero(hn::Ne(weight, hn::Zero(d)), x));
        }
      }
      tail.CloseBlock(d);
      if constexpr (kEntropy) tail_z.CloseBlock(d);
      if constexpr (kPrior != PriorSum::none) prior_dot.CloseBlock(d);
    }
    tail.StoreTo(rows.tail + row);
    if constexpr (kEntropy) tail_z.StoreTo(rows.tail_z + row);
    prior_dot.StoreTo(rows.prior_dot + row);
    const auto label = hn::Load(d, rows.label + row);
    hn::Store(AtLabel(d, tile, classes, width, row, label), d, rows.label_exp + row);
    if constexpr (kPrior == PriorSum::weighted)
      Wide<decltype(d)>::Of(d, Gather(d, v, hn::Max(label, hn::Zero(d)))).StoreTo(rows.label_prior + row);
  }
}

template <class T>
void TileExps(T* tile, int64_t n, int64_t classes, int64_t width, PriorSum prior, const T* v, bool entropy,
              const Ahead* ahead, TileRows<T>& rows) {
  with_sums(prior, entropy, [&]<PriorSum kPrior, bool kEntropy>() {
    SumTile<kPrior, kEntropy>(tile, n, classes, width, v, ahead, rows);
  });
}

// ---- finish ----

// A row's T as lanes of double.
template <class D64, class T>
HWY_INLINE hn::Vec<D64> LoadWide(D64 d, const T* from) {
  if constexpr (sizeof(T) == 8) {
    return hn::Load(d, from);
  } else {
    return hn::PromoteTo(d, hn::Load(hn::Rebind<T, D64>(), from));
  }
}
template <class D64, class T>
HWY_INLINE void StoreNarrow(hn::Vec<D64> x, D64 d, T* to) {
  if constexpr (sizeof(T) == 8) {
    hn::Store(x, d, to);
  } else {
    const hn::Rebind<T, D64> narrow;
    hn::Store(hn::DemoteTo(narrow, x), narrow, to);
  }
}

// The formulas of docs/math.md for one label a row, a row to a lane, in double.
template <class T>
bool FinishTile(int64_t n, double prior_mass, TileRows<T>& rows) {
  const hn::ScalableTag<double> d;
  const auto zero = hn::Zero(d), one = hn::Set(d, 1.0), mass = hn::Set(d, prior_mass);
  auto not_finite = zero;  // NaN once something was not
  for (int64_t row = 0; row < n; row += static_cast<int64_t>(hn::Lanes(d))) {
    const auto label = LoadWide(d, rows.label + row);
    const auto counts = hn::Ge(label, zero);
    const auto tail = hn::Load(d, rows.tail + row), label_dot = hn::Load(d, rows.label_dot + row);
    const auto a = hn::Load(d, rows.a + row), b = hn::Load(d, rows.b + row);
    const auto q = hn::MulAdd(b, mass, a), log_sum = Log1p(d, tail);
    const auto prior_dot = hn::Load(d, rows.prior_dot + row);
    const auto loss = hn::NegMulAdd(b, prior_dot, hn::NegMulAdd(a, label_dot, hn::Mul(q, log_sum)));
    hn::Store(log_sum, d, rows.log_sum + row);
    hn::Store(hn::Sub(log_sum, label_dot), d, rows.nll + row);
    hn::Store(hn::Mul(hn::Load(d, rows.weight + row), loss), d, rows.loss + row);
    const auto sums = hn::Add(hn::Add(tail, label_dot), hn::Add(prior_dot, LoadWide(d, rows.max + row)));
    not_finite = hn::Add(not_finite, hn::IfThenElseZero(counts, hn::Mul(zero, sums)));

    const auto factor = hn::IfThenElseZero(counts, hn::Load(d, rows.factor + row));
    const auto inverse = hn::Div(one, hn::Add(one, tail)), label_prior = hn::Load(d, rows.label_prior + row);
    const auto p = hn::Mul(LoadWide(d, rows.label_exp + row), inverse);
    // At the max p - 1 is -tail / (1 + tail), which is free of cancellation.
    const auto at_max = hn::MulSub(b, hn::MulSub(mass, p, label_prior), hn::Mul(hn::Mul(a, tail), inverse));
    const auto elsewhere = hn::NegMulAdd(b, label_prior, hn::MulSub(q, p, a));
    const auto is_max = hn::And(hn::Eq(label, LoadWide(d, rows.argmax + row)), hn::Le(tail, one));
    // A row whose gradient is 0 may hold NaN.
    const auto dead = hn::Eq(factor, zero);
    StoreNarrow(hn::IfThenZeroElse(dead, hn::Mul(factor, hn::Mul(q, inverse))), d, rows.share + row);
    StoreNarrow(hn::Mul(factor, b), d, rows.prior_factor + row);
    StoreNarrow(hn::IfThenZeroElse(dead, hn::Mul(factor, hn::IfThenElse(is_max, at_max, elsewhere))), d,
                rows.label_gradient + row);
  }
  return hn::AllTrue(d, hn::Eq(not_finite, zero));
}

template <class T>
TileTotals TotalTile(int64_t n, const TileRows<T>& rows) {
  const hn::ScalableTag<double> d;
  auto loss = hn::Zero(d), nll = hn::Zero(d), correct = hn::Zero(d);
  for (int64_t row = 0; row < n; row += static_cast<int64_t>(hn::Lanes(d))) {
    const auto label = LoadWide(d, rows.label + row);
    const auto counts = hn::Ge(label, hn::Zero(d));
    loss = hn::Add(loss, hn::IfThenElseZero(counts, hn::Load(d, rows.loss + row)));
    nll = hn::Add(nll, hn::IfThenElseZero(counts, hn::Load(d, rows.nll + row)));
    const auto hit = hn::And(counts, hn::Eq(label, LoadWide(d, rows.argmax + row)));
    correct = hn::Add(correct, hn::IfThenElseZero(hit, hn::Set(d, 1.0)));
  }
  return {AddLanes(d, loss), AddLanes(d, nll), static_cast<int64_t>(AddLanes(d, correct))};
}

// ---- gradient ----

template <class T>
void DifferentiateTile(T* HWY_RESTRICT tile, int64_t n, int64_t classes, int64_t width,
                       const T* HWY_RESTRICT v, const TileRows<T>& rows) {
  const hn::ScalableTag<T> d;
  const auto one = hn::Set(d, T{1});
  const bool few = classes <= kFewClasses;
  for (int64_t row = 0; row < n; row += static_cast<int64_t>(hn::Lanes(d))) {
    const auto share = hn::Load(d, rows.share + row), factor = hn::Load(d, rows.prior_factor + row);
    const auto label = hn::Load(d, rows.label + row), own = hn::Load(d, rows.label_gradient + row);
    // Rows whose gradient is 0 may hold NaN.
    const auto dead = hn::And(hn::Eq(share, hn::Zero(d)), hn::Eq(factor, hn::Zero(d)));
    auto k_lanes = hn::Zero(d);
    for (int64_t k = 0; k < classes; ++k) {
      T* to = tile + k * width + row;
      const auto prior = v == nullptr ? factor : hn::Mul(factor, hn::Set(d, v[k]));
      auto dz = hn::IfThenZeroElse(dead, hn::MulSub(hn::Load(d, to), share, prior));
      if (few) dz = hn::IfThenElse(hn::Eq(label, k_lanes), own, dz);
      hn::Store(dz, d, to);
      k_lanes = hn::Add(k_lanes, one);
    }
  }
  for (int64_t row = 0; !few && row < n; ++row) {
    if (rows.label[row] >= 0)
      tile[static_cast<int64_t>(rows.label[row]) * width + row] = rows.label_gradient[row];
  }
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
