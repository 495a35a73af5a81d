// SPDX-License-Identifier: MIT
#include "compare/arm.h"

namespace labelsmooth::compare {
namespace {

template <class T>
std::vector<T> pick(const std::vector<T>& column, std::span<const int64_t> rows) {
  std::vector<T> picked;
  picked.reserve(rows.size());
  for (const int64_t row : rows) picked.push_back(column[row]);
  return picked;
}

Items pick(const Items& items, std::span<const int64_t> rows) {
  return {pick(items.correct, rows),    pick(items.nll, rows),   pick(items.brier, rows),
          pick(items.confidence, rows), pick(items.score, rows), pick(items.predicted, rows)};
}

}  // namespace

Arm slice(const Arm& arm, std::span<const int64_t> rows) {
  Arm part = {arm.name, {}};
  for (const Run& run : arm.runs) {
    part.runs.push_back(
        {run.file, pick(run.trained, rows), pick(run.calibrated, rows), run.temperatures, run.at_bound});
  }
  return part;
}

}  // namespace labelsmooth::compare
