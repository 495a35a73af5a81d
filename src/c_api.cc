// SPDX-License-Identifier: MIT
// The C interface: turns plain structs into the library's and exceptions into a status. No semantics of its
// own.
#include "labelsmooth/c_api.h"

#include <algorithm>  // std::copy, std::max, std::min
#include <cstring>    // std::memcpy
#include <exception>  // std::exception
#include <new>        // std::bad_alloc
#include <string>     // std::string
#include <vector>     // std::vector

#include "labelsmooth/cross_entropy.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"
#include "labelsmooth/sigmoid_cross_entropy.h"

namespace labelsmooth {
namespace {

static_assert(sizeof(labelsmooth_row_summary) == sizeof(RowSummary));
static_assert(offsetof(labelsmooth_row_summary, classes) == offsetof(RowSummary, classes));
static_assert(LABELSMOOTH_U64 == static_cast<int>(DType::u64));

// Fixed storage, so that to report is never to fail.
struct LastError {
  char message[1024] = "", argument[64] = "";
  int64_t row = -1;
};
thread_local LastError last_error;

template <size_t kSize>
void copy(char (&to)[kSize], const char* from) {
  const size_t size = std::min(std::strlen(from), kSize - 1);
  std::memcpy(to, from, size);
  to[size] = 0;
}

int fail(int status, const char* message, const char* argument = "", int64_t row = -1) {
  copy(last_error.message, message);
  copy(last_error.argument, argument);
  last_error.row = row;
  return status;
}

template <class Body>
int guarded(const Body& body) {
  try {
    body();
    return LABELSMOOTH_OK;
  } catch (const Error& error) {
    return fail(LABELSMOOTH_INVALID_ARGUMENT, error.what(), error.argument.c_str(), error.row);
  } catch (const std::bad_alloc&) {
    return fail(LABELSMOOTH_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return fail(LABELSMOOTH_FAILED, error.what());
  } catch (...) {
    return fail(LABELSMOOTH_FAILED, "unknown exception");
  }
}

// The caller's struct over `defaults`, where the caller's header may be older or newer than the library.
template <class Struct>
Struct read_struct(const char* argument, const Struct* from, Struct defaults) {
  if (from == nullptr) return defaults;
  const size_t size = from->struct_size;
  if (size < sizeof size)
    throw Error(argument, "struct_size " + std::to_string(size) + " found, sizeof is needed");
  const auto* bytes = reinterpret_cast<const char*>(from);
  for (size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] != 0) {
      throw Error(argument, "struct_size " + std::to_string(size) + " found, this library knows " +
                                std::to_string(sizeof(Struct)) + " bytes and the rest is not 0");
    }
  }
  std::memcpy(&defaults, from, std::min(size, sizeof(Struct)));
  return defaults;
}

template <class Enum>
Enum enum_of(const char* argument, int32_t value, Enum last) {
  if (value < 0 || value > static_cast<int32_t>(last)) {
    throw Error(argument, std::to_string(value) + " found, 0 to " +
                              std::to_string(static_cast<int32_t>(last)) + " is allowed");
  }
  return static_cast<Enum>(value);
}

Vector vector_of(const char* argument, const labelsmooth_vector& vector) {
  if (vector.size < 0)
    throw Error(argument, "size " + std::to_string(vector.size) + " found, 0 is the least");
  return {vector.data, enum_of(argument, vector.dtype, DType::u64), vector.size};
}

template <class Void>
View<Void> view_of(const char* argument, const labelsmooth_view* view) {
  if (view == nullptr) throw Error(argument, "null");
  View<Void> result(static_cast<Void*>(view->data), enum_of(argument, view->dtype, DType::u64), view->outer,
                    view->classes, view->inner);
  result.outer_stride = view->outer_stride;
  result.class_stride = view->class_stride;
  result.inner_stride = view->inner_stride;
  result.class_begin = view->class_begin;
  result.total_classes = view->total_classes;
  result.padding = view->padding;
  return result;
}

int64_t rows_of(const Logits& logits) {
  if (logits.outer < 0 || logits.inner < 0) return 0;  // the loss refuses it with its shape
  int64_t rows;
  if (__builtin_mul_overflow(logits.outer, logits.inner, &rows)) throw Error("logits", "too many rows");
  return rows;
}

Target target_of(const labelsmooth_target* from) {
  if (from == nullptr) throw Error("target", "null");
  const labelsmooth_target c = read_struct("target", from, labelsmooth_target{});
  Target target(vector_of("labels", c.labels));
  target.kind = enum_of("target", c.kind, Target::Kind::dense);
  target.second = vector_of("labels", c.second);
  target.weight = vector_of("weight", c.weight);
  if (target.kind == Target::Kind::dense) target.dense = view_of<const void>("targets", &c.dense);
  return target;
}

Smoothing smoothing_of(const labelsmooth_smoothing& c) {
  Smoothing smoothing;
  smoothing.rule = enum_of("rule", c.rule, Rule::additive);
  smoothing.amount = c.amount;
  smoothing.prior.kind = enum_of("prior", c.prior_kind, Prior::Kind::by_row);
  if (!smoothing.prior.empty()) smoothing.prior.rows = view_of<const void>("prior", &c.prior);
  smoothing.amount_by_class = vector_of("amount_by_class", c.amount_by_class);
  smoothing.amount_by_row = vector_of("amount_by_row", c.amount_by_row);
  return smoothing;
}

Options options_of(const labelsmooth_options& c) {
  Options options;
  options.smoothing = smoothing_of(c.smoothing);
  options.class_weights = vector_of("class_weights", c.class_weights);
  options.weighting = enum_of("weighting", c.weighting, Weighting::expected);
  options.row_weights = vector_of("row_weights", c.row_weights);
  options.ignore_index = c.ignore != 0 ? std::optional(c.ignore_index) : std::nullopt;
  options.support = enum_of("support", c.support, Support::finite);
  if (c.mask.data != nullptr) options.mask = view_of<const void>("mask", &c.mask);
  options.scale = c.scale;
  options.soft_cap = c.soft_cap;
  options.z_loss = c.z_loss;
  options.entropy_penalty = c.entropy_penalty;
  options.max_suppression = c.max_suppression;
  options.reduction = enum_of("reduction", c.reduction, Reduction::none);
  options.denominator = {enum_of("denominator", c.denominator, Denominator::constant), c.denominator_value};
  options.empty = enum_of("empty", c.empty, Empty::error);
  return options;
}

labelsmooth_options read_options(const labelsmooth_options* options) {
  return read_struct("options", options, labelsmooth_default_options());
}

Parts parts_of(const labelsmooth_parts* from, int64_t rows) {
  const labelsmooth_parts c = read_struct("parts", from, labelsmooth_parts{});
  const auto span = [rows](auto* data) {
    return std::span(data, data == nullptr ? 0 : static_cast<size_t>(rows));
  };
  return {span(c.loss),    span(c.nll),    span(c.lse),    span(c.confidence),
          span(c.entropy), span(c.argmax), span(c.correct)};
}

Upstream upstream_of(const labelsmooth_upstream* from) {
  labelsmooth_upstream defaults = {};
  defaults.scalar = 1;
  const labelsmooth_upstream c = read_struct("upstream", from, defaults);
  return {c.scalar, vector_of("upstream", c.rows), c.accumulate != 0};
}

template <class CResult>
void check_result(const CResult* result) {
  if (result != nullptr && result->struct_size < sizeof(size_t))
    throw Error("result", "struct_size " + std::to_string(result->struct_size) + " found, sizeof is needed");
}

SigmoidOptions options_of(const labelsmooth_sigmoid_options& c) {
  SigmoidOptions options;
  options.smoothing = {enum_of("rule", c.rule, BinaryRule::spread), c.amount};
  options.pos_weight = vector_of("pos_weight", c.pos_weight);
  options.class_weights = vector_of("class_weights", c.class_weights);
  options.row_weights = vector_of("row_weights", c.row_weights);
  if (c.element_weights.data != nullptr)
    options.element_weights = view_of<const void>("element_weights", &c.element_weights);
  options.ignore_index = c.ignore != 0 ? std::optional(c.ignore_index) : std::nullopt;
  if (c.mask.data != nullptr) options.mask = view_of<const void>("mask", &c.mask);
  options.reduction = enum_of("reduction", c.reduction, Reduction::none);
  options.denominator = {enum_of("denominator", c.denominator, SigmoidDenominator::constant),
                         c.denominator_value};
  options.empty = enum_of("empty", c.empty, Empty::error);
  return options;
}

SigmoidParts parts_of(const labelsmooth_sigmoid_parts* from, const Logits& logits) {
  const labelsmooth_sigmoid_parts c = read_struct("parts", from, labelsmooth_sigmoid_parts{});
  const int64_t rows = rows_of(logits);
  int64_t elements;
  if (__builtin_mul_overflow(rows, std::max<int64_t>(0, logits.classes), &elements))
    throw Error("logits", "too many elements");
  const auto span = [](double* data, int64_t size) {
    return std::span(data, data == nullptr ? 0 : static_cast<size_t>(size));
  };
  return {span(c.loss, rows), span(c.nll, rows), span(c.elements, elements)};
}

void write_result(const SigmoidResult& from, labelsmooth_sigmoid_result* result) {
  if (result == nullptr) return;
  labelsmooth_sigmoid_result c = {result->struct_size, from.loss,    from.nll,
                                  from.denominator,    from.rows,    from.counted,
                                  from.elements,       from.correct, from.first_impossible_row};
  std::memcpy(result, &c, std::min(result->struct_size, sizeof c));
}

void write_result(const Result& from, labelsmooth_result* result) {
  if (result == nullptr) return;
  labelsmooth_result c = {result->struct_size, from.loss,    from.nll,     from.denominator,
                          from.rows,           from.counted, from.correct, from.first_impossible_row};
  std::memcpy(result, &c, std::min(result->struct_size, sizeof c));
}

// A negative count of rows would become a huge span.
int64_t checked_rows(int64_t rows) {
  if (rows < 0) throw Error("rows", std::to_string(rows) + " found, 0 is the least");
  return rows;
}
std::span<const RowSummary> summaries_of(const labelsmooth_row_summary* summaries, int64_t rows) {
  if (summaries == nullptr && rows > 0) throw Error("summaries", "null");
  return {reinterpret_cast<const RowSummary*>(summaries), static_cast<size_t>(rows)};  // the same layout
}
std::span<RowSummary> summaries_of(labelsmooth_row_summary* summaries, int64_t rows) {
  if (summaries == nullptr && rows > 0) throw Error("summaries", "null");
  return {reinterpret_cast<RowSummary*>(summaries), static_cast<size_t>(rows)};
}

// Runs body on the host's scheduler where the options name one.
template <class COptions, class Body>
void on_threads_of(const COptions& options, const Body& body) {
  if (options.parallel_for == nullptr) return body();
  const HostThreads threads([&options](int64_t tasks, const labelsmooth::Body& range) {
    const auto call = [](void* context, int64_t begin, int64_t end) {
      (*static_cast<const labelsmooth::Body*>(context))(begin, end);
    };
    options.parallel_for(options.host, tasks, call, const_cast<labelsmooth::Body*>(&range));
  });
  body();
}

}  // namespace
}  // namespace labelsmooth

using namespace labelsmooth;  // NOLINT: every function below is the C name of one of its functions

const char* labelsmooth_last_error(void) { return last_error.message; }
const char* labelsmooth_last_error_argument(void) { return last_error.argument; }
int64_t labelsmooth_last_error_row(void) { return last_error.row; }
const char* labelsmooth_version(void) { return LABELSMOOTH_VERSION; }

int labelsmooth_target_row(const labelsmooth_smoothing* smoothing, int64_t classes, int64_t label,
                           double* row, double* row_mass) {
  return guarded([&] {
    if (smoothing == nullptr) throw Error("smoothing", "null");
    const Smoothing one = smoothing_of(*smoothing);
    const std::vector<double> q = target(one, classes, label);
    const double sum = mass(one, classes);
    if (row != nullptr) std::copy(q.begin(), q.end(), row);
    if (row_mass != nullptr) *row_mass = sum;
  });
}

int labelsmooth_as_uniform(const labelsmooth_smoothing* smoothing, int64_t classes, double* amount,
                           double* scale) {
  return guarded([&] {
    if (smoothing == nullptr) throw Error("smoothing", "null");
    const Equivalent equivalent = as_uniform(smoothing_of(*smoothing), classes);
    if (amount != nullptr) *amount = equivalent.amount;
    if (scale != nullptr) *scale = equivalent.scale;
  });
}

int labelsmooth_optimum(const labelsmooth_smoothing* smoothing, int64_t classes, int64_t label,
                        double* probability, double* gap, double* floor) {
  return guarded([&] {
    if (smoothing == nullptr) throw Error("smoothing", "null");
    const Optimum best = optimum(smoothing_of(*smoothing), classes, label);
    if (probability != nullptr) *probability = best.probability;
    if (gap != nullptr) *gap = best.gap;
    if (floor != nullptr) *floor = best.floor;
  });
}

int labelsmooth_cross_entropy(const labelsmooth_view* logits, const labelsmooth_target* target,
                              const labelsmooth_view* dlogits, const labelsmooth_options* options,
                              const labelsmooth_upstream* upstream, const labelsmooth_parts* parts,
                              labelsmooth_result* result) {
  return guarded([&] {
    check_result(result);
    const labelsmooth_options c = read_options(options);
    const Logits z = view_of<const void>("logits", logits);
    const Target t = target_of(target);
    const Options o = options_of(c);
    const Parts p = parts_of(parts, rows_of(z));
    on_threads_of(c, [&] {
      write_result(dlogits == nullptr
                       ? cross_entropy(z, t, o, p)
                       : cross_entropy(z, t, view_of<void>("dlogits", dlogits), o, p, upstream_of(upstream)),
                   result);
    });
  });
}

int labelsmooth_summarize(const labelsmooth_view* logits, const labelsmooth_target* target,
                          const labelsmooth_options* options, labelsmooth_row_summary* summaries) {
  return guarded([&] {
    const labelsmooth_options c = read_options(options);
    const Logits z = view_of<const void>("logits", logits);
    on_threads_of(
        c, [&] { summarize(z, target_of(target), options_of(c), summaries_of(summaries, rows_of(z))); });
  });
}

int labelsmooth_merge_shards(const labelsmooth_shard* shards, int64_t shard_count, int64_t rows,
                             int64_t total_classes, labelsmooth_row_summary* merged) {
  return guarded([&] {
    if (shard_count < 0 || (shards == nullptr && shard_count > 0))
      throw Error("shards", "null, or a negative count");
    std::vector<Shard> list;
    for (int64_t i = 0; i < shard_count; ++i) {
      list.push_back(
          {shards[i].class_begin, shards[i].classes, summaries_of(shards[i].summaries, checked_rows(rows))});
    }
    merge_shards(list, total_classes, summaries_of(merged, checked_rows(rows)));
  });
}

int labelsmooth_finish(const labelsmooth_row_summary* summaries, int64_t rows, int64_t total_classes,
                       const labelsmooth_target* target, const labelsmooth_options* options,
                       const labelsmooth_parts* parts, labelsmooth_result* result) {
  return guarded([&] {
    check_result(result);
    const labelsmooth_options c = read_options(options);
    const auto all = summaries_of(summaries, checked_rows(rows));
    on_threads_of(c, [&] {
      write_result(finish(all, total_classes, target_of(target), options_of(c), parts_of(parts, rows)),
                   result);
    });
  });
}

int labelsmooth_gradient(const labelsmooth_view* logits, const labelsmooth_target* target,
                         const labelsmooth_row_summary* summaries, const labelsmooth_view* dlogits,
                         const labelsmooth_options* options, const labelsmooth_upstream* upstream) {
  return guarded([&] {
    const labelsmooth_options c = read_options(options);
    const Logits z = view_of<const void>("logits", logits);
    const Gradient dz = view_of<void>("dlogits", dlogits);
    on_threads_of(c, [&] {
      gradient(z, target_of(target), summaries_of(summaries, rows_of(z)), options_of(c), dz,
               upstream_of(upstream));
    });
  });
}

int labelsmooth_sigmoid_cross_entropy(const labelsmooth_view* logits, const labelsmooth_target* target,
                                      const labelsmooth_view* dlogits,
                                      const labelsmooth_sigmoid_options* options,
                                      const labelsmooth_upstream* upstream,
                                      const labelsmooth_sigmoid_parts* parts,
                                      labelsmooth_sigmoid_result* result) {
  return guarded([&] {
    check_result(result);
    const labelsmooth_sigmoid_options c =
        read_struct("options", options, labelsmooth_default_sigmoid_options());
    const Logits z = view_of<const void>("logits", logits);
    const Target t = target_of(target);
    const SigmoidOptions o = options_of(c);
    const SigmoidParts p = parts_of(parts, z);
    on_threads_of(c, [&] {
      write_result(dlogits == nullptr ? sigmoid_cross_entropy(z, t, o, p)
                                      : sigmoid_cross_entropy(z, t, view_of<void>("dlogits", dlogits), o, p,
                                                              upstream_of(upstream)),
                   result);
    });
  });
}

int labelsmooth_set_threads(int count) {
  return guarded([&] { set_threads(count); });
}

int labelsmooth_threads(int* count) {
  return guarded([&] {
    if (count == nullptr) throw Error("count", "null");
    *count = threads();
  });
}

int labelsmooth_set_isa(const char* name) {
  return guarded([&] {
    if (name == nullptr) throw Error("isa", "null");
    set_isa(name);
  });
}

int labelsmooth_isa(const char** name) {
  return guarded([&] {
    if (name == nullptr) throw Error("isa", "null");
    static thread_local std::string current;
    current = isa();
    *name = current.c_str();
  });
}
