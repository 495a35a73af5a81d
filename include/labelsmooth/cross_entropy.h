// SPDX-License-Identifier: MIT
// Label-smoothed cross-entropy with its gradient, in one call or as an opened pipeline.
//
//   double loss = cross_entropy({z, rows, classes}, labels, {.smoothing = uniform(0.1)}).loss;
//
// For a row with label y: loss = -sum_k w_k q_k log softmax(z)_k, with q of smoothing.h and PyTorch's
// per-term class weights w. Its gradient in z_k: p_k sum_j w_j q_j - w_k q_k.
//
// Numbers: f32 logits are summed in f32 lanes over short blocks and in f64 above them; f64 logits in f64
// throughout. All sums are of z - max. docs/math.md derives the formulas and the error bounds.
// NaN in a counted row makes that row NaN and no other; an ignored row is never read and its gradient is
// exactly 0; -inf is an impossible class: loss +inf where its q_k > 0 (NaN where terms of both signs meet
// there: class weights of mixed sign, or a label of -inf under a rule whose a is negative); a row with +inf,
// or all -inf, is NaN. The same bits for any number of threads and any batch around the row, in the default
// rounding mode.
#pragma once

#include <cstdint>   // int64_t
#include <limits>    // std::numeric_limits
#include <optional>  // std::optional
#include <span>      // std::span

#include "labelsmooth/row_summary.h"
#include "labelsmooth/smoothing.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

enum class Reduction : uint8_t { mean, sum, none };
/// What a mean over nothing is: no counted row, or counted rows whose weights sum to 0. `error` throws for
/// the reduction mean; sums over nothing are 0.
enum class Empty : uint8_t { nan, zero, error };

struct Options {
  Smoothing smoothing = {};
  /// (total classes,), finite in the logits' type; empty means 1. The mean divides by the labels' weights, as
  /// PyTorch does.
  Vector class_weights = {};
  /// Rows with this label do not count. nullopt: every row counts.
  std::optional<int64_t> ignore_index = -100;
  Reduction reduction = Reduction::mean;
  Empty empty = Empty::nan;
};

/// Per-row outputs, (rows,) each or empty. Ignored rows hold 0 and argmax -1.
struct Parts {
  std::span<double> loss = {};        // weighted and smoothed, not divided
  std::span<double> nll = {};         // lse - z_y: the hard-label loss, without weights
  std::span<double> lse = {};         // log sum exp of the row
  std::span<double> confidence = {};  // largest probability
  std::span<double> entropy = {};     // of softmax(z), nats
  std::span<int64_t> argmax = {};     // lowest index on ties
};

struct Result {
  double loss = 0;         // reduced; NaN under Reduction::none, where Parts::loss is the result
  double nll = 0;          // plain mean of the counted rows' hard-label loss; Empty decides for none
  double denominator = 1;  // what the loss was divided by: the counted labels' weights, or 1
  int64_t rows = 0, counted = 0;
  int64_t correct = 0;                // counted rows whose argmax is the label
  int64_t first_impossible_row = -1;  // the first counted row of finite max whose label has logit -inf, or -1
};

/// Factor of the gradient: d(objective)/d(loss), and per row (rows,) where the reduction is none.
struct Upstream {
  double scalar = 1;
  Vector rows = {};
};

/// Loss only. Reads every logit of the counted rows once. Memory beyond the arguments: at most 2 bytes a row,
/// and with class weights or a prior one vector of the classes in the logits' type.
///   logits  (rows, classes) f32 or f64, any strides      labels  (rows,) any integer type, in row order
/// Throws Error naming the argument: wrong sizes, a label outside [0, classes) that is not ignored (with its
/// row), an amount outside [0, 1], an empty mean under Empty::error. Logits are never an error.
Result cross_entropy(const Logits& logits, const Vector& labels, const Options& options = {},
                     const Parts& parts = {});

/// Loss and gradient of the reduced loss; `dlogits` has the shape and type of `logits` and may be the same
/// memory and strides, but no other overlap, nor overlap itself. Gradient error, in units of the logits'
/// epsilon: 4 + (max - z_k) / 2 relative to the mass times p_k, and 4 relative to w_k q_k.
Result cross_entropy(const Logits& logits, const Vector& labels, const Gradient& dlogits,
                     const Options& options = {}, const Parts& parts = {}, const Upstream& upstream = {});

// The pipeline opened, for autograd (keep the summaries, ask for the gradient later) and for classes spread
// over shards (summarize each, merge_shards in any order, finish and gradient anywhere).

// All three take the same labels, smoothing and class weights.

/// One summary per row, (rows,); ignored rows get the identity. Shards are declared by Logits::shard.
void summarize(const Logits& logits, const Vector& labels, const Options& options,
               std::span<RowSummary> summaries);

/// A shard's summaries and the classes they cover.
struct Shard {
  int64_t class_begin = 0, classes = 0;
  std::span<const RowSummary> summaries = {};  // (rows,)
};
/// Merges in class order whatever the order given, so every rank gets the same bits.
/// Throws Error unless the shards tile [0, total_classes) without overlap or gap.
void merge_shards(std::span<const Shard> shards, int64_t total_classes, std::span<RowSummary> merged);

/// Loss from merged summaries of all `total_classes`.
Result finish(std::span<const RowSummary> summaries, int64_t total_classes, const Vector& labels,
              const Options& options, const Parts& parts = {});

/// Gradient of one shard, or of the whole, from merged summaries of all classes.
void gradient(const Logits& logits, const Vector& labels, std::span<const RowSummary> summaries,
              const Options& options, const Gradient& dlogits, const Upstream& upstream = {});

}  // namespace labelsmooth
