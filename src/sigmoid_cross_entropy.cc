// SPDX-License-Identifier: MIT
// Elements stand alone, so nothing merges: once it is known what counts, loss and gradient are one pass.
#include "labelsmooth/sigmoid_cross_entropy.h"

#include <algorithm>  // std::copy_n
#include <cmath>      // std::isinf
#include <limits>     // std::numeric_limits

#include "sigmoid_problem.h"
#include "storage.h"

namespace labelsmooth {
namespace {

// Loss and slope of a block's elements, the slope times `factor`.
Totals evaluate(const SigmoidProblem& problem, int64_t row, const Bit& replacement, double factor,
                Block& block) {
  Totals totals;
  for (int64_t k = 0; k < block.size; ++k) {
    block.loss[k] = block.slope[k] = 0;
    if (!block.counts[k]) continue;
    const double z = block.z[k], y = block.y[k], weight = block.weight[k];
    const double pos_weight = problem.pos_weight(block.begin + k), slope_weight = times(weight, factor);
    const Bit q = smooth(problem.options.smoothing, y, replacement);
    const Logistic at = logistic(z);
    block.loss[k] = times(weight * pos_weight * q.one, at.if_one) + times(weight * q.zero, at.if_zero);
    block.slope[k] = times(slope_weight * q.zero, at.sigmoid.one) -
                     times(slope_weight * pos_weight * q.one, at.sigmoid.zero);
    const double nll = times(y, at.if_one) + times(1 - y, at.if_zero);
    totals.loss += block.loss[k];
    totals.nll += nll;
    totals.correct += y > .5 ? z > 0 : z <= 0;
    if (std::isinf(nll)) totals.first_impossible_row = row;
  }
  return totals;
}

void write(int64_t row, const Block& block, const Gradient& dlogits, bool accumulate) {
  with_storage(dlogits.dtype, [&]<class S>() {
    S* to = static_cast<S*>(dlogits.data) + dlogits.index(row, block.begin);
    for (int64_t k = 0; k < block.size; ++k) {
      S& element = to[k * dlogits.class_stride];
      store(block.slope[k] + (accumulate ? load<double>(element) : 0), element);
    }
  });
}

void clear_padding(int64_t row, const Gradient& dlogits) {
  with_storage(dlogits.dtype, [&]<class S>() {
    for (int64_t k = dlogits.classes; k < dlogits.classes + dlogits.padding; ++k)
      static_cast<S*>(dlogits.data)[dlogits.index(row, k)] = S{};
  });
}

SigmoidResult run(const SigmoidProblem& problem, const SigmoidParts& parts, const Gradient* dlogits,
                  const Upstream& upstream) {
  const int64_t classes = problem.logits.classes;
  const double denominator = problem.denominator();
  const auto totals = sum_rows<Totals>(problem.logits, [&](int64_t row, Block& block) {
    const double scalar = upstream.scalar * (upstream.rows.empty() ? 1 : upstream.rows.real(row));
    const double factor = denominator == 0 ? problem.empty_mean() : scalar / denominator;
    const Bit replacement = problem.replacement(row, block);
    Totals sums;
    for_blocks(classes, [&](int64_t begin, int64_t size) {
      problem.lay(row, begin, size, block);
      problem.lay_logits(row, block);
      sums.add(evaluate(problem, row, replacement, factor, block));
      if (!parts.elements.empty())
        std::copy_n(block.loss, size, parts.elements.begin() + row * classes + begin);
      if (dlogits != nullptr) write(row, block, *dlogits, upstream.accumulate);
    });
    if (!parts.loss.empty()) parts.loss[row] = sums.loss;
    if (!parts.nll.empty()) parts.nll[row] = sums.nll;
    if (dlogits != nullptr && !upstream.accumulate) clear_padding(row, *dlogits);
    return sums;
  });

  const Survey& survey = problem.survey();
  SigmoidResult result;
  result.loss = denominator == 0 ? problem.empty_mean() : totals.loss / denominator;
  if (problem.options.reduction == Reduction::none) result.loss = std::numeric_limits<double>::quiet_NaN();
  result.nll =
      survey.elements == 0 ? problem.empty_mean() : totals.nll / static_cast<double>(survey.elements);
  result.denominator = denominator;
  result.rows = problem.logits.rows();
  result.counted = survey.rows;
  result.elements = survey.elements;
  result.correct = totals.correct;
  result.first_impossible_row = totals.first_impossible_row;
  return result;
}

}  // namespace

SigmoidResult sigmoid_cross_entropy(const Logits& logits, const Target& target, const SigmoidOptions& options,
                                    const SigmoidParts& parts) {
  const SigmoidProblem problem(logits, target, options);
  problem.check_parts(parts);
  return run(problem, parts, nullptr, {});
}

SigmoidResult sigmoid_cross_entropy(const Logits& logits, const Target& target, const Gradient& dlogits,
                                    const SigmoidOptions& options, const SigmoidParts& parts,
                                    const Upstream& upstream) {
  const SigmoidProblem problem(logits, target, options);
  problem.check_gradient(dlogits, upstream);
  problem.check_parts(parts);
  return run(problem, parts, &dlogits, upstream);
}

}  // namespace labelsmooth
