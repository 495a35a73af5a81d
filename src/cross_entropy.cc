// SPDX-License-Identifier: MIT
// The pipeline: validate -> summarize each chunk -> merge -> finish -> gradient. Read this file first.
#include "labelsmooth/cross_entropy.h"

#include <algorithm>  // std::clamp, std::fill_n, std::min
#include <cmath>      // std::exp, std::isfinite, std::log1p
#include <string>     // std::to_string
#include <utility>    // std::pair
#include <vector>     // std::vector

#include "kernels.h"
#include "parallel.h"
#include "validate.h"

namespace labelsmooth {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kChunk = 1 << 15;  // classes to a kernel call: 128 KiB of f32, which stays in L2

// The arguments past the door, without the logits.
struct Problem {
  Vector labels;
  const Options& options;
  int64_t rows, classes;  // classes in all, whatever the shard
  Affine target;
  LabelCount count;

  Problem(const Vector& labels, int64_t rows, int64_t classes, const Options& options)
      : labels(labels),
        options(options),
        rows(rows),
        classes(classes),
        target(affine(options.smoothing, classes)),
        count(check_labels(labels, rows, classes, options)) {}

  // Rows whose losses add up before they join the total, and that one thread handles: few where rows are
  // long.
  int64_t group_rows() const { return std::clamp<int64_t>((int64_t{1} << 16) / classes, 1, 16); }
  bool counts(int64_t row) const { return labels.label(row) != options.ignore_index; }
  double class_weight(int64_t k) const {
    return options.class_weights.empty() ? 1 : options.class_weights.real(k);
  }
  double denominator() const { return options.reduction == Reduction::mean ? count.weight : 1; }
  // What stands for a mean over nothing.
  double empty_mean() const { return options.empty == Empty::zero ? 0 : kNan; }
  // What the gradient of a row's own loss is multiplied by.
  double factor(const Upstream& upstream, int64_t row) const {
    const double scalar = upstream.scalar * (upstream.rows.empty() ? 1 : upstream.rows.real(row));
    return denominator() == 0 ? empty_mean() : scalar / denominator();
  }
  // Exact zeros, whatever the logits hold.
  bool zero_gradient(int64_t row) const {
    return !counts(row) || (denominator() == 0 && options.empty == Empty::zero);
  }
};

// loss = q * log1p(tail) - a * label_dot - b * prior_dot; q is the weighted mass of the target.
struct Coefficients {
  double a, b, q;
};
Coefficients coefficients(const Problem& problem, const RowSummary& row, int64_t label) {
  const double a = problem.target.a * problem.class_weight(label);
  const double b = problem.target.b == 0 ? 0 : problem.target.b / row.prior_norm;
  return {a, b, a * row.label_mass + b * row.prior_mass};
}

// c * x, where a coefficient of 0 means no term even at x = -inf.
double term(double c, double x) { return c == 0 ? 0 : c * x; }

// ---- summarize ----

// The loss is as exact as these sums, hence long double.
template <class Term>
double exact_sum(int64_t begin, int64_t end, const Term& term) {
  long double sum = 0;
  for (int64_t k = begin; k < end; ++k) sum += term(k);
  return static_cast<double>(sum);
}

// The classes of a view, cut into chunks. The grid counts from class 0 of the whole, so that it does not
// depend on the shard, the batch or the threads.
template <class T>
class Chunks {
 public:
  struct Chunk {
    int64_t begin, end;  // classes of the whole
    double prior_mass, prior_norm;
  };

  Chunks(const Problem& problem, const Logits& logits)
      : problem_(problem), logits_(logits), kernels_(kernels().of<T>()) {
    const int64_t first = logits.class_begin, last = first + logits.classes;
    for (int64_t begin = first, end; begin < last; begin = end) {
      end = std::min(last, (begin / kChunk + 1) * kChunk);
      chunks_.push_back({begin, end, 0, 0});
    }
    if (problem.target.b != 0) take_prior();
  }

  // Room for one chunk, for views whose classes are not contiguous.
  struct Scratch {
    std::vector<T> z, dz;
  };
  Scratch scratch(int64_t dlogits_stride = 1) const {
    const auto size = static_cast<size_t>(std::min(kChunk, logits_.classes));
    return {std::vector<T>(logits_.class_stride == 1 ? 0 : size),
            std::vector<T>(dlogits_stride == 1 ? 0 : size)};
  }

  RowSummary summarize(int64_t row, bool entropy, Scratch& scratch) const {
    RowSummary summary;
    if (!problem_.counts(row)) return summary;
    const int64_t label = problem_.labels.label(row);
    for (const Chunk& chunk : chunks_) {
      const int64_t n = chunk.end - chunk.begin;
      const T* z = read(row, chunk, scratch);
      ChunkSums sums;
      kernels_.summarize(z, n, prior_sum_, prior_weights(chunk), entropy, sums);

      RowSummary part;
      part.max = sums.max;
      part.tail = sums.tail;
      part.tail_z = sums.tail_z;
      part.prior_dot = needs_exact(sums) ? exact_prior_dot(z, chunk, sums.max) : sums.prior_dot;
      part.prior_mass = chunk.prior_mass;
      part.prior_norm = chunk.prior_norm;
      part.argmax = chunk.begin + sums.argmax;
      part.classes = n;
      if (chunk.begin <= label && label < chunk.end) {
        const double logit = z[label - chunk.begin];
        part.label_dot = logit == sums.max ? 0 : logit - sums.max;
        part.label_mass = 1;
      }
      summary = merge(summary, part);
    }
    return summary;
  }

  // ---- gradient ----

  // dz_k = factor * (q p_k - a t_k - b v_k)
  void gradient(int64_t row, const RowSummary& summary, double factor, const Gradient& dlogits,
                Scratch& scratch) const {
    const bool contiguous = dlogits.class_stride == 1;
    for (const Chunk& chunk : chunks_) {
      const int64_t n = chunk.end - chunk.begin;
      T* dz = contiguous ? element<T>(dlogits, row, chunk.begin) : scratch.dz.data();
      if (problem_.zero_gradient(row)) {
        std::fill_n(dz, n, T{0});
      } else if (!std::isfinite(summary.max)) {
        std::fill_n(dz, n, static_cast<T>(kNan));
      } else {
        differentiate(read(row, chunk, scratch), problem_.labels.label(row), summary, factor, chunk, dz);
      }
      if (contiguous) continue;
      T* to = element<T>(dlogits, row, chunk.begin);
      for (int64_t k = 0; k < n; ++k) to[k * dlogits.class_stride] = dz[k];
    }
  }

 private:
  void take_prior() {
    const Vector &prior = problem_.options.smoothing.prior, &weights = problem_.options.class_weights;
    const int64_t first = logits_.class_begin;
    prior_sum_ = prior.empty() && weights.empty() ? PriorSum::plain : PriorSum::weighted;
    for (int64_t k = first; prior_sum_ == PriorSum::weighted && k < first + logits_.classes; ++k) {
      prior_weights_.push_back(
          static_cast<T>(problem_.class_weight(k) * (prior.empty() ? 1 : prior.real(k))));
      if (!std::isfinite(prior_weights_.back()))
        throw Error("class_weights", "class " + std::to_string(k) + " overflows the logits' type");
    }
    for (Chunk& chunk : chunks_) {
      const auto [begin, end] = std::pair(chunk.begin, chunk.end);
      chunk.prior_mass = chunk.prior_norm = static_cast<double>(end - begin);
      if (!prior_weights_.empty())
        chunk.prior_mass = exact_sum(begin, end, [&](int64_t k) { return prior_weights_[k - first]; });
      if (!prior.empty()) chunk.prior_norm = exact_sum(begin, end, [&](int64_t k) { return prior.real(k); });
    }
  }

  // The kernel's sum is of z - max in T: it may overflow where logits stand for a mask (-FLT_MAX), and where
  // a is negative it cancels against label_dot, which is exact.
  bool needs_exact(const ChunkSums& sums) const {
    const bool finite = std::isfinite(sums.prior_dot);
    return prior_sum_ != PriorSum::none && std::isfinite(sums.max) && (!finite || problem_.target.a < 0);
  }
  double exact_prior_dot(const T* z, const Chunk& chunk, double max) const {
    const T* v = prior_weights(chunk);
    double dot = 0;
    for (int64_t k = 0; k < chunk.end - chunk.begin; ++k) dot += term(v == nullptr ? 1 : v[k], z[k] - max);
    return dot;
  }

  template <class E, class Void>
  E* element(const View<Void>& view, int64_t row, int64_t k) const {
    return static_cast<E*>(view.data) + row / view.inner * view.outer_stride +
           row % view.inner * view.inner_stride + (k - logits_.class_begin) * view.class_stride;
  }

  const T* prior_weights(const Chunk& chunk) const {
    return prior_weights_.empty() ? nullptr : prior_weights_.data() + (chunk.begin - logits_.class_begin);
  }

  const T* read(int64_t row, const Chunk& chunk, Scratch& scratch) const {
    const T* z = element<const T>(logits_, row, chunk.begin);
    if (logits_.class_stride == 1) return z;
    for (int64_t k = 0; k < chunk.end - chunk.begin; ++k) scratch.z[k] = z[k * logits_.class_stride];
    return scratch.z.data();
  }

  void differentiate(const T* z, int64_t label, const RowSummary& row, double factor, const Chunk& chunk,
                     T* dz) const {
    const auto [a, b, q] = coefficients(problem_, row, label);
    const T* v = prior_weights(chunk);
    const bool here = chunk.begin <= label && label < chunk.end;
    const double label_logit = here ? z[label - chunk.begin] : 0;  // before dz, which may be z, is written
    kernels_.gradient(z, chunk.end - chunk.begin, row.max, factor * q / (1 + row.tail), factor * b, v, dz);
    if (!here) return;
    // The label's own element in double. At the max, p - 1 = -tail / (1 + tail) is free of cancellation.
    const double p = std::exp(label_logit - row.max) / (1 + row.tail);
    const double v_label = v == nullptr ? 1 : v[label - chunk.begin];
    const double value = label == row.argmax
                             ? b * (row.prior_mass * p - v_label) - a * row.tail / (1 + row.tail)
                             : q * p - (a + b * v_label);
    dz[label - chunk.begin] = static_cast<T>(factor * value);
  }

  const Problem& problem_;
  Logits logits_;
  const ChunkKernels<T>& kernels_;
  PriorSum prior_sum_ = PriorSum::none;
  std::vector<T> prior_weights_;  // v of these classes; empty where all are 1
  std::vector<Chunk> chunks_;
};

// ---- finish ----

struct Totals {
  double loss = 0, nll = 0;
  int64_t correct = 0, first_impossible_row = -1;

  void add(const Totals& next) {
    loss += next.loss;
    nll += next.nll;
    correct += next.correct;
    if (first_impossible_row < 0) first_impossible_row = next.first_impossible_row;
  }
};

// Writes the row's parts and returns what it adds to the totals.
Totals finish_row(const Problem& problem, const RowSummary& summary, int64_t row, const Parts& parts) {
  const auto put = [row](const auto& part, auto value) {
    if (!part.empty()) part[row] = value;
  };
  Totals result;
  double lse = 0, confidence = 0, entropy = 0;
  if (problem.counts(row)) {
    const int64_t label = problem.labels.label(row);
    const bool finite = std::isfinite(summary.max);
    const auto [a, b, q] = coefficients(problem, summary, label);
    const double ls = std::log1p(summary.tail);
    result.nll = finite ? ls - summary.label_dot : kNan;
    result.loss = finite ? q * ls - term(a, summary.label_dot) - term(b, summary.prior_dot) : kNan;
    result.correct = finite && summary.argmax == label;
    if (finite && std::isinf(summary.label_dot)) result.first_impossible_row = row;
    lse = finite ? summary.max + ls : kNan;
    confidence = finite ? 1 / (1 + summary.tail) : kNan;
    entropy = finite ? ls - summary.tail_z / (1 + summary.tail) : kNan;
  }
  put(parts.loss, result.loss);
  put(parts.nll, result.nll);
  put(parts.lse, lse);
  put(parts.confidence, confidence);
  put(parts.entropy, entropy);
  put(parts.argmax, problem.counts(row) ? summary.argmax : -1);
  return result;
}

// body(begin, end) -> Totals of those rows, over threads; added up in an order that does not depend on them.
template <class Body>
Result reduce_rows(const Problem& problem, int64_t elements, const Body& body) {
  const int64_t size = problem.group_rows();
  std::vector<Totals> groups(static_cast<size_t>((problem.rows + size - 1) / size));
  parallel_for(static_cast<int64_t>(groups.size()), elements, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      groups[group] = body(group * size, std::min(problem.rows, (group + 1) * size));
    }
  });
  Totals totals;
  for (const Totals& group : groups) totals.add(group);

  const int64_t counted = problem.count.counted;
  Result result;
  result.rows = problem.rows;
  result.counted = counted;
  result.correct = totals.correct;
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
  return reduce_rows(problem, problem.rows * problem.classes, [&](int64_t begin, int64_t end) {
    auto scratch = chunks.scratch(dlogits == nullptr ? 1 : dlogits->class_stride);
    Totals totals;
    for (int64_t row = begin; row < end; ++row) {
      const RowSummary summary = chunks.summarize(row, !parts.entropy.empty(), scratch);
      totals.add(finish_row(problem, summary, row, parts));
      if (dlogits != nullptr) chunks.gradient(row, summary, problem.factor(upstream, row), *dlogits, scratch);
    }
    return totals;
  });
}

// Calls body.template operator()<T>() for the logits' type.
template <class Body>
auto with_type(DType dtype, const Body& body) {
  return dtype == DType::f32 ? body.template operator()<float>() : body.template operator()<double>();
}

}  // namespace

Result cross_entropy(const Logits& logits, const Vector& labels, const Options& options, const Parts& parts) {
  check_logits(logits, /*whole=*/true);
  check_parts(parts, logits.rows());
  const Problem problem(labels, logits.rows(), logits.classes, options);
  return with_type(logits.dtype, [&]<class T>() { return run<T>(problem, logits, nullptr, parts, {}); });
}

Result cross_entropy(const Logits& logits, const Vector& labels, const Gradient& dlogits,
                     const Options& options, const Parts& parts, const Upstream& upstream) {
  check_logits(logits, /*whole=*/true);
  check_gradient(logits, dlogits, options, upstream);
  check_parts(parts, logits.rows());
  const Problem problem(labels, logits.rows(), logits.classes, options);
  return with_type(logits.dtype,
                   [&]<class T>() { return run<T>(problem, logits, &dlogits, parts, upstream); });
}

void summarize(const Logits& logits, const Vector& labels, const Options& options,
               std::span<RowSummary> summaries) {
  check_logits(logits, /*whole=*/false);
  check_size("summaries", static_cast<int64_t>(summaries.size()), logits.rows());
  const Problem problem(labels, logits.rows(), logits.total_classes, options);
  with_type(logits.dtype, [&]<class T>() {
    const Chunks<T> chunks(problem, logits);
    parallel_for(problem.rows, problem.rows * logits.classes, [&](int64_t begin, int64_t end) {
      auto scratch = chunks.scratch();
      for (int64_t row = begin; row < end; ++row) {
        summaries[row] = chunks.summarize(row, /*entropy=*/true, scratch);
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

Result finish(std::span<const RowSummary> summaries, int64_t total_classes, const Vector& labels,
              const Options& options, const Parts& parts) {
  const auto rows = static_cast<int64_t>(summaries.size());
  const Problem problem(labels, rows, total_classes, options);
  check_summaries(summaries, total_classes, labels, options);
  check_parts(parts, rows);
  return reduce_rows(problem, rows, [&](int64_t begin, int64_t end) {
    Totals totals;
    for (int64_t row = begin; row < end; ++row) totals.add(finish_row(problem, summaries[row], row, parts));
    return totals;
  });
}

void gradient(const Logits& logits, const Vector& labels, std::span<const RowSummary> summaries,
              const Options& options, const Gradient& dlogits, const Upstream& upstream) {
  check_logits(logits, /*whole=*/false);
  check_gradient(logits, dlogits, options, upstream);
  check_size("summaries", static_cast<int64_t>(summaries.size()), logits.rows());
  const Problem problem(labels, logits.rows(), logits.total_classes, options);
  check_summaries(summaries, logits.total_classes, labels, options);
  with_type(logits.dtype, [&]<class T>() {
    const Chunks<T> chunks(problem, logits);
    parallel_for(problem.rows, problem.rows * logits.classes, [&](int64_t begin, int64_t end) {
      auto scratch = chunks.scratch(dlogits.class_stride);
      for (int64_t row = begin; row < end; ++row) {
        chunks.gradient(row, summaries[row], problem.factor(upstream, row), dlogits, scratch);
      }
    });
  });
}

}  // namespace labelsmooth
