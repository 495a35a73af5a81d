// SPDX-License-Identifier: MIT
// Sums over rows, added up in an order that the shape alone decides.
#pragma once

#include <algorithm>  // std::min
#include <cstdint>    // int64_t
#include <vector>     // std::vector

#include "parallel.h"

namespace labelsmooth {

/// What rows add up to, under a softmax and under sigmoids.
struct Totals {
  double loss = 0, nll = 0;
  int64_t correct = 0, first_impossible_row = -1;

  void add(const Totals& next) {
    loss += next.loss;
    nll += next.nll;
    correct += next.correct;
    if (first_impossible_row < 0) first_impossible_row = next.first_impossible_row;
  }
};

/// body(begin, end, scratch) -> Sum of those rows, `group_rows` at a time, over threads, each with a scratch.
template <class Sum, class MakeScratch, class Body>
Sum sum_groups(int64_t rows, int64_t group_rows, int64_t elements, const MakeScratch& make_scratch,
               const Body& body) {
  std::vector<Sum> groups(static_cast<size_t>((rows + group_rows - 1) / group_rows));
  parallel_for(static_cast<int64_t>(groups.size()), elements, [&](int64_t begin, int64_t end) {
    auto scratch = make_scratch();
    for (int64_t group = begin; group < end; ++group)
      groups[group] = body(group * group_rows, std::min(rows, (group + 1) * group_rows), scratch);
  });
  Sum sum;
  for (const Sum& group : groups) sum.add(group);
  return sum;
}

}  // namespace labelsmooth
