// SPDX-License-Identifier: MIT
#include "batches.h"

#include <benchmark/benchmark.h>  // CPUInfo
#include <sys/mman.h>             // madvise
#include <unistd.h>               // sysconf

#include <algorithm>   // std::clamp, std::max
#include <cstdlib>     // std::aligned_alloc, std::free
#include <cstring>     // std::memset
#include <functional>  // std::multiplies
#include <new>         // std::bad_alloc
#include <numeric>     // std::accumulate
#include <random>      // std::mt19937, std::normal_distribution

#include "storage.h"

namespace labelsmooth::bench {
namespace {

constexpr size_t kHugePage = 2 << 20;

// On huge pages where the system gives them on request, and touched, so that no page fault is measured.
Memory allocate(size_t bytes) {
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  Memory memory(std::aligned_alloc(kHugePage, bytes));
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory.get(), bytes, MADV_HUGEPAGE);
  std::memset(memory.get(), 0, bytes);
  return memory;
}

// Drawn once. Their number is a prime, so that repeated rows do not repeat.
const std::vector<float>& noise() {
  static const std::vector<float> values = [] {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 3.5);
    std::vector<float> drawn(1'000'003);
    for (float& value : drawn) value = normal(random);
    return drawn;
  }();
  return values;
}

int64_t memory_bytes() { return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE); }

}  // namespace

void FreeMemory::operator()(void* memory) const { std::free(memory); }

int64_t elements(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies());
}

int64_t cold_bytes() {
  const benchmark::CPUInfo& cpu = benchmark::CPUInfo::Get();
  int64_t caches = 32 << 20;  // where the system does not say
  for (const auto& cache : cpu.caches) {
    if (cache.level == 3) caches = int64_t{cache.size} * std::max(1, cpu.num_cpus / cache.num_sharing);
  }
  return 2 * caches;
}

Batches::Batches(DType dtype, const Shape& shape, int64_t bytes) {
  const auto batch_bytes = elements(shape) * static_cast<int64_t>(size_bytes(dtype));
  const int64_t rows = elements(shape) / classes(shape), fits = memory_bytes() / 4 / (2 * batch_bytes);
  batches_.resize(static_cast<size_t>(std::clamp<int64_t>(fits, 1, bytes / batch_bytes + 1)));
  std::mt19937 random(2);
  std::uniform_int_distribution<int64_t> label(0, classes(shape) - 1);
  for (Batch& batch : batches_) {
    batch.logits_memory = allocate(static_cast<size_t>(batch_bytes));
    batch.gradient_memory = allocate(static_cast<size_t>(batch_bytes));
    batch.logits = {batch.logits_memory.get(), dtype, shape[0], classes(shape), rows / shape[0]};
    batch.gradient = {batch.gradient_memory.get(), dtype, shape[0], classes(shape), rows / shape[0]};
    batch.labels.resize(static_cast<size_t>(rows));
    for (int64_t& y : batch.labels) y = label(random);
    restore(batch);
  }
}

void Batches::restore(Batch& batch) {
  const std::vector<float>& values = noise();
  const int64_t elements = batch.logits.rows() * batch.logits.classes;
  with_storage(batch.logits.dtype, [&]<class S>() {
    auto* z = static_cast<S*>(batch.logits.data);
    size_t from = 0;
    for (int64_t i = 0; i < elements; ++i) {
      store(values[from], z[i]);
      if (++from == values.size()) from = 0;
    }
  });
}

}  // namespace labelsmooth::bench
