// SPDX-License-Identifier: MIT
// The document's empirical claims, judged by the primary family.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace labelsmooth {

/// From results["comparisons"]; adds "claims". A claim made of several tests is true where smoothing helps in
/// all, false where it hurts or is negligible in all, conditional where it helps in some.
void add_claims(nlohmann::json& results);

}  // namespace labelsmooth
