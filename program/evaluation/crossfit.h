// SPDX-License-Identifier: MIT
// Temperature scaling of rows by the other rows (cross-fitting): every row gets the temperature that was
// fitted without it, so that one set of rows can both fit and judge. Logits come block by block, so that a
// file larger than memory will do.
#pragma once

#include <cstdint>     // int64_t, uint8_t
#include <functional>  // std::function
#include <span>        // std::span
#include <vector>      // std::vector

#include "evaluation/items.h"

namespace labelsmooth {

/// Logits (rows, classes) as check_logits wants them. read(begin, end, scratch): the rows [begin, end),
/// contiguous, f32 where they lie so in memory, else in `scratch`; called from several threads.
struct LogitBlocks {
  int64_t classes;
  std::function<Logits(int64_t begin, int64_t end, std::vector<double>& scratch)> read;
};

constexpr int kFolds = 5;

/// The fold of each row: at random, sizes that differ by at most one. Rows decide, not their logits or
/// labels, so models on the same rows share their folds.
std::vector<uint8_t> random_folds(int64_t rows, uint64_t seed);

struct Scaling {
  std::vector<double> temperatures;  // one, or by fold
  bool at_bound = false;             // one of them lies at a bound of temperature.h
};
/// The T of least mean NLL, as fit_temperature's, on all rows.
Scaling fit_all(const LogitBlocks& logits, std::span<const int64_t> labels);
/// By fold f: the T of least mean NLL on the rows that are not in f.
Scaling cross_fit(const LogitBlocks& logits, std::span<const int64_t> labels,
                  const std::vector<uint8_t>& folds);

/// What the model says about each row at the temperature of its fold; folds empty: at the first temperature.
Items evaluate(const LogitBlocks& logits, std::span<const int64_t> labels, const std::vector<uint8_t>& folds,
               const std::vector<double>& temperatures);

}  // namespace labelsmooth
