// SPDX-License-Identifier: MIT
#include "evaluation/crossfit.h"

#include <algorithm>  // std::all_of, std::max, std::min
#include <cmath>      // std::abs, std::exp, std::isfinite, std::log
#include <limits>     // std::numeric_limits

#include "evaluation/temperature.h"
#include "parallel.h"
#include "random.h"
#include "softmax.h"

namespace labelsmooth {
namespace {

constexpr int64_t kBlock = int64_t{1} << 18;  // logits

int64_t block_rows(int64_t classes) { return std::max<int64_t>(1, kBlock / classes); }
int64_t block_count(int64_t rows, int64_t classes) {
  return (rows + block_rows(classes) - 1) / block_rows(classes);
}

// body(begin, end, number) of blocks of rows, side by side.
template <class Body>
void for_blocks(int64_t rows, int64_t classes, const Body& body) {
  const int64_t step = block_rows(classes);
  parallel_for(block_count(rows, classes), rows * classes, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) body(b * step, std::min(rows, (b + 1) * step), b);
  });
}

// Sums over rows, with u = beta * (z - max): of E[u] - u_y = NLL - entropy, which is the NLL's slope in log
// beta, and of the second and third cumulant of u, which are that slope's derivatives less what it takes to
// call beta log beta.
struct Slope {
  double slope = 0, variance = 0, skew = 0;

  void add(const Slope& other) {
    slope += other.slope;
    variance += other.variance;
    skew += other.skew;
  }
};

template <class T>
Slope slope_of(const SoftmaxOf<T>& kernels, const T* z, int64_t classes, int64_t label, double beta) {
  SoftmaxMoments m;
  kernels.moments(z, classes, beta, m);
  return {m.first - beta * (z[label] - m.max), m.second - m.first * m.first,
          m.third - 3 * m.first * m.second + 2 * m.first * m.first * m.first};
}

// One temperature on its way to where the slope is 0. The NLL is convex in beta, so there is one such place,
// which the bracket keeps.
class Search {
 public:
  bool done() const { return done_; }
  double beta() const { return std::exp(x_); }
  double temperature() const { return temperature_; }
  bool at_bound() const { return at_bound_; }

  void take(const Slope& here) {
    const bool silent = here.slope == 0 && here.variance == 0;  // logits without weight: flat, or saturated
    if (x_ == kLow && (silent || here.slope >= 0))
      return silent ? stop(1, false) : stop(kMostTemperature, true);
    if (x_ == kHigh && here.slope <= 0) return stop(kLeastTemperature, true);
    if (silent) return go(x_ == 0 ? kLow : kHigh);
    if (here.slope == 0) return stop(std::exp(-x_), false);
    const bool up = here.slope < 0;
    (up ? low_ : high_) = x_;
    const double wall = up ? std::min(high_, kHigh) : std::max(low_, kLow);
    const double next = x_ + step_of(here);
    if (++steps_ < kMostSteps && (up ? x_ < next && next < wall : wall < next && next < x_))
      return std::abs(next - x_) < kClose ? stop(std::exp(-next), false) : go(next);
    // A step the wrong way or too far: to the bound where nothing is known beyond, else to the middle.
    if (!std::isfinite(up ? high_ : low_)) return go(wall);
    const double middle = (x_ + wall) / 2;
    std::abs(middle - x_) < kClose* kClose ? stop(std::exp(-middle), false) : go(middle);
  }

 private:
  static constexpr double kClose = 1e-5, kUnbounded = std::numeric_limits<double>::infinity();
  static constexpr int kMostSteps = 30;  // about 4 are taken
  static inline const double kLow = -std::log(kMostTemperature), kHigh = -std::log(kLeastTemperature);

  // Halley's, in x = log beta, of third order: after a step of 1e-5 the rest is rounding.
  static double step_of(const Slope& here) {
    return -2 * here.slope * here.variance /
           (2 * here.variance * here.variance - here.slope * (here.variance + here.skew));
  }
  void go(double x) { x_ = x; }
  void stop(double temperature, bool at_bound) {
    temperature_ = temperature;
    at_bound_ = at_bound;
    done_ = true;
  }

  double x_ = 0, temperature_ = 1, low_ = -kUnbounded, high_ = kUnbounded;
  int steps_ = 0;
  bool done_ = false, at_bound_ = false;
};

// Of each unfinished search the sums over the rows that are not in its fold. Row after row, so that a pass
// over the logits serves all folds; where their betas are one, as at the start, so is the work.
std::vector<Slope> slopes_at(const LogitBlocks& logits, std::span<const int64_t> labels,
                             const std::vector<uint8_t>& folds, const std::vector<Search>& searches) {
  const auto rows = static_cast<int64_t>(labels.size());
  std::vector<std::vector<Slope>> by_block(block_count(rows, logits.classes));  // so that the order is fixed
  for_blocks(rows, logits.classes, [&](int64_t begin, int64_t end, int64_t block) {
    std::vector<double> scratch;
    const Logits view = logits.read(begin, end, scratch);
    const SoftmaxKernels& kernels = softmax_kernels();
    const auto slope = [&](int64_t i, double beta) {
      const int64_t first = (i - begin) * logits.classes;
      return view.dtype == DType::f32 ? slope_of(kernels.f32, static_cast<const float*>(view.data) + first,
                                                 logits.classes, labels[i], beta)
                                      : slope_of(kernels.f64, static_cast<const double*>(view.data) + first,
                                                 logits.classes, labels[i], beta);
    };
    by_block[block].resize(searches.size());
    for (int64_t i = begin; i < end; ++i) {
      double last = 0;  // no beta
      Slope here;
      for (size_t f = 0; f < searches.size(); ++f) {
        if (searches[f].done() || (!folds.empty() && folds[i] == f)) continue;
        const double beta = searches[f].beta();
        if (beta != last) here = slope(i, last = beta);
        by_block[block][f].add(here);
      }
    }
  });
  std::vector<Slope> sums(searches.size());
  for (const std::vector<Slope>& part : by_block) {
    for (size_t f = 0; f < sums.size(); ++f) sums[f].add(part[f]);
  }
  return sums;
}

Scaling fit(const LogitBlocks& logits, std::span<const int64_t> labels, const std::vector<uint8_t>& folds) {
  std::vector<Search> searches(folds.empty() ? 1 : kFolds);
  const auto done = [](const Search& search) { return search.done(); };
  while (!std::all_of(searches.begin(), searches.end(), done)) {
    const std::vector<Slope> slopes = slopes_at(logits, labels, folds, searches);
    for (size_t f = 0; f < searches.size(); ++f) {
      if (!searches[f].done()) searches[f].take(slopes[f]);
    }
  }
  Scaling scaling;
  for (const Search& search : searches) {
    scaling.temperatures.push_back(search.temperature());
    scaling.at_bound |= search.at_bound();
  }
  return scaling;
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
  return fit(logits, labels, {});
}

Scaling cross_fit(const LogitBlocks& logits, std::span<const int64_t> labels,
                  const std::vector<uint8_t>& folds) {
  return fit(logits, labels, folds);
}

Items evaluate(const LogitBlocks& logits, std::span<const int64_t> labels, const std::vector<uint8_t>& folds,
               const std::vector<double>& temperatures) {
  const size_t rows = labels.size();
  Items items{std::vector<double>(rows), std::vector<double>(rows), std::vector<double>(rows),
              std::vector<double>(rows), std::vector<double>(rows), std::vector<int64_t>(rows)};
  for_blocks(static_cast<int64_t>(rows), logits.classes, [&](int64_t begin, int64_t end, int64_t) {
    std::vector<double> scratch;
    const Logits view = logits.read(begin, end, scratch);
    const auto row_bytes = static_cast<int64_t>(size_bytes(view.dtype)) * logits.classes;
    std::vector<std::byte> gathered;
    for (size_t fold = 0; fold < temperatures.size(); ++fold) {
      std::vector<int64_t> of_fold, fold_labels;
      gathered.clear();
      for (int64_t i = begin; i < end; ++i) {
        if (!folds.empty() && folds[i] != fold) continue;
        of_fold.push_back(i);
        fold_labels.push_back(labels[i]);
        if (folds.empty()) continue;  // the block as it is
        const auto* row = static_cast<const std::byte*>(view.data) + (i - begin) * row_bytes;
        gathered.insert(gathered.end(), row, row + row_bytes);
      }
      if (of_fold.empty()) continue;
      const void* data = folds.empty() ? view.data : gathered.data();
      const Items part =
          evaluate(Logits(data, view.dtype, static_cast<int64_t>(of_fold.size()), logits.classes, 1),
                   fold_labels, temperatures[fold]);
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
