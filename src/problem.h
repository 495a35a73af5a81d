// SPDX-License-Identifier: MIT
// The arguments past the door, without the logits: what a row's target and weights are.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth {

class Problem {
 public:
  /// Checks everything that does not need dlogits or parts. `classes` in all, whatever the shard.
  Problem(const Target& target, int64_t rows, int64_t classes, const Options& options, const Logits* logits);

  const Target& target;
  const Options& options;
  const int64_t rows, classes;

  bool counts(int64_t row) const { return !is_ignored(row); }
  /// The hard label; of mixed ones that of larger weight; -1 where a dense target has none.
  int64_t label(int64_t row) const;
  bool has_labels() const { return target.kind != Target::Kind::dense || !target.labels.empty(); }

  /// The label part of one class: a label and its share of t. At most two.
  struct Share {
    int64_t label = -1;
    double share = 0;  // with the class weight where that is per term
  };
  /// No shares of a dense target.
  struct Shares {
    Share list[2];
    int count = 0;
    const Share* begin() const { return list; }
    const Share* end() const { return list + count; }
  };
  Shares shares(int64_t row) const;

  double class_weight(int64_t k) const {
    return options.class_weights.empty() ? 1 : options.class_weights.real(k);
  }
  double row_weight(int64_t row) const {
    return options.row_weights.empty() ? 1 : options.row_weights.real(row);
  }
  /// (a, b) of the row, times the row's own class weight where that is `label` or `expected`.
  Affine affine(int64_t row) const;
  /// Whether any row has a prior part, MaxSup's included.
  bool has_prior_part() const;
  bool weighs_terms() const {
    return !options.class_weights.empty() && options.weighting == Weighting::per_term;
  }
  /// Whether a may be negative.
  bool may_oppose() const;

  /// Every counted row has to cover all classes, and to hold the prior's sums where the smoothing needs them.
  void check_summaries(std::span<const RowSummary> summaries) const;

  int64_t counted() const { return counted_; }
  double denominator() const;
  /// What stands for a mean over nothing.
  double empty_mean() const;
  /// What the gradient of a row's unweighted loss is multiplied by.
  double factor(const Upstream& upstream, int64_t row) const;
  /// Exact zeros, whatever the logits hold.
  bool zero_gradient(int64_t row) const;

 private:
  bool is_ignored(int64_t row) const;
  double amount(int64_t row) const;
  bool amounts_vary() const {
    return !options.smoothing.amount_by_row.empty() || !options.smoothing.amount_by_class.empty();
  }
  double denominator_weight(int64_t row) const;

  Affine affine_;           // of the amount that all rows share
  double mean_weight_ = 1;  // sum of w * prior, under the weighting `expected`
  int64_t counted_ = 0;
  double weight_ = 0;  // of the counted rows
};

}  // namespace labelsmooth
