// SPDX-License-Identifier: MIT
// The kernels: one chunk of one row, contiguous. Built once per instruction set, chosen at run time.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

namespace labelsmooth {

/// What a chunk's sum over the prior is: not needed, of z - max, or of v * (z - max).
enum class PriorSum : uint8_t { none, plain, weighted };

struct ChunkSums {
  double max, tail, tail_z, prior_dot;  // as in RowSummary
  int64_t argmax;                       // within the chunk
};

/// Contracts: n >= 1; v is (n,) for weighted sums, else null; results do not depend on alignment.
template <class T>
struct ChunkKernels {
  /// Sums of z over the chunk's own max; tail_z only if `entropy`.
  void (*summarize)(const T* z, int64_t n, PriorSum prior, const T* v, bool entropy, ChunkSums& sums);
  /// Sum of v_k (z_k - max), a term of v_k = 0 being 0 at z_k = -inf too. max is finite and >= z.
  double (*dot)(const T* z, int64_t n, double max, const T* v);
  /// dz_k = exp(x) * (probability_factor + entropy_factor * x) - prior_factor * v_k, x = z_k - max, with v_k
  /// = 1 where v is null. max is finite and >= z. dz may be z.
  void (*gradient)(const T* z, int64_t n, double max, double probability_factor, double entropy_factor,
                   double prior_factor, const T* v, T* dz);
};

struct Kernels {
  const char* isa;
  ChunkKernels<float> f32;
  ChunkKernels<double> f64;
  template <class T>
  const ChunkKernels<T>& of() const {
    if constexpr (sizeof(T) == 4) {
      return f32;
    } else {
      return f64;
    }
  }
};

/// The one in use (isa.h), and all that this CPU can run, best first.
const Kernels& kernels();
const std::vector<Kernels>& usable_kernels();

}  // namespace labelsmooth
