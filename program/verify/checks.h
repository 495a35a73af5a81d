// SPDX-License-Identifier: MIT
// The checks by the file that holds them; check.cc has them in the document's order. Each measures through
// the loss it is given.
#pragma once

#include <cstdint>  // uint64_t

#include "verify/check.h"

namespace labelsmooth::verify {

using CheckFunction = Check(const Loss& loss, uint64_t seed);

/// What hard labels do to the wrong classes: hard_labels.cc.
CheckFunction hard_loss_sees_the_label_alone, hard_gradient_sees_every_class,
    raising_one_is_lowering_the_rest;

/// Random labels against smoothed ones: expectation.cc; drawn at random: sampling.cc.
CheckFunction loss_is_linear_in_the_label, enumerated_flips, binary_derivation, printed_derivation;
CheckFunction sampled_binary_flips, sampled_labels, spread_of_sampled_labels;

/// What the labels become: targets.cc.
CheckFunction binary_targets, extremes_become_less_extreme, element_wise_formula, code_is_uniform,
    code_is_not_the_example;

/// Where training by the loss ends: optimum.cc; on data: training.cc.
CheckFunction certainty_is_pulled_back, gradient_turns_at_the_target, optimum_is_reached,
    optimum_under_wrong_labels;
CheckFunction weights_grow_without_bound, weights_settle_where_classes_overlap;

/// The worked example, and its sentences in general: example.cc.
CheckFunction example_loss_is_larger, larger_loss_in_general, every_class_is_in_the_loss,
    loss_grows_by_the_wrong_positions, back_to_the_first_loss, direction_of_the_example, pull_on_the_label,
    direction_in_general;

}  // namespace labelsmooth::verify
