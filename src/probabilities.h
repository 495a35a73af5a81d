// SPDX-License-Identifier: MIT
// Rows of logits as probabilities, streamed a block at a time: what calibration needs of a row.
#pragma once

#include <cstdint>     // int64_t
#include <functional>  // std::function
#include <optional>    // std::optional
#include <span>        // std::span
#include <vector>      // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth {

struct ProbabilityOptions {
  std::optional<int64_t> ignore_index = -100;
  double scale = 1;            // of the logits: 1 / temperature
  bool probabilities = false;  // the rows are p itself, taken as it is and not normalised
  bool scores = true;  // whether they are wanted: rows whose confidence rounds to 1 take long over them
  int64_t block_elements = 0;  // of a block, at most: for callers that keep something of each. 0: many
};

/// Some rows, in f64 whatever the logits' type. The vectors are reused from block to block.
struct ProbabilityBlock {
  int64_t begin = 0, rows = 0, classes = 0;
  // (rows,). An ignored row has anything in the columns that are not label and argmax.
  std::vector<int64_t> label, argmax;  // argmax: the lowest index on ties; both -1 in an ignored row
  std::vector<double> nll, entropy;    // nats; nll +inf where the label's class is ruled out
  std::vector<double> to_label;        // nats: what the nll has beyond that of the largest logit's class
  std::vector<double> brier;           // sum over the classes of (p_k - [k = label])^2
  std::vector<double> confidence;      // max p
  std::vector<double> of_label;        // the label's p
  std::vector<double> score;           // -log(1 - confidence), exact where the confidence rounds to 1

  bool counts(int64_t row) const { return label[row] >= 0; }
  bool correct(int64_t row) const { return argmax[row] == label[row]; }
};

/// p_k = factor * e_k (classes,) of a counted row.
struct ProbabilityRow {
  int64_t row;  // of the block
  const double* e;
  double factor;
  int64_t argmax;
  double most_square;  // at least each p_k^2, k != argmax
};

/// What a thread does with a part of a block as soon as it has made it, while it is in its cache. Rows of one
/// part come in order and to one thread, parts side by side. Which rows make a part depends on the shape
/// alone. Neither rows nor join see a part of which a row will be refused.
struct PartWork {
  /// The counted rows, by two, the last alone where they are odd. Their columns are not yet there.
  std::function<void(int64_t part, std::span<const ProbabilityRow> pair)> pair;
  /// Then the rows [begin, end) of the block.
  std::function<void(const ProbabilityBlock&, int64_t part, int64_t begin, int64_t end)> rows;
  /// Parts once more, in order and on the calling thread, while others are made.
  std::function<void(const ProbabilityBlock&, int64_t part, int64_t begin, int64_t end)> join;
};

/// The most rows and parts of a block of these logits, on threads() threads.
int64_t block_rows(const Logits& logits, const ProbabilityOptions& options);
int64_t block_parts(const Logits& logits, const ProbabilityOptions& options);

/// Calls `body` with every block, in order, on this thread; the rows of a block are worked out by several.
/// Each row's bits depend on that row alone. Memory: 5 MB for a block, and two rows for each thread.
/// Throws Error naming the argument and the row: a label outside [0, classes) that is not ignored; a counted
/// row with NaN or +inf, or with -inf alone; of probabilities one that is negative or above 1, or a row whose
/// sum is not 1 within 1e-4 (f16 1e-3, bf16 8e-3: their rounding).
void for_each_block(const Logits& logits, const Vector& labels, const ProbabilityOptions& options,
                    const std::function<void(const ProbabilityBlock&)>& body, const PartWork& work = {});

}  // namespace labelsmooth
