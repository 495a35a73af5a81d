// SPDX-License-Identifier: MIT
// Labels to the files that a trainer reads: target rows, or labels drawn at random whose mean they are.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/smoothing.h"
#include "progress.h"

namespace labelsmooth {

/// A smoothing without anything by row; its prior may be a class matrix.
struct LabelRule {
  int64_t classes = 0;
  Smoothing smoothing = {};
};

/// Throws Error naming smoothing, prior, or matrix with its row.
void check(const LabelRule& rule);

/// Integers of any type and shape; rows are counted in C order.
struct Labels {
  bool ignored(int64_t row) const { return values.label(row) == ignore_index; }

  Vector values = {};
  std::vector<int64_t> shape = {};
  int64_t ignore_index = -100;
};

/// How many rows count. Throws Error naming labels and the first row outside [0, classes) that is not
/// ignored.
int64_t check(const Labels& labels, int64_t classes);

// Both take checked arguments and write piece by piece, so that memory does not grow with the rows; a failure
// leaves no file. `progress` hears of rows.

/// Targets (shape..., classes), f32 or f64, each value rounded once; ignored rows are all 0.
void write_targets(const std::string& path, DType dtype, const Labels& labels, const LabelRule& rule,
                   Progress& progress);

/// Labels (shape...), int64, drawn from the process whose mean the targets are: with probability `amount` the
/// label is replaced, under `uniform` by a class drawn from the prior (the label's own too), under `others`,
/// and `flip` of two classes, by a different class. Rules of another mass have no such process: the caller
/// refuses them. Ignored rows keep the ignore index. Row i depends on the seed and i alone. Returns how many
/// labels changed.
int64_t write_sampled(const std::string& path, const Labels& labels, const LabelRule& rule, uint64_t seed,
                      Progress& progress);

}  // namespace labelsmooth
