// SPDX-License-Identifier: MIT
#include "evaluation/metrics.h"

#include <algorithm>  // std::min, std::sort, std::stable_sort, std::lower_bound
#include <cmath>      // std::abs, std::llround, std::sqrt
#include <limits>     // std::numeric_limits
#include <numeric>    // std::accumulate, std::iota
#include <string>     // std::to_string

#include "random.h"

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The number of rows, checked.
int64_t rows_of(const Items& items, int64_t least = 1) {
  const auto rows = static_cast<int64_t>(items.correct.size());
  if (rows < least) {
    throw Error("items", std::to_string(rows) + " rows, at least " + std::to_string(least) + " needed");
  }
  return rows;
}

double mean(const std::vector<double>& values) {
  if (values.empty()) throw Error("items", "0 rows, at least 1 needed");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The bin b of `bins` with b / bins <= c, the highest such; 1 lies in the last.
int bin_of(double c, int bins) {
  int b = std::min(static_cast<int>(c * bins), bins - 1);
  // c * bins may round across an edge: (1.0 / 49) * 49 is below 1
  if (b + 1 < bins && c >= static_cast<double>(b + 1) / bins) ++b;
  if (c < static_cast<double>(b) / bins) --b;
  return b;
}

/// Sums over the rows of each bin. The null level reuses them, so that a redraw equal to the observed labels
/// has an ECE equal to the bit.
struct Binned {
  std::vector<int> bin;  // of each row
  std::vector<double> count, confidence, correct, variance;
};

Binned binned(const Items& items, int bins) {
  const int64_t rows = rows_of(items);
  if (bins < 1) throw Error("bins", std::to_string(bins) + ", at least 1 is needed");
  const std::vector<double> zeros(bins);
  Binned sums{std::vector<int>(rows), zeros, zeros, zeros, zeros};
  for (int64_t i = 0; i < rows; ++i) {
    const double c = items.confidence[i];
    if (!(c >= 0 && c <= 1)) {
      throw Error("confidence", std::to_string(c) + " in row " + std::to_string(i) + ", 0 to 1 is allowed",
                  i);
    }
    const int b = sums.bin[i] = bin_of(c, bins);
    sums.count[b] += 1;
    sums.confidence[b] += c;
    sums.correct[b] += items.correct[i];
    sums.variance[b] += c * (1 - c);
  }
  return sums;
}

double ece_of(const Binned& sums, const std::vector<double>& correct) {
  double sum = 0;
  for (size_t b = 0; b < correct.size(); ++b) sum += std::abs(sums.confidence[b] - correct[b]);
  return sum / static_cast<double>(sums.bin.size());
}

/// The rows in bin order, four to a draw: row j is right where its 32 random bits are below threshold[j].
/// A bin is filled up to a multiple of four with 0, which nothing is below; a confidence that rounds to 1
/// needs no draw.
struct Redraw {
  std::vector<uint32_t> threshold;
  std::vector<size_t> end;      // of each bin in `threshold`
  std::vector<double> certain;  // right rows of each bin without a draw
};

Redraw redraw_of(const Items& items, const std::vector<int>& bin, int bins) {
  std::vector<std::vector<uint32_t>> of_bin(bins);
  Redraw redraw;
  redraw.certain.resize(bins);
  for (size_t i = 0; i < bin.size(); ++i) {
    const long long threshold = std::llround(items.confidence[i] * 0x1p32);
    if (threshold == 1LL << 32) {
      redraw.certain[bin[i]] += 1;
    } else {
      of_bin[bin[i]].push_back(static_cast<uint32_t>(threshold));
    }
  }
  for (std::vector<uint32_t>& thresholds : of_bin) {
    thresholds.resize((thresholds.size() + 3) / 4 * 4);
    redraw.threshold.insert(redraw.threshold.end(), thresholds.begin(), thresholds.end());
    redraw.end.push_back(redraw.threshold.size());
  }
  return redraw;
}

/// Right rows of each bin in redraw number `number`.
std::vector<double> draw_correct(const Redraw& redraw, uint64_t seed, uint32_t number) {
  std::vector<double> correct = redraw.certain;
  size_t j = 0;
  for (size_t b = 0; b < correct.size(); ++b) {
    int64_t right = 0;
    for (; j < redraw.end[b]; j += 4) {
      const Draw random = draw(seed, Stream::null_level, number, j / 4);
      for (int w = 0; w < 4; ++w) right += random.bits[w] < redraw.threshold[j + w];
    }
    correct[b] += static_cast<double>(right);
  }
  return correct;
}

/// The rows by score, the highest first, equal scores by row.
std::vector<int64_t> ranking(const Items& items) {
  std::vector<int64_t> order(rows_of(items));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return items.score[a] > items.score[b]; });
  return order;
}

/// errors[n] among the n highest of `order`, n = 0..N.
std::vector<double> error_counts(const Items& items, const std::vector<int64_t>& order) {
  std::vector<double> errors = {0};
  for (const int64_t i : order) errors.push_back(errors.back() + 1 - items.correct[i]);
  return errors;
}

/// For each row the rows of the other kind that it is on the right side of, equal scores 1/2.
struct Concordance {
  std::vector<double> wins;
  double right, wrong;  // how many rows
  double pairs;         // wins of the right rows
};

Concordance concordance(const Items& items) {
  const std::vector<int64_t> order = ranking(items);
  const size_t rows = order.size();
  Concordance result{std::vector<double>(rows), 0, 0, 0};
  for (const double correct : items.correct) result.right += correct;
  result.wrong = static_cast<double>(rows) - result.right;

  double right_above = 0, wrong_above = 0;
  for (size_t begin = 0, end = 0; begin < rows; begin = end) {
    double right = 0, wrong = 0;  // among the rows [begin, end) of one score
    for (; end < rows && items.score[order[end]] == items.score[order[begin]]; ++end) {
      (items.correct[order[end]] > 0 ? right : wrong) += 1;
    }
    const double wrong_below = result.wrong - wrong_above - wrong;
    for (size_t n = begin; n < end; ++n) {
      const int64_t i = order[n];
      result.wins[i] = items.correct[i] > 0 ? wrong_below + wrong / 2 : right_above + right / 2;
    }
    result.pairs += right * (wrong_below + wrong / 2);
    right_above += right;
    wrong_above += wrong;
  }
  return result;
}

}  // namespace

double accuracy(const Items& items) { return mean(items.correct); }
double nll(const Items& items) { return mean(items.nll); }
double brier(const Items& items) { return mean(items.brier); }
double confidence(const Items& items) { return mean(items.confidence); }
double gap(const Items& items) { return confidence(items) - accuracy(items); }

std::vector<Bin> reliability(const Items& items, int bins) {
  const Binned sums = binned(items, bins);
  std::vector<Bin> result;
  for (int b = 0; b < bins; ++b) {
    const double n = sums.count[b];  // 0 / 0 is the NaN of an empty bin
    result.push_back({static_cast<int64_t>(n), sums.confidence[b] / n, sums.correct[b] / n,
                      std::sqrt(sums.variance[b]) / n});
  }
  return result;
}

double ece(const Items& items, int bins) {
  const Binned sums = binned(items, bins);
  return ece_of(sums, sums.correct);
}

NullLevel null_level(const Items& items, uint64_t seed, int bins, int redraws) {
  if (redraws < 1) throw Error("redraws", std::to_string(redraws) + ", at least 1 is needed");
  const Binned sums = binned(items, bins);
  const Redraw redraw = redraw_of(items, sums.bin, bins);
  const double observed = ece_of(sums, sums.correct);

  std::vector<double> null(redraws);
  for (int r = 0; r < redraws; ++r) null[r] = ece_of(sums, draw_correct(redraw, seed, r));
  std::sort(null.begin(), null.end());
  const auto reached = null.end() - std::lower_bound(null.begin(), null.end(), observed);
  const double expected = mean(null);
  const int64_t at95 = (int64_t{95} * redraws + 99) / 100;  // ceil(0.95 * redraws), in whole numbers
  return {expected, null[at95 - 1], (1.0 + reached) / (redraws + 1.0), observed - expected};
}

double aurc(const Items& items) {
  const std::vector<double> errors = error_counts(items, ranking(items));
  double sum = 0;
  for (size_t n = 1; n < errors.size(); ++n) sum += errors[n] / static_cast<double>(n);
  return sum / static_cast<double>(errors.size() - 1);
}

double augrc(const Items& items) {
  const std::vector<double> errors = error_counts(items, ranking(items));
  const auto rows = static_cast<double>(errors.size() - 1);
  return std::accumulate(errors.begin(), errors.end(), 0.0) / (rows * rows);
}

double auroc(const Items& items) {
  const Concordance c = concordance(items);
  return c.right * c.wrong > 0 ? c.pairs / (c.right * c.wrong) : kNaN;
}

std::vector<RiskPoint> risk_coverage(const Items& items, int points) {
  if (points < 1) throw Error("points", std::to_string(points) + ", at least 1 is needed");
  const std::vector<double> errors = error_counts(items, ranking(items));
  const auto rows = static_cast<int64_t>(errors.size()) - 1;
  const int64_t kept = std::min<int64_t>(points, rows);
  std::vector<RiskPoint> curve;
  for (int64_t k = 1; k <= kept; ++k) {
    const int64_t n = k * rows / kept;
    curve.push_back({static_cast<double>(n) / rows, errors[n] / n});
  }
  return curve;
}

std::vector<double> aurc_items(const Items& items) {
  const int64_t rows = rows_of(items, 2);
  const std::vector<int64_t> order = ranking(items);
  const std::vector<double> errors = error_counts(items, order);
  // Without the row of rank n, those before it keep their place and those after it move up by one:
  // (N - 1) theta(-n) = sum_{m < n} errors(m) / m + sum_{m > n} (errors(m) - [n is wrong]) / (m - 1)
  std::vector<double> after(rows + 2),
      share(rows + 2);  // the second sum, apart: errors and 1 over m - 1, m >= n
  for (int64_t m = rows; m > 1; --m) {
    after[m] = after[m + 1] + errors[m] / (m - 1);
    share[m] = share[m + 1] + 1.0 / (m - 1);
  }
  const double total = rows * aurc(items);
  std::vector<double> pseudo(rows);
  double before = 0;
  for (int64_t n = 1; n <= rows; ++n) {
    const int64_t i = order[n - 1];
    pseudo[i] = total - (before + after[n + 1] - (1 - items.correct[i]) * share[n + 1]);
    before += errors[n] / n;
  }
  return pseudo;
}

std::vector<double> augrc_items(const Items& items) {
  const int64_t rows = rows_of(items, 2);
  const std::vector<int64_t> order = ranking(items);
  const std::vector<double> errors = error_counts(items, order);
  // N^2 theta = sum over the wrong rows of N - rank + 1. Without the row of rank n its own term goes, if it
  // is wrong, and every wrong row before it loses one.
  const double total = std::accumulate(errors.begin(), errors.end(), 0.0);
  std::vector<double> pseudo(rows);
  for (int64_t n = 1; n <= rows; ++n) {
    const int64_t i = order[n - 1];
    const double without = total - (1 - items.correct[i]) * (rows - n + 1) - errors[n - 1];
    pseudo[i] = total / rows - without / (rows - 1);
  }
  return pseudo;
}

std::vector<double> auroc_items(const Items& items) {
  const int64_t rows = rows_of(items, 2);
  const Concordance c = concordance(items);
  if (c.right < 2 || c.wrong < 2) return std::vector<double>(rows, kNaN);
  const double theta = c.pairs / (c.right * c.wrong);
  std::vector<double> pseudo(rows);
  for (int64_t i = 0; i < rows; ++i) {
    const double correct = items.correct[i];
    const double without = (c.pairs - c.wins[i]) / ((c.right - correct) * (c.wrong - (1 - correct)));
    pseudo[i] = rows * theta - (rows - 1) * without;
  }
  return pseudo;
}

}  // namespace labelsmooth
