// SPDX-License-Identifier: MIT
#include "probabilities.h"

#include <hwy/aligned_allocator.h>

#include <algorithm>  // std::clamp, std::max, std::max_element, std::min
#include <array>      // std::array
#include <atomic>     // std::atomic
#include <cmath>      // std::abs, std::exp, std::isnan, std::log
#include <iterator>   // std::ssize
#include <limits>     // std::numeric_limits
#include <mutex>      // std::lock_guard, std::mutex
#include <new>        // std::bad_alloc
#include <string>     // std::to_string
#include <thread>     // std::this_thread

#include "labelsmooth/cross_entropy.h"
#include "parallel.h"
#include "softmax.h"
#include "storage.h"
#include "validate.h"

namespace labelsmooth {
namespace {

// Of a part, and of a block that has no thread without a part.
constexpr int64_t kPartElements = int64_t{1} << 18, kPartRows = int64_t{1} << 11;
constexpr int64_t kBlockElements = int64_t{1} << 23, kBlockRows = int64_t{1} << 16;
constexpr int64_t kAligned = 8;           // doubles, of 64 bytes
constexpr double kLeastTail = 0x1p-1000;  // below it 1 / tail overflows, or log1p of it

int64_t part_rows(int64_t classes) {
  return std::clamp<int64_t>(kPartElements / std::max<int64_t>(classes, 1), 1, kPartRows);
}

void widen_row(const Rows& rows, int64_t row, double* to) {
  with_storage(rows.dtype, [&]<class S>() {
    const S* from = static_cast<const S*>(rows.data) + rows.index(row, 0);
    if (rows.class_stride == 1) {
      for (int64_t k = 0; k < rows.classes; ++k) to[k] = load<double>(from[k]);
    } else {
      for (int64_t k = 0; k < rows.classes; ++k) to[k] = load<double>(from[k * rows.class_stride]);
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

// Numbers from 0 on, that any thread adds and one takes in order.
class InOrder {
 public:
  explicit InOrder(int64_t count) : added_(static_cast<size_t>(count)) {}

  void add(int64_t number) {
    const std::lock_guard lock(mutex_);
    added_[number] = true;
  }
  /// Calls body with those that have all before them.
  template <class Body>
  void take(const Body& body) {
    for (; next_is_there(); ++next_) body(next_);
  }

 private:
  bool next_is_there() {
    const std::lock_guard lock(mutex_);
    return next_ < std::ssize(added_) && added_[next_];
  }

  std::mutex mutex_;
  std::vector<bool> added_;
  int64_t next_ = 0;
};

class Blocks {
 public:
  Blocks(const Logits& logits, const Vector& labels, const ProbabilityOptions& options)
      : logits_(logits), labels_(labels), options_(options), kernels_(softmax_kernels()) {}

  void fill(int64_t begin, const PartWork& work, ProbabilityBlock& block) const {
    block.begin = begin;
    const int64_t step = part_rows(block.classes);
    const int64_t parts = (block.rows + step - 1) / step;
    const auto end_of = [&](int64_t part) { return std::min((part + 1) * step, block.rows); };
    InOrder made(parts);
    const auto join = [&](int64_t part) { work.join(block, part, part * step, end_of(part)); };
    const auto caller = std::this_thread::get_id();  // joins, as what it adds to is in its cache
    std::vector<int64_t> refused(static_cast<size_t>(parts), -1);
    // Whichever thread is free takes the next part: hundreds of blocks have an end to wait at.
    std::atomic<int64_t> next_part{0};
    parallel_for(parts, block.rows * block.classes, [&](int64_t, int64_t) {
      const int64_t width = (block.classes + kAligned - 1) / kAligned * kAligned;
      const auto e = hwy::AllocateAligned<double>(static_cast<size_t>(2 * width));
      if (!e) throw std::bad_alloc();
      std::array<ProbabilityRow, 2> pair;
      for (int64_t part = next_part++; part < parts; part = next_part++) {
        load_labels(labels_, begin + part * step, end_of(part) - part * step, &block.label[part * step]);
        size_t held = 0;
        for (int64_t i = part * step; i < end_of(part); ++i) {
          double* row = e.get() + static_cast<int64_t>(held) * width;
          if (!fill_row(block, i, row, pair[held]) || !work.pair || ++held < pair.size()) continue;
          work.pair(part, pair);
          held = 0;
        }
        if (held > 0) work.pair(part, std::span(pair).first(held));
        refused[part] = take_logarithms(block, part * step, end_of(part));
        if (refused[part] >= 0) continue;
        if (work.rows) work.rows(block, part, part * step, end_of(part));
        made.add(part);
        if (work.join && std::this_thread::get_id() == caller) made.take(join);
      }
    });
    for (const int64_t row : refused) {
      if (row >= 0) refuse(begin + row);
    }
    if (work.join) made.take(join);
  }

 private:
  // All of a row but its logarithms; false where it does not count or has no softmax.
  bool fill_row(ProbabilityBlock& block, int64_t i, double* e, ProbabilityRow& filled) const {
    const int64_t row = block.begin + i, label = block.label[i];
    block.argmax[i] = -1;
    if (options_.ignore_index == label) {
      block.label[i] = -1;
      return false;
    }
    const SoftmaxSums sums = exps(row, e);
    const bool on_top = sums.argmax == label;
    block.nll[i] = sums.tail;
    block.to_label[i] = on_top ? 0 : options_.scale * (sums.max - logit(row, label));
    block.entropy[i] = -sums.tail_u / (1 + sums.tail);
    if (options_.probabilities) return take_given(block, i, e, filled);
    if (std::isnan(sums.tail)) return false;
    const double confidence = 1 / (1 + sums.tail), of_label = e[label] * confidence;
    block.argmax[i] = sums.argmax;
    block.confidence[i] = confidence;
    block.of_label[i] = of_label;
    // What rounds in the difference is far below 1/2, the least Brier score of a wrong row.
    const double others = on_top ? sums.squares : sums.squares - e[label] * e[label];
    const double of_top = on_top ? sums.tail * confidence : confidence;
    block.brier[i] =
        others * confidence * confidence + of_top * of_top + (on_top ? 0 : (1 - of_label) * (1 - of_label));
    block.score[i] = 1 / sums.tail;
    filled = {i, e, confidence, sums.argmax, sums.most_square * confidence * confidence};
    return true;
  }

  // Those of a part's rows side by side: nll holds the tail, score what its log1p is of.
  // Returns the first row to be refused, or -1.
  int64_t take_logarithms(ProbabilityBlock& block, int64_t begin, int64_t end) const {
    kernels_.log1p(&block.nll[begin], end - begin);
    const bool take_scores = options_.scores && !options_.probabilities;
    if (take_scores) kernels_.log1p(&block.score[begin], end - begin);
    for (int64_t i = begin; i < end; ++i) {
      if (!block.counts(i)) continue;
      const double ls = block.nll[i];
      if (std::isnan(ls)) return i;
      block.nll[i] += block.to_label[i];
      block.entropy[i] += ls;
      if (take_scores && ls < kLeastTail) block.score[i] = exact_score(block.begin + i, block.argmax[i]);
    }
    return -1;
  }

  // Where logarithms served, which may have made a tie: the row as it is.
  bool take_given(ProbabilityBlock& block, int64_t i, double* p, ProbabilityRow& filled) const {
    const int64_t label = block.label[i];
    widen_row(logits_, block.begin + i, p);
    if (!wrong_with(p, block.classes, logits_.dtype).empty()) {
      block.nll[i] = std::numeric_limits<double>::quiet_NaN();
      return false;
    }
    const int64_t top = block.argmax[i] = std::max_element(p, p + block.classes) - p;
    block.confidence[i] = p[top];
    block.of_label[i] = p[label];
    double rest = 0, brier = 0, most = 0;  // rest: 1 - confidence
    for (int64_t k = 0; k < block.classes; ++k) {
      const double off = k == label ? 1 - p[k] : p[k];
      brier += off * off;
      if (k != top) rest += p[k], most = std::max(most, p[k]);
    }
    block.brier[i] = brier;
    block.score[i] = -std::log(rest);
    filled = {i, p, 1, top, most * most};
    return true;
  }

  double logit(int64_t row, int64_t k) const {
    const double value = logits_.real(row, k);
    return options_.probabilities ? std::log(value) : value;
  }

  // e_k = exp(scale * (z_k - max)).
  SoftmaxSums exps(int64_t row, double* e) const {
    SoftmaxSums sums;
    if (logits_.dtype == DType::f32 && logits_.class_stride == 1 && !options_.probabilities) {
      const float* z = static_cast<const float*>(logits_.data) + logits_.index(row, 0);
      kernels_.f32.exps(z, logits_.classes, options_.scale, e, sums);
      return sums;
    }
    widen_row(logits_, row, e);
    if (options_.probabilities) {
      for (int64_t k = 0; k < logits_.classes; ++k) e[k] = std::log(e[k]);
    }
    kernels_.f64.exps(e, logits_.classes, options_.scale, e, sums);
    return sums;
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

  [[noreturn]] void refuse(int64_t row) const {
    std::string wrong = "holds NaN or +inf, or -inf alone; finite logits and some at -inf are allowed";
    if (options_.probabilities) {
      std::vector<double> p(static_cast<size_t>(logits_.classes));
      widen_row(logits_, row, p.data());
      wrong = wrong_with(p.data(), logits_.classes, logits_.dtype);
    }
    throw Error("logits", "row " + std::to_string(row) + (options_.probabilities ? ": " : " ") + wrong, row);
  }

  const Logits& logits_;
  const Vector& labels_;
  const ProbabilityOptions& options_;
  const SoftmaxKernels& kernels_;
};

}  // namespace

int64_t block_rows(const Logits& logits, const ProbabilityOptions& options) {
  const int64_t step = part_rows(logits.classes);
  const bool many = options.block_elements == 0;
  const int64_t elements = many ? kBlockElements : options.block_elements;
  const int64_t wanted = std::min(elements / std::max<int64_t>(logits.classes, 1), kBlockRows);
  return std::min(logits.rows(), std::max<int64_t>(many ? threads() : 1, wanted / step) * step);
}
int64_t block_parts(const Logits& logits, const ProbabilityOptions& options) {
  const int64_t step = part_rows(logits.classes);
  return (block_rows(logits, options) + step - 1) / step;
}

void for_each_block(const Logits& logits, const Vector& labels, const ProbabilityOptions& options,
                    const std::function<void(const ProbabilityBlock&)>& body, const PartWork& work) {
  check_logits(logits, /*whole=*/true);
  if (logits.classes < 1) throw Error("logits", "no classes found, at least one is needed");
  Options loss;
  loss.ignore_index = options.ignore_index;
  loss.scale = options.scale;
  check_target(labels, logits.rows(), logits.classes, loss, &logits);  // names the row among all rows

  const int64_t most = block_rows(logits, options);
  const Blocks blocks(logits, labels, options);
  ProbabilityBlock block;
  for (int64_t begin = 0; begin < logits.rows(); begin += most) {
    block.rows = std::min(most, logits.rows() - begin);
    block.classes = logits.classes;
    block.label.resize(static_cast<size_t>(block.rows));
    block.argmax.resize(block.label.size());
    for (auto* part : {&block.nll, &block.to_label, &block.entropy, &block.brier, &block.confidence,
                       &block.of_label, &block.score})
      part->resize(block.label.size());
    blocks.fill(begin, work, block);
    body(block);
  }
}

}  // namespace labelsmooth
