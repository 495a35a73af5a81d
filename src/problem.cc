// SPDX-License-Identifier: MIT
#include "problem.h"

#include <algorithm>  // std::count
#include <cmath>      // std::isfinite
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string
#include <vector>     // std::vector

#include "storage.h"
#include "validate.h"

namespace labelsmooth {

Problem::Problem(const Target& target, int64_t rows, int64_t classes, const Options& options,
                 const Logits* logits)
    : target(target), options(options), rows(rows), classes(classes) {
  check_target(target, rows, classes, options, logits);
  affine_ = labelsmooth::affine(options.smoothing.rule, options.smoothing.amount, classes);
  if (options.weighting == Weighting::expected && !options.class_weights.empty()) {
    const Prior& prior = options.smoothing.prior;
    long double sum = 0, norm = 0;
    for (int64_t k = 0; k < classes; ++k) {
      const double share = prior.empty() ? 1 : prior.rows.real(0, k);
      sum += class_weight(k) * share;
      norm += share;
    }
    mean_weight_ = static_cast<double>(sum / norm);
  }
  count_rows();
  if (options.empty == Empty::error && options.reduction == Reduction::mean && denominator() == 0) {
    throw Error("labels", counted_ == 0 ? "no row counts, so there is no mean"
                                        : "the counted rows' weights sum to 0, so there is no mean");
  }
}

void Problem::count_rows() {
  if (target.kind == Target::Kind::labels && rows_are_alike()) {
    counted_ = rows;
    if (options.ignore_index) {
      for_label_blocks(target.labels, [&](int64_t, std::span<const int64_t> block) {
        counted_ -= std::count(block.begin(), block.end(), *options.ignore_index);
      });
    }
    weight_ = static_cast<double>(counted_);
    return;
  }
  if (rows_go_by_label() && rows > classes) {  // not row by row, which takes ten times as long
    std::vector<int64_t> count(static_cast<size_t>(classes));
    for_label_blocks(target.labels, [&](int64_t, std::span<const int64_t> block) {
      for (const int64_t label : block) {
        if (label != options.ignore_index) ++count[label];
      }
    });
    for (int64_t k = 0; k < classes; ++k) {
      if (count[k] == 0) continue;
      counted_ += count[k];
      weight_ += static_cast<double>(count[k]) * label_weight(raw_affine(amount_of(k)), k);
    }
    return;
  }
  for (int64_t row = 0; row < rows; ++row) {
    if (is_ignored(row)) continue;
    ++counted_;
    weight_ += denominator_weight(row);
  }
}

bool Problem::is_ignored(int64_t row) const {
  if (!options.ignore_index || target.labels.empty()) return false;
  const int64_t ignored = *options.ignore_index;
  return target.labels.label(row) == ignored &&
         (target.kind != Target::Kind::mixed || target.second.label(row) == ignored);
}

void Problem::labels(int64_t begin, int64_t n, int64_t* to) const {
  load_labels(target.labels, begin, n, to);
  if (!options.ignore_index) return;
  const int64_t ignored = *options.ignore_index;
  for (int64_t i = 0; i < n; ++i) to[i] = to[i] == ignored ? -1 : to[i];
}

bool Problem::is_plain() const {
  const Prior::Kind prior = options.smoothing.prior.kind;
  const bool modified = options.scale != 1 || options.soft_cap != 0 || options.z_loss != 0 ||
                        options.entropy_penalty != 0 || options.max_suppression != 0;
  return target.kind == Target::Kind::labels && options.support == Support::all && !modified &&
         (prior == Prior::Kind::uniform || prior == Prior::Kind::shared) && !may_oppose();
}

Row Problem::row(int64_t index) const {
  Row row;
  row.index = index;
  row.counts = !is_ignored(index);
  if (!row.counts) return row;
  row.weight = row_weight(index);
  row.affine = raw_affine(amount(index));
  set_label_part(row);
  return row;
}

void Problem::set_label_part(Row& row) const {
  const auto term_weight = [&](int64_t label) { return weighs_terms() ? class_weight(label) : 1; };
  if (has_labels()) row.label = target.labels.label(row.index);
  if (target.kind == Target::Kind::labels) {
    // The class weight of a single label goes into a, so that its dot gives the unweighted nll.
    row.list[row.shares_count++] = {row.label, 1};
    row.affine = weighted(row.affine, row.label);
  } else if (target.kind == Target::Kind::mixed) {
    const int64_t first = row.label, second = target.second.label(row.index);
    const double lambda = first == second ? 1 : target.weight.real(row.index);
    if (lambda < 0.5) row.label = second;
    row.list[row.shares_count++] = {first, lambda * term_weight(first)};
    if (first != second) row.list[row.shares_count++] = {second, (1 - lambda) * term_weight(second)};
  }
}

double Problem::amount_of(int64_t label) const {
  const Smoothing& smoothing = options.smoothing;
  return smoothing.amount_by_class.empty() ? smoothing.amount : smoothing.amount_by_class.real(label);
}

double Problem::amount(int64_t row) const {
  const Smoothing& smoothing = options.smoothing;
  if (!smoothing.amount_by_row.empty()) return smoothing.amount_by_row.real(row);
  return amount_of(smoothing.amount_by_class.empty() ? -1 : target.labels.label(row));
}

Affine Problem::weighted(const Affine& raw, int64_t label) const {
  if (options.weighting == Weighting::per_term) return {raw.a * class_weight(label), raw.b};
  const double weight = label_weight(raw, label);
  return {raw.a * weight, raw.b * weight};
}

double Problem::label_weight(const Affine& raw, int64_t label) const {
  const double own = class_weight(label);
  return options.weighting == Weighting::expected ? raw.a * own + raw.b * mean_weight_ : own;
}

bool Problem::has_prior_part() const {
  return affine_.b != 0 || options.max_suppression != 0 || amounts_vary();
}

bool Problem::may_oppose() const {
  const Rule rule = options.smoothing.rule;
  return affine_.a < 0 || (amounts_vary() && (rule == Rule::flip || rule == Rule::others));
}

void Problem::check_summaries(std::span<const RowSummary> summaries) const {
  check_size("summaries", static_cast<int64_t>(summaries.size()), rows);
  for (int64_t row = 0; row < rows; ++row) {
    if (is_ignored(row)) continue;
    const RowSummary& summary = summaries[row];
    if (summary.classes != classes) {
      throw Error("summaries",
                  "row " + std::to_string(row) + " covers " + std::to_string(summary.classes) + " of " +
                      std::to_string(classes) + " classes",
                  row);
    }
    const bool may_be_empty = options.support == Support::finite;  // the prior may be 0 on all of the support
    if (has_prior_part() && !may_be_empty && summary.prior_norm == 0 && std::isfinite(summary.max))
      throw Error("summaries", "row " + std::to_string(row) + " was summarized without smoothing", row);
  }
}

// What the row adds to the denominator `weights`.
double Problem::denominator_weight(int64_t row) const {
  double weight = 1;
  if (!options.class_weights.empty() && target.kind == Target::Kind::mixed) {
    const double lambda = target.weight.real(row);
    weight = lambda * class_weight(target.labels.label(row)) +
             (1 - lambda) * class_weight(target.second.label(row));
  } else if (target.kind == Target::Kind::labels) {
    weight = label_weight(raw_affine(amount(row)), target.labels.label(row));
  }
  return weight * row_weight(row);
}

double Problem::denominator() const {
  if (options.reduction != Reduction::mean) return 1;
  switch (options.denominator.kind) {
    case Denominator::rows:
      return static_cast<double>(counted_);
    case Denominator::constant:
      return options.denominator.value;
    default:
      return weight_;
  }
}

double Problem::empty_mean() const {
  return options.empty == Empty::zero ? 0 : std::numeric_limits<double>::quiet_NaN();
}

double Problem::factor(const Upstream& upstream, const Row& row) const {
  if (denominator() == 0) return empty_mean();
  const double scalar = upstream.scalar * (upstream.rows.empty() ? 1 : upstream.rows.real(row.index));
  return scalar * row.weight / denominator();
}

bool Problem::zero_gradient(const Row& row) const {
  return !row.counts || row.weight == 0 || (denominator() == 0 && options.empty == Empty::zero);
}

}  // namespace labelsmooth
