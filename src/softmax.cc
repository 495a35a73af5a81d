// SPDX-License-Identifier: MIT
// Builds the kernels of probabilities for every instruction set that the loss's are built for.
#include "softmax.h"

#include "targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "softmax.cc"
#include <hwy/foreach_target.h>  // must precede highway.h
#include <hwy/highway.h>

#include "softmax-inl.h"

#if HWY_ONCE

#include <iterator>  // std::size

#include "labelsmooth/isa.h"

namespace labelsmooth {
namespace {

HWY_EXPORT(TargetSoftmaxKernels);

}  // namespace

const SoftmaxKernels& softmax_kernels() {
  if constexpr (std::size(HWY_DISPATCH_TABLE(TargetSoftmaxKernels)) > 1) {
    const std::string chosen = isa();
    for (int64_t targets = HWY_TARGETS; targets != 0; targets &= targets - 1) {
      if (chosen != hwy::TargetName(targets & -targets)) continue;
      hwy::ChosenTarget target;
      target.Update(targets & -targets);
      return *HWY_DISPATCH_TABLE(TargetSoftmaxKernels)[target.GetIndex()]();
    }
  }
  return *HWY_STATIC_DISPATCH(TargetSoftmaxKernels)();
}

}  // namespace labelsmooth

#endif  // HWY_ONCE
