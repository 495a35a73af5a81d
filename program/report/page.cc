// SPDX-License-Identifier: MIT
#include <algorithm>  // std::find

#include "report/sections.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

std::vector<Row> filtered(const json& array, const std::string& path,
                          const std::function<bool(const json&)>& wanted) {
  std::vector<Row> rows;
  for (const Row& row : rows_of(array, path)) {
    if (wanted(*row.row)) rows.push_back(row);
  }
  return rows;
}

// The different values of a key of the settings shown.
std::string different(const Page& page, const char* key) {
  json values = json::array();
  for (const json& shown : page.pictures()["shown"]) {
    if (std::find(values.begin(), values.end(), shown[key]) == values.end()) values.push_back(shown[key]);
  }
  return page.text(values);
}

}  // namespace

std::vector<Row> Page::comparisons(const std::function<bool(const json&)>& wanted) const {
  return filtered(results["comparisons"], "/comparisons", wanted);
}

std::vector<Row> Page::arms(const std::function<bool(const json&)>& wanted) const {
  return filtered(pictures()["arms"], "/pictures/arms", wanted);
}

std::vector<Row> Page::shown_comparisons(const json& shown, const std::string& metric) const {
  return comparisons([&](const json& row) {
    return row["contrast"] == "smoothed - hard" && row["epoch"] == "last" &&
           row["noise_kind"] == "symmetric" && row["setting"] == shown["setting"] &&
           row["noise"] == shown["noise"] && row["rule"] == shown["rule"] &&
           row["smoothing"] == shown["smoothing"] && row["metric"] == metric;
  });
}

std::string Page::seeds() const { return different(*this, "seeds"); }
std::string Page::amounts() const { return different(*this, "smoothing"); }

std::string Page::title(const json& shown) const {
  const std::string setting = setting_name(say, shown["setting"]);
  if (shown["noise"] == 0) return say("title.clean", {{"setting", setting}});
  return say("title.noisy", {{"setting", setting}, {"noise", text(shown["noise"])}});
}

}  // namespace labelsmooth
