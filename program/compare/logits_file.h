// SPDX-License-Identifier: MIT
// A model's file of logits or probabilities, of which only some rows count. Mapped, never copied whole.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <string>   // std::string
#include <vector>   // std::vector

#include "evaluation/crossfit.h"
#include "io/array.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth::compare {

/// Labels of any integer type, and which of their rows count.
struct Labels {
  std::string file;
  std::vector<int64_t> shape;
  std::vector<int64_t> rows;    // whose label is not ignored, ascending
  std::vector<int64_t> labels;  // of those
};
/// Throws Error on floating labels and where no row counts.
Labels read_labels(const std::string& file, int64_t ignore_index);

class LogitsFile {
 public:
  /// (…, classes) of a floating type for labels (…). With `probs` they are probabilities, whose logarithms
  /// are the logits. Throws Error naming the file and the row on another shape, one class, a label outside
  /// the classes, a value that is no logit (NaN, +inf; of probabilities outside [0, 1] or a row that does not
  /// sum to 1), and a label that is impossible (logit -inf, probability 0): its NLL is infinite.
  LogitsFile(const std::string& file, const Labels& labels, bool probs);

  int64_t classes() const { return view_.classes; }
  /// The rows that count, f32 where they lie so in the file, else in f64, to which every type is exact.
  /// Borrows this and the labels.
  LogitBlocks blocks() const;

 private:
  Logits read(int64_t begin, int64_t end, std::vector<double>& scratch) const;
  void widen(int64_t row, std::span<double> to) const;
  bool is_good_value(double v) const;
  bool is_good(int64_t row, int64_t label, std::span<double> scratch) const;
  [[noreturn]] void refuse_row(int64_t row, int64_t label) const;

  const std::string file_;
  const Labels& labels_;
  const bool probs_;
  io::Array array_;
  Logits view_;
};

}  // namespace labelsmooth::compare
