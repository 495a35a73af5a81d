// SPDX-License-Identifier: MIT
#include "evaluation/crossfit.h"

#include <algorithm>                           // std::copy, std::max, std::min
#include <boost/math/tools/toms748_solve.hpp>  // toms748_solve, eps_tolerance
#include <cmath>                               // std::exp, std::log
#include <limits>                              // std::numeric_limits
#include <utility>                             // std::pair

#include "evaluation/temperature.h"
#include "labelsmooth/cross_entropy.h"
#include "parallel.h"
#include "random.h"

namespace labelsmooth {
namespace {

constexpr int64_t kBlock = int64_t{1} << 18;  // logits
constexpr int64_t kIgnored = -1;

// body(begin, end, number) of blocks of rows, side by side.
template <class Body>
void for_blocks(int64_t rows, int64_t classes, const Body& body) {
  const int64_t step = std::max<int64_t>(1, kBlock / classes), blocks = (rows + step - 1) / step;
  parallel_for(blocks, rows * classes, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) body(b * step, std::min(rows, (b + 1) * step), b);
  });
}

// The sum over the rows whose label counts of NLL - H(p), p = softmax(beta z): beta times the slope of the
// NLL in beta, so 0 at the best temperature.
double slope(const LogitBlocks& logits, std::span<const int64_t> labels, double beta) {
  Options options;
  options.scale = beta;
  options.entropy_penalty = 1;
  options.reduction = Reduction::sum;
  options.ignore_index = kIgnored;
  const auto rows = static_cast<int64_t>(labels.size());
  std::vector<double> sums(rows);  // by block, so that their order is fixed
  for_blocks(rows, logits.classes, [&](int64_t begin, int64_t end, int64_t block) {
    std::vector<float> scratch;
    const std::span<const float> z = logits.read(begin, end, scratch);
    sums[block] = cross_entropy(Logits(z.data(), end - begin, logits.classes),
                                labels.subspan(begin, end - begin), options)
                      .loss;
  });
  double sum = 0;
  for (const double one : sums) sum += one;
  return sum;
}

// Appends a temperature. The NLL is convex in beta = 1 / T: the slope has one root.
void fit(const LogitBlocks& logits, std::span<const int64_t> labels, Scaling& scaling) {
  const auto at = [&](double log_beta) { return slope(logits, labels, std::exp(log_beta)); };
  const double low = -std::log(kMostTemperature), high = -std::log(kLeastTemperature);
  const double slope_low = at(low), slope_high = at(high);
  if (slope_low == 0 && slope_high == 0) return scaling.temperatures.push_back(1);
  if (slope_low >= 0 || slope_high <= 0) {
    scaling.at_bound = true;
    return scaling.temperatures.push_back(slope_low >= 0 ? kMostTemperature : kLeastTemperature);
  }
  std::uintmax_t steps = 100;  // about 10 are taken
  const boost::math::tools::eps_tolerance<double> close(std::numeric_limits<double>::digits - 10);
  const auto [left, right] =
      boost::math::tools::toms748_solve(at, low, high, slope_low, slope_high, close, steps);
  scaling.temperatures.push_back(std::exp(-(left + right) / 2));
}

}  // namespace

std::vector<uint8_t> random_folds(int64_t rows, uint64_t seed) {
  if (rows > std::numeric_limits<uint32_t>::max())
    throw Error("rows", std::to_string(rows) + ", below 2^32 are allowed");
  const std::vector<uint32_t> order = permutation(static_cast<uint32_t>(rows), seed, Stream::folds);
  std::vector<uint8_t> folds(rows);
  for (int64_t i = 0; i < rows; ++i) folds[order[i]] = static_cast<uint8_t>(i % kFolds);
  return folds;
}

Scaling fit_all(const LogitBlocks& logits, std::span<const int64_t> labels) {
  Scaling scaling;
  fit(logits, labels, scaling);
  return scaling;
}

Scaling cross_fit(const LogitBlocks& logits, std::span<const int64_t> labels,
                  const std::vector<uint8_t>& folds) {
  Scaling scaling;
  std::vector<int64_t> outside(labels.size());
  for (int held_out = 0; held_out < kFolds; ++held_out) {
    for (size_t i = 0; i < outside.size(); ++i) outside[i] = folds[i] == held_out ? kIgnored : labels[i];
    fit(logits, outside, scaling);
  }
  return scaling;
}

Items evaluate(const LogitBlocks& logits, std::span<const int64_t> labels, const std::vector<uint8_t>& folds,
               const std::vector<double>& temperatures) {
  const size_t rows = labels.size();
  Items items{std::vector<double>(rows), std::vector<double>(rows), std::vector<double>(rows),
              std::vector<double>(rows), std::vector<double>(rows), std::vector<int64_t>(rows)};
  for_blocks(static_cast<int64_t>(rows), logits.classes, [&](int64_t begin, int64_t end, int64_t) {
    std::vector<float> scratch, gathered;
    const std::span<const float> z = logits.read(begin, end, scratch);
    for (size_t fold = 0; fold < temperatures.size(); ++fold) {
      std::vector<int64_t> of_fold, fold_labels;
      gathered.clear();
      for (int64_t i = begin; i < end; ++i) {
        if (!folds.empty() && folds[i] != fold) continue;
        of_fold.push_back(i);
        fold_labels.push_back(labels[i]);
        if (folds.empty()) continue;  // the block as it is
        const std::span<const float> row = z.subspan((i - begin) * logits.classes, logits.classes);
        gathered.insert(gathered.end(), row.begin(), row.end());
      }
      if (of_fold.empty()) continue;
      const Items part = evaluate(folds.empty() ? z : std::span<const float>(gathered), fold_labels,
                                  logits.classes, temperatures[fold]);
      const auto place = [&](auto Items::* column) {
        for (size_t j = 0; j < of_fold.size(); ++j) (items.*column)[of_fold[j]] = (part.*column)[j];
      };
      place(&Items::correct);
      place(&Items::nll);
      place(&Items::brier);
      place(&Items::confidence);
      place(&Items::score);
      place(&Items::predicted);
    }
  });
  return items;
}

}  // namespace labelsmooth
