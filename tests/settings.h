// SPDX-License-Identifier: MIT
// Every option of the loss as a table of settings: each a small change of a base case.
#pragma once

#include <algorithm>  // std::max_element
#include <random>     // std::mt19937_64
#include <string>     // std::string
#include <vector>     // std::vector

#include "loss_case.h"

namespace labelsmooth {

/// Settings of one option exclude one another. Several are applied in the table's order.
struct Setting {
  const char* option;
  const char* name;
  void (*apply)(LossCase&);
  /// The names of what has to be set for it to have an effect; "-": it changes how, not what, is computed.
  std::vector<const char*> needs = {};
};

/// Six rows, smoothed uniformly; the label of row 0 is its argmax. Of the last class are both
/// labels of row 1, the second of row 3, the first of row 4.
inline LossCase base_case(int64_t classes = 37, uint64_t seed = 1, int64_t outer = 3, int64_t inner = 2) {
  LossCase c;
  c.outer = outer, c.classes = classes, c.inner = inner;
  c.options.smoothing = uniform(.125);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(.5, 2);
  const auto size = static_cast<size_t>(c.rows() * classes);
  for (size_t i = 0; i < size; ++i) c.logits.push_back(normal(random));
  const auto other = static_cast<uint64_t>(std::max<int64_t>(classes - 1, 1));
  for (int64_t r = 0; r < c.rows(); ++r) {
    c.labels.push_back(static_cast<int64_t>(random() % other));
    c.second.push_back(static_cast<int64_t>(random() % other));
    c.weight.push_back(static_cast<double>(r * 3 % 8) / 8);
  }
  if (c.rows() > 0) {
    const auto largest =
        std::max_element(c.logits.begin(), c.logits.begin() + std::max<int64_t>(classes - 1, 1));
    c.labels[0] = largest - c.logits.begin();
  }
  if (c.rows() > 1) c.labels[1] = c.second[1] = classes - 1;
  if (c.rows() > 4) c.second[3] = c.labels[4] = classes - 1;
  for (size_t i = 0; i < size; ++i) c.dense.push_back(static_cast<double>(random() % 5) / 64);
  return c;
}

/// Rows of a prior: 64ths that sum to 1.
inline std::vector<double> priors(int64_t rows, int64_t classes) {
  std::vector<double> values(rows * classes);
  std::mt19937_64 random(7);
  for (int64_t row = 0; row < rows; ++row) {
    for (int i = 0; i < 64; ++i) values[row * classes + static_cast<int64_t>(random() % classes)] += 1. / 64;
  }
  return values;
}

// Some classes of the odd rows, no label among them.
inline bool is_impossible(const LossCase& c, int64_t row, int64_t k) {
  return row % 2 == 1 && (k * 5 + row) % 7 == 0 && k != c.labels[row] && k != c.second[row];
}

inline std::vector<double> cycle(int64_t size, std::vector<double> values) {
  std::vector<double> result;
  for (int64_t i = 0; i < size; ++i) result.push_back(values[i % values.size()]);
  return result;
}

inline const std::vector<Setting>& settings() {
  using C = LossCase;
  static const std::vector<Setting> table = {
      {"target", "mixed", [](C& c) { c.kind = Target::Kind::mixed; }},
      {"target", "dense", [](C& c) { c.kind = Target::Kind::dense; }},
      {"target", "dense with labels", [](C& c) { c.kind = Target::Kind::dense, c.dense_has_labels = true; }},
      {"rule", "hard", [](C& c) { c.options.smoothing = {}; }},
      {"rule", "others", [](C& c) { c.options.smoothing = others(.25); }},
      {"rule", "flip", [](C& c) { c.options.smoothing = flip(.125); }},
      {"rule", "flip above 1/2", [](C& c) { c.options.smoothing = flip(.75); }},
      {"rule", "additive", [](C& c) { c.options.smoothing = additive(.125); }},
      {"prior", "shared", [](C& c) { c.prior_kind = Prior::Kind::shared, c.prior = priors(1, c.classes); }},
      {"prior", "by label",
       [](C& c) { c.prior_kind = Prior::Kind::by_label, c.prior = priors(c.classes, c.classes); }},
      {"prior", "by row",
       [](C& c) { c.prior_kind = Prior::Kind::by_row, c.prior = priors(c.rows(), c.classes); }},
      {"amount", "by class",
       [](C& c) {
         c.options.smoothing.amount = 0, c.amount_by_class = cycle(c.classes, {.5, .125, 0, 1, .25});
       }},
      {"amount", "by row",
       [](C& c) { c.options.smoothing.amount = 0, c.amount_by_row = cycle(c.rows(), {.25, 0, 1, .5}); }},
      {"class weights", "given",
       [](C& c) { c.class_weights = cycle(c.classes, {.5, 2, 1, 0, 1.25, .75, 3}); }},
      {"weighting", "label", [](C& c) { c.options.weighting = Weighting::label; }, {"given"}},
      {"weighting", "expected", [](C& c) { c.options.weighting = Weighting::expected; }, {"given"}},
      {"row weights", "rows weigh", [](C& c) { c.row_weights = cycle(c.rows(), {1.5, .5, 2, 0, -.25}); }},
      {"ignore", "-100",
       [](C& c) {
         for (int64_t r = 2; r < c.rows(); r += 3) c.labels[r] = c.second[r] = -100;
       }},
      {"ignore", "a class", [](C& c) { c.options.ignore_index = c.classes - 1; }},
      {"ignore", "nothing counts", [](C& c) { c.labels.assign(c.rows(), -100), c.second = c.labels; }},
      {"logits", "impossible classes",
       [](C& c) {
         for (int64_t i = 0; i < static_cast<int64_t>(c.logits.size()); ++i) {
           if (is_impossible(c, i / c.classes, i % c.classes)) c.logits[i] = -kInf;
         }
       }},
      {"support", "finite", [](C& c) { c.options.support = Support::finite; }, {"impossible classes"}},
      {"mask", "shared",
       [](C& c) {
         c.options.support = Support::finite;
         c.mask.assign(c.classes, 1);
         for (int64_t k = 0; k < c.classes; ++k) c.mask[k] = k % 4 != 3;
       }},
      {"mask", "of the logits' shape",
       [](C& c) {
         c.options.support = Support::finite;
         for (int64_t i = 0; i < c.rows() * c.classes; ++i) c.mask.push_back(i % 5 == 1 ? 0 : i % 3 + 1);
       }},
      {"scale", "scale", [](C& c) { c.options.scale = .75; }},
      {"soft cap", "soft cap", [](C& c) { c.options.soft_cap = 3; }},
      {"z-loss", "z-loss", [](C& c) { c.options.z_loss = .0625; }},
      {"entropy penalty", "entropy penalty", [](C& c) { c.options.entropy_penalty = .25; }},
      {"max suppression", "max suppression", [](C& c) { c.options.max_suppression = .375; }},
      {"parts", "no entropy", [](C& c) { c.asks_entropy = false; }, {"-"}},
      // A factor a row needs the reduction none.
      {"upstream", "scalar", [](C& c) { c.upstream = -1.5; }},
      {"upstream", "rows",
       [](C& c) {
         c.upstream_rows = cycle(c.rows(), {1, -.5, 0, 3}), c.options.reduction = Reduction::none;
       }},
      {"denominator", "rows", [](C& c) { c.options.denominator = {Denominator::rows}; }, {"given"}},
      {"denominator", "constant", [](C& c) { c.options.denominator = {Denominator::constant, 5}; }},
      {"reduction", "sum", [](C& c) { c.options.reduction = Reduction::sum; }},
      {"reduction", "none", [](C& c) { c.options.reduction = Reduction::none; }},
      {"empty", "zero", [](C& c) { c.options.empty = Empty::zero; }, {"nothing counts"}},
      {"empty", "error", [](C& c) { c.options.empty = Empty::error; }, {"-"}},  // refuses: the list of pairs
      {"type", "f64", [](C& c) { c.dtype = DType::f64; }, {"-"}},
      {"type", "f16", [](C& c) { c.dtype = DType::f16; }, {"-"}},
      {"type", "bf16", [](C& c) { c.dtype = DType::bf16; }, {"-"}},
      {"type of the rest", "rest f32", [](C& c) { c.reals = DType::f32; }, {"-"}},
      {"type of the rest", "rest bf16", [](C& c) { c.reals = DType::bf16; }, {"-"}},
      {"layout", "middle", [](C& c) { c.layout = Layout::middle; }, {"-"}},
      {"layout", "strided", [](C& c) { c.layout = Layout::strided; }, {"-"}},
      {"layout", "reversed", [](C& c) { c.layout = Layout::reversed; }, {"-"}},
      {"layout", "padded", [](C& c) { c.layout = Layout::padded; }, {"-"}},
      {"write", "in place", [](C& c) { c.write = Write::in_place; }, {"-"}},
      {"write", "accumulate", [](C& c) { c.write = Write::accumulate; }, {"-"}},
      {"pipeline", "opened", [](C& c) { c.cuts = {0, c.classes}; }, {"-"}},
      {"pipeline", "two shards", [](C& c) { c.cuts = {0, c.classes / 3, c.classes}; }, {"-"}},
      {"pipeline",
       "uneven shards",
       [](C& c) {
         const int64_t k = c.classes;
         c.cuts = {0, 0, (k + 3) / 4, (k + 1) / 2, (k + 1) / 2, k, k};
       },
       {"-"}},
  };
  return table;
}

// ---- What is refused ----

inline std::string name_of(const Setting& setting) {
  return std::string(setting.option) + ": " + setting.name;
}

/// What does not go together: a setting, or every setting of an option, with another.
struct Refusal {
  std::string first, second, message;
};
inline const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> list = [] {
    std::vector<Refusal> list;
    for (const std::string weighting : {"label", "expected"}) {
      const std::string key = "weighting: " + weighting;
      list.push_back({key, "target", key + " needs one label a row, mixed and dense targets take per_term"});
      list.push_back({key, "support", key + " needs the support all"});
      list.push_back({key, "mask", key + " needs the support all"});
    }
    for (const char* prior : {"prior: by label", "prior: by row"})
      list.push_back(
          {"weighting: expected", prior, "weighting: expected takes the uniform or a shared prior"});
    list.push_back({"prior: by label", "target",
                    "prior: by label needs one label a row; mixed and dense targets take one by row"});
    list.push_back({"amount: by class", "target",
                    "amount_by_class: needs one label a row; mixed and dense targets take amounts by row"});
    for (const char* rule : {"rule: others", "rule: flip", "rule: flip above 1/2", "rule: additive"}) {
      for (const char* support : {"support", "mask"})
        list.push_back(
            {support, rule, "support: finite is for the rule uniform, whose prior it divides by its sum"});
      list.push_back({"prior", rule, "prior: only the rule uniform takes a prior"});
    }
    for (const char* weighed : {"class weights", "prior"})
      list.push_back(
          {"max suppression", weighed, "max_suppression: takes no class weights and the uniform prior only"});
    for (const char* undivided : {"reduction", "upstream: rows"})
      list.push_back({"denominator", undivided, "denominator: only the reduction mean divides"});
    list.push_back({"upstream: rows", "reduction: sum", "upstream: rows are for the reduction none"});
    list.push_back({"ignore: nothing counts", "empty: error", "labels: no row counts, so there is no mean"});
    return list;
  }();
  return list;
}

inline bool matches(const Setting& setting, const std::string& key) {
  return key == setting.option || key == name_of(setting);
}

/// What is wrong with the two together; empty where nothing is.
inline std::string refusal_of(const Setting& x, const Setting& y) {
  for (const Refusal& refusal : refusals()) {
    if ((matches(x, refusal.first) && matches(y, refusal.second)) ||
        (matches(y, refusal.first) && matches(x, refusal.second)))
      return refusal.message;
  }
  return "";
}

}  // namespace labelsmooth
