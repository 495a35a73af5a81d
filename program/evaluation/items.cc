// SPDX-License-Identifier: MIT
#include "evaluation/items.h"

#include <cmath>   // std::isfinite, std::isinf
#include <limits>  // std::numeric_limits
#include <string>  // std::to_string

#include "probabilities.h"

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
  return evaluate(Logits(logits.data(), static_cast<int64_t>(labels.size()), classes), labels, temperature);
}

Items evaluate(const Logits& logits, std::span<const int64_t> labels, double temperature) {
  Items items;
  for_each_block(logits, labels, {.ignore_index = {}, .scale = 1 / temperature},
                 [&](const ProbabilityBlock& block) {
                   const auto append = [](auto& column, const auto& part) {
                     column.insert(column.end(), part.begin(), part.end());
                   };
                   for (int64_t i = 0; i < block.rows; ++i) items.correct.push_back(block.correct(i) ? 1 : 0);
                   append(items.nll, block.nll);
                   append(items.brier, block.brier);
                   append(items.confidence, block.confidence);
                   append(items.score, block.score);
                   append(items.predicted, block.argmax);
                 });
  return items;
}

}  // namespace labelsmooth
