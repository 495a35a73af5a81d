// SPDX-License-Identifier: MIT
// The memory that is measured: batches of logits, gradient and labels, used in turn.
#pragma once

#include <cstdint>  // int64_t
#include <memory>   // std::unique_ptr
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth::bench {

/// (rows, classes), or (outer, classes, ...) where other axes follow the classes.
using Shape = std::vector<int64_t>;
int64_t elements(const Shape& shape);
inline int64_t classes(const Shape& shape) { return shape[1]; }

struct FreeMemory {
  void operator()(void* memory) const;
};
using Memory = std::unique_ptr<void, FreeMemory>;

struct Batch {
  View<void> logits, gradient;
  std::vector<int64_t> labels;
  Memory logits_memory, gradient_memory;
};

class Batches {
 public:
  /// Logits are normal with a standard deviation of 3.5. So many batches that their logits together exceed
  /// `bytes`, or as many as a quarter of the memory holds.
  Batches(DType dtype, const Shape& shape, int64_t bytes);

  Batch& next() { return batches_[turn_++ % batches_.size()]; }
  /// The logits as they were drawn, after a call that wrote its gradient over them.
  static void restore(Batch& batch);

 private:
  std::vector<Batch> batches_;
  size_t turn_ = 0;
};

/// The last-level caches, all together, have forgotten a batch when so much else was used.
int64_t cold_bytes();

}  // namespace labelsmooth::bench
