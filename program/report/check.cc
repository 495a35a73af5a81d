// SPDX-License-Identifier: MIT
#include "report/check.h"

#include <nlohmann/json.hpp>
#include <sstream>  // std::istringstream
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"  // Error
#include "study/own.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

enum class Kind { text, integer, count, number, unknown, optional, text_or_null, boolean, list, filled_list };

// Places (* is every element of a list) and the keys needed there. `unknown`: a number or null; `count`: an
// integer or null; `optional`: also missing.
struct Rule {
  const char *place, *keys;
  Kind kind;
};
const Rule kRules[] = {
    {"", "command rule", Kind::text},
    {"environment", "version isa blas", Kind::text},
    {"data", "name", Kind::text},
    {"data", "classes test_rows", Kind::integer},
    {"data", "features pool_rows", Kind::count},
    {"family", "size", Kind::integer},
    {"", "runs", Kind::filled_list},
    {"runs/*", "name setting rule noise_kind", Kind::text},
    {"runs/*", "smoothing noise", Kind::number},
    {"runs/*", "weight_decay", Kind::unknown},
    {"runs/*", "seed", Kind::integer},
    {"runs/*", "train_size epochs early_epoch", Kind::count},
    {"runs/*/test", "accuracy nll gap ece ece_null_p95", Kind::unknown},
    {"runs/*/calibrated", "temperature nll gap augrc auroc", Kind::unknown},
    {"runs/*/noise_fit", "realised_rate memorised", Kind::unknown},
    {"", "comparisons claims", Kind::list},
    {"comparisons/*", "setting noise_kind epoch metric rule contrast verdict", Kind::text},
    {"comparisons/*", "noise", Kind::number},
    {"comparisons/*", "seeds", Kind::integer},
    {"comparisons/*", "primary", Kind::boolean},
    {"comparisons/*", "smoothing difference low high p p_holm margin", Kind::unknown},
    {"comparisons/*", "reference value", Kind::optional},
    {"claims/*", "id claim verdict", Kind::text},
    {"claims/*/evidence", "comparisons", Kind::list},
    {"claims/*/evidence/comparisons/*", "setting metric verdict", Kind::text},
    {"pictures/conventions", "bins null_redraws band_sd coverages primary_smoothing verdict_seeds",
     Kind::number},
    {"pictures/conventions", "batch rate momentum validation_share", Kind::unknown},
    {"pictures/conventions/margins", "accuracy nll augrc_relative", Kind::number},
    {"pictures", "arms shown reliability risk_coverage learning logit_gaps classes", Kind::list},
    {"pictures/arms/*", "setting noise_kind rule", Kind::text},
    {"pictures/arms/*", "noise smoothing", Kind::number},
    {"pictures/arms/*", "weight_decay", Kind::unknown},
    {"pictures/arms/*", "seeds", Kind::integer},
    {"pictures/arms/*", "train_size epochs", Kind::count},
    {"pictures/reliability/*", "setting rule", Kind::text},
    {"pictures/reliability/*", "noise smoothing training_target", Kind::number},
    {"pictures/reliability/*", "seed", Kind::integer},
    {"pictures/reliability/*", "with_temperature", Kind::boolean},
    {"pictures/reliability/*", "temperature accuracy confidence gap ece ece_null_mean ece_null_p95 ece_p",
     Kind::unknown},
    {"pictures/reliability/*", "bins", Kind::filled_list},
    {"pictures/reliability/*/bins/*", "from to share", Kind::number},
    {"pictures/reliability/*/bins/*", "count", Kind::integer},
    {"pictures/reliability/*/bins/*", "confidence accuracy null_sd band_low band_high", Kind::unknown},
    {"pictures/risk_coverage/*", "points", Kind::list},
    {"pictures/risk_coverage/*/points/*", "coverage", Kind::number},
    {"pictures/risk_coverage/*/points/*", "hard smoothed", Kind::unknown},
    {"pictures/learning/*", "floor", Kind::unknown},
    {"pictures/learning/*", "points", Kind::list},
    {"pictures/learning/*/points/*", "epoch", Kind::integer},
    {"pictures/learning/*/points/*",
     "hard_train_loss hard_validation_nll smoothed_train_loss smoothed_train_nll smoothed_validation_nll "
     "hard_train_accuracy hard_validation_accuracy smoothed_train_accuracy smoothed_validation_accuracy",
     Kind::optional},
    {"pictures/logit_gaps/*", "setting rule", Kind::text},
    {"pictures/logit_gaps/*", "noise smoothing", Kind::number},
    {"pictures/logit_gaps/*", "seeds", Kind::integer},
    {"pictures/logit_gaps/*", "predicted mean q05 q25 q50 q75 q95", Kind::unknown},
    {"pictures/classes/*", "rows", Kind::list},
    {"pictures/classes/*/rows/*", "class rows", Kind::integer},
    {"pictures/classes/*/rows/*", "name", Kind::text_or_null},
    {"pictures/classes/*/rows/*",
     "hard_accuracy hard_confidence smoothed_accuracy smoothed_confidence difference low high",
     Kind::unknown},
};
const char* const kArmFigures[] = {"accuracy",         "nll",
                                   "nll_calibrated",   "brier",
                                   "brier_calibrated", "gap",
                                   "gap_calibrated",   "augrc_calibrated",
                                   "auroc_calibrated", "temperature",
                                   "early_accuracy",   "realised_rate",
                                   "memorised",        "early_memorised"};

const char* need_of(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::integer:
      return "a whole number from 0";
    case Kind::count:
      return "a whole number from 0 or null";
    case Kind::number:
      return "a number";
    case Kind::unknown:
    case Kind::optional:
      return "a number or null";
    case Kind::text_or_null:
      return "text or null";
    case Kind::boolean:
      return "true or false";
    case Kind::list:
      return "a list";
    case Kind::filled_list:
      return "a list that is not empty";
  }
  return "";
}

bool fits(const json* value, Kind kind) {
  if (!value) return kind == Kind::optional;
  switch (kind) {
    case Kind::text:
      return value->is_string();
    case Kind::integer:
      return value->is_number_integer() && value->get<double>() >= 0;
    case Kind::count:
      return value->is_null() || fits(value, Kind::integer);
    case Kind::number:
      return value->is_number();
    case Kind::unknown:
    case Kind::optional:
      return value->is_number() || value->is_null();
    case Kind::text_or_null:
      return value->is_string() || value->is_null();
    case Kind::boolean:
      return value->is_boolean();
    case Kind::list:
      return value->is_array();
    case Kind::filled_list:
      return value->is_array() && !value->empty();
  }
  return false;
}

std::string found(const json* value) {
  if (!value) return "nothing";
  if (value->is_null()) return "null";
  if (value->is_boolean()) return *value ? "true" : "false";
  if (value->is_number()) return value->dump();
  if (value->is_string()) return "text";
  if (value->is_array()) return value->empty() ? "an empty list" : "a list";
  return "an object";
}

const json* member(const json& object, const std::string& key) {
  const auto place = object.find(key);
  return place == object.end() ? nullptr : &*place;
}

std::string join(const std::string& where, const std::string& key) {
  return where.empty() ? key : where + "/" + key;
}

class Checker {
 public:
  explicit Checker(const std::string& file) : file_(file) {}

  // Walks `place` from `value`, then looks for each key.
  void check(const json& value, const std::string& where, const std::string& place, const std::string& keys,
             Kind kind) const {
    if (place.empty()) return check_keys(value, where, keys, kind);
    const size_t slash = place.find('/');
    const std::string step = place.substr(0, slash);
    const std::string rest = slash == std::string::npos ? "" : place.substr(slash + 1);
    if (step == "*") {
      for (size_t i = 0; i < value.size(); ++i)
        check(value[i], join(where, std::to_string(i)), rest, keys, kind);
      return;
    }
    need_object(value, where);
    const json* next = member(value, step);
    if (rest.starts_with("*")) {
      if (!fits(next, Kind::list)) fail(join(where, step), next, need_of(Kind::list));
    } else if (!next || !next->is_object()) {
      fail(join(where, step), next, "an object");
    }
    check(*next, join(where, step), rest, keys, kind);
  }

  [[noreturn]] void fail(const std::string& where, const json* value, const std::string& need) const {
    throw Error(file_, (where.empty() ? "" : where + ": ") + found(value) + " found, " + need + " is needed");
  }

 private:
  void need_object(const json& value, const std::string& where) const {
    if (!value.is_object()) fail(where, &value, "an object");
  }
  void check_keys(const json& value, const std::string& where, const std::string& keys, Kind kind) const {
    need_object(value, where);
    std::istringstream words(keys);
    for (std::string key; words >> key;) {
      const json* one = member(value, key);
      if (!fits(one, kind)) fail(join(where, key), one, need_of(kind));
    }
  }

  const std::string file_;
};

}  // namespace

void check_results(const json& results, const std::string& file) {
  const Checker checker(file);
  if (!results.is_object()) checker.fail("", &results, "an object");
  const json* schema = member(results, "schema");
  if (!schema || *schema != 1) checker.fail("schema", schema, "1");
  if (!results.contains("pictures")) {
    checker.fail("pictures", nullptr, "what a study of this version writes (study --resume adds it)");
  }
  for (const Rule& rule : kRules) checker.check(results, "", rule.place, rule.keys, rule.kind);
  if (is_own(results)) {
    checker.check(results, "", "training", "name", Kind::text);
    checker.check(results, "", "training", "primary", Kind::number);
  } else {  // the user's own training may have none
    checker.check(results, "", "runs/*/early", "accuracy", Kind::unknown);
  }
  for (const char* list :
       {"pictures/shown/*", "pictures/risk_coverage/*", "pictures/learning/*", "pictures/classes/*"}) {
    checker.check(results, "", list, "setting", Kind::text);
    checker.check(results, "", list, "noise", Kind::number);
    checker.check(results, "", list, "smoothing", Kind::unknown);
    checker.check(results, "", list, "rule", Kind::text_or_null);
    checker.check(results, "", list, "seeds", Kind::integer);
  }
  for (const char* figure : kArmFigures) {
    checker.check(results, "", std::string("pictures/arms/*/") + figure, "mean low high", Kind::unknown);
  }
}

}  // namespace labelsmooth
