// SPDX-License-Identifier: MIT
// The kernels: one chunk of one row, contiguous. Built once per instruction set, chosen at run time.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"
#include "tile.h"

namespace labelsmooth {

/// What a chunk's sum over the prior is: not needed, of z - max, or of v * (z - max).
enum class PriorSum : uint8_t { none, plain, weighted };

struct ChunkSums {
  double max, tail, tail_z, prior_dot;  // as in RowSummary
  int64_t argmax;                       // within the chunk
};

/// Calls body.template operator()<PriorSum, bool>() for what is summed.
template <class Body>
void with_sums(PriorSum prior, bool entropy, const Body& body) {
  const auto run = [&]<PriorSum kPrior>() {
    entropy ? body.template operator()<kPrior, true>() : body.template operator()<kPrior, false>();
  };
  switch (prior) {
    case PriorSum::none:
      return run.template operator()<PriorSum::none>();
    case PriorSum::plain:
      return run.template operator()<PriorSum::plain>();
    case PriorSum::weighted:
      return run.template operator()<PriorSum::weighted>();
  }
}

/// v of a chunk, null where all are 1, and its sum.
template <class T>
struct PriorOfChunk {
  const T* v;
  double mass;
};

/// exp(z - reference) of a chunk's classes, as its sums met them: pieces up to `end` over one reference each.
/// At most one piece a block of 16 lanes, and one more.
template <class T>
struct Piece {
  int64_t end;
  T reference;
};
template <class T>
struct KeptExps {
  T* exps;
  Piece<T>* pieces;
  int64_t count;
};

struct GradientFactors {
  double probability, entropy, prior;
};

/// Of logits as they lie in memory, contiguous, in one storage. Contracts: n >= 1; v is (n,) for weighted
/// sums, else null; results do not depend on alignment.
template <class T>
struct ChunkKernels {
  /// Sums of z over the chunk's own max; tail_z only if `entropy`. `ahead`, where given, is memory of the
  /// logits' size that will be written soon. `kept`, where given and not `entropy`, receives what
  /// `gradient_of_kept` needs, unless max is NaN or +inf.
  void (*summarize)(const void* z, int64_t n, PriorSum prior_sum, const PriorOfChunk<T>& prior, bool entropy,
                    const char* ahead, KeptExps<T>* kept, ChunkSums& sums);
  /// dz_k = exp(x) * (probability + entropy * x) - prior * v_k, x = z_k - max, with v_k = 1 where v is null.
  /// max is finite and >= z. dz may be z.
  void (*gradient)(const void* z, int64_t n, double max, const GradientFactors& factors, const T* v,
                   void* dz);
  /// The same from what was kept, without an entropy term.
  void (*gradient_of_kept)(const KeptExps<T>& kept, double max, const GradientFactors& factors, const T* v,
                           void* dz);
};

struct TileTotals {
  double loss, nll;
  int64_t correct;
};

/// Rows of one storage into a tile, and back: class k of row r is rows[r * stride + k * step], one of them 1.
template <class T>
struct PackKernels {
  void (*pack)(const void* rows, int64_t stride, int64_t step, int64_t n, int64_t classes, int64_t width,
               T* tile);
  void (*unpack)(const T* tile, int64_t n, int64_t classes, int64_t width, void* rows, int64_t stride,
                 int64_t step);
};

/// Contracts: n >= 1 rows, rounded up to kTileLanes within the tile, all of which are written to: what lies
/// past n is arbitrary, but for `label`, a class or negative in every one. `width` is a multiple of
/// kTileLanes, tile and rows are aligned as vectors want it.
template <class T>
struct TileKernels {
  int64_t lanes;
  PackKernels<T> of_type, of_f16, of_bf16;
  const PackKernels<T>& rows(DType storage) const {
    return storage == DType::f16 ? of_f16 : storage == DType::bf16 ? of_bf16 : of_type;
  }
  /// max, argmax and label_dot; of rows with NaN some value or NaN.
  void (*maxima)(const T* tile, int64_t n, int64_t classes, int64_t width, TileRows<T>& rows);
  /// tail, tail_z and prior_dot over max, label_exp, and of weighted sums label_prior; leaves exp(z - max) in
  /// the tile. `ahead` holds two.
  void (*exps)(T* tile, int64_t n, int64_t classes, int64_t width, PriorSum prior, const T* v, bool entropy,
               const Ahead* ahead, TileRows<T>& rows);
  /// From the sums, the loss, and what the gradient needs. Whether all that counted rows got is finite.
  bool (*finish)(int64_t n, double prior_mass, TileRows<T>& rows);
  /// Sums over the rows that count.
  TileTotals (*total)(int64_t n, const TileRows<T>& rows);
  /// exp(z - max) to the gradient.
  void (*gradient)(T* tile, int64_t n, int64_t classes, int64_t width, const T* v, const TileRows<T>& rows);
};

struct DotSums {
  double dot, mass;
};

template <class T>
struct TypeKernels {
  ChunkKernels<T> of_type, of_f16, of_bf16;
  /// Sums of v_k (z_k - max), a term of v_k = 0 being 0 at z_k = -inf too, and of v_k in f64. max is finite.
  DotSums (*dot)(const T* z, int64_t n, double max, const T* v);
  TileKernels<T> tile;
  const ChunkKernels<T>& chunk(DType storage) const {
    return storage == DType::f16 ? of_f16 : storage == DType::bf16 ? of_bf16 : of_type;
  }
};

/// Contiguous, in place; n >= 1. NaN stays NaN.
struct SoftCapKernels {
  /// z_k becomes scale * cap * tanh(z_k / cap), and infinity stays, so that no impossible class becomes
  /// possible.
  void (*apply)(double* z, int64_t n, double cap, double scale);
  /// z_k, a logit, becomes the derivative of that.
  void (*slopes)(double* z, int64_t n, double cap, double scale);
};

struct Kernels {
  const char* isa;
  TypeKernels<float> f32;
  TypeKernels<double> f64;
  SoftCapKernels soft_cap;
  template <class T>
  const TypeKernels<T>& of() const {
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
