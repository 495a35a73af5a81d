// SPDX-License-Identifier: MIT
// Logits divided by a temperature, from file to file.
#pragma once

#include <string>  // std::string

#include "io/array.h"

namespace labelsmooth {

/// Writes logits / temperature to `out`, a .npy of the same type and shape in C order, piece by piece. Each
/// quotient is computed in f64 and rounded once (halves through f32). Throws Error naming `file`: no floating
/// type; a finite logit whose quotient the type cannot hold, with its element.
void write_divided(const io::Array& logits, const std::string& file, double temperature,
                   const std::string& out, bool quiet);

}  // namespace labelsmooth
