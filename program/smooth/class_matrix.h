// SPDX-License-Identifier: MIT
// Which classes a model takes for which: the rows of a class matrix, estimated from its logits.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "progress.h"
#include "smooth/targets.h"

namespace labelsmooth {

struct ClassMatrix {
  std::vector<double> values;         // (classes, classes): row y is a prior for label y, 0 at y itself
  std::vector<int64_t> uniform_rows;  // classes whose rows said nothing, uniform over the others instead
};

/// Row y is the mean of the predicted distributions over the rows with label y, without y's own part and
/// normalised to sum to 1. The own class is left out so that the smoothing's amount alone says how much mass
/// leaves the label, and this matrix only where to (online label smoothing keeps it, over the rows predicted
/// right, and so smooths a class the less the surer the model is of it). A class without rows, or whose rows
/// give the other classes probability 0, is uniform over the others.
///   logits  (rows, classes) in C order, any floating type, at least 2 classes
///   labels  (rows,), checked
/// Throws Error naming logits and the row where a counted one has no softmax (NaN, +inf, or all -inf).
/// `progress` hears of rows.
ClassMatrix class_matrix(const Vector& logits, int64_t classes, const Labels& labels, Progress& progress);

}  // namespace labelsmooth
