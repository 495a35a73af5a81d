// SPDX-License-Identifier: MIT
// One reduced loss is one equation: under every rule, weighting and reduction some amount explains it. All of
// them are listed, since nothing in the number prefers one, but for amounts that people would choose.
#pragma once

#include <vector>  // std::vector

#include "identify/basis.h"
#include "identify/hypotheses.h"

namespace labelsmooth::identify {

/// Sorted by how round the amount is, then as sort_candidates does. Throws Error, argument "losses", where a
/// row's loss is infinite: a sum over it says nothing.
std::vector<Candidate> explain_one_number(const Basis& basis);

}  // namespace labelsmooth::identify
