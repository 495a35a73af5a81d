// SPDX-License-Identifier: MIT
// The classes of a view, cut into chunks, and what a row is made of on them: z, v and t laid contiguous in
// the type the kernels compute with. Where the memory already is that, it is read in place.
#pragma once

#include <algorithm>    // std::fill_n, std::min
#include <cmath>        // std::exp, std::isfinite, std::isinf, std::log1p
#include <cstdint>      // int64_t
#include <limits>       // std::numeric_limits
#include <type_traits>  // std::is_same_v
#include <utility>      // std::exchange
#include <vector>       // std::vector

#include "kernels.h"
#include "problem.h"
#include "storage.h"

namespace labelsmooth {

constexpr int64_t kChunk = 1 << 15;  // classes to a kernel call: 128 KiB of f32, which stays in L2
// Classes up to which a row's exps are kept for its gradient: 1 MiB of f32, which L3 gives back in less time
// than they take to be made again (256,000 classes: f32 .38 ns for .46, bf16 .39 for .65).
constexpr int64_t kKept = 1 << 18;

/// c * x, where a coefficient of 0 means no term even at x = -inf.
inline double term(double c, double x) { return c == 0 ? 0 : c * x; }

/// loss = weight * (q * log1p(tail) - a * label_dot - (b + suppression) * prior_dot + the modifiers).
struct Coefficients {
  double a, b, q;      // q is the weighted mass of the target
  double suppression;  // of each class of the support
};
inline Coefficients coefficients(const Problem& problem, const RowSummary& summary, const Row& row) {
  const double a = row.affine.a, b = row.affine.b == 0 ? 0 : row.affine.b / summary.prior_norm;
  const double alpha = problem.options.max_suppression;
  return {a, b, a * summary.label_mass + b * summary.prior_mass, alpha == 0 ? 0 : alpha / summary.prior_norm};
}

/// T: float or double, the type that the kernels compute with.
template <class T>
class Chunks {
 public:
  // The grid counts from class 0 of the whole, so that it does not depend on the shard, the batch or the
  // threads.
  Chunks(const Problem& problem, const Logits& logits)
      : problem_(problem),
        options_(problem.options),
        logits_(logits),
        kernels_(kernels().of<T>()),
        soft_cap_(kernels().soft_cap) {
    const int64_t first = logits.class_begin, last = first + logits.classes;
    for (int64_t begin = first, end; begin < last; begin = end) {
      end = std::min(last, (begin / kChunk + 1) * kChunk);
      chunks_.push_back({begin, end, 0, 0});
    }
    if (problem.has_prior_part()) take_prior();
    for (int64_t k = first; problem.is_dense() && problem.weighs_terms() && k < last; ++k)
      term_weights_.push_back(static_cast<T>(problem.class_weight(k)));
    const bool plain = logits.class_stride == 1 && options_.mask.data == nullptr && options_.scale == 1 &&
                       options_.soft_cap == 0;
    z_in_place_ = plain && logits.dtype == dtype_of<T>();
    half_in_place_ = plain && !z_in_place_ && std::is_same_v<T, float> && !problem.is_dense() && !v_of_row_;
  }

  /// Room for one chunk of a row, and for the exps of a whole one. A thread keeps it for its next call: fresh
  /// pages take longer than a row.
  struct Buffers {
    std::vector<T> z, v, t, dz, exps;
    std::vector<Piece<T>> pieces;
    std::vector<KeptExps<T>> kept;  // of each chunk
  };
  /// A thread's own, for one call.
  struct Scratch {
    Buffers* buffers = nullptr;
    const Gradient* dlogits = nullptr;     // where the gradient is made in place
    bool keeps = false;                    // the exps of a row, from its sums to its gradient
    int64_t kept_row = -1, laid_row = -1;  // the row of those exps, and of the logits in buffers->z
  };
  Scratch scratch(const Gradient* dlogits = nullptr, bool accumulate = false) const {
    Scratch scratch;
    scratch.buffers = &buffers();
    const bool direct = dlogits != nullptr && writes_in_place(*dlogits, accumulate);
    const int64_t size = std::min(kChunk, logits_.classes);
    if (!z_in_place_) make_room(scratch.buffers->z, size);
    if (v_of_row_) make_room(scratch.buffers->v, size);
    if (problem_.is_dense()) make_room(scratch.buffers->t, size);
    if (dlogits != nullptr && !direct) make_room(scratch.buffers->dz, size);
    scratch.keeps = dlogits != nullptr && logits_.classes <= kKept && options_.entropy_penalty == 0;
    scratch.dlogits = direct ? dlogits : nullptr;
    return scratch;
  }

  /// What all rows sum over the first chunk, and its v: null where all are 1.
  PriorSum prior_sum() const { return prior_sum_; }
  const T* prior() const { return shared_v(chunks_.front()); }
  double prior_mass() const { return chunks_.front().prior_mass; }
  double prior_norm() const { return chunks_.front().prior_norm; }

  RowSummary summarize(const Row& row, bool entropy, Scratch& scratch) const {
    RowSummary summary;
    for (size_t i = 0; row.counts && i < chunks_.size(); ++i) {
      const RowSummary part = summarize(row, i, entropy, scratch);
      summary = i == 0 ? part : merge(summary, part);
    }
    return summary;
  }

  /// dz_k = factor * sigma_k * (p_k (q + 2 z_loss lse + entropy_penalty (H - ls + z_k - max)) - a t_k - b v_k
  /// + MaxSup's)
  void gradient(const Row& row, const RowSummary& summary, double factor, const Gradient& dlogits,
                bool accumulate, Scratch& scratch) const {
    const bool zero = problem_.zero_gradient(row), direct = writes_in_place(dlogits, accumulate);
    for (size_t i = 0; i < chunks_.size(); ++i) {
      if (zero && accumulate) break;
      const Chunk& chunk = chunks_[i];
      const Written dz = direct ? Written{address(dlogits, row, chunk), dlogits.dtype}
                                : Written{scratch.buffers->dz.data(), dtype_of<T>()};
      if (zero) {
        dz.fill(chunk.size(), 0);
      } else if (!std::isfinite(summary.max)) {
        dz.fill(chunk.size(), std::numeric_limits<T>::quiet_NaN());
      } else {
        differentiate(row, summary, factor, i, scratch, dz);
      }
      if (!direct) write(row, chunk, scratch.buffers->dz.data(), dlogits, accumulate);
    }
    if (!accumulate) clear_padding(row.index, dlogits);
  }

  static void clear_padding(int64_t row, const Gradient& dlogits) {
    with_storage(dlogits.dtype, [&]<class S>() {
      for (int64_t k = dlogits.classes; k < dlogits.classes + dlogits.padding; ++k)
        store(T{0}, static_cast<S*>(dlogits.data)[dlogits.index(row, k)]);
    });
  }

 private:
  struct Chunk {
    int64_t begin, end;             // classes of the whole
    double prior_mass, prior_norm;  // of v and of the prior, where they are every row's
    int64_t size() const { return end - begin; }
    bool holds(int64_t k) const { return begin <= k && k < end; }
  };
  // Logits of a chunk, in T or as they lie in memory.
  struct ChunkLogits {
    const void* data;
    DType storage;
    T operator[](int64_t k) const {
      if (storage == DType::f16) return load<T>(static_cast<const f16*>(data)[k]);
      if (storage == DType::bf16) return load<T>(static_cast<const bf16*>(data)[k]);
      return values()[k];
    }
    const T* values() const { return static_cast<const T*>(data); }
  };
  // The gradient of a chunk, likewise.
  struct Written {
    void* data;
    DType storage;
    void fill(int64_t n, T value) const {
      visit([&](auto* dz) {
        for (int64_t k = 0; k < n; ++k) store(value, dz[k]);
      });
    }
    void put(int64_t k, T value) const {
      visit([&](auto* dz) { store(value, dz[k]); });
    }
    T* values() const { return static_cast<T*>(data); }

   private:
    template <class Body>
    void visit(const Body& body) const {
      if (storage == DType::f16) return body(static_cast<f16*>(data));
      if (storage == DType::bf16) return body(static_cast<bf16*>(data));
      body(values());
    }
  };
  static Buffers& buffers() {
    // While the process exits, calls may come after the destruction of thread_locals: theirs stay.
    thread_local Buffers* buffers = nullptr;
    struct Owner {
      ~Owner() { delete std::exchange(buffers, nullptr); }
    };
    thread_local Owner owner;
    if (buffers == nullptr) buffers = new Buffers;
    return *buffers;
  }
  template <class Value>
  static void make_room(std::vector<Value>& room, int64_t size) {
    if (room.size() < static_cast<size_t>(size)) room.resize(static_cast<size_t>(size));
  }
  void* address(const Gradient& dlogits, const Row& row, const Chunk& chunk) const {
    return static_cast<char*>(dlogits.data) + dlogits.index(row.index, chunk.begin - logits_.class_begin) *
                                                  static_cast<int64_t>(size_bytes(dlogits.dtype));
  }
  // The soft cap's slope still needs the logits once dz, which may be their memory, is made.
  bool writes_in_place(const Gradient& dlogits, bool accumulate) const {
    return (dlogits.dtype == dtype_of<T>() || half_in_place_) && dlogits.class_stride == 1 && !accumulate &&
           options_.soft_cap == 0;
  }

  // v_k = class weight * prior of the support. Null where all are 1.
  struct PriorPart {
    const T* v;
    double mass, norm;
  };

  void lay_kept(Buffers& room) const {
    const auto count = static_cast<int64_t>(chunks_.size());
    make_room(room.exps, logits_.classes);
    make_room(room.pieces, logits_.classes / 16 + 2 * count);  // of a chunk at most size / 16 + 2
    make_room(room.kept, count);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t first = chunks_[i].begin - logits_.class_begin;
      room.kept[i] = {room.exps.data() + first, room.pieces.data() + first / 16 + 2 * i, 0};
    }
  }

  RowSummary summarize(const Row& row, size_t index, bool entropy, Scratch& scratch) const {
    const Chunk& chunk = chunks_[index];
    Buffers& room = *scratch.buffers;
    const ChunkLogits z = logits_of(row, chunk, half_in_place_, room.z.data());
    if (chunks_.size() == 1 && z.data == room.z.data()) scratch.laid_row = row.index;
    const PriorPart prior = lay_prior(row, chunk, z, room.v.data());
    ChunkSums sums;
    const bool keeps = scratch.keeps && !entropy;
    if (keeps && index == 0) lay_kept(room);
    const Gradient* dlogits = scratch.dlogits;
    const auto* ahead =
        static_cast<const char*>(dlogits == nullptr ? nullptr : address(*dlogits, row, chunk));
    kernels_.chunk(z.storage).summarize(z.data, chunk.size(), prior_sum_, {prior.v, prior.mass}, entropy,
                                        ahead, keeps ? &room.kept[index] : nullptr, sums);
    if (keeps) scratch.kept_row = row.index;

    RowSummary part;
    part.max = sums.max;
    part.tail = sums.tail;
    part.tail_z = sums.tail_z;
    part.prior_dot = needs_exact(sums) ? exact_dot(z, chunk, sums.max, prior.v) : sums.prior_dot;
    part.prior_mass = prior.mass;
    part.prior_norm = prior.norm;
    part.argmax = chunk.begin + sums.argmax;
    part.classes = chunk.size();
    if (problem_.is_dense()) {
      add_dense_labels(row, chunk, z.values(), room.t.data(), part);
      return part;
    }
    for (const auto [label, share] : row.shares()) {
      if (!chunk.holds(label)) continue;
      const double logit = z[label - chunk.begin];
      part.label_dot += logit == sums.max ? 0 : term(share, logit - sums.max);
      part.label_mass += share;
    }
    return part;
  }

  void add_dense_labels(const Row& row, const Chunk& chunk, const T* z, T* scratch, RowSummary& part) const {
    const T* t = dense_of(row, chunk, scratch);
    const bool finite = std::isfinite(part.max);
    const DotSums sums = kernels_.dot(z, chunk.size(), finite ? part.max : 0, t);
    part.label_mass = sums.mass;
    if (!finite) return;
    part.label_dot = sums.dot;
    if (!std::isfinite(part.label_dot)) part.label_dot = exact_dot({z, dtype_of<T>()}, chunk, part.max, t);
  }

  // ---- laying a chunk of a row ----

  // As they lie in memory where that is T, or a half and `halves` may stay.
  ChunkLogits logits_of(const Row& row, const Chunk& chunk, bool halves, T* scratch) const {
    const int64_t first = chunk.begin - logits_.class_begin;
    if (z_in_place_ || halves) {
      const int64_t offset =
          logits_.index(row.index, first) * static_cast<int64_t>(size_bytes(logits_.dtype));
      return {static_cast<const char*>(logits_.data) + offset, logits_.dtype};
    }
    lay_logits(row, chunk, scratch);
    return {scratch, dtype_of<T>()};
  }
  void lay_logits(const Row& row, const Chunk& chunk, T* scratch) const {
    const int64_t first = chunk.begin - logits_.class_begin;
    lay_row(logits_, row.index, first, chunk, scratch);
    if (options_.soft_cap != 0) {
      if constexpr (std::is_same_v<T, double>)  // as with_compute_type has it
        soft_cap_.apply(scratch, chunk.size(), options_.soft_cap, options_.scale);
    } else if (options_.scale != 1) {
      for (int64_t k = 0; k < chunk.size(); ++k) scratch[k] *= static_cast<T>(options_.scale);
    }
    if (options_.mask.data != nullptr) {
      const int64_t begin = mask_begin(row, chunk);
      for (int64_t k = 0; k < chunk.size(); ++k) {
        const bool kept =
            static_cast<const uint8_t*>(options_.mask.data)[begin + k * options_.mask.class_stride];
        if (!kept) scratch[k] = -std::numeric_limits<T>::infinity();
      }
    }
  }

  int64_t mask_begin(const Row& row, const Chunk& chunk) const {
    const Rows& mask = options_.mask;
    const bool shared = mask.rows() == 1 && mask.classes == problem_.classes;
    return shared ? mask.index(0, chunk.begin) : mask.index(row.index, chunk.begin - logits_.class_begin);
  }

  PriorPart lay_prior(const Row& row, const Chunk& chunk, const ChunkLogits& z, T* scratch) const {
    if (!v_of_row_) return {shared_v(chunk), chunk.prior_mass, chunk.prior_norm};
    lay_prior_values(row, chunk, scratch);
    double mass = 0, norm = 0;
    for (int64_t k = 0; k < chunk.size(); ++k) {
      const bool inside = options_.support == Support::all || !(z[k] == -std::numeric_limits<T>::infinity());
      const double prior = inside ? scratch[k] : T{0};
      norm += prior;
      scratch[k] = static_cast<T>(prior * term_weight(chunk.begin + k));
      mass += scratch[k];
    }
    return {scratch, mass, norm};
  }

  void lay_prior_values(const Row& row, const Chunk& chunk, T* scratch) const {
    const Prior& prior = options_.smoothing.prior;
    int64_t from = 0, first = chunk.begin;
    switch (prior.kind) {
      case Prior::Kind::uniform:
        std::fill_n(scratch, chunk.size(), T{1});
        return;
      case Prior::Kind::shared:
        break;
      case Prior::Kind::by_label:
        from = row.label;
        break;
      case Prior::Kind::by_row:
        from = row.index;
        first -= logits_.class_begin;
        break;
    }
    lay_row(prior.rows, from, first, chunk, scratch);
  }

  // t times the class weights: where it lies, or laid in `scratch`.
  const T* dense_of(const Row& row, const Chunk& chunk, T* scratch) const {
    const Rows& dense = problem_.target.dense;
    const int64_t first = chunk.begin - logits_.class_begin;
    if (dense.dtype == dtype_of<T>() && dense.class_stride == 1 && term_weights_.empty())
      return static_cast<const T*>(dense.data) + dense.index(row.index, first);
    lay_row(dense, row.index, first, chunk, scratch);
    for (int64_t k = 0; !term_weights_.empty() && k < chunk.size(); ++k)
      scratch[k] *= term_weights_[first + k];
    return scratch;
  }

  void lay_row(const Rows& rows, int64_t row, int64_t first, const Chunk& chunk, T* scratch) const {
    lay(rows, row, first, chunk.size(), scratch);
  }
  // n classes of a row, from `first` of the view's on.
  template <class Value>
  static void lay(const Rows& rows, int64_t row, int64_t first, int64_t n, Value* to) {
    with_storage(rows.dtype, [&]<class S>() {
      const S* from = static_cast<const S*>(rows.data) + rows.index(row, first);
      const auto copy = [&](int64_t stride) {
        for (int64_t k = 0; k < n; ++k) to[k] = load<Value>(from[k * stride]);
      };
      rows.class_stride == 1 ? copy(1) : copy(rows.class_stride);  // compilers make vectors of the former
    });
  }

  double term_weight(int64_t k) const { return problem_.weighs_terms() ? problem_.class_weight(k) : 1; }

  // ---- the prior that every row has ----

  void take_prior() {
    const Prior& prior = options_.smoothing.prior;
    v_of_row_ = options_.support == Support::finite || prior.kind == Prior::Kind::by_label ||
                prior.kind == Prior::Kind::by_row;
    const bool plain = !v_of_row_ && prior.empty() && !problem_.weighs_terms();
    prior_sum_ = plain ? PriorSum::plain : PriorSum::weighted;
    for (Chunk& chunk : chunks_) chunk.prior_mass = chunk.prior_norm = static_cast<double>(chunk.size());
    if (plain || v_of_row_) return;
    // The loss is as exact as these sums, hence long double.
    for (Chunk& chunk : chunks_) {
      long double mass = 0, norm = 0;
      for (int64_t k = chunk.begin; k < chunk.end; ++k) {
        const double share = prior.empty() ? 1 : prior.rows.real(0, k);
        shared_v_.push_back(static_cast<T>(term_weight(k) * share));
        mass += shared_v_.back();
        norm += share;
      }
      chunk.prior_mass = static_cast<double>(mass);
      chunk.prior_norm = static_cast<double>(norm);
    }
  }

  const T* shared_v(const Chunk& chunk) const {
    return shared_v_.empty() ? nullptr : shared_v_.data() + (chunk.begin - logits_.class_begin);
  }

  // The kernel's sum is of z - max in T: it may overflow where logits stand for a mask (-FLT_MAX), and where
  // a is negative it cancels against label_dot, which is exact.
  bool needs_exact(const ChunkSums& sums) const {
    const bool finite = std::isfinite(sums.prior_dot);
    return prior_sum_ != PriorSum::none && std::isfinite(sums.max) && (!finite || problem_.may_oppose());
  }
  double exact_dot(const ChunkLogits& z, const Chunk& chunk, double max, const T* v) const {
    double dot = 0;
    for (int64_t k = 0; k < chunk.size(); ++k) dot += term(v == nullptr ? 1 : v[k], z[k] - max);
    return dot;
  }

  // ---- gradient ----

  void differentiate(const Row& row, const RowSummary& summary, double factor, size_t index, Scratch& scratch,
                     const Written& dz) const {
    const Chunk& chunk = chunks_[index];
    Buffers& room = *scratch.buffers;
    const Coefficients c = coefficients(problem_, summary, row);
    const bool laid = scratch.laid_row == row.index;
    if (!laid) scratch.laid_row = -1;
    const ChunkLogits z =
        laid ? ChunkLogits{room.z.data(), dtype_of<T>()}
             : logits_of(row, chunk, half_in_place_ && dz.storage == logits_.dtype, room.z.data());
    const PriorPart prior = lay_prior(row, chunk, z, room.v.data());
    const bool dense = problem_.is_dense();
    const T* t = dense ? dense_of(row, chunk, room.t.data()) : nullptr;
    // Taken before dz, which may be z, is written.
    const Elements elements = exact_elements(row, summary, chunk, z, prior, t);

    const double b = c.b + c.suppression, share = factor / (1 + summary.tail);
    if (dense) add_prior(c.a, t, b, prior, chunk, room.t.data());
    const GradientFactors factors = {share * (c.q + modifier_slope(summary, 0)),
                                     share * options_.entropy_penalty, dense ? factor : factor * b};
    const T* v = dense ? room.t.data() : prior.v;
    if (scratch.kept_row == row.index) {
      kernels_.chunk(dz.storage).gradient_of_kept(room.kept[index], summary.max, factors, v, dz.data);
    } else {
      kernels_.chunk(dz.storage).gradient(z.data, chunk.size(), summary.max, factors, v, dz.data);
    }
    for (const Element& element : elements)
      dz.put(element.k, static_cast<T>(factor * derivative(c, summary, element)));
    if (options_.scale != 1 || options_.soft_cap != 0) chain(row, chunk, z.values(), dz.values());
  }

  // What z_loss and entropy_penalty add to the factor of p_k, at x = z_k - max.
  double modifier_slope(const RowSummary& summary, double x) const {
    double slope = 0;
    if (const double lambda = options_.z_loss; lambda != 0)
      slope += 2 * lambda * (summary.max + std::log1p(summary.tail));
    if (const double beta = options_.entropy_penalty; beta != 0)
      slope += beta * (x - summary.tail_z / (1 + summary.tail));
    return slope;
  }

  // Elements that are made in double: the labels' own, and the argmax where its t cancels against p or MaxSup
  // adds to it.
  struct Element {
    int64_t k;  // within the chunk
    bool argmax;
    double x, t, v;  // x = z_k - max
  };
  struct Elements {
    Element list[3];
    int count = 0;
    const Element* begin() const { return list; }
    const Element* end() const { return list + count; }
  };
  Elements exact_elements(const Row& row, const RowSummary& summary, const Chunk& chunk, const ChunkLogits& z,
                          const PriorPart& prior, const T* t) const {
    Elements elements;
    bool has_argmax = !chunk.holds(summary.argmax);
    const auto add = [&](int64_t label, double share) {
      const int64_t k = label - chunk.begin;
      has_argmax |= label == summary.argmax;
      elements.list[elements.count++] = {k, label == summary.argmax, z[k] - summary.max, share,
                                         prior.v == nullptr ? 1. : prior.v[k]};
    };
    for (const auto [label, share] : row.shares()) {
      if (chunk.holds(label)) add(label, share);
    }
    const bool dense = problem_.is_dense();
    if (!has_argmax && (dense || options_.max_suppression != 0))
      add(summary.argmax, dense ? t[summary.argmax - chunk.begin] : 0);
    return elements;
  }

  // At the max, p = 1 - tail / (1 + tail), which is free of cancellation against t where p is large.
  double derivative(const Coefficients& c, const RowSummary& summary, const Element& element) const {
    const double p = std::exp(element.x) / (1 + summary.tail), mass = summary.label_mass;
    const double modifiers = (element.argmax ? options_.max_suppression : 0) +
                             (p == 0 ? 0 : p * modifier_slope(summary, element.x));
    if (!element.argmax || summary.tail > 1)
      return c.q * p - (c.a * element.t + (c.b + c.suppression) * element.v) + modifiers;
    const double label_part = mass - element.t - mass * summary.tail / (1 + summary.tail);
    const double prior_part = c.b * (summary.prior_mass * p - element.v) - c.suppression * element.v;
    return c.a * label_part + prior_part + modifiers;
  }

  // a t + b v.
  void add_prior(double a, const T* t, double b, const PriorPart& prior, const Chunk& chunk, T* sum) const {
    const T label_factor = static_cast<T>(a), prior_factor = static_cast<T>(b);
    if (prior.v == nullptr) {  // apart, so that compilers make vectors of it
      for (int64_t k = 0; k < chunk.size(); ++k) sum[k] = label_factor * t[k] + prior_factor;
    } else {
      for (int64_t k = 0; k < chunk.size(); ++k) sum[k] = label_factor * t[k] + prior_factor * prior.v[k];
    }
  }

  // From the derivative in z to that in the logit: z = scale * cap * tanh(logit / cap).
  void chain(const Row& row, const Chunk& chunk, const T* z, T* dz) const {
    if (options_.soft_cap == 0) {
      for (int64_t k = 0; k < chunk.size(); ++k) dz[k] *= static_cast<T>(options_.scale);
      return;
    }
    constexpr int64_t kBlock = 512;
    double slopes[kBlock];
    for (int64_t begin = 0; begin < chunk.size(); begin += kBlock) {
      const int64_t n = std::min(kBlock, chunk.size() - begin);
      lay(logits_, row.index, chunk.begin - logits_.class_begin + begin, n, slopes);
      // A masked class is one at -inf.
      for (int64_t k = 0; k < n; ++k) slopes[k] = std::isinf(z[begin + k]) ? z[begin + k] : slopes[k];
      soft_cap_.slopes(slopes, n, options_.soft_cap, options_.scale);
      for (int64_t k = 0; k < n; ++k) dz[begin + k] = static_cast<T>(dz[begin + k] * slopes[k]);
    }
  }

  void write(const Row& row, const Chunk& chunk, const T* dz, const Gradient& dlogits,
             bool accumulate) const {
    with_storage(dlogits.dtype, [&]<class S>() {
      S* to = static_cast<S*>(dlogits.data) + dlogits.index(row.index, chunk.begin - logits_.class_begin);
      const auto put = [&](int64_t stride) {
        for (int64_t k = 0; k < chunk.size(); ++k) {
          S& element = to[k * stride];
          store(accumulate ? dz[k] + load<T>(element) : dz[k], element);
        }
      };
      dlogits.class_stride == 1 ? put(1) : put(dlogits.class_stride);
    });
  }

  const Problem& problem_;
  const Options& options_;
  Logits logits_;
  const TypeKernels<T>& kernels_;
  const SoftCapKernels& soft_cap_;
  PriorSum prior_sum_ = PriorSum::none;
  bool z_in_place_ = false, half_in_place_ = false, v_of_row_ = false;
  std::vector<T> shared_v_;      // v of these classes; empty where all are 1
  std::vector<T> term_weights_;  // of dense targets, of these classes; empty where all are 1
  std::vector<Chunk> chunks_;
};

}  // namespace labelsmooth
