// SPDX-License-Identifier: MIT
// The conventions of label smoothing by name: the library's rules, and the frameworks that use them.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <string>   // std::string

#include "labelsmooth/smoothing.h"

namespace labelsmooth {

struct Convention {
  const char* name;  // as convert takes it
  const char* rule;  // the library's rule of the same targets, by name
  const char* text;  // what there is to know about it, or empty
  /// The convention divides by the mass 1 + divisor * e: its e is the rule's e / (1 + divisor * e).
  double divisor = 0;
  int64_t classes = 0;  // the only number of classes that it has, or 0
};

/// All of them, the rules first.
std::span<const Convention> conventions();
/// Null on an unknown name.
const Convention* find_convention(const std::string& name);

/// The library's smoothing for an amount of the convention's own.
Smoothing smoothing_of(const Convention& convention, double amount);
/// The convention's own amount and the factor of the loss: convert() of smoothing.h to a convention. Throws
/// Error where the amount would be outside [0, 1].
Equivalent convert(const Smoothing& smoothing, const Convention& to, int64_t classes);

}  // namespace labelsmooth
