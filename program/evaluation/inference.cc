// SPDX-License-Identifier: MIT
#include "evaluation/inference.h"

#include <algorithm>                                // std::max, std::min, std::sort
#include <boost/math/distributions/students_t.hpp>  // students_t, cdf, quantile, complement
#include <cmath>                                    // std::abs, std::isfinite, std::isnan, std::sqrt
#include <numeric>                                  // std::iota

#include "labelsmooth/tensor.h"  // Error

namespace labelsmooth {
namespace {

double square(double x) { return x * x; }

Estimate t_estimate(double value, double se, double df) {
  if (se == 0) return {value, se, df, value, value, value, value, value == 0 ? 1.0 : 0.0};
  const boost::math::students_t t(df);
  const double half = se * quantile(t, 0.975), half90 = se * quantile(t, 0.95);
  const double p = 2 * cdf(complement(t, std::abs(value) / se));
  return {value, se, df, value - half, value + half, value - half90, value + half90, p};
}

/// Mean squares of the table, and its mean.
struct Anova {
  double mean, seed, item, residual;
};

Anova anova(const std::vector<std::vector<double>>& table) {
  const auto seeds = static_cast<double>(table.size()), items = static_cast<double>(table[0].size());
  const double pivot = table[0][0];  // equal differences then have a variance of exactly 0
  std::vector<double> seed_mean(table.size()), item_mean(table[0].size());
  double mean = 0;
  for (size_t s = 0; s < seed_mean.size(); ++s) {
    for (size_t i = 0; i < item_mean.size(); ++i) {
      const double d = table[s][i] - pivot;
      seed_mean[s] += d;
      item_mean[i] += d;
    }
    mean += seed_mean[s];
  }
  // Divided once, so that counts that are equal give means that are.
  for (double& m : seed_mean) m /= items;
  for (double& m : item_mean) m /= seeds;
  mean /= seeds * items;
  double seed = 0, item = 0, residual = 0;  // sums of squares
  for (const double m : seed_mean) seed += items * square(m - mean);
  for (const double m : item_mean) item += seeds * square(m - mean);
  for (size_t s = 0; s < seed_mean.size(); ++s) {
    for (size_t i = 0; i < item_mean.size(); ++i) {
      residual += square(table[s][i] - pivot - seed_mean[s] - item_mean[i] + mean);
    }
  }
  return {mean + pivot, seed / (seeds - 1), item / (items - 1), residual / ((seeds - 1) * (items - 1))};
}

}  // namespace

Estimate crossed(const std::vector<std::vector<double>>& differences) {
  if (differences.empty() || differences[0].empty())
    throw Error("differences", "none, at least one is needed");
  const size_t columns = differences[0].size();
  for (const std::vector<double>& row : differences) {
    if (row.size() != columns) {
      throw Error("differences", std::to_string(row.size()) + " items of one seed and " +
                                     std::to_string(columns) + " of another, the same items are needed");
    }
  }
  const auto seeds = static_cast<double>(differences.size()), items = static_cast<double>(columns);
  const Anova ms = anova(differences);
  Estimate unknown;
  if (!std::isfinite(ms.mean)) return unknown;
  if (seeds == 1) {
    unknown.value = ms.mean;
    return unknown;
  }
  const bool items_vary = items > 1 && ms.item > ms.residual;
  if (!items_vary) return t_estimate(ms.mean, std::sqrt(ms.seed / (seeds * items)), seeds - 1);
  // SE^2 = (MS_seed + MS_item - MS_residual) / (S N), a sum of independent mean squares
  const double sum = ms.seed + ms.item - ms.residual;
  const double satterthwaite = square(sum) / (square(ms.seed) / (seeds - 1) + square(ms.item) / (items - 1) +
                                              square(ms.residual) / ((seeds - 1) * (items - 1)));
  // the term that is subtracted can drive it to 0, where no sum of these has so few
  const double df = std::max(satterthwaite, std::min(seeds, items) - 1);
  return t_estimate(ms.mean, std::sqrt(sum / (seeds * items)), df);
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<size_t> order;  // of the tests that have a p, the smallest first
  for (size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted = p;
  double previous = 0;
  for (size_t step = 0; step < order.size(); ++step) {
    const double scaled = p[order[step]] * static_cast<double>(p.size() - step);
    adjusted[order[step]] = previous = std::max(previous, std::min(1.0, scaled));
  }
  return adjusted;
}

std::string effect(const Estimate& estimate, double p_holm, double margin, Better better) {
  if (std::isnan(estimate.value)) return "not tested";
  if (p_holm < 0.05 && std::abs(estimate.value) > margin) {
    return (estimate.value < 0) == (better == Better::lower) ? "helps" : "hurts";
  }
  return -margin < estimate.low90 && estimate.high90 < margin ? "negligible" : "inconclusive";
}

std::string verdict(const Estimate& estimate, double p_holm, double margin, Better better, int64_t seeds,
                    bool primary) {
  constexpr int64_t kFewestSeeds = 5;
  return primary && seeds >= kFewestSeeds ? effect(estimate, p_holm, margin, better) : "screening";
}

}  // namespace labelsmooth
