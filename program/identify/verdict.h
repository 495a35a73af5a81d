// SPDX-License-Identifier: MIT
// The answer: what explains the losses, or what comes nearest and which rows it leaves over.
#pragma once

#include <string>  // std::string
#include <vector>  // std::vector

#include "identify/basis.h"
#include "identify/hypotheses.h"

namespace labelsmooth::identify {

struct Verdict {
  bool fits = false;                       // the first candidate explains every counted row to rounding
  bool identified = false;                 // and no other rule, amount or factor does but by another name
  std::vector<Candidate> candidates = {};  // the simplest first; empty unless fits
  Candidate nearest = {};                  // where nothing fits
  std::vector<std::string> notes = {};
};

Verdict verdict_of(const Basis& basis);

}  // namespace labelsmooth::identify
