// SPDX-License-Identifier: MIT
// Which instruction set the kernels run on. Results of different isas agree to rounding, not in bits.
#pragma once

#include <string>  // std::string
#include <vector>  // std::vector

#include "labelsmooth/export.h"

namespace labelsmooth {

/// Names, best first: what this build holds, and what of it this CPU can run.
LABELSMOOTH_API std::vector<std::string> compiled_isas();
LABELSMOOTH_API std::vector<std::string> usable_isas();
/// The one in use: LABELSMOOTH_ISA where set, else the best usable.
LABELSMOOTH_API std::string isa();
/// Use `name` from now on; "" returns to the default. Throws Error unless usable.
LABELSMOOTH_API void set_isa(const std::string& name);

}  // namespace labelsmooth
