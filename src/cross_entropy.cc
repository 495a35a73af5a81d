// SPDX-License-Identifier: MIT
// The pipeline: validate -> summarize each chunk -> merge -> finish -> gradient. Read this file first.
#include "labelsmooth/cross_entropy.h"

#include <algorithm>  // std::clamp, std::min
#include <cmath>      // std::isfinite, std::log1p
#include <limits>     // std::numeric_limits
#include <vector>     // std::vector

#include "chunks.h"
#include "parallel.h"
#include "problem.h"
#include "totals.h"
#include "validate.h"

namespace labelsmooth {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ---- finish ----

// The row's loss without its weight.
double loss_of(const Problem& problem, const RowSummary& summary, const Row& row) {
  const Options& options = problem.options;
  const Coefficients c = coefficients(problem, summary, row);
  const double ls = std::log1p(summary.tail), lse = summary.max + ls;
  double loss = c.q * ls - term(c.a, summary.label_dot) - term(c.b + c.suppression, summary.prior_dot);
  if (options.z_loss != 0) loss += options.z_loss * lse * lse;
  if (options.entropy_penalty != 0)
    loss -= options.entropy_penalty * (ls - summary.tail_z / (1 + summary.tail));
  return loss;
}

// Writes the row's parts and returns what it adds to the totals.
Totals finish_row(const Problem& problem, const RowSummary& summary, const Row& row, const Parts& parts) {
  const auto put = [&row](const auto& part, auto value) {
    if (!part.empty()) part[row.index] = value;
  };
  Totals result;
  double lse = 0, confidence = 0, entropy = 0;
  if (row.counts) {
    const bool finite = std::isfinite(summary.max);
    const double ls = std::log1p(summary.tail);
    result.nll = finite ? summary.label_mass * ls - summary.label_dot : kNan;
    result.loss = row.weight == 0 ? 0 : finite ? row.weight * loss_of(problem, summary, row) : kNan;
    result.correct = finite && summary.argmax == row.label;
    if (finite && std::isinf(summary.label_dot)) result.first_impossible_row = row.index;
    lse = finite ? summary.max + ls : kNan;
    confidence = finite ? 1 / (1 + summary.tail) : kNan;
    entropy = finite ? ls - summary.tail_z / (1 + summary.tail) : kNan;
  }
  put(parts.loss, result.loss);
  put(parts.nll, result.nll);
  put(parts.lse, lse);
  put(parts.confidence, confidence);
  put(parts.entropy, entropy);
  put(parts.argmax, row.counts ? summary.argmax : -1);
  put(parts.correct, static_cast<uint8_t>(result.correct));
  return result;
}

// Rows whose losses add up before they join the total, and that one thread handles: few where rows are long.
int64_t group_rows(const Problem& problem) {
  return std::clamp<int64_t>((int64_t{1} << 16) / problem.classes, 1, 16);
}

// body(begin, end) -> Totals of those rows.
template <class Body>
Result reduce_rows(const Problem& problem, int64_t elements, const Body& body) {
  const auto totals = sum_groups<Totals>(problem.rows, group_rows(problem), elements, body);
  const int64_t counted = problem.counted();
  Result result;
  result.rows = problem.rows;
  result.counted = counted;
  result.correct = problem.has_labels() ? totals.correct : -1;
  result.first_impossible_row = totals.first_impossible_row;
  result.denominator = problem.denominator();
  result.nll = counted == 0 ? problem.empty_mean() : totals.nll / static_cast<double>(counted);
  result.loss = result.denominator == 0 ? problem.empty_mean() : totals.loss / result.denominator;
  if (problem.options.reduction == Reduction::none) result.loss = kNan;
  return result;
}

// Each row once: its logits are still in cache when its gradient reads them again.
template <class T>
Result run(const Problem& problem, const Logits& logits, const Gradient* dlogits, const Parts& parts,
           const Upstream& upstream) {
  const Chunks<T> chunks(problem, logits);
  const bool entropy = !parts.entropy.empty() || problem.options.entropy_penalty != 0;
  return reduce_rows(problem, problem.rows * problem.classes, [&](int64_t begin, int64_t end) {
    auto scratch = chunks.scratch(dlogits, upstream.accumulate);
    Totals totals;
    for (int64_t index = begin; index < end; ++index) {
      const Row row = problem.row(index);
      const RowSummary summary = chunks.summarize(row, entropy, scratch);
      totals.add(finish_row(problem, summary, row, parts));
      if (dlogits == nullptr) continue;
      chunks.gradient(row, summary, problem.factor(upstream, row), *dlogits, upstream.accumulate, scratch);
    }
    return totals;
  });
}

// Calls body.template operator()<T>() for the type to compute in. Scaled and capped logits are rounded, so
// that f32 would lose what their size is above 1.
template <class Body>
auto with_compute_type(const Logits& logits, const Options& options, const Body& body) {
  const bool wide = logits.dtype == DType::f64 || options.scale != 1 || options.soft_cap != 0;
  return wide ? body.template operator()<double>() : body.template operator()<float>();
}

}  // namespace

Target mixed(const Vector& first, const Vector& second, const Vector& weight) {
  Target target(first);
  target.kind = Target::Kind::mixed;
  target.second = second;
  target.weight = weight;
  return target;
}

Target dense(const Rows& targets, const Vector& labels) {
  Target target(labels);
  target.kind = Target::Kind::dense;
  target.dense = targets;
  return target;
}

Result cross_entropy(const Logits& logits, const Target& target, const Options& options, const Parts& parts) {
  check_logits(logits, /*whole=*/true);
  check_parts(parts, target, logits.rows());
  const Problem problem(target, logits.rows(), logits.classes, options, &logits);
  return with_compute_type(logits, options,
                           [&]<class T>() { return run<T>(problem, logits, nullptr, parts, {}); });
}

Result cross_entropy(const Logits& logits, const Target& target, const Gradient& dlogits,
                     const Options& options, const Parts& parts, const Upstream& upstream) {
  check_logits(logits, /*whole=*/true);
  check_parts(parts, target, logits.rows());
  const Problem problem(target, logits.rows(), logits.classes, options, &logits);
  check_gradient(logits, dlogits, target, options, upstream);
  return with_compute_type(logits, options,
                           [&]<class T>() { return run<T>(problem, logits, &dlogits, parts, upstream); });
}

void summarize(const Logits& logits, const Target& target, const Options& options,
               std::span<RowSummary> summaries) {
  check_logits(logits, /*whole=*/false);
  check_size("summaries", static_cast<int64_t>(summaries.size()), logits.rows());
  const Problem problem(target, logits.rows(), logits.total_classes, options, &logits);
  with_compute_type(logits, options, [&]<class T>() {
    const Chunks<T> chunks(problem, logits);
    parallel_for(problem.rows, problem.rows * logits.classes, [&](int64_t begin, int64_t end) {
      auto scratch = chunks.scratch();
      for (int64_t row = begin; row < end; ++row) {
        summaries[row] = chunks.summarize(problem.row(row), /*entropy=*/true, scratch);
      }
    });
  });
}

void merge_shards(std::span<const Shard> shards, int64_t total_classes, std::span<RowSummary> merged) {
  const std::vector<Shard> ordered = check_tiling(shards, total_classes, static_cast<int64_t>(merged.size()));
  for (size_t row = 0; row < merged.size(); ++row) {
    RowSummary sum;
    for (const Shard& shard : ordered) sum = merge(sum, shard.summaries[row]);
    merged[row] = sum;
  }
}

Result finish(std::span<const RowSummary> summaries, int64_t total_classes, const Target& target,
              const Options& options, const Parts& parts) {
  const auto rows = static_cast<int64_t>(summaries.size());
  const Problem problem(target, rows, total_classes, options, nullptr);
  problem.check_summaries(summaries);
  check_parts(parts, target, rows);
  return reduce_rows(problem, rows, [&](int64_t begin, int64_t end) {
    Totals totals;
    for (int64_t row = begin; row < end; ++row)
      totals.add(finish_row(problem, summaries[row], problem.row(row), parts));
    return totals;
  });
}

void gradient(const Logits& logits, const Target& target, std::span<const RowSummary> summaries,
              const Options& options, const Gradient& dlogits, const Upstream& upstream) {
  check_logits(logits, /*whole=*/false);
  check_size("summaries", static_cast<int64_t>(summaries.size()), logits.rows());
  const Problem problem(target, logits.rows(), logits.total_classes, options, &logits);
  check_gradient(logits, dlogits, target, options, upstream);
  problem.check_summaries(summaries);
  with_compute_type(logits, options, [&]<class T>() {
    const Chunks<T> chunks(problem, logits);
    parallel_for(problem.rows, problem.rows * logits.classes, [&](int64_t begin, int64_t end) {
      auto scratch = chunks.scratch(&dlogits, upstream.accumulate);
      for (int64_t index = begin; index < end; ++index) {
        const Row row = problem.row(index);
        chunks.gradient(row, summaries[index], problem.factor(upstream, row), dlogits, upstream.accumulate,
                        scratch);
      }
    });
  });
}

}  // namespace labelsmooth
