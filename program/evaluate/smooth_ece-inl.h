// SPDX-License-Identifier: MIT
// The bodies of smooth_ece.cc, written once for every instruction set. An array of Abreast is one of doubles,
// of which every eighth is the same redraw's.

#if defined(LABELSMOOTH_SMOOTH_ECE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_SMOOTH_ECE_INL_H
#undef LABELSMOOTH_SMOOTH_ECE_INL_H
#else
#define LABELSMOOTH_SMOOTH_ECE_INL_H
#endif

#include <hwy/highway.h>

#include <utility>  // std::swap

#include "evaluate/smooth_ece_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Redraws = hn::CappedTag<double, kAbreast>;
using Vec = hn::Vec<Redraws>;

// body(s) for the redraws from s on that make a vector.
template <class Body>
HWY_INLINE void EachVector(const Body& body) {
  for (size_t s = 0; s < kAbreast; s += hn::Lanes(Redraws())) body(s);
}

template <class T>  // of Abreast, const or not
struct Column {
  T* first;
  size_t s;
  Vec operator[](size_t i) const { return hn::Load(Redraws(), first[i].of + s); }
  void set(size_t i, Vec v) const { hn::Store(v, Redraws(), first[i].of + s); }
};
using Numbers = Column<Abreast>;
using GivenNumbers = Column<const Abreast>;

struct Complex {
  Vec re, im;
};
HWY_INLINE Complex Plus(const Complex& x, const Complex& y) {
  return {hn::Add(x.re, y.re), hn::Add(x.im, y.im)};
}
HWY_INLINE Complex Minus(const Complex& x, const Complex& y) {
  return {hn::Sub(x.re, y.re), hn::Sub(x.im, y.im)};
}
HWY_INLINE Complex TimesI(const Complex& x) { return {hn::Neg(x.im), x.re}; }
HWY_INLINE Complex Times(const Complex& x, const Turn& turn) {
  const Redraws d;
  const Vec re = hn::Set(d, turn.re), im = hn::Set(d, turn.im);
  return {hn::MulSub(x.re, re, hn::Mul(x.im, im)), hn::MulAdd(x.re, im, hn::Mul(x.im, re))};
}

struct Signal {
  Numbers re, im;
  Complex operator[](size_t i) const { return {re[i], im[i]}; }
  void set(size_t i, const Complex& x) const { re.set(i, x.re), im.set(i, x.im); }
};

// X_k = sum of x_j exp(-2 pi i j k / size); size a power of two. Stockham's order, four at a time: no bits to
// reverse. Uses `y` too; returns which of the two has the result.
HWY_INLINE Signal Fourier(size_t size, const Turn* turns, Signal x, Signal y) {
  size_t n = size, apart = 1;  // `apart` transforms of n numbers lie side by side
  for (; n >= 4; n /= 4, apart *= 4) {
    const size_t quarter = n / 4;
    const Turn* turn = turns + n / 2;
    for (size_t p = 0; p < quarter; ++p) {
      const Turn once = turn[p], twice = turn[2 * p],
                 thrice = {once.re * twice.re - once.im * twice.im, once.re * twice.im + once.im * twice.re};
      for (size_t q = 0; q < apart; ++q) {
        const Complex a = x[q + apart * p], b = x[q + apart * (p + quarter)],
                      c = x[q + apart * (p + 2 * quarter)], d = x[q + apart * (p + 3 * quarter)];
        const Complex even = Plus(a, c), even_less = Minus(a, c), odd = Plus(b, d),
                      odd_less = TimesI(Minus(b, d));
        y.set(q + apart * (4 * p), Plus(even, odd));
        y.set(q + apart * (4 * p + 1), Times(Minus(even_less, odd_less), once));
        y.set(q + apart * (4 * p + 2), Times(Minus(even, odd), twice));
        y.set(q + apart * (4 * p + 3), Times(Plus(even_less, odd_less), thrice));
      }
    }
    std::swap(x, y);
  }
  for (size_t q = 0; n == 2 && q < apart; ++q) {
    const Complex a = x[q], b = x[q + apart];
    x.set(q, Plus(a, b));
    x.set(q + apart, Minus(a, b));
  }
  return x;
}

// By one Fourier transform of half as many complex numbers: y below is real, its sums give every second X,
// and differences of the others.
inline void TakeCosineSums(const Abreast* x_numbers, size_t n, const Turn* turns,
                           const CosineScratch& scratch, Abreast* sums_numbers) {
  const Redraws d;
  const size_t size = n / 2;
  const Vec half = hn::Set(d, 0.5);
  EachVector([&](size_t s) {
    const GivenNumbers x = {x_numbers, s};
    const Signal signal = {{scratch.re, s}, {scratch.im, s}},
                 other = {{scratch.other_re, s}, {scratch.other_im, s}};
    const Turn* turn = turns + n;
    Vec odd = hn::Sub(x[0], x[n]);                            // X_1
    const auto take = [&](size_t j, Vec& front, Vec& back) {  // y_j and y_{n - j}
      const Vec mean = hn::Mul(hn::Add(x[j], x[n - j]), half), difference = hn::Sub(x[j], x[n - j]);
      front = hn::MulAdd(hn::Set(d, turn[j].im), difference, mean);
      back = hn::NegMulAdd(hn::Set(d, turn[j].im), difference, mean);
      odd = hn::MulAdd(difference, hn::Set(d, turn[j].re), odd);
    };
    // The signal: y_0 + i y_1, y_2 + i y_3, ...
    Vec front, back;
    signal.re.set(0, hn::Add(x[0], x[n]));
    (size % 2 == 0 ? signal.re : signal.im).set(size / 2, x[size]);
    for (size_t i = 1; i < size / 2; ++i) {
      take(2 * i, front, back);
      signal.re.set(i, front);
      signal.re.set(size - i, back);
    }
    for (size_t i = 0; i < size / 2; ++i) {
      take(2 * i + 1, front, back);
      signal.im.set(i, front);
      signal.im.set(size - 1 - i, back);
    }
    const Signal found = Fourier(size, turns, signal, other);

    const Numbers sums = {sums_numbers, s};
    sums.set(0, hn::Add(found.re[0], found.im[0]));
    sums.set(1, odd);
    for (size_t k = 1; k < size; ++k) {
      const Complex a = found[k], b = found[size - k];
      const Complex even = {hn::Mul(hn::Add(a.re, b.re), half), hn::Mul(hn::Sub(a.im, b.im), half)};
      const Complex turned =
          Times({hn::Mul(hn::Add(a.im, b.im), half), hn::Mul(hn::Sub(b.re, a.re), half)}, turns[size + k]);
      sums.set(2 * k, hn::Add(even.re, turned.re));
      odd = hn::Sub(odd, hn::Add(even.im, turned.im));
      sums.set(2 * k + 1, odd);
    }
    sums.set(n, hn::Sub(found.re[0], found.im[0]));
  });
}

// body(m, exp(-(m pi sigma)^2 / 2)) for m = 1, 2, ... while that matters; 0 for a redraw where it no longer
// does. By products: each is the one before times exp(-(2 m - 1) (pi sigma)^2 / 2), where first is m = 1 and
// less the square of that; what they round is some 1e-12 of the sums.
template <class Body>
HWY_INLINE void EachDamping(const Abreast& first, size_t s, const Body& body) {
  const Redraws d;
  const Vec least = hn::Set(d, 1e-17);
  Vec factor = hn::Load(d, first.of + s), damping = hn::Set(d, 1.0);
  const Vec less = hn::Mul(factor, factor);
  for (size_t m = 1; m <= kSmoothCells; ++m, factor = hn::Mul(factor, less)) {
    damping = hn::Mul(damping, factor);
    const auto matters = hn::Ge(damping, least);
    if (hn::AllFalse(d, matters)) break;
    damping = hn::IfThenElseZero(matters, damping);
    body(m, damping);
  }
}

// On the points, cosine m is that of m less 2 points, whatever its sign.
inline void Fold(const Abreast* cosine_numbers, const Abreast& first_damping, size_t points,
                 Abreast* folded_numbers) {
  EachVector([&](size_t s) {
    const GivenNumbers cosines = {cosine_numbers, s};
    const Numbers folded = {folded_numbers, s};
    for (size_t i = 1; i <= points; ++i) folded.set(i, hn::Zero(Redraws()));
    folded.set(0, cosines[0]);
    EachDamping(first_damping, s, [&](size_t m, Vec damping) {
      const size_t turn = m & (2 * points - 1), to = turn <= points ? turn : 2 * points - turn;
      folded.set(to, hn::MulAdd(hn::Add(damping, damping), cosines[m], folded[to]));
    });
  });
}

inline void SumOfSquares(const Abreast* cosine_numbers, const Abreast& first_damping, Abreast& sums) {
  EachVector([&](size_t s) {
    const GivenNumbers cosines = {cosine_numbers, s};
    Vec squares = hn::Zero(Redraws());
    EachDamping(first_damping, s, [&](size_t m, Vec damping) {
      const Vec one = hn::Mul(damping, cosines[m]);
      squares = hn::MulAdd(one, one, squares);
    });
    hn::Store(hn::MulAdd(cosines[0], cosines[0], hn::Add(squares, squares)), Redraws(), sums.of + s);
  });
}

inline void Area(const Abreast* value_numbers, size_t points, Abreast& areas) {
  const Redraws d;
  EachVector([&](size_t s) {
    const GivenNumbers values = {value_numbers, s};
    Vec a = values[0], sum = hn::Zero(d);
    for (size_t i = 1; i <= points; ++i) {
      const Vec b = values[i], size = hn::Add(hn::Abs(a), hn::Abs(b));
      const auto crosses = hn::Lt(hn::Mul(a, b), hn::Zero(d));
      if (HWY_LIKELY(hn::AllFalse(d, crosses))) {
        sum = hn::Add(sum, size);
      } else {
        const Vec squares = hn::MulAdd(a, a, hn::Mul(b, b));
        sum = hn::Add(sum, hn::IfThenElse(crosses, hn::Div(squares, size), size));
      }
      a = b;
    }
    hn::Store(hn::Div(sum, hn::Set(d, 2.0 * static_cast<double>(points))), d, areas.of + s);
  });
}

inline const SmoothKernels* TargetSmoothKernels() {
  static constexpr SmoothKernels kKernels = {&TakeCosineSums, &Fold, &SumOfSquares, &Area};
  return &kKernels;
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
