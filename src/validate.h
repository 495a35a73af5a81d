// SPDX-License-Identifier: MIT
// The door: every check and every message of the loss. Past it, arguments are known good.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth {

/// Shape and type; `whole`: a shard is refused.
void check_logits(const Logits& logits, bool whole);
/// Sizes and values of the target, and of what the options hold by class and by row; which options go
/// together. `logits` is null where only summaries are at hand: what has the logits' shape is then not read.
void check_target(const Target& target, int64_t rows, int64_t total_classes, const Options& options,
                  const Logits* logits);
/// After check_target, whose views it compares with dlogits.
void check_gradient(const Logits& logits, const Gradient& dlogits, const Target& target,
                    const Options& options, const Upstream& upstream);
void check_parts(const Parts& parts, const Target& target, int64_t rows);
/// Sizes and strides whose products fit into 64 bits, and data where there are elements; floats: and the
/// type.
void check_shape(const char* argument, const Rows& view);
void check_floats(const char* argument, const Rows& view);
/// The logits' shape; strides and type may differ.
void check_like(const char* argument, const Rows& view, const Logits& logits);
/// Empty, or `size` finite numbers; `of` is "classes" or "rows".
void check_reals(const char* argument, const Vector& vector, int64_t size, const char* of);
/// Whether the memory of one reaches into the other's.
bool overlap(const Rows& view, const Gradient& dlogits);
void check_size(const char* argument, int64_t size, int64_t rows);
/// The shards in class order.
std::vector<Shard> check_tiling(std::span<const Shard> shards, int64_t total_classes, int64_t rows);
/// Row `row` of a prior: finite, not negative, of sum 1 unless it is a shard's. Errors name `named_row` where
/// >= 0.
void check_prior_row(const Rows& prior, int64_t row, int64_t named_row, bool whole = true);

}  // namespace labelsmooth
