// SPDX-License-Identifier: MIT
// Label-smoothed cross-entropy with its gradient, in one call or as an opened pipeline.
//
//   double loss = cross_entropy({z, rows, classes}, labels, {.smoothing = uniform(0.1)}).loss;
//
// For a row with target q (smoothing.h), class weights w, p = softmax(z):
//   loss  = -sum_k w_k q_k log p_k  +  z_loss * lse^2  -  entropy_penalty * H(p)
//           + max_suppression * (max z - mean z), all times the row's weight
//   dz_k  = p_k sum_j w_j q_j - w_k q_k, and the same of the other terms
//
// Numbers: f32, f16 and bf16 logits are summed in f32 lanes over short blocks and in f64 above them; f64
// logits, and any logits with `scale` or `soft_cap`, in f64 throughout. All sums are of z - max. The gradient
// is made in f32 or f64 and rounded once. docs/math.md derives the formulas and the error bounds. NaN in a
// counted row makes that row NaN and no other; nothing in an ignored row matters, and its gradient is exactly
// 0; -inf is an impossible class: loss +inf where its q_k > 0 (NaN where terms of both signs meet there:
// class weights of mixed sign, or a label of -inf under a rule whose a is negative); a row with +inf, or all
// -inf, is NaN. The same bits for any number of threads and any batch of the same layout around the row, in
// the default rounding mode.
#pragma once

#include <cstdint>   // int64_t
#include <limits>    // std::numeric_limits
#include <optional>  // std::optional
#include <span>      // std::span

#include "labelsmooth/export.h"
#include "labelsmooth/row_summary.h"
#include "labelsmooth/smoothing.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

/// What each row should predict. Row order is the logits'.
///   labels                 (rows,) any integer type
///   mixed(y, z, weight)    two labels a row, the first with `weight`, the second with the rest (mixup);
///                          weight (rows,) in [0, 1]
///   dense(targets)         the logits' shape, any values, any floating type: one distribution a row, or any
///                          mass. `labels`, where given, say which rows are ignored and which are correct.
struct Target {
  enum class Kind : uint8_t { labels, mixed, dense };

  Target(const Vector& labels) : labels(labels) {}
  template <class Range>
    requires requires(const Range& range) { std::data(range); }
  Target(const Range& labels) : Target(Vector(labels)) {}

  Kind kind = Kind::labels;
  Vector labels, second = {}, weight = {};
  Rows dense = {};
};
LABELSMOOTH_API Target mixed(const Vector& first, const Vector& second, const Vector& weight);
LABELSMOOTH_API Target dense(const Rows& targets, const Vector& labels = {});

enum class Reduction : uint8_t { mean, sum, none };
/// What a mean over nothing is: no counted row, or counted rows whose weights sum to 0. `error` throws for
/// the reduction mean; sums over nothing, and what a constant divides, are 0.
enum class Empty : uint8_t { nan, zero, error };

/// How class weights enter, where r is the row's and E = sum_k q_k w_k.
///   per_term  each term of the sum has its class's weight; the mean divides by sum r w_y, of mixed labels by
///             that of both, of dense ones by sum r (PyTorch, Liger)
///   label     the row has its label's weight: loss w_y; the mean divides by sum r w_y (Keras, MLX)
///   expected  the row has the weight E; the mean divides by sum r E (Paddle)
enum class Weighting : uint8_t { per_term, label, expected };

/// Which classes take part in smoothing. `finite`: those of logits above -inf that the mask allows; the prior
/// is divided by its sum over them (NaN where that is 0). `all`: every class, and one at -inf makes a
/// smoothed loss +inf (PyTorch).
enum class Support : uint8_t { all, finite };

/// What a mean divides by: the weights of the counted rows, as Weighting says; their number; or a positive
/// constant, so that micro-batches add up to the one batch.
struct Denominator {
  enum Kind : uint8_t { weights, rows, constant } kind = weights;
  double value = 0;  // of `constant`
};

/// What does not go together is refused by name:
///   weighting label, expected       with mixed and dense targets, and the support finite
///   weighting expected              with a prior by label or by row
///   prior by label, amount by class with mixed and dense targets
///   support finite                  with the rules others, flip and additive
///   mask                            with the support all
///   max_suppression                 with class weights and priors
///   denominator rows, constant      with the reductions sum and none
///   upstream rows                   with the reductions mean and sum
///   accumulate                      in the logits' memory
struct Options {
  Smoothing smoothing = {};
  /// (total classes,), finite in the logits' type; empty means 1.
  Vector class_weights = {};
  Weighting weighting = Weighting::per_term;
  /// (rows,), finite; empty means 1. A row of weight 0 counts; its loss and gradient are 0, whatever its z.
  Vector row_weights = {};
  /// Rows with this label do not count. nullopt: every row counts. Of mixed labels: where both are it.
  std::optional<int64_t> ignore_index = -100;
  Support support = Support::all;
  /// u8, 0 excludes a class as -inf would. (1, total classes) for all rows, or the logits' shape.
  Rows mask = {};
  /// z = scale * soft_cap * tanh(logit / soft_cap); soft_cap 0: z = scale * logit. Scale is 1 / temperature.
  double scale = 1, soft_cap = 0;
  /// Of lse^2, H(p), max z - mean z. No class weight applies to them.
  double z_loss = 0, entropy_penalty = 0, max_suppression = 0;
  Reduction reduction = Reduction::mean;
  Denominator denominator = {};
  Empty empty = Empty::nan;
};

/// Per-row outputs, (rows,) each or empty, of z after scale, cap and mask. Ignored rows hold 0 and argmax -1.
struct Parts {
  std::span<double> loss = {};        // weighted and smoothed, not divided
  std::span<double> nll = {};         // lse - z_y: the hard-label loss, without weights; of mixed and dense
                                      // targets that without smoothing and row weight
  std::span<double> lse = {};         // log sum exp of the row
  std::span<double> confidence = {};  // largest probability
  std::span<double> entropy = {};     // of softmax(z), nats
  std::span<int64_t> argmax = {};     // lowest index on ties
  std::span<uint8_t> correct = {};    // argmax is the label; of mixed labels the one of larger weight
};

struct Result {
  double loss = 0;         // reduced; NaN under Reduction::none, where Parts::loss is the result
  double nll = 0;          // plain mean of the counted rows' Parts::nll; Empty decides for none
  double denominator = 1;  // what the loss was divided by
  int64_t rows = 0, counted = 0;
  int64_t correct = 0;  // counted rows whose argmax is the label; -1 where dense targets have none
  int64_t first_impossible_row = -1;  // the first counted row of finite max whose label has z = -inf, or -1
};

/// Factor of the gradient: d(objective)/d(loss), and per row (rows,) where the reduction is none.
/// `accumulate` adds to what dlogits holds, which then may not be the logits' memory.
struct Upstream {
  double scalar = 1;
  Vector rows = {};
  bool accumulate = false;
};

/// Loss only. Reads every logit once. Memory beyond the arguments: at most 2 bytes a row, 32 of more than
/// 4,096 classes; some chunks (32,768 classes) a thread, which keeps them until it ends; and with class
/// weights or a shared prior one vector of the classes.
///   logits  (rows, classes) f32, f64, f16 or bf16, any strides
/// Throws Error naming the argument: wrong sizes, a label outside [0, classes) that is not ignored (with its
/// row), an amount outside [0, 1], an empty mean under Empty::error. Logits are never an error.
LABELSMOOTH_API Result cross_entropy(const Logits& logits, const Target& target, const Options& options = {},
                                     const Parts& parts = {});

/// Loss and gradient of the reduced loss; `dlogits` has the shape and type of `logits` and may be the same
/// memory and strides, but no other overlap with any argument, nor overlap itself. Its padding is written 0,
/// or left alone under `accumulate`.
/// Memory beyond that of the loss: a row's exps a thread, of up to 262,144 classes, 5 bytes a class or, where
/// it is computed in f64, 9; kept likewise.
/// Gradient error, in units of epsilon: 4 + (max - z_k) / 2 relative to the mass times p_k, and 4 relative to
/// w_k (|a t_k| + |b u_k|); f16 and bf16: half an ulp and 2^-20 relative to both. docs/math.md adds the
/// modifiers'.
LABELSMOOTH_API Result cross_entropy(const Logits& logits, const Target& target, const Gradient& dlogits,
                                     const Options& options = {}, const Parts& parts = {},
                                     const Upstream& upstream = {});

// The pipeline opened, for autograd (keep the summaries, ask for the gradient later) and for classes spread
// over shards (summarize each, merge_shards in any order, finish and gradient anywhere).

// All three take the same target and options; of a shard, dense targets, priors by row and masks of the
// logits' shape are that shard's.

/// One summary per row, (rows,); ignored rows get the identity. Shards are declared by Logits::shard.
LABELSMOOTH_API void summarize(const Logits& logits, const Target& target, const Options& options,
                               std::span<RowSummary> summaries);

/// A shard's summaries and the classes they cover.
struct Shard {
  int64_t class_begin = 0, classes = 0;
  std::span<const RowSummary> summaries = {};  // (rows,)
};
/// Merges in class order whatever the order given, so every rank gets the same bits.
/// Throws Error unless the shards tile [0, total_classes) without overlap or gap.
LABELSMOOTH_API void merge_shards(std::span<const Shard> shards, int64_t total_classes,
                                  std::span<RowSummary> merged);

/// Loss from merged summaries of all `total_classes`.
LABELSMOOTH_API Result finish(std::span<const RowSummary> summaries, int64_t total_classes,
                              const Target& target, const Options& options, const Parts& parts = {});

/// Gradient of one shard, or of the whole, from merged summaries of all classes.
LABELSMOOTH_API void gradient(const Logits& logits, const Target& target,
                              std::span<const RowSummary> summaries, const Options& options,
                              const Gradient& dlogits, const Upstream& upstream = {});

}  // namespace labelsmooth
