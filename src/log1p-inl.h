// SPDX-License-Identifier: MIT
// log1p of x >= 0, the only logarithm the loss needs.

// Re-included once per instruction set, hence the toggling guard (Highway's convention).
#if defined(LABELSMOOTH_LOG1P_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_LOG1P_INL_H
#undef LABELSMOOTH_LOG1P_INL_H
#else
#define LABELSMOOTH_LOG1P_INL_H
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Valid lane type: double. Valid range: [0, 2^1000], and NaN, which stays NaN.
// Max error: 2 ulp, relative, however small x is.
// With 1 + x = 2^n m, m around 1, and s = (m - 1) / (m + 1): log m = 2 atanh(s), atanh(s) = s + s^3 P(s^2).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1p(D d, V x) {
  // P for |s| <= 0.1716, interpolated at Chebyshev's nodes; error 5e-18.
  constexpr double kPoly[] = {0x1.5555555555558p-2, 0x1.99999999952d7p-3, 0x1.2492492df281ap-3,
                              0x1.c71c62e3f11e6p-4, 0x1.7462b51cb66b1p-4, 0x1.39fe51a7c18f9p-4,
                              0x1.2b5900de53b32p-4};
  constexpr double kRoot = 1.4142135623730951;  // m lies in [1 / root, root]
  const V one = hn::Set(d, 1.0);
  const hn::RebindToSigned<D> di;
  // The biased exponent of (1 + x) * root is 1023 + n.
  const V u = hn::Add(one, x);
  const auto biased = hn::ShiftRight<52>(hn::BitCast(di, hn::Mul(u, hn::Set(d, kRoot))));
  const V n =
      hn::Sub(hn::BitCast(d, hn::Or(biased, hn::BitCast(di, hn::Set(d, 0x1p52)))), hn::Set(d, 0x1p52 + 1023));
  const V inverse_power = hn::BitCast(d, hn::ShiftLeft<52>(hn::Sub(hn::Set(di, 2046), biased)));
  // x itself where n is 0, since 1 + x may have lost its digits.
  const V f = hn::IfThenElse(hn::Eq(n, hn::Zero(d)), x, hn::Sub(hn::Mul(u, inverse_power), one));
  const V s = hn::Div(f, hn::Add(f, hn::Set(d, 2.0)));
  const V z = hn::Mul(s, s);
  constexpr size_t kTerms = sizeof(kPoly) / sizeof(double);
  V poly = hn::Set(d, kPoly[kTerms - 1]);
  for (size_t i = kTerms - 1; i-- > 0;) poly = hn::MulAdd(poly, z, hn::Set(d, kPoly[i]));
  // 2 s = f - s f, which has less to round than s has.
  const V log_m = hn::NegMulAdd(s, hn::NegMulAdd(hn::Add(z, z), poly, f), f);
  return hn::MulAdd(n, hn::Set(d, 0.6931471805599453), log_m);
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
