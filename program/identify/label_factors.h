// SPDX-License-Identifier: MIT
// Class weights that nobody told: a factor for each label, estimated from the losses.
#pragma once

#include <span>    // std::span
#include <vector>  // std::vector

#include "identify/basis.h"
#include "identify/hypotheses.h"

namespace labelsmooth::identify {

/// loss = w_y ((1 - e) hard + e flat) with w and e unknown. Empty unless it fits to rounding and
/// the rows outnumber the unknowns by kSpareRows.
std::vector<Candidate> explain_by_label_factors(const Basis& basis, std::span<const Row> rows);

}  // namespace labelsmooth::identify
