// SPDX-License-Identifier: MIT
// The rules by name.
#pragma once

#include <string>  // std::string

#include "labelsmooth/smoothing.h"

namespace labelsmooth {

/// The rules that need no file: none, uniform, others, flip, additive. Throws UsageError on another name, and
/// on an amount outside [0, 1].
Smoothing smoothing_of(const std::string& rule, double amount);

}  // namespace labelsmooth
