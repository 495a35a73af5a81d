// SPDX-License-Identifier: MIT
#include "evaluate/observations.h"

#include <cmath>  // std::abs, std::isinf

#include "parallel.h"

namespace labelsmooth {
namespace {

void add_to(Moments& moments, double x) {
  moments.sum += x;
  moments.squares += x * x;
}

void add_rows(const ProbabilityBlock& block, Observations& seen) {
  for (int64_t i = 0; i < block.rows; ++i) {
    if (!block.counts(i)) continue;
    const double correct = block.correct(i) ? 1 : 0, confidence = block.confidence[i];
    seen.items.correct.push_back(correct);
    seen.items.confidence.push_back(confidence);
    seen.items.score.push_back(block.score[i]);
    add_to(seen.nll, block.nll[i]);
    add_to(seen.brier, block.brier[i]);
    add_to(seen.entropy, block.entropy[i]);
    add_to(seen.confidence, confidence);
    add_to(seen.gap, confidence - correct);
    ++seen.labels[block.label[i]];
    ++seen.predicted[block.argmax[i]];
    seen.right[block.label[i]] += block.correct(i);
    if (std::isinf(block.nll[i]) && seen.first_impossible_row < 0)
      seen.first_impossible_row = block.begin + i;
  }
}

// Sums of p by class and bin. A row has at most `bins` probabilities beyond the first bin, whose sums,
// (classes,), stand apart in `first`: where four rows have none among sixteen classes, these go at once.
class CellSums {
 public:
  CellSums(const ProbabilityBlock& block, const Binning& binning, std::vector<double>& first,
           ClassCells& cells)
      : binning_(binning), edge_(1.0 / binning.bins), first_(first), cells_(cells), zeros_(block.classes) {
    for (int64_t i = 0; i < block.rows; ++i) {
      if (block.counts(i)) rows_.push_back(block.p.data() + i * block.classes);
    }
    while (rows_.size() % kRows != 0) rows_.push_back(zeros_.data());  // which add nothing
  }

  void add() {
    const auto classes = static_cast<int64_t>(first_.size()), rows = static_cast<int64_t>(rows_.size());
    parallel_for(classes, rows * classes, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < rows; i += kRows) {
        int64_t k = begin;
        for (; k + kClasses <= end; k += kClasses) add_tile(&rows_[i], k);
        add_each(&rows_[i], k, end);
      }
    });
  }

 private:
  static constexpr int64_t kRows = 4, kClasses = 16;

  void add_tile(const double* const* rows, int64_t k) {
    const double *a = rows[0] + k, *b = rows[1] + k, *c = rows[2] + k, *d = rows[3] + k;
    std::array<double, kClasses> sums;
    for (int j = 0; j < kClasses; ++j) sums[j] = (a[j] + b[j]) + (c[j] + d[j]);
    double all = 0;
    for (int j = 0; j < kClasses; j += 4) all += (sums[j] + sums[j + 1]) + (sums[j + 2] + sums[j + 3]);
    if (!(all < edge_)) return add_each(rows, k, k + kClasses);
    double* first = first_.data() + k;
    for (int j = 0; j < kClasses; ++j) first[j] += sums[j];
  }

  void add_each(const double* const* rows, int64_t begin, int64_t end) {
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t k = begin; k < end; ++k) {
        const double p = rows[i][k];
        const int bin = p < edge_ ? 0 : bin_of(p, binning_.bins, binning_.edges);
        (bin == 0 ? first_[k] : cells_.probability[k * binning_.bins + bin]) += p;
      }
    }
  }

  const Binning& binning_;
  const double edge_;
  std::vector<double>& first_;
  ClassCells& cells_;
  std::vector<double> zeros_;
  std::vector<const double*> rows_;
};

void add_labels(const ProbabilityBlock& block, const Binning& binning, ClassCells& cells) {
  for (int64_t i = 0; i < block.rows; ++i) {
    if (!block.counts(i)) continue;
    const int64_t label = block.label[i];
    const int bin = bin_of(block.p[i * block.classes + label], binning.bins, binning.edges);
    cells.labels[label * binning.bins + bin] += 1;
  }
}

}  // namespace

Observations observe(const Logits& logits, const Vector& labels, const ProbabilityOptions& options,
                     const Binning& binning, Progress& progress) {
  Observations seen;
  seen.rows = logits.rows();
  seen.classes = logits.classes;
  const auto classes = static_cast<size_t>(logits.classes);
  seen.labels.resize(classes);
  seen.predicted.resize(classes);
  seen.right.resize(classes);
  seen.cells.probability.resize(classes * binning.bins);
  seen.cells.labels.resize(classes * binning.bins);
  for (auto* column : {&seen.items.correct, &seen.items.confidence, &seen.items.score})
    column->reserve(static_cast<size_t>(seen.rows));
  std::vector<double> first(classes);
  for_each_block(logits, labels, options, [&](const ProbabilityBlock& block) {
    add_rows(block, seen);
    CellSums(block, binning, first, seen.cells).add();
    add_labels(block, binning, seen.cells);
    progress.add(static_cast<double>(block.rows));
  });
  for (size_t k = 0; k < classes; ++k) seen.cells.probability[k * binning.bins] += first[k];
  return seen;
}

double classwise_ece(const ClassCells& cells, int64_t rows, int64_t classes) {
  double sum = 0;
  for (size_t cell = 0; cell < cells.labels.size(); ++cell)
    sum += std::abs(cells.probability[cell] - cells.labels[cell]);
  return sum / (static_cast<double>(rows) * static_cast<double>(classes));
}

}  // namespace labelsmooth
