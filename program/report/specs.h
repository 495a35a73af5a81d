// SPDX-License-Identifier: MIT
// What page.js draws: axes, series, marks. Every number in a spec is one of results.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "report/html.h"

namespace labelsmooth {

/// Two linear axes and no series yet.
nlohmann::json xy_spec(const std::string& x, const std::string& y);
/// points: [x, y], [x, y, low, high] or [x, y, low, high, inner low, inner high]. style: "solid", "dashed",
/// or without markers "curve", "dashed-curve".
nlohmann::json series(const std::string& name, const std::string& color, nlohmann::json points,
                      const std::string& style = "solid");
/// [row[x], mean, low, high] of an estimate of each row; rows without a mean are left out.
nlohmann::json estimates(const std::vector<Row>& rows, const std::string& x, const std::string& estimate);
/// [point[x], point[y]] of each point that has both.
nlohmann::json curve(const nlohmann::json& points, const std::string& x, const std::string& y);
nlohmann::json reliability_spec(const Strings& say, const nlohmann::json& arm);
nlohmann::json histogram_spec(const Strings& say, const nlohmann::json& arm);

}  // namespace labelsmooth
