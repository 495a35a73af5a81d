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

#include "chosen_target.h"

namespace labelsmooth {
namespace {

HWY_EXPORT(TargetSoftmaxKernels);

}  // namespace

const SoftmaxKernels& softmax_kernels() { return *chosen_target(HWY_DISPATCH_TABLE(TargetSoftmaxKernels))(); }

}  // namespace labelsmooth

#endif  // HWY_ONCE
