// SPDX-License-Identifier: MIT
// The pipeline: validate -> summarize each chunk -> merge -> finish -> gradient. Read this file first.
#include "labelsmooth/cross_entropy.h"

#include <algorithm>  // std::clamp, std::find_if
#include <cmath>      // std::isfinite, std::log1p
#include <limits>     // std::numeric_limits
#include <memory>     // std::make_unique, std::unique_ptr
#include <vector>     // std::vector

#include "chunks.h"
#include "parallel.h"
#include "problem.h"
#include "tiles.h"
#include "totals.h"
#include "validate.h"

namespace labelsmooth {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ---- finish ----

// The row's loss without its weight; ls = log1p(tail).
double loss_of(const Problem& problem, const RowSummary& summary, const Row& row, double ls) {
  const Options& options = problem.options;
  const Coefficients c = coefficients(problem, summary, row);
  const double lse = summary.max + ls;
  double loss = c.q * ls - term(c.a, summary.label_dot) - term(c.b + c.suppression, summary.prior_dot);
  if (options.z_loss != 0) loss += options.z_loss * lse * lse;
  if (options.entropy_penalty != 0)
    loss -= options.entropy_penalty * (ls - summary.tail_z / (1 + summary.tail));
  return loss;
}

// What a row adds to the totals, and its other parts.
struct RowResult {
  Totals totals;
  double lse = 0, confidence = 0, entropy = 0;
  int64_t argmax = -1;
};

RowResult finish_row(const Problem& problem, const RowSummary& summary, const Row& row) {
  RowResult result;
  if (!row.counts) return result;
  const bool finite = std::isfinite(summary.max);
  const double ls = std::log1p(summary.tail);
  Totals& totals = result.totals;
  totals.nll = finite ? summary.label_mass * ls - summary.label_dot : kNan;
  totals.loss = row.weight == 0 ? 0 : finite ? row.weight * loss_of(problem, summary, row, ls) : kNan;
  totals.correct = finite && summary.argmax == row.label;
  if (finite && std::isinf(summary.label_dot)) totals.first_impossible_row = row.index;
  result.lse = finite ? summary.max + ls : kNan;
  result.confidence = finite ? 1 / (1 + summary.tail) : kNan;
  result.entropy = finite ? ls - summary.tail_z / (1 + summary.tail) : kNan;
  result.argmax = summary.argmax;
  return result;
}

// The same of a tile's row.
template <class T>
RowResult finish_row(const TileRows<T>& rows, int64_t i) {
  RowResult result;
  result.totals = {rows.loss[i], rows.nll[i], rows.argmax[i] == rows.label[i]};
  result.lse = rows.max[i] + rows.log_sum[i];
  result.confidence = 1 / (1 + rows.tail[i]);
  result.entropy = rows.log_sum[i] - rows.tail_z[i] / (1 + rows.tail[i]);
  result.argmax = static_cast<int64_t>(rows.argmax[i]);
  return result;
}

void write(const Parts& parts, int64_t row, const RowResult& result) {
  const auto put = [row](const auto& part, auto value) {
    if (!part.empty()) part[row] = value;
  };
  put(parts.loss, result.totals.loss);
  put(parts.nll, result.totals.nll);
  put(parts.lse, result.lse);
  put(parts.confidence, result.confidence);
  put(parts.entropy, result.entropy);
  put(parts.argmax, result.argmax);
  put(parts.correct, static_cast<uint8_t>(result.totals.correct));
}

bool wants(const Parts& parts) {
  return !(parts.loss.empty() && parts.nll.empty() && parts.lse.empty() && parts.confidence.empty() &&
           parts.entropy.empty() && parts.argmax.empty() && parts.correct.empty());
}

// Rows whose losses add up before they join the total, and that one thread handles: few where rows are long.
int64_t group_rows(const Problem& problem) {
  return std::clamp<int64_t>((int64_t{1} << 16) / problem.classes, 1, 16);
}

Result result_of(const Problem& problem, const Totals& totals) {
  const int64_t counted = problem.counted();
  Result result;
  result.rows = problem.rows;
  result.counted = counted;
  result.correct = problem.has_labels() ? totals.correct : -1;
  result.first_impossible_row = totals.first_impossible_row;
  result.denominator = problem.denominator();
  result.nll = counted == 0 ? problem.empty_mean() : totals.nll / static_cast<double>(counted);
  result.loss = result.denominator == 0 ? problem.empty_mean() : totals.loss / result.denominator;
  if (problem.options.reduction == Reduction::none) result.loss = kNan;
  return result;
}

// Where the loss is written and the gradient goes.
struct Outputs {
  const Gradient* dlogits;
  const Parts& parts;
  const Upstream& upstream;
  bool entropy(const Problem& problem) const {
    return !parts.entropy.empty() || problem.options.entropy_penalty != 0;
  }
};

// Each row once: its logits are still in cache when its gradient reads them again.
template <class T>
Totals run_rows(const Problem& problem, const Chunks<T>& chunks, const Outputs& out) {
  const bool entropy = out.entropy(problem);
  const auto run_group = [&](int64_t begin, int64_t end, auto& scratch) {
    Totals totals;
    for (int64_t index = begin; index < end; ++index) {
      const Row row = problem.row(index);
      const RowSummary summary = chunks.summarize(row, entropy, scratch);
      const RowResult result = finish_row(problem, summary, row);
      totals.add(result.totals);
      write(out.parts, index, result);
      if (out.dlogits == nullptr) continue;
      chunks.gradient(row, summary, problem.factor(out.upstream, row), *out.dlogits, out.upstream.accumulate,
                      scratch);
    }
    return totals;
  };
  return sum_groups<Totals>(
      problem.rows, group_rows(problem), problem.rows * problem.classes,
      [&] { return chunks.scratch(out.dlogits, out.upstream.accumulate); }, run_group);
}

// A row that tiles leave to the chunks.
struct Irregular {
  Row row;
  RowSummary summary;
};
constexpr int kIrregular = -2;  // its label in the tile

// Finishes rows whose sums are in the tile; summary_of(row) of those for which a lane's arithmetic is not
// enough.
template <class T, class SummaryOf>
Totals finish_tile(const Problem& problem, int64_t begin, int64_t n, double prior_mass, const Parts& parts,
                   const SummaryOf& summary_of, TileRows<T>& rows, std::vector<Irregular>& irregular) {
  const TileKernels<T>& tile = kernels().of<T>().tile;
  const bool regular = tile.finish(n, prior_mass, rows);
  Totals totals;
  irregular.clear();
  for (int64_t i = 0; !regular && i < n; ++i) {
    if (is_regular(rows, i)) continue;
    const Row row = problem.row(begin + i);
    irregular.push_back({row, summary_of(row)});
    rows.label[i] = kIrregular;
    const RowResult result = finish_row(problem, irregular.back().summary, row);
    totals.add(result.totals);
    write(parts, row.index, result);
  }
  for (int64_t i = 0; wants(parts) && i < n; ++i) {
    if (rows.label[i] != kIrregular)
      write(parts, begin + i, rows.label[i] < 0 ? RowResult() : finish_row(rows, i));
  }
  const TileTotals sums = tile.total(n, rows);
  totals.add({sums.loss, sums.nll, sums.correct});
  return totals;
}

template <class T>
Totals run_tiles(const Problem& problem, const Logits& logits, const Chunks<T>& chunks, const Outputs& out,
                 std::span<const RowSummary> summaries = {}) {
  const Tiles<T> tiles(problem, logits, out.upstream, chunks);
  const bool entropy = out.entropy(problem);
  const auto run_tile = [&](int64_t tile, int64_t, auto& scratch) {
    tiles.load(tile, entropy, out.dlogits, scratch);
    if (!summaries.empty()) tiles.take(summaries, scratch);
    const auto summary_of = [&](const Row& row) {
      return summaries.empty() ? chunks.summarize(row, entropy, scratch.chunk) : summaries[row.index];
    };
    std::vector<Irregular> irregular;
    const Totals totals = finish_tile(problem, scratch.begin, scratch.n, chunks.prior_mass(), out.parts,
                                      summary_of, *scratch.rows, irregular);
    if (out.dlogits == nullptr) return totals;
    tiles.gradient(scratch);
    for (const auto& [row, summary] : irregular)
      tiles.gradient(row, summary, problem.factor(out.upstream, row), scratch);
    tiles.write(*out.dlogits, out.upstream.accumulate, scratch);
    return totals;
  };
  return sum_groups<Totals>(
      tiles.count(), 1, problem.rows * problem.classes, [&] { return tiles.scratch(); }, run_tile);
}

template <class T>
void summarize_tiles(const Problem& problem, const Logits& logits, const Chunks<T>& chunks,
                     std::span<RowSummary> summaries) {
  const Upstream upstream;
  const Tiles<T> tiles(problem, logits, upstream, chunks);
  parallel_for(tiles.count(), problem.rows * problem.classes, [&](int64_t begin, int64_t end) {
    auto scratch = tiles.scratch();
    for (int64_t tile = begin; tile < end; ++tile) {
      tiles.load(tile, /*entropy=*/true, nullptr, scratch);
      for (int64_t i = 0; i < scratch.n; ++i) {
        const int64_t row = scratch.begin + i;
        summaries[row] = is_regular(*scratch.rows, i)
                             ? tiles.summary(*scratch.rows, i)
                             : chunks.summarize(problem.row(row), true, scratch.chunk);
      }
    }
  });
}

template <class T>
Result run(const Problem& problem, const Logits& logits, const Outputs& out) {
  const Chunks<T> chunks(problem, logits);
  const bool tiled = Tiles<T>::serve(problem, logits);
  return result_of(problem,
                   tiled ? run_tiles<T>(problem, logits, chunks, out) : run_rows<T>(problem, chunks, out));
}

// ---- finish alone ----

Totals finish_rows(const Problem& problem, std::span<const RowSummary> summaries, const Parts& parts) {
  const auto finish_group = [&](int64_t begin, int64_t end, int) {
    Totals totals;
    for (int64_t row = begin; row < end; ++row) {
      const RowResult result = finish_row(problem, summaries[row], problem.row(row));
      totals.add(result.totals);
      write(parts, row, result);
    }
    return totals;
  };
  return sum_groups<Totals>(problem.rows, group_rows(problem), problem.rows, [] { return 0; }, finish_group);
}

// The arithmetic and the groups of run_tiles, so that a loss of so few classes does not tell in how many
// calls it was made.
Totals finish_tiles(const Problem& problem, std::span<const RowSummary> summaries, const Parts& parts) {
  const auto first =
      std::find_if(summaries.begin(), summaries.end(), [](const auto& one) { return one.classes > 0; });
  const RowSummary example = first == summaries.end() ? RowSummary() : *first;
  const Upstream upstream;
  const TileFacts facts(problem, upstream, example.prior_norm);
  const auto finish_group = [&](int64_t begin, int64_t end, std::unique_ptr<TileRows<double>>& rows) {
    facts.fill(begin, end - begin, *rows);
    for (int64_t i = 0; i < end - begin; ++i) {
      const RowSummary& summary = summaries[begin + i];
      rows->max[i] = summary.max, rows->argmax[i] = static_cast<double>(summary.argmax);
      rows->tail[i] = summary.tail, rows->tail_z[i] = summary.tail_z;
      // The kernel's sums over the prior are the same for all rows.
      const bool alike = summary.prior_mass == example.prior_mass && summary.prior_norm == example.prior_norm;
      rows->label_dot[i] = alike ? summary.label_dot : kNan, rows->prior_dot[i] = summary.prior_dot;
    }
    std::vector<Irregular> irregular;
    const auto summary_of = [&](const Row& row) { return summaries[row.index]; };
    return finish_tile(problem, begin, end - begin, example.prior_mass, parts, summary_of, *rows, irregular);
  };
  const auto make_rows = [&] {
    auto rows = std::make_unique<TileRows<double>>();
    facts.start(*rows);
    return rows;
  };
  return sum_groups<Totals>(problem.rows, tile_width(problem.classes), problem.rows, make_rows, finish_group);
}

// Calls body.template operator()<T>() for the type to compute in. Scaled and capped logits are rounded, so
// that f32 would lose what their size is above 1.
template <class Body>
auto with_compute_type(const Logits& logits, const Options& options, const Body& body) {
  const bool wide = logits.dtype == DType::f64 || options.scale != 1 || options.soft_cap != 0;
  return wide ? body.template operator()<double>() : body.template operator()<float>();
}

}  // namespace

Target mixed(const Vector& first, const Vector& second, const Vector& weight) {
  Target target(first);
  target.kind = Target::Kind::mixed;
  target.second = second;
  target.weight = weight;
  return target;
}

Target dense(const Rows& targets, const Vector& labels) {
  Target target(labels);
  target.kind = Target::Kind::dense;
  target.dense = targets;
  return target;
}

Result cross_entropy(const Logits& logits, const Target& target, const Options& options, const Parts& parts) {
  check_logits(logits, /*whole=*/true);
  check_parts(parts, target, logits.rows());
  const Problem problem(target, logits.rows(), logits.classes, options, &logits);
  return with_compute_type(logits, options,
                           [&]<class T>() { return run<T>(problem, logits, {nullptr, parts, {}}); });
}

Result cross_entropy(const Logits& logits, const Target& target, const Gradient& dlogits,
                     const Options& options, const Parts& parts, const Upstream& upstream) {
  check_logits(logits, /*whole=*/true);
  check_parts(parts, target, logits.rows());
  const Problem problem(target, logits.rows(), logits.classes, options, &logits);
  check_gradient(logits, dlogits, target, options, upstream);
  return with_compute_type(logits, options,
                           [&]<class T>() { return run<T>(problem, logits, {&dlogits, parts, upstream}); });
}

void summarize(const Logits& logits, const Target& target, const Options& options,
               std::span<RowSummary> summaries) {
  check_logits(logits, /*whole=*/false);
  check_size("summaries", static_cast<int64_t>(summaries.size()), logits.rows());
  const Problem problem(target, logits.rows(), logits.total_classes, options, &logits);
  const int64_t elements = problem.rows * logits.classes;
  with_compute_type(logits, options, [&]<class T>() {
    const Chunks<T> chunks(problem, logits);
    if (Tiles<T>::serve(problem, logits)) {
      summarize_tiles<T>(problem, logits, chunks, summaries);
      return;
    }
    parallel_for(problem.rows, elements, [&](int64_t begin, int64_t end) {
      auto scratch = chunks.scratch();
      for (int64_t row = begin; row < end; ++row) {
        summaries[row] = chunks.summarize(problem.row(row), /*entropy=*/true, scratch);
      }
    });
  });
}

void merge_shards(std::span<const Shard> shards, int64_t total_classes, std::span<RowSummary> merged) {
  const std::vector<Shard> ordered = check_tiling(shards, total_classes, static_cast<int64_t>(merged.size()));
  for (size_t row = 0; row < merged.size(); ++row) {
    RowSummary sum;
    for (const Shard& shard : ordered) sum = merge(sum, shard.summaries[row]);
    merged[row] = sum;
  }
}

Result finish(std::span<const RowSummary> summaries, int64_t total_classes, const Target& target,
              const Options& options, const Parts& parts) {
  const auto rows = static_cast<int64_t>(summaries.size());
  const Problem problem(target, rows, total_classes, options, nullptr);
  problem.check_summaries(summaries);
  check_parts(parts, target, rows);
  return result_of(problem, problem.is_plain() && total_classes <= kMostContiguous
                                ? finish_tiles(problem, summaries, parts)
                                : finish_rows(problem, summaries, parts));
}

void gradient(const Logits& logits, const Target& target, std::span<const RowSummary> summaries,
              const Options& options, const Gradient& dlogits, const Upstream& upstream) {
  check_logits(logits, /*whole=*/false);
  check_size("summaries", static_cast<int64_t>(summaries.size()), logits.rows());
  const Problem problem(target, logits.rows(), logits.total_classes, options, &logits);
  check_gradient(logits, dlogits, target, options, upstream);
  problem.check_summaries(summaries);
  const int64_t elements = problem.rows * logits.classes;
  with_compute_type(logits, options, [&]<class T>() {
    const Chunks<T> chunks(problem, logits);
    if (Tiles<T>::serve(problem, logits)) {
      run_tiles<T>(problem, logits, chunks, {&dlogits, {}, upstream}, summaries);
      return;
    }
    parallel_for(problem.rows, elements, [&](int64_t begin, int64_t end) {
      auto scratch = chunks.scratch(&dlogits, upstream.accumulate);
      for (int64_t index = begin; index < end; ++index) {
        const Row row = problem.row(index);
        chunks.gradient(row, summaries[index], problem.factor(upstream, row), dlogits, upstream.accumulate,
                        scratch);
      }
    });
  });
}

}  // namespace labelsmooth
