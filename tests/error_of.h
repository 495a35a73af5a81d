// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // std::string

#include "labelsmooth/tensor.h"

namespace labelsmooth {

/// What the Error that `action` throws says.
template <class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace labelsmooth
