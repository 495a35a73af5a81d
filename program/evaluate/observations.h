// SPDX-License-Identifier: MIT
// One pass over somebody's predictions: all that the metrics need, in 24 bytes a row and 16 a class and bin.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "evaluation/metrics.h"
#include "labelsmooth/calibration.h"  // Moments
#include "labelsmooth/tensor.h"
#include "probabilities.h"
#include "progress.h"

namespace labelsmooth {

struct Binning {
  int bins = 15;
  Edges edges = Edges::left;
};

/// (row, class) pairs in bins of their probability: cell k * bins + b.
struct ClassCells {
  std::vector<double> probability;  // sums
  std::vector<double> labels;       // how many of the labels
};

struct Observations {
  int64_t rows = 0, classes = 0;
  int64_t first_impossible_row = -1;  // whose label has probability 0, so that the NLL is infinite
  Items items;                        // of the counted rows, in order: correct, confidence and score alone
  Moments nll, brier, entropy, confidence, gap;
  std::vector<int64_t> labels, predicted, right;  // rows by class
  ClassCells cells;

  int64_t counted() const { return static_cast<int64_t>(items.correct.size()); }
};

/// Throws Error as for_each_block does.
Observations observe(const Logits& logits, const Vector& labels, const ProbabilityOptions& options,
                     const Binning& binning, Progress& progress);

/// (1 / K) sum over the classes of their ECE: that of (p_k, [y = k]).
double classwise_ece(const ClassCells& cells, int64_t rows, int64_t classes);

}  // namespace labelsmooth
