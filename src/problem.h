// SPDX-License-Identifier: MIT
// The arguments past the door, without the logits: what a row's target and weights are.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth {

/// What one row is asked for.
struct Row {
  /// The label part of one class: a label and its share of t.
  struct Share {
    int64_t label = -1;
    double share = 0;  // with the class weight where that is per term
  };

  int64_t index = 0;
  bool counts = true;  // the rest is unset where it does not
  double weight = 1;   // the row's own
  Affine affine = {};  // times the row's own class weight where that is `label` or `expected`
  int64_t label = -1;  // of mixed ones that of larger weight; -1 where a dense target has none
  Share list[2];
  int shares_count = 0;  // none of a dense target
  std::span<const Share> shares() const { return {list, static_cast<size_t>(shares_count)}; }
};

class Problem {
 public:
  /// Checks everything that does not need dlogits or parts. `classes` in all, whatever the shard.
  Problem(const Target& target, int64_t rows, int64_t classes, const Options& options, const Logits* logits);

  const Target& target;
  const Options& options;
  const int64_t rows, classes;

  Row row(int64_t index) const;
  /// Labels of `n` rows, -1 of those that do not count.
  void labels(int64_t begin, int64_t n, int64_t* to) const;
  /// Whether a row is one label and a prior that all rows share, and its loss these two parts alone.
  bool is_plain() const;
  /// Whether counted rows differ in their labels alone.
  bool rows_are_alike() const {
    return options.class_weights.empty() && options.row_weights.empty() && !amounts_vary() &&
           options.weighting == Weighting::per_term;
  }
  const Affine& shared_affine() const { return affine_; }
  /// Whether counted rows of one label are alike.
  bool rows_go_by_label() const {
    return target.kind == Target::Kind::labels && options.row_weights.empty() &&
           options.smoothing.amount_by_row.empty();
  }
  /// What a row of that label has, where rows go by label.
  Affine affine_of(int64_t label) const { return weighted(raw_affine(amount_of(label)), label); }
  bool has_labels() const { return target.kind != Target::Kind::dense || !target.labels.empty(); }
  bool is_dense() const { return target.kind == Target::Kind::dense; }
  double class_weight(int64_t k) const {
    return options.class_weights.empty() ? 1 : options.class_weights.real(k);
  }
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
  double factor(const Upstream& upstream, const Row& row) const;
  /// Exact zeros, whatever the logits hold.
  bool zero_gradient(const Row& row) const;

 private:
  void count_rows();
  bool is_ignored(int64_t row) const;
  double amount_of(int64_t label) const;
  double amount(int64_t row) const;
  Affine raw_affine(double amount) const {
    return amounts_vary() ? labelsmooth::affine(options.smoothing.rule, amount, classes) : affine_;
  }
  // Times what the class weights make of a row of that label.
  Affine weighted(const Affine& raw, int64_t label) const;
  double label_weight(const Affine& raw, int64_t label) const;
  double row_weight(int64_t row) const {
    return options.row_weights.empty() ? 1 : options.row_weights.real(row);
  }
  void set_label_part(Row& row) const;
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
