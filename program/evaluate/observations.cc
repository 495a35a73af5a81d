// SPDX-License-Identifier: MIT
#include "evaluate/observations.h"

#include <hwy/aligned_allocator.h>

#include <algorithm>  // std::fill_n
#include <cmath>      // std::abs, std::isinf
#include <new>        // std::bad_alloc
#include <span>       // std::span

#include "softmax.h"

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

// Sums of p by class and bin. A row has at most `bins` probabilities beyond the first bin: those are listed;
// the sums of all others, by class, are a thread's while the rows are in its cache.
class CellSums {
 public:
  CellSums(const Logits& logits, const Binning& binning, ClassCells& cells)
      : binning_(binning),
        cells_(cells),
        first_(logits.classes),
        parts_(static_cast<size_t>(block_parts(logits))),
        kernels_(softmax_kernels()) {
    for (Part& part : parts_) {
      part.first = hwy::AllocateAligned<double>(first_.size());
      if (!part.first) throw std::bad_alloc();
      std::fill_n(part.first.get(), first_.size(), 0.0);
      part.found.resize(first_.size());
    }
  }

  void add_row(int64_t part, const double* e, double factor) {
    Part& sums = parts_[part];
    const int64_t count = kernels_.add_below(e, static_cast<int64_t>(first_.size()), factor,
                                             1.0 / binning_.bins, sums.first.get(), sums.found.data());
    for (const int64_t k : std::span(sums.found).first(static_cast<size_t>(count))) {
      const double p = e[k] * factor;
      sums.large.push_back({k, bin_of(p, binning_.bins, binning_.edges), p});
    }
  }
  void join(int64_t parts) {
    for (Part& part : std::span(parts_).first(parts)) {
      for (size_t k = 0; k < first_.size(); ++k) first_[k] += part.first[k];
      for (const auto [k, bin, p] : part.large) at(k, bin) += p;
      std::fill_n(part.first.get(), first_.size(), 0.0);
      part.large.clear();
    }
  }
  void finish() {
    for (size_t k = 0; k < first_.size(); ++k) at(static_cast<int64_t>(k), 0) += first_[k];
  }

 private:
  struct Large {
    int64_t k;
    int bin;
    double p;
  };
  struct Part {
    hwy::AlignedFreeUniquePtr<double[]> first;  // (classes,)
    std::vector<Large> large;
    std::vector<int64_t> found;  // scratch
  };
  double& at(int64_t k, int bin) { return cells_.probability[k * binning_.bins + bin]; }

  const Binning& binning_;
  ClassCells& cells_;
  std::vector<double> first_;
  std::vector<Part> parts_;
  const SoftmaxKernels& kernels_;
};

void add_labels(const ProbabilityBlock& block, const Binning& binning, ClassCells& cells) {
  for (int64_t i = 0; i < block.rows; ++i) {
    if (!block.counts(i)) continue;
    const int64_t label = block.label[i];
    const int bin = bin_of(block.of_label[i], binning.bins, binning.edges);
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
  CellSums cells(logits, binning, seen.cells);
  for_each_block(
      logits, labels, options,
      [&](const ProbabilityBlock& block) {
        add_rows(block, seen);
        cells.join(block.parts);
        add_labels(block, binning, seen.cells);
        progress.add(static_cast<double>(block.rows));
      },
      [&](int64_t part, int64_t, const double* e, double factor) { cells.add_row(part, e, factor); });
  cells.finish();
  return seen;
}

double classwise_ece(const ClassCells& cells, int64_t rows, int64_t classes) {
  double sum = 0;
  for (size_t cell = 0; cell < cells.labels.size(); ++cell)
    sum += std::abs(cells.probability[cell] - cells.labels[cell]);
  return sum / (static_cast<double>(rows) * static_cast<double>(classes));
}

}  // namespace labelsmooth
