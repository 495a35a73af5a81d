// SPDX-License-Identifier: MIT
// Which of the document's statements one sample can decide, and what it says of them under every rule.
#pragma once

#include <nlohmann/json.hpp>

#include "report/strings.h"

namespace labelsmooth {

/// To the object that arithmetic() makes, adds
///   "statements"  [{"id", "statement", "claim", "holds", "text"}], "holds" with true, false or null (nothing
///   to
///                 decide) for each rule. The ids are those of verify; F8 is the document's formula.
///   "pushed_up"   in each rule, the wrong classes whose logits the gradient pushes up
void add_statements(nlohmann::json& sample, const Strings& say);

}  // namespace labelsmooth
