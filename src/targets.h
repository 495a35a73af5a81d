// SPDX-License-Identifier: MIT
// The instruction sets that kernels are built for. To be included before Highway.
#pragma once

// AVX3 alone is Skylake, whose clock falls under 512-bit work; Ice Lake and later (AVX3_DL) stay. The vectors
// of SVE and RVV have no size, so they cannot be members of a struct as ours are: those CPUs run NEON and
// scalar code.
#define HWY_WANT_AVX3_DL
#define LABELSMOOTH_NO_TARGETS \
  (HWY_AVX3 | HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#ifdef LABELSMOOTH_FEW_TARGETS  // AVX2 and the baseline: under sanitizers each set takes minutes to compile
#define HWY_DISABLED_TARGETS (LABELSMOOTH_NO_TARGETS | (HWY_AVX2 - 1) | HWY_SSE4)
#else
#define HWY_DISABLED_TARGETS LABELSMOOTH_NO_TARGETS
#endif
