// SPDX-License-Identifier: MIT
#include "evaluate/observations.h"

#include <hwy/aligned_allocator.h>

#include <algorithm>  // std::fill_n, std::min
#include <cmath>      // std::abs, std::isinf
#include <new>        // std::bad_alloc
#include <numeric>    // std::accumulate
#include <span>       // std::span
#include <utility>    // std::move

#include "softmax.h"

namespace labelsmooth {
namespace {

constexpr double kBelow = 1 - 1e-9;    // leaves room for what squares round
constexpr size_t kMostKept = 1 << 13;  // of a part's large probabilities, from block to block: 200 KB
constexpr std::vector<double> Items::* kColumns[] = {&Items::correct, &Items::confidence, &Items::score};

void add_to(Moments& moments, double x) {
  moments.sum += x;
  moments.squares += x * x;
}

Moments& operator+=(Moments& moments, const Moments& other) {
  moments.sum += other.sum;
  moments.squares += other.squares;
  return moments;
}

// What one part of a block comes to, made by the thread that has the part in its cache.
struct Part {
  struct Large {
    int64_t k;
    int bin;
    double p;
  };
  struct Sums {
    Moments nll, brier, entropy, confidence, gap;
  };
  Sums sums;
  Items items;
  int64_t first_impossible_row = -1;
  hwy::AlignedFreeUniquePtr<double[]> small;  // sums of p by class, of those in the first bin (classes,)
  std::vector<Large> large;                   // the others, at most some `bins` a row
  std::vector<int64_t> label_cells;           // of the rows
  std::vector<int64_t> found;                 // scratch: so many p of one row can lie beyond the first bin
  std::vector<double> before;                 // scratch
};

// Joins the parts of a block in order, so that the bits depend on the shape alone.
class Observer {
 public:
  Observer(const Logits& logits, const ProbabilityOptions& options, const Binning& binning)
      : binning_(binning),
        limit_(1.0 / binning.bins),
        classes_(logits.classes),
        small_(static_cast<size_t>(classes_)),
        parts_(static_cast<size_t>(block_parts(logits, options))),
        kernels_(softmax_kernels()) {
    seen_.rows = logits.rows();
    seen_.classes = classes_;
    seen_.predicted.resize(small_.size());
    seen_.right.resize(small_.size());
    seen_.cells.probability.resize(small_.size() * binning.bins);
    seen_.cells.labels.resize(small_.size() * binning.bins);
    for (const auto column : kColumns) (seen_.items.*column).reserve(static_cast<size_t>(seen_.rows));
    for (Part& part : parts_) {
      part.small = hwy::AllocateAligned<double>(small_.size());
      if (!part.small) throw std::bad_alloc();
      std::fill_n(part.small.get(), classes_, 0.0);
      part.found.resize(std::min(small_.size(), static_cast<size_t>(1.01 * binning.bins + 2)));
    }
  }

  void add_pair(int64_t index, std::span<const ProbabilityRow> pair) {
    Part& part = parts_[index];
    const size_t first = part.large.size();
    for (const ProbabilityRow& row : pair) list_large(row, part);
    const auto listed = std::span(part.large).subspan(first);
    part.before.clear();
    for (const Part::Large& one : listed) part.before.push_back(part.small[one.k]);
    const double second_factor = pair.size() > 1 ? pair.back().factor : 0;
    kernels_.add(pair[0].e, pair[0].factor, pair.back().e, second_factor, classes_, part.small.get());
    for (size_t i = 0; i < listed.size(); ++i) {
      double& sum = part.small[listed[i].k] = part.before[i];
      for (const ProbabilityRow& row : pair) {
        const double p = row.e[listed[i].k] * row.factor;
        if (p < limit_) sum += p;
      }
    }
  }

  void add_rows(const ProbabilityBlock& block, int64_t index, int64_t begin, int64_t end) {
    Part& part = parts_[index];
    const auto resize = [&part](size_t rows) {
      for (const auto column : kColumns) (part.items.*column).resize(rows);
      part.label_cells.resize(rows);
    };
    resize(static_cast<size_t>(end - begin));
    size_t n = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (!block.counts(i)) continue;
      const double correct = block.correct(i) ? 1 : 0, confidence = block.confidence[i];
      part.items.correct[n] = correct;
      part.items.confidence[n] = confidence;
      part.items.score[n] = block.score[i];
      add_to(part.sums.nll, block.nll[i]);
      add_to(part.sums.brier, block.brier[i]);
      add_to(part.sums.entropy, block.entropy[i]);
      add_to(part.sums.confidence, confidence);
      add_to(part.sums.gap, confidence - correct);
      const double p = block.of_label[i];
      const int bin = p < limit_ ? 0 : bin_of(p, binning_.bins, binning_.edges);
      part.label_cells[n++] = block.label[i] * binning_.bins + bin;
      if (std::isinf(block.nll[i]) && part.first_impossible_row < 0)
        part.first_impossible_row = block.begin + i;
    }
    resize(n);
  }

  void join(const ProbabilityBlock& block, int64_t index, int64_t begin, int64_t end) {
    Part& part = parts_[index];
    for (const auto column : kColumns) {
      std::vector<double>&from = part.items.*column, &to = seen_.items.*column;
      to.insert(to.end(), from.begin(), from.end());
      from.clear();
    }
    seen_.nll += part.sums.nll;
    seen_.brier += part.sums.brier;
    seen_.entropy += part.sums.entropy;
    seen_.confidence += part.sums.confidence;
    seen_.gap += part.sums.gap;
    for (size_t k = 0; k < small_.size(); ++k) small_[k] += part.small[k];
    for (const auto& [k, bin, p] : part.large) seen_.cells.probability[k * binning_.bins + bin] += p;
    for (const int64_t cell : part.label_cells) seen_.cells.labels[cell] += 1;
    for (int64_t i = begin; i < end; ++i) {
      if (!block.counts(i)) continue;
      ++seen_.predicted[block.argmax[i]];
      seen_.right[block.label[i]] += block.correct(i);
    }
    if (seen_.first_impossible_row < 0) seen_.first_impossible_row = part.first_impossible_row;
    part.sums = {};
    part.first_impossible_row = -1;
    std::fill_n(part.small.get(), classes_, 0.0);
    part.large.clear();
    if (part.large.capacity() > kMostKept) part.large.shrink_to_fit();
    part.label_cells.clear();
  }

  Observations finish() {
    for (int64_t k = 0; k < classes_; ++k) {
      seen_.cells.probability[k * binning_.bins] += small_[k];
      const auto labels = seen_.cells.labels.begin() + k * binning_.bins;
      seen_.labels.push_back(static_cast<int64_t>(std::accumulate(labels, labels + binning_.bins, 0.0)));
    }
    return std::move(seen_);
  }

 private:
  // The probabilities of the row that lie beyond the first bin.
  void list_large(const ProbabilityRow& row, Part& part) const {
    int64_t count = 1;
    part.found[0] = row.argmax;
    if (row.most_square >= kBelow * limit_ * limit_) {
      count = kernels_.at_least(row.e, classes_, row.factor, limit_, part.found.data());
    } else if (row.e[row.argmax] * row.factor < limit_) {
      count = 0;
    }
    for (const int64_t k : std::span(part.found).first(static_cast<size_t>(count))) {
      const double p = row.e[k] * row.factor;
      part.large.push_back({k, bin_of(p, binning_.bins, binning_.edges), p});
    }
  }

  const Binning& binning_;
  double limit_;  // of the first bin
  int64_t classes_;
  std::vector<double> small_;
  std::vector<Part> parts_;
  const SoftmaxKernels& kernels_;
  Observations seen_;
};

}  // namespace

Observations observe(const Logits& logits, const Vector& labels, const ProbabilityOptions& options,
                     const Binning& binning, Progress& progress) {
  Observer observer(logits, options, binning);
  const PartWork work = {
      [&](int64_t part, std::span<const ProbabilityRow> pair) { observer.add_pair(part, pair); },
      [&](const ProbabilityBlock& block, int64_t part, int64_t begin, int64_t end) {
        observer.add_rows(block, part, begin, end);
      },
      [&](const ProbabilityBlock& block, int64_t part, int64_t begin, int64_t end) {
        observer.join(block, part, begin, end);
      }};
  const auto tell = [&](const ProbabilityBlock& block) { progress.add(static_cast<double>(block.rows)); };
  for_each_block(logits, labels, options, tell, work);
  return observer.finish();
}

double classwise_ece(const ClassCells& cells, int64_t rows, int64_t classes) {
  double sum = 0;
  for (size_t cell = 0; cell < cells.labels.size(); ++cell)
    sum += std::abs(cells.probability[cell] - cells.labels[cell]);
  return sum / (static_cast<double>(rows) * static_cast<double>(classes));
}

}  // namespace labelsmooth
