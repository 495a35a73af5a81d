// SPDX-License-Identifier: MIT
#include "probabilities.h"

#include <algorithm>  // std::clamp, std::max, std::max_element, std::min
#include <array>      // std::array
#include <cmath>      // std::abs, std::exp, std::isnan, std::log
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

#include "labelsmooth/cross_entropy.h"
#include "parallel.h"
#include "storage.h"
#include "validate.h"

namespace labelsmooth {
namespace {

constexpr int64_t kBlockElements = int64_t{1} << 17, kMostBlockRows = int64_t{1} << 14;
constexpr int64_t kCacheElements = int64_t{1} << 14;  // worked on at once by a thread
constexpr double kMin = std::numeric_limits<double>::min();

struct Sums {
  double sum = 0, squares = 0;
};

// In eight lanes, which compilers turn into vectors; the order is fixed.
Sums sums_of(const double* x, int64_t size) {
  std::array<double, 8> sum = {}, squares = {};
  int64_t i = 0;
  for (; i + 8 <= size; i += 8) {
    for (int lane = 0; lane < 8; ++lane) {
      sum[lane] += x[i + lane];
      squares[lane] += x[i + lane] * x[i + lane];
    }
  }
  Sums total;
  for (; i < size; ++i) {
    total.sum += x[i];
    total.squares += x[i] * x[i];
  }
  for (int lane = 0; lane < 8; ++lane) {
    total.sum += sum[lane];
    total.squares += squares[lane];
  }
  return total;
}

void widen_rows(const Rows& rows, int64_t begin, int64_t count, double* out) {
  with_storage(rows.dtype, [&]<class S>() {
    const S* data = static_cast<const S*>(rows.data);
    for (int64_t i = 0; i < count; ++i) {
      const S* row = data + rows.index(begin + i, 0);
      double* to = out + i * rows.classes;
      if (rows.class_stride == 1) {
        for (int64_t k = 0; k < rows.classes; ++k) to[k] = load<double>(row[k]);
      } else {
        for (int64_t k = 0; k < rows.classes; ++k) to[k] = load<double>(row[k * rows.class_stride]);
      }
    }
  });
}

// What one row of the given probabilities has wrong, or nothing.
std::string wrong_with(const double* p, int64_t classes, DType dtype) {
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) {
    if (!(p[k] >= 0 && p[k] <= 1 + 1e-6))
      return std::to_string(p[k]) + " found, probabilities from 0 to 1 are allowed";
    sum += p[k];
  }
  const double tolerance = dtype == DType::bf16 ? 8e-3 : dtype == DType::f16 ? 1e-3 : 1e-4;
  return std::abs(sum - 1) <= tolerance ? "" : "sums to " + std::to_string(sum) + ", 1 is needed";
}

class Blocks {
 public:
  Blocks(const Logits& logits, const Vector& labels, const ProbabilityOptions& options)
      : logits_(logits), labels_(labels), options_(options) {}

  void fill(int64_t begin, ProbabilityBlock& block) const {
    block.begin = begin;
    const int64_t classes = block.classes = logits_.classes;
    const int64_t step = std::max<int64_t>(1, kCacheElements / classes);
    parallel_for(block.rows, block.rows * classes, [&](int64_t from, int64_t to) {
      for (; from < to; from += step) fill_rows(from, std::min(from + step, to), block);
    });
    for (int64_t i = 0; i < block.rows; ++i) check_row(block, i);
  }

 private:
  // Through the gradient of the hard-label loss, which is p - [k = label].
  void fill_rows(int64_t from, int64_t to, ProbabilityBlock& block) const {
    const int64_t count = to - from, classes = block.classes, first = block.begin + from;
    double* p = block.p.data() + from * classes;
    widen_rows(logits_, first, count, p);
    if (options_.probabilities) {
      for (int64_t i = 0; i < count * classes; ++i) p[i] = std::log(p[i]);
    }
    const auto part = [&](auto& all) { return std::span(all.data() + from, static_cast<size_t>(count)); };
    const Vector labels(static_cast<const std::byte*>(labels_.data) + first * size_bytes(labels_.dtype),
                        labels_.dtype, count);
    Options loss;
    loss.ignore_index = options_.ignore_index;
    loss.scale = options_.scale;
    loss.reduction = Reduction::sum;
    cross_entropy({static_cast<const double*>(p), count, classes}, labels, Gradient(p, count, classes), loss,
                  {.nll = part(block.nll),
                   .confidence = part(block.confidence),
                   .entropy = part(block.entropy),
                   .argmax = part(block.argmax)});
    if (options_.probabilities) widen_rows(logits_, first, count, p);
    for (int64_t i = from; i < to; ++i) finish_row(block, i);
  }

  void finish_row(ProbabilityBlock& block, int64_t i) const {
    const int64_t label = labels_.label(block.begin + i), classes = block.classes;
    block.label[i] = options_.ignore_index == label ? -1 : label;
    if (!block.counts(i) || std::isnan(block.nll[i])) return;
    double* p = block.p.data() + i * classes;
    int64_t& top = block.argmax[i];
    double of_label, missing;  // p and 1 - p of the label
    if (options_.probabilities) {
      top = std::max_element(p, p + classes) - p;  // a logarithm may have made a tie
      block.confidence[i] = p[top];
      of_label = p[label];
      missing = 1 - of_label;
    } else {
      of_label = top == label ? block.confidence[i] : std::exp(-block.nll[i]);
      missing = -p[label] / options_.scale;
    }
    if (!options_.probabilities && options_.scale != 1) {
      for (int64_t k = 0; k < classes; ++k) p[k] /= options_.scale;
    }
    p[label] = p[top] = 0;
    const Sums others = sums_of(p, classes);
    p[label] = of_label;
    p[top] = block.confidence[i];
    const double rest = others.sum + (top == label ? 0 : of_label);  // 1 - confidence
    block.brier[i] =
        others.squares + missing * missing + (top == label ? 0 : block.confidence[i] * block.confidence[i]);
    block.score[i] =
        rest >= kMin || options_.probabilities ? -std::log(rest) : exact_score(block.begin + i, top);
  }

  // -log(1 - confidence) beyond the range of 1 - confidence: from the runner-up's logit.
  double exact_score(int64_t row, int64_t top) const {
    double runner_up = std::numeric_limits<double>::lowest();
    for (int64_t k = 0; k < logits_.classes; ++k) {
      if (k != top) runner_up = std::max(runner_up, logits_.real(row, k));
    }
    double rest = 0;
    for (int64_t k = 0; k < logits_.classes; ++k) {
      if (k != top) rest += std::exp(options_.scale * (logits_.real(row, k) - runner_up));
    }
    return options_.scale * (logits_.real(row, top) - runner_up) - std::log(rest);
  }

  void check_row(const ProbabilityBlock& block, int64_t i) const {
    if (!block.counts(i)) return;
    const int64_t row = block.begin + i;
    if (options_.probabilities) {
      const std::string wrong = wrong_with(block.p.data() + i * block.classes, block.classes, logits_.dtype);
      if (!wrong.empty()) throw Error("logits", "row " + std::to_string(row) + ": " + wrong, row);
    }
    if (std::isnan(block.nll[i])) {
      throw Error("logits",
                  "row " + std::to_string(row) +
                      " holds NaN or +inf, or -inf alone; finite logits and some at -inf are allowed",
                  row);
    }
  }

  const Logits& logits_;
  const Vector& labels_;
  const ProbabilityOptions& options_;
};

}  // namespace

void for_each_block(const Logits& logits, const Vector& labels, const ProbabilityOptions& options,
                    const std::function<void(const ProbabilityBlock&)>& body) {
  check_logits(logits, /*whole=*/true);
  if (logits.classes < 1) throw Error("logits", "no classes found, at least one is needed");
  Options loss;
  loss.ignore_index = options.ignore_index;
  loss.scale = options.scale;
  check_target(labels, logits.rows(), logits.classes, loss, &logits);  // names the row among all rows

  const int64_t most = std::clamp<int64_t>(kBlockElements / logits.classes, 1, kMostBlockRows);
  const Blocks blocks(logits, labels, options);
  ProbabilityBlock block;
  for (int64_t begin = 0; begin < logits.rows(); begin += most) {
    block.rows = std::min(most, logits.rows() - begin);
    block.p.resize(static_cast<size_t>(block.rows * logits.classes));
    block.label.resize(static_cast<size_t>(block.rows));
    block.argmax.resize(block.label.size());
    for (auto* part : {&block.nll, &block.entropy, &block.brier, &block.confidence, &block.score})
      part->resize(block.label.size());
    blocks.fill(begin, block);
    body(block);
  }
}

}  // namespace labelsmooth
