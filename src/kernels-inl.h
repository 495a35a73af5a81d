// SPDX-License-Identifier: MIT
// The kernels of one instruction set.

#if defined(LABELSMOOTH_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_KERNELS_INL_H
#undef LABELSMOOTH_KERNELS_INL_H
#else
#define LABELSMOOTH_KERNELS_INL_H
#endif

#include <hwy/highway.h>

#include "kernels.h"
#include "row-inl.h"
#include "soft_cap-inl.h"
#include "tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {

template <class T, class S>
constexpr ChunkKernels<T> kChunkKernels = {&Summarize<T, S>, &Differentiate<T, S>, &DifferentiateKept<T, S>};
template <class T, class S>
constexpr PackKernels<T> kPackKernels = {&PackTile<T, S>, &UnpackTile<T, S>};
template <class T, class F16, class Bf16>
constexpr TileKernels<T> kTileKernels = {static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>())),
                                         kPackKernels<T, T>,
                                         kPackKernels<T, F16>,
                                         kPackKernels<T, Bf16>,
                                         &TileMaxima<T>,
                                         &TileExps<T>,
                                         &FinishTile<T>,
                                         &TotalTile<T>,
                                         &DifferentiateTile<T>};

// One table per instruction set; HWY_EXPORT collects them.
inline const Kernels* TargetKernels() {
  static constexpr Kernels kKernels = {
      nullptr,
      {kChunkKernels<float, float>, kChunkKernels<float, f16>, kChunkKernels<float, bf16>, &Dot<float>,
       kTileKernels<float, f16, bf16>},
      {kChunkKernels<double, double>, {}, {}, &Dot<double>, kTileKernels<double, double, double>},
      {&SoftCap, &SoftCapSlopes}};
  return &kKernels;
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
