// SPDX-License-Identifier: MIT
#include "compare/advice.h"

#include <fmt/format.h>  // fmt::format

#include <cmath>  // std::abs

#include "report/assets.h"

namespace labelsmooth::compare {
namespace {

using nlohmann::json;

constexpr int64_t kVerdictSeeds = 5;

std::string text_of(const json& because, const char* key, const char* format = "{:.4f}") {
  if (!because.contains(key) || because[key].is_null()) return "?";
  const json& value = because[key];
  return value.is_string()           ? value.get<std::string>()
         : value.is_number_integer() ? value.dump()
                                     : fmt::format(fmt::runtime(format), value.get<double>());
}

class Advice {
 public:
  explicit Advice(const json& result) : result_(result) {}

  json all() {
    for (const json& model : result_["models"]) confidence(model);
    for (const json& difference : result_["differences"]) effect(difference);
    for (const json& model : result_["models"]) limits(model);
    return list_;
  }

 private:
  void add(const std::string& id, json because) {
    because["reference_name"] = result_["baseline"];
    json one = {{"id", id}, {"because", std::move(because)}};
    one["advice"] = advice_text(say_, one);
    list_.push_back(std::move(one));
  }

  // Too sure, not sure enough, or neither beyond chance.
  void confidence(const json& model) {
    const json &trained = model["metrics"], &calibrated = model["calibrated"];
    const double gap = trained["gap"], chance = trained["gap_by_chance"];
    const bool reference = model["name"] == result_["baseline"];
    const std::string which = std::abs(gap) <= chance ? "chance" : gap > 0 ? "over" : "under";
    add((reference ? "gap.reference." : "gap.model.") + which, {{"metric", "gap"},
                                                                {"name", model["name"]},
                                                                {"value", gap},
                                                                {"chance", chance},
                                                                {"temperature", calibrated["temperature"]},
                                                                {"nll", trained["nll"]},
                                                                {"nll_calibrated", calibrated["nll"]}});
  }

  void effect(const json& difference) {
    const std::string metric = difference["metric"], verdict = difference["verdict"];
    const std::string id = metric + "." + verdict;
    json because;
    for (const char* key : {"metric", "name", "reference", "value", "difference", "low", "high", "p_holm",
                            "margin", "seeds", "verdict"}) {
      because[key] = difference[key];
    }
    if (say_.has("compare.advice." + id)) add(id, std::move(because));
  }

  void limits(const json& model) {
    const json because = {{"metric", "seeds"}, {"name", model["name"]}, {"value", model["seeds"]}};
    const int64_t seeds = model["seeds"];
    if (seeds == 1) add("seeds.one", because);
    if (seeds > 1 && seeds < kVerdictSeeds) add("seeds.few", because);
    if (model["at_bound"]) {
      add("bound", {{"metric", "temperature"},
                    {"name", model["name"]},
                    {"value", model["calibrated"]["temperature"]}});
    }
  }

  const json& result_;
  const Strings say_ = words("en");
  json list_ = json::array();
};

}  // namespace

Strings words(const std::string& language) {
  Strings say(language);
  say.add(assets::kCompareStringsJson);
  return say;
}

json advice(const json& result) { return Advice(result).all(); }

std::string advice_text(const Strings& say, const json& one) {
  const json& because = one["because"];
  const char* const with_sign = "{:+.4f}";
  return say("compare.advice." + one["id"].get<std::string>(),
             {{"model", text_of(because, "name")},
              {"baseline", text_of(because, "reference_name")},
              {"reference", text_of(because, "reference")},
              {"value", text_of(because, "value")},
              {"signed", text_of(because, "value", with_sign)},
              {"difference", text_of(because, "difference", with_sign)},
              {"low", text_of(because, "low", with_sign)},
              {"high", text_of(because, "high", with_sign)},
              {"margin", text_of(because, "margin")},
              {"chance", text_of(because, "chance")},
              {"temperature", text_of(because, "temperature", "{:.3g}")},
              {"nll", text_of(because, "nll")},
              {"nll_calibrated", text_of(because, "nll_calibrated")},
              {"seeds", text_of(because, "seeds")},
              {"verdict", say.or_else("verdict." + text_of(because, "verdict"), "")}});
}

}  // namespace labelsmooth::compare
