// SPDX-License-Identifier: MIT
// The rows of a batch, a tile at a time (tile.h): for problems whose row is one label and a prior that all
// rows share. What a lane of plain arithmetic does not get right, rows with NaN, infinity or sums that
// overflow, goes the way of chunks.h.
#pragma once

#include <hwy/aligned_allocator.h>

#include <algorithm>  // std::clamp, std::fill_n, std::min
#include <cmath>      // std::isfinite
#include <cstdint>    // int64_t
#include <memory>     // std::make_unique, std::unique_ptr
#include <new>        // std::bad_alloc
#include <span>       // std::span
#include <vector>     // std::vector

#include "chunks.h"
#include "kernels.h"
#include "problem.h"
#include "storage.h"

namespace labelsmooth {

constexpr int64_t kTileElements = 4096;  // 16 KiB of f32, half of an L1 cache; more above 256 classes

// Classes up to which rows go by tiles: where they are contiguous, and where they are not. The faster way in
// f32; f64, whose bound would be 255, shares it, since `finish` knows no type and has the bits of the one
// call.
constexpr int64_t kMostContiguous = 400, kMostScattered = 4096;

/// Rows to a tile, whatever the instruction set.
inline int64_t tile_width(int64_t classes) {
  return std::clamp<int64_t>(kTileElements / classes / kTileLanes * kTileLanes, kTileLanes, kTileRows);
}

/// Whether a lane's sums are the row's: all of them finite, or not needed.
template <class T>
bool is_regular(const TileRows<T>& rows, int64_t i) {
  return rows.label[i] < 0 ||
         std::isfinite(rows.max[i] + rows.tail[i] + rows.label_dot[i] + rows.prior_dot[i]);
}

/// What the rows of a plain problem are asked for.
class TileFacts {
 public:
  TileFacts(const Problem& problem, const Upstream& upstream, double prior_norm)
      : problem_(problem),
        upstream_(upstream),
        prior_norm_(prior_norm),
        alike_(problem.rows_are_alike() && upstream.rows.empty()),
        by_label_(problem.rows_go_by_label() &&
                  (problem.rows_are_alike() || problem.rows > problem.classes)) {
    for (int64_t k = 0; by_label_ && !problem.rows_are_alike() && k < problem.classes; ++k)
      of_label_.push_back(scaled(problem.affine_of(k)));
  }

  /// Once for all tiles.
  template <class T>
  void start(TileRows<T>& rows) const {
    Row row;  // what all are asked for where they are alike
    row.affine = problem_.shared_affine();
    ask(row, 0, rows);
    std::fill_n(rows.label_prior, kTileRows, 1);
    for (auto* column : {&rows.a, &rows.b, &rows.weight, &rows.factor})
      std::fill_n(*column, kTileRows, (*column)[0]);
  }

  template <class T>
  void fill(int64_t begin, int64_t n, TileRows<T>& rows) const {
    int64_t labels[kTileRows];
    problem_.labels(begin, n, labels);
    // By way of 32 bits, which vectors convert.
    for (int64_t i = 0; i < n; ++i) rows.label[i] = static_cast<T>(static_cast<int32_t>(labels[i]));
    std::fill(rows.label + n, rows.label + kTileRows, T{-1});
    for (int64_t i = 0; !alike_ && i < n; ++i) {
      if (labels[i] < 0) continue;
      if (!by_label_) {
        ask(problem_.row(begin + i), i, rows);
        continue;
      }
      if (!of_label_.empty()) rows.a[i] = of_label_[labels[i]].a, rows.b[i] = of_label_[labels[i]].b;
      if (!upstream_.rows.empty()) {
        Row row;
        row.index = begin + i;
        rows.factor[i] = problem_.factor(upstream_, row);
      }
    }
  }

 private:
  // b is of the prior's sum, not of the prior.
  Affine scaled(const Affine& affine) const { return {affine.a, affine.b == 0 ? 0 : affine.b / prior_norm_}; }
  template <class T>
  void ask(const Row& row, int64_t i, TileRows<T>& rows) const {
    const Affine affine = scaled(row.affine);
    rows.a[i] = affine.a;
    rows.b[i] = affine.b;
    rows.weight[i] = row.weight;
    rows.factor[i] = problem_.zero_gradient(row) ? 0 : problem_.factor(upstream_, row);
  }

  const Problem& problem_;
  const Upstream& upstream_;
  double prior_norm_;
  bool alike_;                    // nothing differs but the labels
  bool by_label_;                 // rows of one label have the same affine
  std::vector<Affine> of_label_;  // this, unless all rows have the same
};

/// T: float or double, the type that the kernels compute with.
template <class T>
class Tiles {
 public:
  /// Whether rows go by tiles: where vectors of their own would be short, or of scattered classes.
  static bool serve(const Problem& problem, const Logits& logits) {
    const bool scattered = logits.class_stride != 1;
    return problem.is_plain() && logits.classes == problem.classes &&
           logits.classes <= (scattered ? kMostScattered : kMostContiguous);
  }

  Tiles(const Problem& problem, const Logits& logits, const Upstream& upstream, const Chunks<T>& chunks)
      : problem_(problem),
        logits_(logits),
        chunks_(chunks),
        kernels_(kernels().of<T>().tile),
        facts_(problem, upstream, chunks.prior_norm()),
        width_(tile_width(logits.classes)),
        span_(logits.inner == 1 ? logits.outer : logits.inner) {}

  int64_t count() const { return (problem_.rows + width_ - 1) / width_; }

  /// Room for one tile; each thread has its own.
  struct Scratch {
    std::unique_ptr<TileRows<T>> rows = std::make_unique<TileRows<T>>();
    hwy::AlignedFreeUniquePtr<T[]> tile;
    std::vector<T> row;  // one gradient
    typename Chunks<T>::Scratch chunk;
    int64_t begin = 0, n = 0;  // the rows in the tile
  };
  Scratch scratch() const {
    Scratch scratch;
    const auto size = static_cast<size_t>(width_ * logits_.classes);
    scratch.tile = hwy::AllocateAligned<T>(size);
    if (!scratch.tile) throw std::bad_alloc();
    std::fill_n(scratch.tile.get(), size, T{0});
    scratch.row.resize(static_cast<size_t>(logits_.classes));
    scratch.chunk = chunks_.scratch();
    facts_.start(*scratch.rows);
    return scratch;
  }

  /// Sums of a tile's rows, and exp(z - max). `dlogits`, where given, will be written.
  void load(int64_t tile, bool entropy, const Gradient* dlogits, Scratch& scratch) const {
    scratch.begin = tile * width_;
    scratch.n = std::min(width_, problem_.rows - scratch.begin);
    TileRows<T>& rows = *scratch.rows;
    pack(scratch);
    facts_.fill(scratch.begin, scratch.n, rows);
    kernels_.maxima(scratch.tile.get(), scratch.n, logits_.classes, width_, rows);
    const Ahead next[2] = {ahead(logits_, std::min(tile + 1, count() - 1) * width_),
                           dlogits == nullptr ? Ahead() : ahead(*dlogits, scratch.begin)};
    kernels_.exps(scratch.tile.get(), scratch.n, logits_.classes, width_, chunks_.prior_sum(),
                  chunks_.prior(), entropy, next, rows);
  }
  RowSummary summary(const TileRows<T>& rows, int64_t i) const {
    RowSummary summary;
    if (rows.label[i] < 0) return summary;
    const bool prior = chunks_.prior_sum() != PriorSum::none;
    summary.max = rows.max[i], summary.tail = rows.tail[i], summary.tail_z = rows.tail_z[i];
    summary.label_dot = rows.label_dot[i], summary.label_mass = 1, summary.prior_dot = rows.prior_dot[i];
    summary.prior_mass = prior ? chunks_.prior_mass() : 0,
    summary.prior_norm = prior ? chunks_.prior_norm() : 0;
    summary.argmax = static_cast<int64_t>(rows.argmax[i]), summary.classes = problem_.classes;
    return summary;
  }

  /// The sums of rows that are finished already.
  void take(std::span<const RowSummary> summaries, Scratch& scratch) const {
    TileRows<T>& rows = *scratch.rows;
    for (int64_t i = 0; i < scratch.n; ++i) {
      const RowSummary& summary = summaries[scratch.begin + i];
      rows.tail[i] = summary.tail, rows.label_dot[i] = summary.label_dot,
      rows.prior_dot[i] = summary.prior_dot;
    }
  }

  /// The gradient of a loaded tile, in the tile.
  void gradient(Scratch& scratch) const {
    TileRows<T>& rows = *scratch.rows;
    kernels_.gradient(scratch.tile.get(), scratch.n, logits_.classes, width_, chunks_.prior(), rows);
  }
  /// The gradient of a row that chunks.h has summarized, into its place in the tile.
  void gradient(const Row& row, const RowSummary& summary, double factor, Scratch& scratch) const {
    Gradient one(scratch.row.data(), problem_.rows, logits_.classes);
    one.outer_stride = 0;  // every row there
    chunks_.gradient(row, summary, factor, one, false, scratch.chunk);
    for (int64_t k = 0; k < logits_.classes; ++k)
      element(scratch, row.index - scratch.begin, k) = scratch.row[k];
  }
  void write(const Gradient& dlogits, bool accumulate, Scratch& scratch) const {
    unpack(dlogits, accumulate, scratch);
    for (int64_t i = 0; !accumulate && dlogits.padding > 0 && i < scratch.n; ++i)
      Chunks<T>::clear_padding(scratch.begin + i, dlogits);
  }

 private:
  template <class Void>
  static int64_t stride(const View<Void>& view) {
    return view.inner == 1 ? view.outer_stride : view.inner_stride;
  }
  // body(row, n, place) for the rows of the tile, in runs of one stride.
  template <class Body>
  void for_each_run(const Scratch& scratch, const Body& body) const {
    for (int64_t i = 0, n; i < scratch.n; i += n) {
      const int64_t row = scratch.begin + i;
      n = std::min(scratch.n - i, span_ - row % span_);
      body(row, n, i);
    }
  }
  // Rows side by side are fetched in place; else the tile's bytes in their order. Short runs are not.
  template <class Void>
  Ahead ahead(const View<Void>& view, int64_t row) const {
    if (span_ < width_) return {};
    const int64_t class_step = view.classes > 1 ? view.class_stride : 0;  // an axis of one has any stride
    const auto bytes = static_cast<int64_t>(size_bytes(view.dtype));
    const char* from = static_cast<const char*>(view.data) + view.index(row, 0) * bytes;
    if (stride(view) == 1) return {from, bytes, class_step * bytes};
    const int64_t lanes = kernels_.lanes;
    return {from, stride(view) * bytes, lanes * bytes};
  }
  T& element(Scratch& scratch, int64_t i, int64_t k) const { return scratch.tile[k * width_ + i]; }

  // Whether the kernels read and write such rows: their classes or they themselves side by side.
  static bool packs(DType storage, int64_t rows, int64_t step) {
    return (storage == dtype_of<T>() || (sizeof(T) == 4 && storage != DType::f64)) &&
           (step == 1 || rows == 1);
  }

  // Rows of any storage into the tile.
  void pack(Scratch& scratch) const {
    const int64_t classes = logits_.classes, step = logits_.class_stride, rows = stride(logits_);
    for_each_run(scratch, [&](int64_t row, int64_t n, int64_t place) {
      T* tile = scratch.tile.get() + place;
      with_storage(logits_.dtype, [&]<class S>() {
        const S* from = static_cast<const S*>(logits_.data) + logits_.index(row, 0);
        if (packs(logits_.dtype, rows, step))
          return kernels_.rows(logits_.dtype).pack(from, rows, step, n, classes, width_, tile);
        for (int64_t k = 0; k < classes; ++k) {
          for (int64_t i = 0; i < n; ++i)
            tile[k * width_ + i] = labelsmooth::load<T>(from[k * step + i * rows]);
        }
      });
    });
  }

  void unpack(const Gradient& dlogits, bool accumulate, Scratch& scratch) const {
    const int64_t classes = logits_.classes, step = dlogits.class_stride, rows = stride(dlogits);
    for_each_run(scratch, [&](int64_t row, int64_t n, int64_t place) {
      const T* tile = scratch.tile.get() + place;
      with_storage(dlogits.dtype, [&]<class S>() {
        S* to = static_cast<S*>(dlogits.data) + dlogits.index(row, 0);
        if (!accumulate && packs(dlogits.dtype, rows, step))
          return kernels_.rows(dlogits.dtype).unpack(tile, n, classes, width_, to, rows, step);
        for (int64_t k = 0; k < classes; ++k) {
          for (int64_t i = 0; i < n; ++i) {
            S& element = to[k * step + i * rows];
            const T value = tile[k * width_ + i];
            store(accumulate ? value + labelsmooth::load<T>(element) : value, element);
          }
        }
      });
    });
  }

  const Problem& problem_;
  Logits logits_;
  const Chunks<T>& chunks_;
  const TileKernels<T>& kernels_;
  TileFacts facts_;
  int64_t width_, span_;  // span: rows of one stride
};

}  // namespace labelsmooth
