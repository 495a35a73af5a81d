// SPDX-License-Identifier: MIT
// The row's kernels, written once for every instruction set, type and storage.

#if defined(LABELSMOOTH_ROW_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_ROW_INL_H
#undef LABELSMOOTH_ROW_INL_H
#else
#define LABELSMOOTH_ROW_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>    // std::min
#include <cmath>        // std::exp, std::isinf, std::isnan
#include <limits>       // std::numeric_limits
#include <type_traits>  // std::is_same_v

#include "exp-inl.h"
#include "kernels.h"
#include "storage-inl.h"
#include "tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 16 vectors to a block: a lane adds 16 numbers in T before they move on to double, which keeps f32 sums
// near one rounding error and costs nothing visible.
constexpr int64_t kBlockVectors = 16;
template <class D>
int64_t BlockSize(D d) {
  return kBlockVectors * static_cast<int64_t>(hn::Lanes(d));
}

// exp is taken over the largest of this many classes. Rows that are shorter are over their max; in longer
// ones a block whose max lies more than kSlack above is done again over its own. (The max of all first costs
// a pass over memory, blocks each over its own max a second exp.) Below kSlack z - reference is as exact as
// the bounds have it.
constexpr int64_t kPrefix = 1024;
constexpr int kSlack = 2;

// How far ahead logits are fetched, or where rows are shorter the next row: 256 to 512 wait for memory, 1,024
// are a page of f32 away, which falls on the same lines of L1 (K = 32,000: .42 ns, with 768 .40).
constexpr int64_t kFetchAhead = 768;

// Classes from which a row of f32 and its gradient are fetched to L2: L1 would not hold the gradient until it
// is written (K = 32,000 with AVX-512: to L1 .43 ns, to L2 .36; halves and sums alone gain nothing).
constexpr int64_t kLongRow = 2048;

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

// What a pass over x = z - reference adds up, in lanes of T: a block's worth. One set of sums: two spill on
// AVX2, and the exps take longer than the additions.
template <class D, PriorSum kPrior, bool kEntropy>
struct BlockSums {
  using T = hn::TFromD<D>;
  using V = hn::Vec<D>;
  V tail, tail_z, prior_dot, max;

  explicit HWY_INLINE BlockSums(D d)
      : tail(hn::Zero(d)),
        tail_z(tail),
        prior_dot(tail),
        max(hn::Set(d, -std::numeric_limits<T>::infinity())) {}
  // Returns exp(x).
  HWY_INLINE V Add(D d, V z, V x, V v) {
    AddLinear(d, z, x, v);
    const V e = BoundedExp(d, x);
    AddExp(d, x, e);
    return e;
  }
  // Only tail has to leave out the argmax and the lanes past the end: x is 0 there.
  HWY_INLINE V AddSome(D d, V z, V x, V v, hn::Mask<D> in_tail) {
    AddLinear(d, z, x, v);
    const V e = BoundedExp(d, x);
    AddExp(d, x, hn::IfThenElseZero(in_tail, e));
    return e;
  }

 private:
  HWY_INLINE void AddLinear(D d, V z, V x, V v) {
    max = hn::Max(max, z);
    if constexpr (kPrior == PriorSum::plain) prior_dot = hn::Add(prior_dot, x);
    if constexpr (kPrior == PriorSum::weighted)
      prior_dot = hn::MulAdd(v, hn::IfThenElseZero(hn::Ne(v, hn::Zero(d)), x), prior_dot);
  }
  HWY_INLINE void AddExp(D d, V x, V e) {
    tail = hn::Add(tail, e);
    // Where e is 0, x may be -inf: bound x so that the product is 0 too.
    if constexpr (kEntropy)
      tail_z = hn::MulAdd(hn::Max(x, hn::Set(d, 2 * ExpConstants<T>::kLeast)), e, tail_z);
  }
};

// The same in lanes of double.
template <class D>
struct WideSums {
  using D64 = hn::ScalableTag<double>;
  hn::Vec<D64> tail, tail_z, prior_dot;

  explicit HWY_INLINE WideSums(D) : tail(hn::Zero(D64())), tail_z(tail), prior_dot(tail) {}
  template <PriorSum kPrior, bool kEntropy>
  HWY_INLINE WideSums(D d, const BlockSums<D, kPrior, kEntropy>& block) : WideSums(d) {
    tail = Widen(d, block.tail);
    if constexpr (kEntropy) tail_z = Widen(d, block.tail_z);
    if constexpr (kPrior != PriorSum::none) prior_dot = Widen(d, block.prior_dot);
  }
  HWY_INLINE void Add(const WideSums& other) {
    tail = hn::Add(tail, other.tail);
    tail_z = hn::Add(tail_z, other.tail_z);
    prior_dot = hn::Add(prior_dot, other.prior_dot);
  }
};

// Once a row, so not inlined: with those of storage-inl.h its copies were a third of the time to compile.

// The first place of `value`, or n.
template <class D, class S>
HWY_NOINLINE int64_t Find(D d, const S* z, int64_t n, hn::TFromD<D> value) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto at = [&](int64_t i) HWY_ATTR { return hn::Eq(LoadAs(d, z + i), hn::Set(d, value)); };
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {  // one branch for four vectors
    if (!hn::AllFalse(d, hn::Or(hn::Or(at(i), at(i + lanes)), hn::Or(at(i + 2 * lanes), at(i + 3 * lanes)))))
      break;
  }
  for (; i + lanes <= n; i += lanes) {
    if (const auto found = at(i); !hn::AllFalse(d, found))
      return i + static_cast<int64_t>(hn::FindFirstTrue(d, found));
  }
  while (i < n && !(load<hn::TFromD<D>>(z[i]) == value)) ++i;
  return i;
}

// The largest value and its first place; some other value, or NaN, if there is a NaN.
template <class D, class S, class T = hn::TFromD<D>>
HWY_NOINLINE T Largest(D d, const S* z, int64_t n, int64_t* place) {
  constexpr int64_t kRuns = 4;  // maxima that need not wait for each other
  const auto lanes = static_cast<int64_t>(hn::Lanes(d)), size = 4 * BlockSize(d);
  const T lowest = -std::numeric_limits<T>::infinity();
  T largest = lowest;
  int64_t block = 0;
  for (int64_t begin = 0; begin < n; begin += size) {
    const int64_t end = std::min(n, begin + size);
    hn::Vec<D> most[kRuns];
    for (auto& run : most) run = hn::Set(d, lowest);
    int64_t i = begin;
    for (; i + kRuns * lanes <= end; i += kRuns * lanes) {
      for (int64_t run = 0; run < kRuns; ++run)
        most[run] = hn::Max(most[run], LoadAs(d, z + i + run * lanes));
    }
    for (; i + lanes <= end; i += lanes) most[0] = hn::Max(most[0], LoadAs(d, z + i));
    // Again what a whole vector holds before the end: no larger, and no copy of a few.
    if (i < end)
      most[1] = hn::Max(most[1], n < lanes ? LoadPart(d, z + i, n, lowest) : LoadAs(d, z + n - lanes));
    const auto all = hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3]));
    if (hn::AllFalse(d, hn::Gt(all, hn::Set(d, largest)))) continue;  // a reduction per rise, not per block
    largest = hn::GetLane(hn::MaxOfLanes(d, all));
    block = begin;
  }
  *place = block + Find(d, z + block, n - block, largest);
  return largest;
}

// The chunks that hold NaN, or whose max is infinite: rows of no value, unless the rest of the row has one.
template <class T, class S>
HWY_NOINLINE void SummarizeOddChunk(const S* z, int64_t n, ChunkSums& sums) {
  // All -inf: z - max is 0 for each. With a +inf the row is NaN whatever its sums.
  sums = {-std::numeric_limits<double>::infinity(), static_cast<double>(n - 1), 0, 0, 0};
  for (int64_t k = 0; k < n; ++k) {
    const double value = load<T>(z[k]);
    if (std::isnan(value)) {
      sums = {value, value, value, value, k};
      return;
    }
    if (value > sums.max) sums.max = value, sums.argmax = k;
  }
}

// The sum of a part of v, by blocks: it is multiplied by how far the reference moves, and so is its error.
template <class T>
HWY_NOINLINE double Mass(const T* v, int64_t n) {
  const hn::ScalableTag<T> d;
  const hn::ScalableTag<double> d64;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  double mass = 0;
  for (int64_t begin = 0; begin < n; begin += BlockSize(d)) {
    const int64_t end = std::min(n, begin + BlockSize(d));
    auto sum = hn::Zero(d64);
    int64_t k = begin;
    for (; k + lanes <= end; k += lanes) sum = hn::Add(sum, Widen(d, hn::LoadU(d, v + k)));
    if (k < end) sum = hn::Add(sum, Widen(d, LoadPart(d, v + k, end - k, T{0})));
    mass += AddLanes(d64, sum);
  }
  return mass;
}

// A call a block costs 5 %; where sanitizers look on, its many copies cost minutes of compiling.
#undef LABELSMOOTH_SUM_INLINE
#ifdef LABELSMOOTH_FEW_TARGETS
#define LABELSMOOTH_SUM_INLINE HWY_NOINLINE
#else
#define LABELSMOOTH_SUM_INLINE HWY_INLINE
#endif

template <PriorSum kPrior, bool kEntropy, bool kKeep, class T, class S>
class ChunkSummary {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  static constexpr T kInf = std::numeric_limits<T>::infinity();

  const S* z_;
  int64_t n_;
  const PriorOfChunk<T>& prior_;
  const char* ahead_;
  KeptExps<T>* kept_;
  T reference_ = 0, max_ = 0;
  // Over the references before, moved to this one.
  double tail_ = 0, tail_z_ = 0, prior_dot_ = 0, mass_ = 0;
  int64_t piece_ = 0;  // where this reference begins

 public:
  HWY_INLINE ChunkSummary(const S* z, int64_t n, const PriorOfChunk<T>& prior, const char* ahead,
                          KeptExps<T>* kept)
      : z_(z), n_(n), prior_(prior), ahead_(ahead), kept_(kept) {}

  HWY_INLINE void Run(ChunkSums& result) {
    const D d;
    int64_t left_out;
    const T of_prefix = Largest(d, z_, std::min(n_, kPrefix), &left_out);
    int64_t argmax = left_out;
    max_ = of_prefix > -kInf ? of_prefix : -kInf;
    reference_ = max_ > -kInf ? max_ : std::numeric_limits<T>::lowest();
    int64_t pending_block = -1;  // past the prefix, holds the max, not yet in `sums`
    WideSums<D> sums(d), pending(d);
    for (int64_t begin = 0; begin < n_;) {
      Block block(d);
      if (begin + BlockSize(d) <= n_ && !(left_out >= begin && left_out < begin + BlockSize(d))) {
        block = SumWhole(begin);
      } else {
        Block part(d);  // not `block`, which stays in registers
        SumPart(begin, left_out, part);
        block = part;
      }
      if (HWY_LIKELY(hn::AllFalse(d, hn::Gt(block.max, hn::Set(d, max_))))) {
        sums.Add(block.sums);
      } else {
        const T largest = hn::GetLane(hn::MaxOfLanes(d, block.max));
        sums.Add(pending);
        pending = WideSums<D>(d);
        if (largest > reference_ + kSlack) {
          Move(begin, largest, sums);
          sums = WideSums<D>(d);
          continue;
        }
        max_ = largest;
        pending = block.sums;
        pending_block = begin;
      }
      begin += BlockSize(d);
    }
    if (pending_block >= 0) {
      argmax = pending_block + Find(d, z_ + pending_block, n_ - pending_block, max_);
      Block block(d);
      SumPart(pending_block, argmax, block);
      sums.Add(block.sums);
    }
    Finish(sums, argmax, argmax == left_out ? -kInf : of_prefix, result);
  }

 private:
  HWY_INLINE V PriorAt([[maybe_unused]] int64_t i) const {
    if constexpr (kPrior == PriorSum::weighted) {
      return hn::LoadU(D(), prior_.v + i);
    } else {
      return hn::Zero(D());
    }
  }
  HWY_INLINE void Keep([[maybe_unused]] V e, [[maybe_unused]] int64_t i) const {
    if constexpr (kKeep) hn::StoreU(e, D(), kept_->exps + i);
  }

  struct Block {
    WideSums<D> sums;
    V max;
    explicit HWY_INLINE Block(D d) : sums(d), max(hn::Set(d, -kInf)) {}
    explicit HWY_INLINE Block(D d, const BlockSums<D, kPrior, kEntropy>& block)
        : sums(d, block), max(block.max) {}
  };

  HWY_INLINE void Fetch(int64_t i) const {
    const S* z = z_ + i + std::min(n_, kFetchAhead);
    const char* gradient = ahead_ + i * static_cast<int64_t>(sizeof(S));
    if (kKeep && std::is_same_v<S, float> && n_ >= kLongRow) {
      __builtin_prefetch(z, 0, 2), __builtin_prefetch(gradient, 0, 2);
    } else {
      hwy::Prefetch(z), hwy::Prefetch(gradient);
    }
  }

  HWY_INLINE void AddVector(int64_t i, V reference, BlockSums<D, kPrior, kEntropy>& sums) const {
    const D d;
    Fetch(i);
    const V z = LoadAs(d, z_ + i);
    Keep(sums.Add(d, z, hn::Sub(z, reference), PriorAt(i)), i);
  }

  // A block of whole vectors, none of which holds `left_out`.
  LABELSMOOTH_SUM_INLINE Block SumWhole(int64_t begin) const {
    const D d;
    const V reference = hn::Set(d, reference_);
    BlockSums<D, kPrior, kEntropy> sums(d);
    for (int64_t i = begin; i < begin + BlockSize(d); i += static_cast<int64_t>(hn::Lanes(d)))
      AddVector(i, reference, sums);
    return Block(d, sums);
  }

  // Any block, `left_out` not in the tail.
  HWY_NOINLINE void SumPart(int64_t begin, int64_t left_out, Block& block) const {
    const D d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    const V reference = hn::Set(d, reference_);
    const int64_t end = std::min(n_, begin + BlockSize(d)), whole = begin + (end - begin) / lanes * lanes;
    BlockSums<D, kPrior, kEntropy> sums(d);
    const auto not_left_out = [&](int64_t i) HWY_ATTR {  // left_out - i outside [0, lanes) matches no lane
      return hn::Ne(hn::Iota(d, T{0}), hn::Set(d, static_cast<T>(left_out - i)));
    };
    const bool has_hole = left_out >= begin && left_out < whole;
    const int64_t hole = has_hole ? begin + (left_out - begin) / lanes * lanes : -1;
    const auto but_hole = [=](int64_t i) { return i == hole ? i + lanes : i; };
    for (int64_t i = but_hole(begin); i < whole; i = but_hole(i + lanes)) AddVector(i, reference, sums);
    if (has_hole) {
      const V z = LoadAs(d, z_ + hole);
      Keep(sums.AddSome(d, z, hn::Sub(z, reference), PriorAt(hole), not_left_out(hole)), hole);
    }
    if (whole < end) {
      const int64_t rest = end - whole;
      const auto present = hn::FirstN(d, static_cast<size_t>(rest));
      const V z = LoadPart(d, z_ + whole, rest, -kInf);
      const V x = hn::IfThenElseZero(present, hn::Sub(z, reference));
      const V v = kPrior == PriorSum::weighted ? LoadPart(d, prior_.v + whole, rest, T{0}) : hn::Zero(d);
      const V e = sums.AddSome(d, z, x, v, hn::And(present, not_left_out(whole)));
      if constexpr (kKeep) StorePart(e, d, kept_->exps + whole, rest);
    }
    block = Block(d, sums);
  }

  HWY_INLINE void Take(const WideSums<D>& sums) {
    const typename WideSums<D>::D64 d64;
    tail_ += AddLanes(d64, sums.tail);
    if constexpr (kEntropy) tail_z_ += AddLanes(d64, sums.tail_z);
    if constexpr (kPrior != PriorSum::none) prior_dot_ += AddLanes(d64, sums.prior_dot);
  }

  // As merge does it.
  HWY_INLINE void Shift(double down, double mass) {
    const double scale = std::exp(down);
    if constexpr (kEntropy) tail_z_ = scale > 0 ? scale * (tail_z_ + down * tail_) : 0;
    tail_ *= scale;
    if constexpr (kPrior != PriorSum::none) prior_dot_ += mass == 0 ? 0 : down * mass;
  }

  // What was summed before `begin` is over the reference so far: from there on it is `reference`. By value,
  // so that the caller's sums stay in registers.
  HWY_NOINLINE void Move(int64_t begin, T reference, WideSums<D> sums) {
    Take(sums);
    if constexpr (kPrior == PriorSum::plain) mass_ = static_cast<double>(begin);
    if constexpr (kPrior == PriorSum::weighted) mass_ += Mass(prior_.v + piece_, begin - piece_);
    Shift(static_cast<double>(reference_) - static_cast<double>(reference), mass_);
    if constexpr (kKeep) kept_->pieces[kept_->count++] = {begin, reference_};
    piece_ = begin;
    reference_ = reference;
  }

  // `left_out` took no part in the tail: the prefix's max, where the whole has a larger one.
  HWY_INLINE void Finish(const WideSums<D>& sums, int64_t argmax, T left_out, ChunkSums& result) {
    Take(sums);
    if constexpr (kKeep) kept_->pieces[kept_->count++] = {n_, reference_};
    // NaN took no part in the max, but has reached the sums.
    if (std::isinf(max_) || std::isnan(tail_)) return SummarizeOddChunk<T>(z_, n_, result);
    if (max_ != reference_) Shift(static_cast<double>(reference_) - static_cast<double>(max_), prior_.mass);
    if (left_out > -kInf) {
      const double x = static_cast<double>(left_out) - static_cast<double>(max_), e = std::exp(x);
      tail_ += e;
      if constexpr (kEntropy) tail_z_ += e == 0 ? 0 : x * e;
    }
    result = {max_, tail_, tail_z_, prior_dot_, argmax};
  }
};

template <class T, class S>
void Summarize(const void* z, int64_t n, PriorSum prior_sum, const PriorOfChunk<T>& prior, bool entropy,
               const char* ahead, KeptExps<T>* kept, ChunkSums& sums) {
  const auto* from = static_cast<const S*>(z);
  if (ahead == nullptr) ahead = static_cast<const char*>(z);
  if (kept != nullptr) kept->count = 0;
  with_sums(prior_sum, entropy, [&]<PriorSum kPrior, bool kEntropy>() {
    if constexpr (!kEntropy) {
      if (kept != nullptr)
        return ChunkSummary<kPrior, false, true, T, S>(from, n, prior, ahead, kept).Run(sums);
    }
    ChunkSummary<kPrior, kEntropy, false, T, S>(from, n, prior, ahead, kept).Run(sums);
  });
}

template <class T>
DotSums Dot(const T* z, int64_t n, double max, const T* v) {
  const hn::ScalableTag<T> d;
  const hn::ScalableTag<double> wide;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto vmax = hn::Set(d, static_cast<T>(max));
  double dot = 0;
  auto mass = hn::Zero(wide);
  for (int64_t begin = 0; begin < n; begin += BlockSize(d) / 2) {
    const int64_t end = std::min(n, begin + BlockSize(d) / 2);
    auto block = hn::Zero(d);
    const auto add = [&](hn::Vec<decltype(d)> logit, hn::Vec<decltype(d)> weight) HWY_ATTR {
      const auto x = hn::IfThenElseZero(hn::Ne(weight, hn::Zero(d)), hn::Sub(logit, vmax));
      block = hn::MulAdd(weight, x, block);
      mass = hn::Add(mass, Widen(d, weight));
    };
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) add(hn::LoadU(d, z + i), hn::LoadU(d, v + i));
    if (i < end) add(LoadPart(d, z + i, end - i, T{0}), LoadPart(d, v + i, end - i, T{0}));
    dot += AddLanes(wide, Widen(d, block));
  }
  return {dot, AddLanes(wide, mass)};
}

// dz_k = e * factor - prior_factor * v_k over [begin, end): term(i) gives e and factor of the vector at i,
// part(i, n) those of the n < lanes values that are left.
template <class T, class S, class Term, class Part>
HWY_INLINE void WriteGradient(int64_t begin, int64_t end, double prior_factor, const T* v, S* dz,
                              const Term& term, const Part& part) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, static_cast<T>(prior_factor));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    const auto prior = v == nullptr ? factor : hn::Mul(hn::LoadU(d, v + i), factor);
    const auto [e, p_factor] = term(i);
    StoreAs(hn::MulSub(e, p_factor, prior), d, dz + i);
  }
  if (i < end) {
    const auto prior = v == nullptr ? factor : hn::Mul(LoadPart(d, v + i, end - i, T{0}), factor);
    const auto [e, p_factor] = part(i, end - i);
    StorePart(hn::MulSub(e, p_factor, prior), d, dz + i, end - i);
  }
}
template <class V>
struct Term {
  V e, factor;
};

template <bool kEntropy, class T, class S>
HWY_INLINE void DifferentiateChunk(const S* z, int64_t n, double max, const GradientFactors& factors,
                                   const T* v, S* dz) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const V vmax = hn::Set(d, static_cast<T>(max)), p_factor = hn::Set(d, static_cast<T>(factors.probability));
  const V x_factor = hn::Set(d, static_cast<T>(factors.entropy));
  const auto term_of = [&](V logit) HWY_ATTR {
    const V x = hn::Sub(logit, vmax);
    // Where exp(x) is 0, x may be -inf: bound x so that the product is 0 too.
    const V bounded = hn::Max(x, hn::Set(d, 2 * ExpConstants<T>::kLeast));
    return Term<V>{BoundedExp(d, x), kEntropy ? hn::MulAdd(bounded, x_factor, p_factor) : p_factor};
  };
  WriteGradient(
      0, n, factors.prior, v, dz, [&](int64_t i) HWY_ATTR { return term_of(LoadAs(d, z + i)); },
      [&](int64_t i, int64_t count)
          HWY_ATTR { return term_of(LoadPart(d, z + i, count, static_cast<T>(max))); });
}

template <class T, class S>
void Differentiate(const void* z, int64_t n, double max, const GradientFactors& factors, const T* v,
                   void* dz) {
  const auto* from = static_cast<const S*>(z);
  factors.entropy == 0 ? DifferentiateChunk<false>(from, n, max, factors, v, static_cast<S*>(dz))
                       : DifferentiateChunk<true>(from, n, max, factors, v, static_cast<S*>(dz));
}

template <class T, class S>
void DifferentiateKept(const KeptExps<T>& kept, double max, const GradientFactors& factors, const T* v,
                       void* dz) {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  const D d;
  int64_t begin = 0;
  for (int64_t i = 0; i < kept.count; ++i) {
    const Piece<T>& piece = kept.pieces[i];
    const double down = static_cast<double>(piece.reference) - max, scale = down == 0 ? 1 : std::exp(down);
    const V factor = hn::Set(d, static_cast<T>(factors.probability * scale));
    const T* exps = kept.exps;
    WriteGradient(  // copies, since a store of a vector might change what is captured by reference
        begin, piece.end, factors.prior, v, static_cast<S*>(dz),
        [=](int64_t k) HWY_ATTR { return Term<V>{hn::LoadU(D(), exps + k), factor}; },
        [=](int64_t k, int64_t count)
            HWY_ATTR { return Term<V>{LoadPart(D(), exps + k, count, T{0}), factor}; });
    begin = piece.end;
  }
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
