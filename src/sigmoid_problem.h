// SPDX-License-Identifier: MIT
// The arguments of sigmoid_cross_entropy past the door: which elements count, and a row laid out in blocks.
#pragma once

#include <algorithm>  // std::max, std::min
#include <cstdint>    // int64_t
#include <vector>     // std::vector

#include "bit.h"
#include "labelsmooth/sigmoid_cross_entropy.h"
#include "totals.h"

namespace labelsmooth {

constexpr int64_t kBlock = 256;           // classes laid out at a time: a thread's block stays in L1
constexpr int64_t kGroupElements = 4096;  // whose losses add up before they join the total

/// Some classes of a row, contiguous, in f64. What does not count has y and weight 0.
struct Block {
  int64_t begin, size;
  double z[kBlock], y[kBlock], weight[kBlock], loss[kBlock], slope[kBlock];
  bool counts[kBlock];
};

/// body(begin, size) over the blocks of a row.
template <class Body>
void for_blocks(int64_t classes, const Body& body) {
  for (int64_t begin = 0; begin < classes; begin += kBlock) body(begin, std::min(kBlock, classes - begin));
}

/// body(row, block) -> Sum of the row.
template <class Sum, class Body>
Sum sum_rows(const Logits& logits, const Body& body) {
  const int64_t group_rows = std::max<int64_t>(1, kGroupElements / logits.classes);
  return sum_groups<Sum>(
      logits.rows(), group_rows, logits.rows() * logits.classes, [] { return Block(); },
      [&](int64_t begin, int64_t end, Block& block) {
        Sum sum;
        for (int64_t row = begin; row < end; ++row) sum.add(body(row, block));
        return sum;
      });
}

/// What counts, in numbers.
struct Survey {
  int64_t rows = 0, elements = 0;
  double weight = 0;
  int64_t bad_row = -1, bad_class = -1;  // the first label outside [0, 1]

  void add(const Survey& next) {
    rows += next.rows;
    elements += next.elements;
    weight += next.weight;
    if (bad_row < 0) bad_row = next.bad_row, bad_class = next.bad_class;
  }
};

class SigmoidProblem {
 public:
  /// Checks everything but what a gradient and parts need.
  SigmoidProblem(const Logits& logits, const Target& target, const SigmoidOptions& options);
  void check_gradient(const Gradient& dlogits, const Upstream& upstream) const;
  void check_parts(const SigmoidParts& parts) const;

  const Logits& logits;
  const Target& target;
  const SigmoidOptions& options;

  const Survey& survey() const { return survey_; }
  double pos_weight(int64_t k) const { return pos_weight_.empty() ? 1 : pos_weight_[k]; }
  /// What takes the place of the row's labels.
  Bit replacement(int64_t row, Block& block) const;
  /// Classes [begin, begin + size) of the row: y, weight and counts.
  void lay(int64_t row, int64_t begin, int64_t size, Block& block) const;
  /// The logits of the same.
  void lay_logits(int64_t row, Block& block) const;

  double denominator() const;
  /// What stands for a mean over nothing.
  double empty_mean() const;

 private:
  bool is_ignored(int64_t row) const;
  void lay_labels(int64_t row, Block& block) const;
  void lay_dense(int64_t row, Block& block) const;
  void lay_weights(int64_t row, Block& block) const;
  Survey survey_row(int64_t row, Block& block) const;
  void check_survey() const;

  std::vector<double> class_weights_, pos_weight_;
  Survey survey_;
};

}  // namespace labelsmooth
