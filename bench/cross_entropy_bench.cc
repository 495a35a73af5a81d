// SPDX-License-Identifier: MIT
// The loss beside the limit of the same bytes, in turn. A row of the table is a Google Benchmark whose
// iterations are the repetitions: each times every copy and the work once, on a batch of its own.
#include <benchmark/benchmark.h>
#include <time.h>  // clock_gettime

#include <algorithm>   // std::max, std::minmax_element, std::nth_element
#include <functional>  // std::function
#include <iostream>    // std::cerr
#include <memory>      // std::unique_ptr
#include <string>      // std::string
#include <vector>      // std::vector

#include "bandwidth.h"
#include "batches.h"
#include "labelsmooth/cross_entropy.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"

namespace labelsmooth::bench {
namespace {

// ---- What is measured

// What options borrow, (classes,) each.
struct Vectors {
  Vectors() = default;
  explicit Vectors(int64_t classes) {
    for (int64_t k = 0; k < classes; ++k) weights.push_back(0.5f + static_cast<float>(k % 7) / 7);
    for (int64_t k = 0; k < classes; ++k) prior.push_back(static_cast<double>(k % 5 + 1));
    double sum = 0;
    for (const double p : prior) sum += p;
    for (double& p : prior) p /= sum;
  }
  std::vector<float> weights;
  std::vector<double> prior;
};

enum class Output { loss, gradient, gradient_over_logits };

struct Work {
  const char* name;
  Output output;
  Options (*options)(const Vectors& vectors);
};

// The sum, as the gradient of a mean over many rows would be subnormal in f16.
Options smoothed(const Vectors&) { return {.smoothing = uniform(0.1), .reduction = Reduction::sum}; }
Options unsmoothed(const Vectors&) { return {.reduction = Reduction::sum}; }
Options weighted(const Vectors& vectors) {
  return {.smoothing = uniform(0.1), .class_weights = vectors.weights, .reduction = Reduction::sum};
}
Options with_prior(const Vectors& vectors) {
  return {.smoothing = uniform(0.1, vectors.prior), .reduction = Reduction::sum};
}
Options capped(const Vectors&) {
  return {.smoothing = uniform(0.1), .soft_cap = 30, .reduction = Reduction::sum};
}

const std::vector<Work> kMain = {{"forward", Output::loss, smoothed},
                                 {"forward_backward", Output::gradient, smoothed},
                                 {"forward_backward_inplace", Output::gradient_over_logits, smoothed}};
const std::vector<Work> kWithOptions = {{"forward_backward_unsmoothed", Output::gradient, unsmoothed},
                                        {"forward_backward_class_weights", Output::gradient, weighted},
                                        {"forward_backward_prior", Output::gradient, with_prior},
                                        {"forward_backward_soft_cap", Output::gradient, capped}};
const std::vector<Work> kGradient = {kMain[1]};

struct Case {
  Work work;
  DType dtype;
  Shape shape;
  int threads;
  // "forward_backward/f32/32x81x8732/2": the last is the number of threads
  std::string name() const {
    std::string text = work.name;
    text.append("/").append(labelsmooth::name(dtype));
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      text.append(axis == 0 ? "/" : "x").append(std::to_string(shape[axis]));
    }
    return text.append("/").append(std::to_string(threads));
  }
  bool beside_plain() const {
    return work.output == Output::gradient && (work.options != smoothed || shape.size() > 2);
  }
};

// ---- How

// On one thread the CPU time of the process, so that another process's turns do not count.
double seconds(int threads) {
  timespec time;
  clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// One of the things that take turns.
struct Side {
  std::function<void(Batch&)> call;
  std::vector<double> times = {};  // seconds, one a repetition
};

std::vector<Side> limits(Output output, int64_t bytes) {
  if (output == Output::loss) return {{[=](Batch& batch) { read(batch.logits.data, bytes); }}};
  std::vector<Side> copies;
  for (const auto copy : {copy_by_memcpy, copy_streaming, copy_plain}) {
    copies.push_back({[=](Batch& batch) { copy(batch.logits.data, batch.gradient.data, bytes); }});
  }
  return copies;
}

void call(Output output, Batch& batch, const Options& options) {
  switch (output) {
    case Output::loss:
      cross_entropy(batch.logits, batch.labels, options);
      break;
    case Output::gradient:
      cross_entropy(batch.logits, batch.labels, batch.gradient, options);
      break;
    case Output::gradient_over_logits:
      cross_entropy(batch.logits, batch.labels, batch.logits, options);
  }
}

// The same elements with the classes last.
View<void> as_rows(const View<void>& view) { return {view.data, view.dtype, view.rows(), view.classes, 1}; }

// What options and another class axis are compared with.
Side plain() {
  return {[](Batch& batch) {
    cross_entropy(as_rows(batch.logits), batch.labels, as_rows(batch.gradient), smoothed({}));
  }};
}

// Of a over b, repetition by repetition: counters `name`, name_min and name_max.
void report_ratio(benchmark::State& state, const std::string& name, const Side& a, const Side& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.times.size(); ++i) ratios.push_back(a.times[i] / b.times[i]);
  const auto [min, max] = std::minmax_element(ratios.begin(), ratios.end());
  state.counters[name] = median(ratios);
  state.counters[name + "_min"] = *min;
  state.counters[name + "_max"] = *max;
}

// The batches of the last case, which the next one mostly shares.
Batches& batches_of(const Case& c, int64_t batch_bytes) {
  static std::unique_ptr<Batches> batches;
  static DType dtype;
  static Shape shape;
  if (batches == nullptr || dtype != c.dtype || shape != c.shape) {
    batches.reset();
    batches = std::make_unique<Batches>(c.dtype, c.shape, batch_bytes);
    dtype = c.dtype;
    shape = c.shape;
  }
  return *batches;
}

void measure(benchmark::State& state, const Case& c, int64_t batch_bytes) {
  set_threads(c.threads);
  Batches& batches = batches_of(c, batch_bytes);
  const Vectors vectors(classes(c.shape));
  const Options options = c.work.options(vectors);
  const Output output = c.work.output;
  const int64_t bytes = elements(c.shape) * static_cast<int64_t>(size_bytes(c.dtype));
  // Many calls make a repetition where one is short.
  const int64_t calls = std::max<int64_t>(1, (1 << 21) / elements(c.shape));

  std::vector<Side> sides = limits(output, bytes);
  const size_t limit_count = sides.size();
  sides.push_back({[&](Batch& batch) { call(output, batch, options); }});
  if (c.beside_plain()) sides.push_back(plain());
  const Side& work = sides[limit_count];

  const auto time_of = [&](const Side& side) {
    double time = 0;
    for (int64_t i = 0; i < calls; ++i) {
      Batch& batch = batches.next();
      const double begin = seconds(c.threads);
      side.call(batch);
      time += seconds(c.threads) - begin;
      if (output == Output::gradient_over_logits && &side == &work) Batches::restore(batch);
    }
    return time;
  };
  for (const Side& side : sides) time_of(side);  // first calls are not like the others
  bool forth = true;
  for (auto _ : state) {
    for (size_t i = 0; i < sides.size(); ++i) {
      Side& side = sides[forth ? i : sides.size() - 1 - i];
      side.times.push_back(time_of(side));
    }
    forth = !forth;
    state.SetIterationTime(work.times.back());
  }

  const Side& limit =
      *std::min_element(sides.begin(), sides.begin() + static_cast<std::ptrdiff_t>(limit_count),
                        [](const Side& a, const Side& b) { return median(a.times) < median(b.times); });
  const auto moved = static_cast<double>(calls * bytes * (output == Output::loss ? 1 : 2));
  state.counters["ns"] = 1e9 * median(work.times) / static_cast<double>(calls * elements(c.shape));
  state.counters["limit_GB/s"] = 1e-9 * moved / median(limit.times);
  report_ratio(state, "over_limit", work, limit);
  if (c.beside_plain()) report_ratio(state, "over_plain", work, sides.back());
}

// ---- The table

struct Table {
  bool quick = false, warm = false;

  int64_t batch_bytes() const { return warm ? 0 : cold_bytes(); }

  void add(const std::vector<Work>& works, const std::vector<DType>& dtypes, const Shape& shape,
           int threads) const {
    for (const DType dtype : dtypes) {
      for (const Work& work : works) {
        const Case c{work, dtype, shape, threads};
        benchmark::RegisterBenchmark(c.name().c_str(),
                                     [c, bytes = batch_bytes()](auto& state) { measure(state, c, bytes); })
            ->Iterations(quick || shape.size() > 2 ? 7 : 15)  // the latter shapes are large
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }

  // Tensors of f32 above 32 MiB, as those of training are: malloc maps them afresh for the peers that
  // allocate. With `warm` so few rows that logits and gradient fit L2.
  Shape rows_of(int64_t classes, int threads) const {
    const int64_t elements = warm ? int64_t{threads} << 15 : int64_t{std::max(8, threads)} << 20;
    return {std::max<int64_t>(threads, (elements + classes - 1) / classes), classes};
  }

  void add(int threads) const {
    const std::vector<DType> dtypes =
        quick ? std::vector{DType::f32, DType::bf16} : std::vector{DType::f32, DType::bf16, DType::f16};
    for (const int64_t classes : quick
                                     ? std::vector<int64_t>{10, 1000, 32'000}
                                     : std::vector<int64_t>{2, 10, 15, 100, 1000, 32'000, 128'256, 256'000}) {
      add(kMain, dtypes, rows_of(classes, threads), threads);
      if (!quick && (classes == 1000 || classes == 32'000)) {
        add(kWithOptions, dtypes, rows_of(classes, threads), threads);
      }
    }
    if (quick || warm) return;
    // Detection and segmentation, where other axes follow the classes.
    add(kGradient, dtypes, {32, 81, 8732}, threads);
    add(kGradient, dtypes, {8, 19, 512, 1024}, threads);
  }
};

}  // namespace
}  // namespace labelsmooth::bench

int main(int argc, char** argv) {
  using namespace labelsmooth;
  benchmark::Initialize(&argc, argv);
  bench::Table table;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      table.quick = true;
    } else if (argument == "--warm") {
      table.warm = true;
    } else {
      std::cerr << "cross_entropy_bench: unknown option '" << argument
                << "': --quick, --warm, --benchmark_...\n";
      return 2;
    }
  }
  const int all = threads();
  benchmark::AddCustomContext("isa", isa());
  benchmark::AddCustomContext("threads", std::to_string(all));
  benchmark::AddCustomContext("batch_bytes", std::to_string(table.batch_bytes()));
  table.add(1);
  if (all > 1) table.add(all);
  return benchmark::RunSpecifiedBenchmarks() == 0;
}
