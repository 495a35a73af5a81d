// SPDX-License-Identifier: MIT
#include "sigmoid_problem.h"

#include <algorithm>  // std::fill_n
#include <cmath>      // std::isfinite
#include <iterator>   // std::ssize
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

#include "storage.h"
#include "validate.h"

namespace labelsmooth {
namespace {

std::string at(int64_t row, int64_t k) {
  return "row " + std::to_string(row) + " class " + std::to_string(k) + " has ";
}

void check_pos_weight(const Vector& weights, int64_t classes) {
  check_reals("pos_weight", weights, classes, "classes");
  for (int64_t k = 0; k < weights.size; ++k) {
    if (is_pos_weight(weights.real(k))) continue;
    throw Error("pos_weight", "class " + std::to_string(k) + " has " + std::to_string(weights.real(k)) +
                                  ", finite values from 0 are allowed");
  }
}

void check_element_weights(const Rows& weights, const Logits& logits) {
  if (weights.data == nullptr && weights.classes == 0) return;
  check_floats("element_weights", weights);
  check_like("element_weights", weights, logits);
  for (int64_t row = 0; row < weights.rows(); ++row) {
    for (int64_t k = 0; k < weights.classes; ++k) {
      if (std::isfinite(weights.real(row, k))) continue;
      throw Error("element_weights",
                  at(row, k) + std::to_string(weights.real(row, k)) + ", finite values are allowed", row);
    }
  }
}

// What both losses have, for their common checks.
Options common(const SigmoidOptions& options) {
  Options common;
  common.class_weights = options.class_weights;
  common.row_weights = options.row_weights;
  common.ignore_index = options.ignore_index;
  common.mask = options.mask;
  if (options.mask.data != nullptr) common.support = Support::finite;
  common.reduction = options.reduction;
  const SigmoidDenominator& denominator = options.denominator;
  if (denominator.kind == SigmoidDenominator::constant) {
    common.denominator = {Denominator::constant, denominator.value};
  } else if (denominator.kind != SigmoidDenominator::elements) {
    common.denominator = {Denominator::rows};
  }
  return common;
}

void check(const Logits& logits, const Target& target, const SigmoidOptions& options) {
  check_logits(logits, /*whole=*/false);
  if (logits.classes != logits.total_classes)
    throw Error("logits", "a shard found, all the classes are needed");
  if (logits.classes == 1 && target.kind != Target::Kind::dense)
    throw Error("labels", "name one of several classes, 1 found; binary labels of 0 and 1 are dense targets");
  check_smoothing(options.smoothing);
  check_pos_weight(options.pos_weight, logits.classes);
  check_element_weights(options.element_weights, logits);
  Target floating = target;  // integers are allowed here; check_target reads no value of dense targets
  if (!is_float(target.dense.dtype)) floating.dense.dtype = DType::f32;
  check_target(floating, logits.rows(), logits.classes, common(options), &logits);
}

void lay_reals(const Rows& rows, int64_t row, const Block& block, double* to) {
  with_storage(rows.dtype, [&]<class S>() {
    const S* from = static_cast<const S*>(rows.data) + rows.index(row, block.begin);
    for (int64_t k = 0; k < block.size; ++k) to[k] = load<double>(from[k * rows.class_stride]);
  });
}

}  // namespace

SigmoidProblem::SigmoidProblem(const Logits& logits, const Target& target, const SigmoidOptions& options)
    : logits(logits), target(target), options(options) {
  check(logits, target, options);
  for (int64_t k = 0; k < logits.classes; ++k) {
    if (!options.class_weights.empty()) class_weights_.push_back(options.class_weights.real(k));
    if (!options.pos_weight.empty()) pos_weight_.push_back(options.pos_weight.real(k));
  }
  survey_ = sum_rows<Survey>(logits, [&](int64_t row, Block& block) { return survey_row(row, block); });
  check_survey();
}

void SigmoidProblem::check_gradient(const Gradient& dlogits, const Upstream& upstream) const {
  labelsmooth::check_gradient(logits, dlogits, target, common(options), upstream);
  if (options.element_weights.data != nullptr && overlap(options.element_weights, dlogits))
    throw Error("dlogits", "overlap with the element_weights");
}

void SigmoidProblem::check_parts(const SigmoidParts& parts) const {
  if (!parts.loss.empty()) check_size("parts.loss", std::ssize(parts.loss), logits.rows());
  if (!parts.nll.empty()) check_size("parts.nll", std::ssize(parts.nll), logits.rows());
  const int64_t size = std::ssize(parts.elements), elements = logits.rows() * logits.classes;
  if (size != 0 && size != elements) {
    throw Error("parts.elements",
                std::to_string(size) + " found, there are " + std::to_string(elements) + " elements");
  }
}

// ---- What counts ----

Survey SigmoidProblem::survey_row(int64_t row, Block& block) const {
  Survey survey;
  for_blocks(logits.classes, [&](int64_t begin, int64_t size) {
    lay(row, begin, size, block);
    for (int64_t k = 0; k < size; ++k) {
      survey.elements += block.counts[k];
      survey.weight += block.weight[k];
      const bool good = block.y[k] >= 0 && block.y[k] <= 1;
      if (!good && survey.bad_row < 0) survey.bad_row = row, survey.bad_class = begin + k;
    }
  });
  survey.rows = survey.elements > 0;
  return survey;
}

void SigmoidProblem::check_survey() const {
  if (const int64_t row = survey_.bad_row; row >= 0) {
    const Rows& dense = target.dense;
    std::string found, allowed;
    if (is_float(dense.dtype)) {
      found = std::to_string(dense.real(row, survey_.bad_class));
      allowed = "0 to 1 is allowed; elements that are not known take a mask";
    } else {
      found = std::to_string(Vector(dense.data, dense.dtype, 0).label(dense.index(row, survey_.bad_class)));
      allowed = options.ignore_index
                    ? "0, 1 and the ignored " + std::to_string(*options.ignore_index) + " are allowed"
                    : "0 and 1 are allowed";
    }
    throw Error("targets", at(row, survey_.bad_class) + found + ", " + allowed, row);
  }
  if (options.empty != Empty::error || denominator() != 0) return;
  throw Error(target.kind == Target::Kind::dense ? "targets" : "labels",
              survey_.elements == 0 ? "no element counts, so there is no mean"
                                    : "the counted elements' weights sum to 0, so there is no mean");
}

double SigmoidProblem::denominator() const {
  if (options.reduction != Reduction::mean) return 1;
  switch (options.denominator.kind) {
    case SigmoidDenominator::rows:
      return static_cast<double>(survey_.rows);
    case SigmoidDenominator::weights:
      return survey_.weight;
    case SigmoidDenominator::constant:
      return options.denominator.value;
    default:
      return static_cast<double>(survey_.elements);
  }
}

double SigmoidProblem::empty_mean() const {
  return options.empty == Empty::zero ? 0 : std::numeric_limits<double>::quiet_NaN();
}

bool SigmoidProblem::is_ignored(int64_t row) const {
  if (!options.ignore_index || target.labels.empty()) return false;
  const int64_t ignored = *options.ignore_index;
  return target.labels.label(row) == ignored &&
         (target.kind != Target::Kind::mixed || target.second.label(row) == ignored);
}

// ---- A row in blocks ----

Bit SigmoidProblem::replacement(int64_t row, Block& block) const {
  Bit sums = {0, 0};
  if (options.smoothing.rule == BinaryRule::spread) {
    for_blocks(logits.classes, [&](int64_t begin, int64_t size) {
      lay(row, begin, size, block);
      for (int64_t k = 0; k < size; ++k) {
        if (block.counts[k]) sums.one += block.y[k], sums.zero += 1 - block.y[k];
      }
    });
  }
  return replacement_of(options.smoothing.rule, logits.classes, sums);
}

void SigmoidProblem::lay(int64_t row, int64_t begin, int64_t size, Block& block) const {
  block.begin = begin;
  block.size = size;
  const bool ignored = is_ignored(row);
  std::fill_n(block.counts, size, !ignored);
  if (!ignored) {
    lay_labels(row, block);
    lay_weights(row, block);
    if (const Rows& mask = options.mask; mask.data != nullptr) {
      const auto* from =
          static_cast<const uint8_t*>(mask.data) + mask.index(mask.rows() == 1 ? 0 : row, begin);
      for (int64_t k = 0; k < size; ++k) block.counts[k] &= from[k * mask.class_stride] != 0;
    }
  }
  for (int64_t k = 0; k < size; ++k) {
    if (!block.counts[k]) block.y[k] = block.weight[k] = 0;
  }
}

void SigmoidProblem::lay_logits(int64_t row, Block& block) const { lay_reals(logits, row, block, block.z); }

void SigmoidProblem::lay_labels(int64_t row, Block& block) const {
  if (target.kind == Target::Kind::dense) return lay_dense(row, block);
  std::fill_n(block.y, block.size, 0.);
  const auto set = [&](int64_t label, double y) {
    if (label >= block.begin && label < block.begin + block.size) block.y[label - block.begin] = y;
  };
  const int64_t first = target.labels.label(row);
  if (target.kind == Target::Kind::labels) return set(first, 1);
  const int64_t second = target.second.label(row);
  const double weight = first == second ? 1 : target.weight.real(row);
  set(second, 1 - weight);
  set(first, weight);
}

void SigmoidProblem::lay_dense(int64_t row, Block& block) const {
  const Rows& dense = target.dense;
  if (is_float(dense.dtype)) return lay_reals(dense, row, block, block.y);
  const Vector integers(dense.data, dense.dtype, 0);
  const int64_t first = dense.index(row, block.begin);
  for (int64_t k = 0; k < block.size; ++k) {
    const int64_t label = integers.label(first + k * dense.class_stride);
    block.y[k] = static_cast<double>(label);
    block.counts[k] = label != options.ignore_index;
  }
}

void SigmoidProblem::lay_weights(int64_t row, Block& block) const {
  const double row_weight = options.row_weights.empty() ? 1 : options.row_weights.real(row);
  std::fill_n(block.weight, block.size, 1.);
  if (options.element_weights.data != nullptr) lay_reals(options.element_weights, row, block, block.weight);
  for (int64_t k = 0; k < block.size; ++k) {
    block.weight[k] *= row_weight * (class_weights_.empty() ? 1 : class_weights_[block.begin + k]);
  }
}

}  // namespace labelsmooth
