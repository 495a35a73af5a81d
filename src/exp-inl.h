// SPDX-License-Identifier: MIT
// exp of x <= 2, the only exp the loss needs: x is z - max, or z - a reference that is a little less.

// Re-included once per instruction set, hence the toggling guard (Highway's convention).
#if defined(LABELSMOOTH_EXP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_EXP_INL_H
#undef LABELSMOOTH_EXP_INL_H
#else
#define LABELSMOOTH_EXP_INL_H
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// exp(r) = 1 + r + r^2 (c[0] + c[1] r + ...) for |r| <= ln2 / 2: minimax in relative error (Remez).
// ln2 in two parts, the high one short enough that n * kLn2High is exact without FMA.
template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr float kMagic = 0x1.8p23f + 127;  // adding it rounds to an integer, and biases the exponent
  static constexpr int kMantissaBits = 23;
  static constexpr float kLn2High = 0x1.63p-1f, kLn2Low = -0x1.bd0106p-13f;
  static constexpr float kLeast = -87;  // below it exp would be subnormal: 0
  static constexpr float kPoly[] = {0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f, 0x1.1239e2p-7f,
                                    0x1.6a2434p-10f};  // approximation error 3.1e-9
};
template <>
struct ExpConstants<double> {
  static constexpr double kMagic = 0x1.8p52 + 1023;
  static constexpr int kMantissaBits = 52;
  static constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kLeast = -708;
  static constexpr double kPoly[] = {0x1.0000000000009p-1,  0x1.5555555555558p-3,  0x1.55555555503e3p-5,
                                     0x1.111111110f803p-7,  0x1.6c16c18601e8cp-10, 0x1.a01a01b00c2c6p-13,
                                     0x1.a01993b37a9cap-16, 0x1.71ddf6b3f10d1p-19, 0x1.28b410d73d492p-22,
                                     0x1.af632ad6abee8p-26};  // 7.7e-18
};

// exp(x) = 2^n (1 + fraction). The low bits of `shifted` hold n and the exponent's bias.
template <class V>
struct ExpParts {
  V n, shifted, fraction;
};
template <class D, class V = hn::Vec<D>>
HWY_INLINE ExpParts<V> ReduceExp(D d, V x) {
  using T = hn::TFromD<D>;
  using C = ExpConstants<T>;
  const V magic = hn::Set(d, C::kMagic);
  const V shifted = hn::MulAdd(x, hn::Set(d, static_cast<T>(1.44269504088896340736)), magic);
  const V n = hn::Sub(shifted, magic);
  const V r = hn::NegMulAdd(n, hn::Set(d, C::kLn2Low), hn::NegMulAdd(n, hn::Set(d, C::kLn2High), x));
  constexpr size_t kTerms = sizeof(C::kPoly) / sizeof(T);
  V poly = hn::Set(d, C::kPoly[kTerms - 1]);
  for (size_t i = kTerms - 1; i-- > 0;) poly = hn::MulAdd(poly, r, hn::Set(d, C::kPoly[i]));
  return {n, shifted, hn::MulAdd(hn::Mul(r, r), poly, r)};
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V PowerOfTwo(D d, const ExpParts<V>& parts) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(
      d, hn::ShiftLeft<ExpConstants<hn::TFromD<D>>::kMantissaBits>(hn::BitCast(du, parts.shifted)));
}

// Valid lane types: float, double. Valid range: [-inf, 2], and NaN, which stays NaN; above, any value.
// Max error: 1.5 ulp; 0 where the result would be subnormal, so that flush-to-zero changes nothing.
// Highway's own Exp is not used: it maps NaN to 0, which would turn a diverged model into a finite loss.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V BoundedExp(D d, V x) {
  using T = hn::TFromD<D>;
  using C = ExpConstants<T>;
  const auto parts = ReduceExp(d, x);
  const V significand = hn::Add(parts.fraction, hn::Set(d, T{1}));
#if HWY_TARGET <= HWY_AVX3
  static_assert(hn::MaxLanes(D()) * sizeof(T) == 64, "whole vectors alone");
  // "Not less", so that NaN stays; Highway has no name for it.
  if constexpr (sizeof(T) == 4) {
    const auto normal = _mm512_cmp_ps_mask(x.raw, _mm512_set1_ps(C::kLeast), _CMP_NLT_UQ);
    return V{_mm512_maskz_scalef_ps(normal, significand.raw, parts.n.raw)};
  } else {
    const auto normal = _mm512_cmp_pd_mask(x.raw, _mm512_set1_pd(C::kLeast), _CMP_NLT_UQ);
    return V{_mm512_maskz_scalef_pd(normal, significand.raw, parts.n.raw)};
  }
#else
  // A multiplication by 2^n keeps NaN, an integer addition to the exponent would not.
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, C::kLeast)), hn::Mul(significand, PowerOfTwo(d, parts)));
#endif
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
