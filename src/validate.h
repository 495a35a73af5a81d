// SPDX-License-Identifier: MIT
// The door: every check and every message of the loss. Past it, arguments are known good.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth {

/// What the labels say before any logit is read.
struct LabelCount {
  int64_t counted = 0;
  double weight = 0;  // of the counted labels' classes
};

/// Shape and type; `whole`: a shard is refused.
void check_logits(const Logits& logits, bool whole);
/// Sizes and values of labels, class weights and smoothing, and the empty mean under Empty::error.
LabelCount check_labels(const Vector& labels, int64_t rows, int64_t total_classes, const Options& options);
void check_gradient(const Logits& logits, const Gradient& dlogits, const Options& options,
                    const Upstream& upstream);
void check_parts(const Parts& parts, int64_t rows);
void check_size(const char* argument, int64_t size, int64_t rows);
/// The shards in class order.
std::vector<Shard> check_tiling(std::span<const Shard> shards, int64_t total_classes, int64_t rows);
/// Every counted row has to cover all classes, and to hold the prior's sums where the smoothing needs them.
void check_summaries(std::span<const RowSummary> summaries, int64_t total_classes, const Vector& labels,
                     const Options& options);

}  // namespace labelsmooth
