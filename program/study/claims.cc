// SPDX-License-Identifier: MIT
#include "study/claims.h"

#include <algorithm>  // std::all_of, std::any_of
#include <nlohmann/json.hpp>
#include <string>  // std::string

#include "study/own.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

// The rows of the primary family that pass, as evidence.
template <class Wanted>
json evidence(const json& results, const Wanted& wanted) {
  json rows = json::array();
  for (const json& row : results["comparisons"]) {
    if (row["primary"] && wanted(row)) rows.push_back(row);
  }
  return rows;
}

std::string combine(const json& rows) {
  const auto is = [](const char* word) { return [word](const json& row) { return row["verdict"] == word; }; };
  const auto fails = [](const json& row) {
    return row["verdict"] == "hurts" || row["verdict"] == "negligible";
  };
  if (rows.empty()) return "not tested";
  if (std::any_of(rows.begin(), rows.end(), is("screening"))) return "screening";
  if (std::all_of(rows.begin(), rows.end(), is("helps"))) return "true";
  if (std::all_of(rows.begin(), rows.end(), fails)) return "false";
  return std::any_of(rows.begin(), rows.end(), is("helps")) ? "conditional" : "inconclusive";
}

json claim(const char* id, const std::string& text, const json& rows) {
  return {{"id", id}, {"claim", text}, {"verdict", combine(rows)}, {"evidence", {{"comparisons", rows}}}};
}

}  // namespace

void add_claims(json& results) {
  const json immunity =
      evidence(results, [](const json& row) { return row["contrast"] == "difference in differences"; });
  const json calibration = evidence(
      results, [](const json& row) { return row["metric"] == "nll" || row["metric"] == "nll_calibrated"; });
  const json accuracy = evidence(results, [](const json& row) {
    return row["metric"] == "accuracy" && row["contrast"] == "smoothed - hard";
  });
  const bool own = is_own(results);  // one training says nothing of almost all cases
  results["claims"] = {
      claim("S6", "a model told that labels may be wrong is immune to a few wrong ones", immunity),
      claim("S8", "a model that does not fit every label fully suffers less from wrong ones", immunity),
      claim("S19",
            own ? "your training: smoothing gives a better calibrated network"
                : "smoothing gives better calibrated networks in almost all cases",
            calibration),
      claim("S20", "immunity to a few wrong labels (summary)", immunity),
      claim("S21",
            std::string(own ? "your training: " : "") +
                "more accurate predictions on unseen data of the same kind",
            accuracy),
      claim("S21b", "more accurate predictions on unseen production data, under shift", json::array())};
}

}  // namespace labelsmooth
