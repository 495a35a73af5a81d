// SPDX-License-Identifier: MIT
#include "evaluation/metrics.h"

#include <algorithm>  // std::min, std::sort, std::lower_bound
#include <cmath>      // std::abs, std::llround, std::sqrt
#include <numeric>    // std::accumulate
#include <string>     // std::to_string

#include "random.h"

namespace labelsmooth {
namespace {

/// The number of rows, checked.
int64_t rows_of(const Items& items) {
  const auto rows = static_cast<int64_t>(items.correct.size());
  if (rows < 1) throw Error("items", "0 rows, at least 1 needed");
  return rows;
}

double mean(const std::vector<double>& values) {
  if (values.empty()) throw Error("items", "0 rows, at least 1 needed");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Sums over the rows of each bin. The null level reuses them, so that a redraw equal to the observed labels
/// has an ECE equal to the bit.
struct Binned {
  std::vector<int> bin;  // of each row
  std::vector<double> count, confidence, correct, variance;
};

Binned binned(const Items& items, int bins, Edges edges = Edges::left) {
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
    const int b = sums.bin[i] = bin_of(c, bins, edges);
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

}  // namespace

int bin_of(double c, int bins, Edges edges) {
  const double place = c * bins;
  int b = std::min(static_cast<int>(place), bins - 1);
  const double fraction = place - b;
  if (fraction > 1e-9 && fraction < 1 - 1e-9) return b;  // no edge is near, as mostly
  // c * bins may round across an edge: (1.0 / 49) * 49 is below 1
  if (b + 1 < bins && c >= static_cast<double>(b + 1) / bins) ++b;
  if (c < static_cast<double>(b) / bins) --b;
  return edges == Edges::right && b > 0 && c == static_cast<double>(b) / bins ? b - 1 : b;
}

double accuracy(const Items& items) { return mean(items.correct); }
double nll(const Items& items) { return mean(items.nll); }
double brier(const Items& items) { return mean(items.brier); }
double confidence(const Items& items) { return mean(items.confidence); }
double gap(const Items& items) { return confidence(items) - accuracy(items); }

std::vector<Bin> reliability(const Items& items, int bins, Edges edges) {
  const Binned sums = binned(items, bins, edges);
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

}  // namespace labelsmooth
