// SPDX-License-Identifier: MIT
// What is wrong with the command line, as against with a file: exit code 2 in place of 1.
#pragma once

#include "labelsmooth/tensor.h"

namespace labelsmooth {

struct UsageError : Error {
  using Error::Error;
};

}  // namespace labelsmooth
