// SPDX-License-Identifier: MIT
// The sections of the page, top to bottom. Each reads a checked results.json and computes nothing.
#pragma once

#include <functional>  // std::function
#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "report/html.h"
#include "report/strings.h"

namespace labelsmooth {

struct Page {
  const nlohmann::json& results;
  const Strings& say;
  Charts charts = {};

  const nlohmann::json& pictures() const { return results["pictures"]; }
  /// A number or a list of numbers as text, such as seeds.
  std::string text(const nlohmann::json& value, Format format = Format::amount) const {
    return shown(say, value, format);
  }
  /// The comparisons that fit, in the file's order.
  std::vector<Row> comparisons(const std::function<bool(const nlohmann::json&)>& wanted) const;
  /// The same of pictures/arms.
  std::vector<Row> arms(const std::function<bool(const nlohmann::json&)>& wanted) const;
  /// Of the setting shown: smoothed - hard with the shown amount, rule and noise, at the last epoch.
  std::vector<Row> shown_comparisons(const nlohmann::json& shown, const std::string& metric) const;
  /// The numbers of seeds of the settings shown, "10" or "3, 5".
  std::string seeds() const;
  /// The amounts of smoothing of the settings shown.
  std::string amounts() const;
  /// "over-trained, no wrong labels".
  std::string title(const nlohmann::json& shown) const;
};

namespace sections {

std::string verdict(Page& page);
std::string forest(Page& page);
std::string sweep(Page& page);
std::string reliability(Page& page);
std::string noise(Page& page);
std::string risk_coverage(Page& page);
std::string claims(Page& page);
std::string runs(Page& page);
std::string appendix(Page& page);
std::string methods(Page& page);
std::string limits(Page& page);

}  // namespace sections

}  // namespace labelsmooth
