// SPDX-License-Identifier: MIT
// The function of a HWY_EXPORT table for the instruction set in use. To be included where HWY_ONCE, after
// targets.h and Highway.
#pragma once

#include <cstddef>  // size_t
#include <cstdint>  // int64_t
#include <string>   // std::string

#include "labelsmooth/isa.h"

namespace labelsmooth {

template <class Function, size_t kSize>
Function chosen_target(const Function (&table)[kSize]) {
  if constexpr (kSize > 1) {  // else the build has one instruction set
    const std::string name = isa();
    for (int64_t targets = HWY_TARGETS; targets != 0; targets &= targets - 1) {
      if (name != hwy::TargetName(targets & -targets)) continue;
      hwy::ChosenTarget target;
      target.Update(targets & -targets);
      return table[target.GetIndex()];
    }
  }
  return table[0];
}

}  // namespace labelsmooth
