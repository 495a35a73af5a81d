// SPDX-License-Identifier: MIT
#include "report/specs.h"

namespace labelsmooth {

using nlohmann::json;

json xy_spec(const std::string& x, const std::string& y) {
  return {{"kind", "xy"},        {"label", y + " / " + x},  {"x", {{"title", x}}},
          {"y", {{"title", y}}}, {"series", json::array()}, {"lines", json::array()}};
}

json series(const std::string& name, const std::string& color, json points, const std::string& style) {
  return {{"name", name}, {"color", color}, {"style", style}, {"points", std::move(points)}};
}

json estimates(const std::vector<Row>& rows, const std::string& x, const std::string& estimate) {
  json points = json::array();
  for (const Row& row : rows) {
    const json& one = (*row.row)[estimate];
    if (one["mean"].is_number()) points.push_back({(*row.row)[x], one["mean"], one["low"], one["high"]});
  }
  return points;
}

json curve(const json& points, const std::string& x, const std::string& y) {
  json drawn = json::array();
  for (const json& point : points) {
    if (point.contains(y) && point[y].is_number()) drawn.push_back({point[x], point[y]});
  }
  return drawn;
}

json reliability_spec(const Strings& say, const json& arm) {
  json spec = xy_spec(say("axis.confidence"), say("axis.accuracy"));
  for (const char* axis : {"x", "y"}) spec[axis]["min"] = 0, spec[axis]["max"] = 1;
  json points = json::array(), sizes = json::array(), bands = json::array();
  for (const json& bin : arm["bins"]) {
    if (!bin["confidence"].is_number() || !bin["accuracy"].is_number()) continue;
    points.push_back({bin["confidence"], bin["accuracy"]});
    sizes.push_back(bin["count"]);
    bands.push_back({bin["confidence"], bin["band_low"], bin["band_high"]});
  }
  const bool hard = arm["rule"] == "none", with_t = arm["with_temperature"];
  spec["series"] = {
      series(say("column.accuracy"), hard ? "hard" : "smoothed", points, with_t ? "dashed" : "solid")};
  spec["series"][0]["counts"] = sizes;
  spec["bands"] = bands;
  spec["diagonal"] = true;
  spec["legend"] = false;
  if (!hard) spec["mark"] = {{"at", arm["training_target"]}, {"name", say("training_target")}};
  return spec;
}

json histogram_spec(const Strings& say, const json& arm) {
  json spec = xy_spec(say("axis.confidence"), say("axis.share"));
  spec["kind"] = "bars";
  spec["x"]["min"] = 0, spec["x"]["max"] = 1, spec["y"]["min"] = 0, spec["y"]["max"] = 1;
  spec["y"]["ticks"] = 3;
  spec["color"] = arm["rule"] == "none" ? "hard" : "smoothed";
  spec["bars"] = json::array();
  for (const json& bin : arm["bins"])
    spec["bars"].push_back({bin["from"], bin["to"], bin["share"], bin["count"]});
  spec["legend"] = false;
  return spec;
}

}  // namespace labelsmooth
