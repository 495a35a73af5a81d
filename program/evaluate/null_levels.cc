// SPDX-License-Identifier: MIT
#include "evaluate/null_levels.h"

#include <hwy/cache_control.h>  // hwy::Prefetch

#include <algorithm>  // std::any_of, std::clamp, std::fill, std::lower_bound, std::max, std::min, std::sort
#include <bit>        // std::bit_width
#include <cmath>      // std::abs, std::isnan, std::llround
#include <iterator>   // std::ssize
#include <limits>     // std::numeric_limits
#include <numeric>    // std::accumulate
#include <optional>   // std::optional
#include <span>       // std::span
#include <utility>    // std::move

#include "evaluate/binomial_table.h"
#include "parallel.h"
#include "random.h"

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Null null_of(std::vector<double> drawn, double observed) {
  std::sort(drawn.begin(), drawn.end());
  const auto redraws = static_cast<int64_t>(drawn.size());
  // Redraws can equal the observed value but for what their transforms round.
  const auto reached = drawn.end() - std::lower_bound(drawn.begin(), drawn.end(), (1 - 1e-9) * observed);
  const double mean = std::accumulate(drawn.begin(), drawn.end(), 0.0) / static_cast<double>(redraws);
  const int64_t at95 = (95 * redraws + 99) / 100;  // ceil(0.95 * redraws), in whole numbers
  return {mean, drawn[at95 - 1], (1.0 + static_cast<double>(reached)) / (static_cast<double>(redraws) + 1)};
}

/// 32 random bits at a time.
class Bits {
 public:
  Bits(uint64_t seed, uint32_t redraw) : seed_(seed), redraw_(redraw) {}
  uint32_t operator()() {
    if (used_ == 4) draw_ = draw(seed_, Stream::label_cells, redraw_, next_++), used_ = 0;
    return draw_.bits[used_++];
  }

 private:
  uint64_t seed_;
  uint32_t redraw_;
  uint64_t next_ = 0;
  Draw draw_ = {};
  int used_ = 4;
};

/// Right rows of each run, drawn row by row or run by run; eight redraws at a time, which look at each table
/// while it is in a cache.
class Redraws {
 public:
  Redraws(const TopLabel& top, uint64_t seed) : top_(top), seed_(seed) {
    if (top.rows() > kMostDrawnRows) {
      counts_.resize(top.runs().size());
      parallel_for(std::ssize(counts_), top.rows(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const Run& run = top.runs()[i];
          const double p = std::clamp(run.confidence / static_cast<double>(run.count), 0.0, 1.0);
          counts_[i].emplace(run.count, p);
        }
      });
      return;
    }
    for (const double c : top.sorted()) thresholds_.push_back(std::llround(c * 0x1p32));
  }

  /// Of the redraws from `number` on.
  void draw_right(uint32_t number, std::vector<Abreast>& right) const {
    right.resize(top_.runs().size());
    thresholds_.empty() ? by_cell(number, right) : by_row(number, right);
  }

 private:
  void by_row(uint32_t number, std::vector<Abreast>& right) const {
    size_t i = 0;
    Draw random[kAbreast] = {};
    for (size_t run = 0; run < right.size(); ++run) {
      int64_t count[kAbreast] = {};
      for (const size_t end = i + static_cast<size_t>(top_.runs()[run].count); i < end; ++i) {
        for (int r = 0; r < kAbreast; ++r) {
          if (i % 4 == 0) random[r] = draw(seed_, Stream::label_rows, number + r, i / 4);
          count[r] += random[r].bits[i % 4] < thresholds_[i];
        }
      }
      for (int r = 0; r < kAbreast; ++r) right[run].of[r] = static_cast<double>(count[r]);
    }
  }

  void by_cell(uint32_t number, std::vector<Abreast>& right) const {
    std::vector<Bits> bits;
    for (int r = 0; r < kAbreast; ++r) bits.emplace_back(seed_, number + r);
    for (size_t run = 0; run < right.size(); ++run) {
      for (int r = 0; r < kAbreast; ++r) right[run].of[r] = static_cast<double>(counts_[run]->draw(bits[r]));
    }
  }

  const TopLabel& top_;
  uint64_t seed_;
  std::vector<std::optional<BinomialCounts>> counts_;  // of each run
  std::vector<int64_t> thresholds_;                    // a row is right where its 32 random bits are below
};

/// The middle 95 % of each column, NaN where a value is.
void set_band(std::vector<std::vector<double>>& columns, int64_t redraws, NullLevels& levels) {
  levels.band_low.resize(columns.size(), kNaN);
  levels.band_high.resize(columns.size(), kNaN);
  parallel_for(std::ssize(columns), std::ssize(columns) * redraws, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::vector<double>& drawn = columns[i];
      if (std::any_of(drawn.begin(), drawn.end(), [](double x) { return std::isnan(x); })) continue;
      std::sort(drawn.begin(), drawn.end());
      const int64_t cut = redraws / 40;  // 2.5 %
      levels.band_low[i] = drawn[cut];
      levels.band_high[i] = drawn[redraws - 1 - cut];
    }
  });
}

}  // namespace

NullLevels null_levels(const TopLabel& top, const TopLabelErrors& observed, int points, int redraws,
                       uint64_t seed, Progress& progress) {
  const Redraws redraw(top, seed);
  std::vector<std::vector<double>> drawn(TopLabelErrors::kCount, std::vector<double>(redraws));
  std::vector<std::vector<double>> curves(points + 1, std::vector<double>(redraws));
  const SmoothCurve curve(top, observed.sigma.of[0], points);
  const int64_t work = std::max<int64_t>(top.rows(), kSmoothCells) * redraws;
  parallel_for((redraws + kAbreast - 1) / kAbreast, work, [&](int64_t begin, int64_t end) {
    SmoothEce smooth;
    std::vector<Abreast> right;
    for (int64_t first = begin * kAbreast; first < std::min<int64_t>(end * kAbreast, redraws);
         first += kAbreast) {
      redraw.draw_right(static_cast<uint32_t>(first), right);
      const TopLabelErrors errors = top.errors(right, smooth);
      const std::vector<Abreast> accuracy = curve.accuracy(smooth);
      const auto count = std::min<int64_t>(kAbreast, redraws - first);
      for (int64_t r = 0; r < count; ++r) {
        for (int e = 0; e < TopLabelErrors::kCount; ++e) drawn[e][first + r] = errors.values[e].of[r];
        for (int i = 0; i <= points; ++i) curves[i][first + r] = accuracy[i].of[r];
      }
      progress.add(static_cast<double>(count));
    }
  });
  NullLevels levels;
  for (int e = 0; e < TopLabelErrors::kCount; ++e)
    levels.errors.push_back(null_of(std::move(drawn[e]), observed.values[e].of[0]));
  set_band(curves, redraws, levels);
  return levels;
}

namespace {

constexpr int64_t kMostCounters = int64_t{1} << 23;      // 32 MB
constexpr int64_t kTileElements = int64_t{1} << 15;      // whose rows stay in a cache while all redraw them
constexpr int64_t kPreparedElements = int64_t{1} << 20;  // 14 to 18 MB

int64_t redraws_at_once(int64_t classes, int bins) {
  return std::max<int64_t>(4, kMostCounters / (classes * bins) / 4 * 4);  // four to a draw of random bits
}

/// Of a block's rows what draws of a class need: cumulative probabilities, where among them to look first,
/// and the bin of each probability. Some 14 to 18 bytes an element.
class Prepared {
 public:
  Prepared(int64_t rows, int64_t classes, const Binning& binning, int64_t redraws)
      : classes_(classes),
        shift_(std::bit_width(static_cast<uint64_t>(std::min<int64_t>({classes - 1, redraws, 1023})))),
        binning_(binning),
        cumulative_(static_cast<size_t>(rows * classes)),
        bin_(cumulative_.size()),
        start_(static_cast<size_t>(rows) << shift_) {}

  void take(std::span<const ProbabilityRow> rows) {
    for (const ProbabilityRow& row : rows) take(row);
  }
  /// The class for 32 random bits; it rises with them.
  int64_t draw(int64_t row, uint32_t bits) const {
    const double* sums = &cumulative_[row * classes_];
    const double u = bits * 0x1p-32 * sums[classes_ - 1];
    int64_t k = start_[(row << shift_) + (uint64_t{bits} << shift_ >> 32)];
    while (k < classes_ - 1 && sums[k] <= u) ++k;
    return k;
  }
  int bin(int64_t row, int64_t k) const { return bin_[row * classes_ + k]; }

 private:
  void take(const ProbabilityRow& row) {
    const double edge = 1.0 / binning_.bins;  // most probabilities lie below
    double* sums = &cumulative_[row.row * classes_];
    double sum = 0;
    for (int64_t k = 0; k < classes_; ++k) {
      const double p = row.e[k] * row.factor;
      sums[k] = sum += p;
      const int bin = p < edge ? 0 : bin_of(p, binning_.bins, binning_.edges);
      bin_[row.row * classes_ + k] = static_cast<uint16_t>(bin);
    }
    int64_t k = 0;
    const double share = 1 / static_cast<double>(int64_t{1} << shift_);
    for (int64_t i = 0; i < int64_t{1} << shift_; ++i) {
      const double least = static_cast<double>(i) * share * sum;  // of u with these first bits
      while (k < classes_ - 1 && sums[k] <= least) ++k;
      start_[(row.row << shift_) + i] = static_cast<uint32_t>(k);
    }
  }

  int64_t classes_;
  int shift_;  // so many first bits are looked up
  const Binning& binning_;
  std::vector<double> cumulative_;
  std::vector<uint16_t> bin_;
  std::vector<uint32_t> start_;
};

}  // namespace

int64_t classwise_passes(int64_t classes, int bins, int redraws) {
  const int64_t at_once = redraws_at_once(classes, bins);
  return (redraws + at_once - 1) / at_once;
}

Null classwise_null(const Logits& logits, const Vector& labels, ProbabilityOptions options,
                    const Binning& binning, const Observations& seen, int redraws, uint64_t seed,
                    Progress& progress) {
  const int64_t classes = seen.classes, cells = classes * binning.bins;
  const int64_t at_once = std::min<int64_t>(redraws_at_once(classes, binning.bins), (redraws + 3) / 4 * 4);
  std::vector<uint32_t> counts(static_cast<size_t>(at_once * cells));
  std::vector<double> drawn(redraws);
  options.block_elements = kPreparedElements;
  const int64_t tile_rows = std::max<int64_t>(1, kTileElements / classes);
  Prepared prepared(block_rows(logits, options), classes, binning, at_once);
  for (int64_t first = 0; first < redraws; first += at_once) {
    std::fill(counts.begin(), counts.end(), 0);
    const PartWork prepare = {
        .pair = [&](int64_t, std::span<const ProbabilityRow> pair) { prepared.take(pair); },
        .rows = {},
        .join = {}};
    // Whose redraws come to counters far apart: they are fetched for all rows of a tile, then counted up.
    const auto redraw_tile = [&](const ProbabilityBlock& block, int64_t tile, int64_t quad,
                                 std::vector<uint32_t*>& drawn_cells) {
      drawn_cells.clear();
      const auto number = static_cast<uint32_t>(first / 4 + quad);
      for (int64_t i = tile; i < std::min(tile + tile_rows, block.rows); ++i) {
        if (!block.counts(i)) continue;
        const Draw random = draw(seed, Stream::label_classes, number, block.begin + i);
        for (int w = 0; w < 4; ++w) {
          const int64_t k = prepared.draw(i, random.bits[w]);
          drawn_cells.push_back(&counts[(4 * quad + w) * cells + k * binning.bins + prepared.bin(i, k)]);
          hwy::Prefetch(drawn_cells.back());
        }
      }
      for (uint32_t* count : drawn_cells) ++*count;
    };
    const auto redraw = [&](const ProbabilityBlock& block) {
      parallel_for(at_once / 4, block.rows * at_once, [&](int64_t begin, int64_t end) {
        std::vector<uint32_t*> drawn_cells;
        for (int64_t tile = 0; tile < block.rows; tile += tile_rows) {
          for (int64_t quad = begin; quad < end; ++quad) redraw_tile(block, tile, quad, drawn_cells);
        }
      });
      progress.add(static_cast<double>(block.rows));
    };
    for_each_block(logits, labels, options, redraw, prepare);
    for (int64_t r = first; r < std::min<int64_t>(first + at_once, redraws); ++r) {
      double sum = 0;
      for (int64_t cell = 0; cell < cells; ++cell)
        sum += std::abs(seen.cells.probability[cell] - counts[(r - first) * cells + cell]);
      drawn[r] = sum / (static_cast<double>(seen.counted()) * static_cast<double>(classes));
    }
  }
  return null_of(std::move(drawn), classwise_ece(seen.cells, seen.counted(), classes));
}

}  // namespace labelsmooth
