// SPDX-License-Identifier: MIT
#include "evaluate/text.h"

#include <fmt/format.h>  // fmt::format

#include <cmath>  // std::abs
#include <nlohmann/json.hpp>

#include "report/strings.h"

namespace labelsmooth {
namespace {

using Json = nlohmann::ordered_json;

std::string fixed(const Json& value) {
  if (!value.is_number()) return "";
  const double x = value;
  return fmt::format(fmt::runtime(x != 0 && std::abs(x) < 5e-4 ? "{:.1e}" : "{:.4f}"), x);
}

std::string interval(const Json& metric) {
  return metric["low"].is_number() ? fmt::format("[{}, {}]", fixed(metric["low"]), fixed(metric["high"]))
                                   : "";
}

std::string metrics_text(const Json& json, const Strings& say) {
  std::string text = fmt::format("{:<15}{:>10}  {:<20}{:>10}{:>11}{:>9}  {}\n", "metric", "value",
                                 "95 % interval", "null mean", "null 95 %", "p", "convention");
  for (const auto& [name, metric] : json["metrics"].items()) {
    const Json none;
    const bool biased = metric.contains("null_mean");
    text += fmt::format("{:<15}{:>10}  {:<20}{:>10}{:>11}{:>9}  {}\n", name,
                        metric["value"].is_number() ? fixed(metric["value"]) : "unknown", interval(metric),
                        fixed(biased ? metric["null_mean"] : none), fixed(biased ? metric["null_p95"] : none),
                        fixed(biased ? metric["p"] : none), say("evaluate.convention." + name));
  }
  return text;
}

std::string bins_text(const Json& bins) {
  std::string text = fmt::format("{:<18}{:>10}{:>12}{:>10}\n", "bin", "rows", "confidence", "accuracy");
  for (const Json& bin : bins) {
    text += fmt::format("{:<18}{:>10}{:>12}{:>10}\n", fixed(bin["from"]) + " .. " + fixed(bin["to"]),
                        bin["count"].get<int64_t>(), fixed(bin["confidence"]), fixed(bin["accuracy"]));
  }
  return text;
}

std::string selective_text(const Json& selective) {
  std::string text;
  for (const Json& one : selective["accuracy"])
    text += fmt::format("accuracy of the {:.0f} % most confident: {}\n", 100 * one["coverage"].get<double>(),
                        fixed(one["accuracy"]));
  for (const Json& one : selective["coverage"])
    text += fmt::format("coverage at {:.0f} % risk: {}\n", 100 * one["risk"].get<double>(),
                        fixed(one["coverage"]));
  return text;
}

}  // namespace

std::string evaluation_text(const Json& json) {
  const Strings say("en");
  const Json& conventions = json["conventions"];
  std::string text =
      fmt::format("rows {} (counted {}), classes {}, from {}\n", json["rows"].dump(), json["counted"].dump(),
                  json["classes"].dump(), conventions["input"].get<std::string>());
  text += fmt::format("{} bins, {}; null levels from {} redraws of the labels, by {}, seed {}\n\n",
                      conventions["bins"].dump(),
                      say("evaluate.edges." + conventions["edges"].get<std::string>()),
                      conventions["redraws"].dump(), conventions["redrawn_by"].get<std::string>(),
                      conventions["seed"].dump());
  text += metrics_text(json, say) + "\n" + bins_text(json["bins"]) + "\n" + selective_text(json["selective"]);
  return text;
}

}  // namespace labelsmooth
