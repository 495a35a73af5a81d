// SPDX-License-Identifier: MIT
// The frame of a page: policy, style, navigation, sections, the charts' data and the script that draws them.
#pragma once

#include <string>  // std::string
#include <vector>  // std::vector

#include "report/html.h"
#include "report/strings.h"

namespace labelsmooth {

struct Section {
  std::string id;  // headed by the string "section.ID"
  std::string content;
};

/// One HTML page that needs nothing else. What a point counts, and where the numbers are from, are the
/// strings "script.images" and "script.source".
std::string document(const Strings& say, const std::string& title, const std::string& command,
                     const std::vector<Section>& sections, const Charts& charts);

}  // namespace labelsmooth
