// SPDX-License-Identifier: MIT
#include "evaluation/inference.h"

#include <algorithm>                                // std::max, std::min, std::sort
#include <boost/math/distributions/binomial.hpp>    // binomial, cdf
#include <boost/math/distributions/normal.hpp>      // normal, cdf, quantile
#include <boost/math/distributions/students_t.hpp>  // students_t, cdf, quantile, complement
#include <cmath>                                    // std::abs, std::isfinite, std::isnan, std::sqrt

#include "labelsmooth/tensor.h"  // Error
#include "parallel.h"
#include "random.h"

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

using Table = std::vector<std::vector<double>>;

Anova anova(const Table& table) {
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

void check(const Table& table) {
  if (table.empty() || table[0].empty()) throw Error("differences", "none, at least one is needed");
  for (const std::vector<double>& row : table) {
    if (row.size() != table[0].size()) {
      throw Error("differences", std::to_string(row.size()) + " items of one seed and " +
                                     std::to_string(table[0].size()) +
                                     " of another, the same items are needed");
    }
  }
}

// The bound on the side of `z` of Tango's score interval: the difference at which the score
// (gained - lost - N d) / sqrt(N (2 q + d (1 - d))), q the likeliest loss given d, is z.
double tango(double gained, double lost, double items, double z) {
  const auto score_above = [&](double d) {  // score >= z, which falls with d
    const double b = -gained - lost + (2 * items - gained + lost) * d, c = -lost * d * (1 - d);
    const double q = (std::sqrt(std::max(0.0, b * b - 8 * items * c)) - b) / (4 * items);
    const double variance = items * (2 * q + d * (1 - d));
    return gained - lost - items * d >= z * std::sqrt(std::max(0.0, variance));
  };
  double low = z > 0 ? -1 : (gained - lost) / items, high = z > 0 ? (gained - lost) / items : 1;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (score_above(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

// Of the sorted means of the resamples, at the levels of Student's t.
Estimate percentiles(double value, const std::vector<double>& means, double items) {
  const auto resamples = static_cast<double>(means.size());
  double mean = 0, variance = 0;
  for (const double m : means) mean += (m - means[0]) / resamples;
  for (const double m : means) variance += square(m - means[0] - mean) / (resamples - 1);
  if (!(variance > 0)) return t_estimate(value, 0, items - 1);

  const boost::math::students_t t(items - 1);
  const boost::math::normal normal;
  const double widening = std::sqrt(items / (items - 1));
  const auto at = [&](double level) {  // how many resamples lie outside on one side
    const double share = cdf(normal, widening * quantile(t, level));
    return std::max<int64_t>(1, static_cast<int64_t>((resamples + 1) * share));
  };
  const auto low = [&](double level) { return means[at(level) - 1]; };
  const auto high = [&](double level) { return means[means.size() - at(level)]; };
  const auto below = std::upper_bound(means.begin(), means.end(), 0.0) - means.begin();
  const auto above = means.end() - std::lower_bound(means.begin(), means.end(), 0.0);
  const double share = (1 + static_cast<double>(std::min(below, above))) / (resamples + 1);
  const double p = share >= 0.5 ? 1 : 2 * cdf(t, quantile(normal, share) / widening);
  return {value, std::sqrt(variance), items - 1, low(0.025), high(0.025), low(0.05), high(0.05), p};
}

}  // namespace

Estimate crossed(const Table& differences) {
  check(differences);
  const auto seeds = static_cast<double>(differences.size()),
             items = static_cast<double>(differences[0].size());
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

Estimate crossed_unpaired(const Table& model, const Table& reference) {
  check(model);
  check(reference);
  const size_t columns = model[0].size();
  if (std::min(model.size(), reference.size()) < 2 || columns != reference[0].size())
    throw Error("differences", "two seeds an arm and the same items in both are needed");
  const auto items = static_cast<double>(columns);
  std::vector<double> d(columns);                 // the items' means, model less reference
  double seed_part = 0, residual_part = 0;        // of N SE^2
  double seed_squares = 0, residual_squares = 0;  // each over its degrees of freedom
  const double fewest = static_cast<double>(std::min(model.size(), reference.size()));
  for (const Table* arm : {&model, &reference}) {
    const auto seeds = static_cast<double>(arm->size());
    const Anova ms = anova(*arm);
    const double sign = arm == &model ? 1 : -1;
    for (const std::vector<double>& row : *arm) {
      for (size_t i = 0; i < columns; ++i) d[i] += sign * row[i] / seeds;
    }
    seed_part += ms.seed / seeds;
    residual_part += ms.residual / seeds;
    seed_squares += square(ms.seed / seeds) / (seeds - 1);
    residual_squares += square(ms.residual / seeds) / ((seeds - 1) * (items - 1));
  }
  const double value = anova(model).mean - anova(reference).mean;
  if (!std::isfinite(value)) return {};
  double item_part = 0;
  for (const double one : d) item_part += square(one - value) / (items - 1);
  if (!(items > 1 && item_part > residual_part)) {  // Welch's t test of the seeds' means
    const double welch = seed_part > 0 ? square(seed_part) / seed_squares : fewest - 1;
    return t_estimate(value, std::sqrt(seed_part / items), welch);
  }
  const double sum = seed_part + item_part - residual_part;
  const double satterthwaite =
      square(sum) / (seed_squares + residual_squares + square(item_part) / (items - 1));
  return t_estimate(value, std::sqrt(sum / items), std::max(satterthwaite, std::min(fewest, items) - 1));
}

Estimate mcnemar(int64_t gained, int64_t lost, int64_t items) {
  if (gained < 0 || lost < 0 || items < 1 || gained + lost > items)
    throw Error("items", "more gains and losses than items");
  const auto n = static_cast<double>(items), up = static_cast<double>(gained),
             down = static_cast<double>(lost);
  const boost::math::normal normal;
  const double z = quantile(normal, 0.975), z90 = quantile(normal, 0.95);
  const boost::math::binomial fair(up + down, 0.5);
  const double p = gained == lost ? 1 : 2 * cdf(fair, std::min(up, down));
  const double value = (up - down) / n;
  return {.value = value,
          .se = std::sqrt((up + down) / n - value * value) / std::sqrt(n),
          .low = tango(up, down, n, z),
          .high = tango(up, down, n, -z),
          .low90 = tango(up, down, n, z90),
          .high90 = tango(up, down, n, -z90),
          .p = p};
}

std::vector<Estimate> bootstrap(const Table& columns, uint64_t seed, int resamples) {
  check(columns);
  const size_t width = columns.size(), items = columns[0].size();
  if (items < 2 || resamples < 2) throw Error("items", "at least two, and two resamples, are needed");
  std::vector<double> cells(items * width);  // an item's columns side by side; less the first, so that equal
  for (size_t c = 0; c < width; ++c) {       // numbers have a variance of exactly 0
    for (size_t i = 0; i < items; ++i) cells[i * width + c] = columns[c][i] - columns[c][0];
  }
  Table means(width, std::vector<double>(resamples));
  // How often each item is drawn, then one walk over the items: the counts stay in the cache, where cells
  // would not.
  parallel_for(resamples, static_cast<int64_t>(cells.size()) * resamples, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(width);
    std::vector<uint16_t> drawn(items);
    for (int64_t r = begin; r < end; ++r) {
      std::fill(drawn.begin(), drawn.end(), 0);
      for (size_t i = 0; i < items; i += 4) {
        const Draw random = draw(seed, Stream::bootstrap, static_cast<uint32_t>(r), i / 4);
        for (int j = 0; j < static_cast<int>(std::min<size_t>(4, items - i)); ++j)
          ++drawn[random.below(static_cast<uint32_t>(items), j)];
      }
      std::fill(sums.begin(), sums.end(), 0);
      for (size_t i = 0; i < items; ++i) {
        const double* cell = &cells[i * width];
        const double times = drawn[i];
        for (size_t c = 0; c < width; ++c) sums[c] += times * cell[c];
      }
      for (size_t c = 0; c < width; ++c) means[c][r] = sums[c] / static_cast<double>(items);
    }
  });
  std::vector<Estimate> estimates;
  for (size_t c = 0; c < width; ++c) {
    double mean = 0;
    for (size_t i = 0; i < items; ++i) mean += cells[i * width + c] / static_cast<double>(items);
    if (!std::isfinite(mean)) {
      estimates.emplace_back();
      continue;
    }
    for (double& m : means[c]) m += columns[c][0];
    std::sort(means[c].begin(), means[c].end());
    estimates.push_back(percentiles(mean + columns[c][0], means[c], static_cast<double>(items)));
  }
  return estimates;
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
