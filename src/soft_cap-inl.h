// SPDX-License-Identifier: MIT
// The soft cap's tanh and its slope, in double, written once for every instruction set.

#if defined(LABELSMOOTH_SOFT_CAP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_SOFT_CAP_INL_H
#undef LABELSMOOTH_SOFT_CAP_INL_H
#else
#define LABELSMOOTH_SOFT_CAP_INL_H
#endif

#include <hwy/highway.h>

#include "exp-inl.h"
#include "storage-inl.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Valid lane type: double. Any x; NaN stays NaN. Max error: 3 ulp, relative, however small x is.
// With t = exp(-2 |x|) - 1, which keeps its digits near 0: tanh |x| = -t / (2 + t).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Tanh(D d, V x) {
  const V least = hn::Set(d, -44.0), one = hn::Set(d, 1.0);  // from 22 on tanh is 1
  const V twice = hn::Mul(hn::Abs(x), hn::Set(d, -2.0));
  const auto parts = ReduceExp(d, hn::IfThenElse(hn::Lt(twice, least), least, twice));
  const V power = PowerOfTwo(d, parts);
  const V t = hn::MulAdd(power, parts.fraction, hn::Sub(power, one));
  return hn::CopySign(hn::Div(t, hn::Add(t, hn::Set(d, 2.0))), x);
}

// z_k = body(z_k), a vector at a time.
template <class Body>
HWY_INLINE void Transform(double* z, int64_t n, const Body& body) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t k = 0;
  for (; k + lanes <= n; k += lanes) hn::StoreU(body(hn::LoadU(d, z + k)), d, z + k);
  if (k < n) StorePart(body(LoadPart(d, z + k, n - k, 0.0)), d, z + k, n - k);
}

inline void SoftCap(double* z, int64_t n, double cap, double scale) {
  const hn::ScalableTag<double> d;
  const auto divisor = hn::Set(d, cap), factor = hn::Set(d, scale * cap);
  const auto infinity = hn::Inf(d);
  Transform(z, n, [=](auto logit) HWY_ATTR {
    const auto capped = hn::Mul(factor, Tanh(d, hn::Div(logit, divisor)));
    return hn::IfThenElse(hn::Eq(hn::Abs(logit), infinity), logit, capped);
  });
}

// 1 - tanh^2 = 4 e / (1 + e)^2 with e = exp(-2 |x|), which has no cancellation.
inline void SoftCapSlopes(double* z, int64_t n, double cap, double scale) {
  const hn::ScalableTag<double> d;
  const auto divisor = hn::Set(d, cap), factor = hn::Set(d, 4 * scale), one = hn::Set(d, 1.0);
  Transform(z, n, [=](auto logit) HWY_ATTR {
    const auto x = hn::Abs(hn::Div(logit, divisor));
    const auto e = BoundedExp(d, hn::Mul(x, hn::Set(d, -2.0))), sum = hn::Add(one, e);
    return hn::Div(hn::Mul(factor, e), hn::Mul(sum, sum));
  });
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
