// SPDX-License-Identifier: MIT
#include "evaluation/items.h"

#include <algorithm>  // std::max, std::max_element
#include <cmath>      // std::exp, std::log, std::log1p, std::isfinite, std::isinf
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

namespace labelsmooth {

void check_logits(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes) {
  const auto rows = static_cast<int64_t>(labels.size());
  if (classes < 1) throw Error("classes", std::to_string(classes) + ", at least 1 is needed");
  if (rows == 0) throw Error("labels", "no rows, at least one is needed");
  if (static_cast<int64_t>(logits.size()) != rows * classes) {
    throw Error("logits", std::to_string(logits.size()) + " values, " + std::to_string(rows) + " labels x " +
                              std::to_string(classes) + " classes are needed");
  }
  for (int64_t i = 0; i < rows; ++i) {
    const auto row = [i] { return " in row " + std::to_string(i); };
    const int64_t y = labels[i];
    if (y < 0 || y >= classes) {
      throw Error("labels",
                  std::to_string(y) + row() + ", 0 to " + std::to_string(classes - 1) + " are allowed", i);
    }
    for (const float z : logits.subspan(i * classes, classes)) {
      if (!(z <= std::numeric_limits<float>::max())) {
        throw Error("logits", std::to_string(z) + row() + ", finite values and -inf are allowed", i);
      }
    }
    if (std::isinf(logits[i * classes + y])) {
      throw Error("labels", std::to_string(y) + row() + " has logit -inf, a finite one is needed", i);
    }
  }
}

Items evaluate(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes,
               double temperature) {
  check_logits(logits, labels, classes);
  if (!(temperature > 0 && std::isfinite(temperature))) {
    throw Error("temperature", std::to_string(temperature) + ", a finite number above 0 is needed");
  }
  const size_t rows = labels.size();
  Items items{std::vector<double>(rows), std::vector<double>(rows), std::vector<double>(rows),
              std::vector<double>(rows), std::vector<double>(rows), std::vector<int64_t>(rows)};
  std::vector<double> weight(classes);  // exp((z_k - runner_up) / T), 0 at the argmax

  for (size_t i = 0; i < rows; ++i) {
    const float* z = logits.data() + i * classes;
    const int64_t y = labels[i];
    const int64_t top = std::max_element(z, z + classes) - z;
    double runner_up = std::numeric_limits<float>::lowest();  // finite, so that -inf minus it is not NaN
    for (int64_t k = 0; k < classes; ++k) {
      if (k != top) runner_up = std::max<double>(runner_up, z[k]);
    }
    double rest = 0;
    for (int64_t k = 0; k < classes; ++k) {
      weight[k] = k == top ? 0 : std::exp((z[k] - runner_up) / temperature);
      rest += weight[k];
    }
    // The others' sum is taken from the runner-up, so that its logarithm outlives its underflow.
    const double gap = (z[top] - runner_up) / temperature;
    const double log_tail = std::log(rest) - gap;
    const double tail = std::exp(-gap) * rest;
    const double confidence = 1 / (1 + tail);

    const double scale = std::exp(-gap) * confidence;
    const double missing = y == top ? tail * confidence : 1 - weight[y] * scale;  // 1 - p_y
    double brier = missing * missing;
    for (int64_t k = 0; k < classes; ++k) {
      const double p = k == top ? confidence : weight[k] * scale;
      if (k != y) brier += p * p;
    }
    items.correct[i] = y == top;
    items.nll[i] = std::log1p(tail) + (z[top] - double{z[y]}) / temperature;
    items.brier[i] = brier;
    items.confidence[i] = confidence;
    items.score[i] = std::log1p(tail) - log_tail;
    items.predicted[i] = top;
  }
  return items;
}

}  // namespace labelsmooth
