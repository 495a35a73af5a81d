// SPDX-License-Identifier: MIT
#include "verify/check.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::count_if
#include <map>        // std::map

#include "labelsmooth/cross_entropy.h"
#include "verify/checks.h"

namespace labelsmooth::verify {
namespace {

// What no arithmetic can tell. `verb` tests it, or nothing does.
Check not_tested(const char* id, const char* quote, const char* claim, const char* verb, const char* where) {
  return {.id = id,
          .quote = quote,
          .claim = claim,
          .verdict = "not tested",
          .finding = where,
          .evidence = {{"tested_by", verb == nullptr ? nlohmann::json() : nlohmann::json(verb)}}};
}

}  // namespace

LossGradient library_loss(std::span<const double> logits, int64_t label, const Smoothing& smoothing) {
  const int64_t classes = std::ssize(logits);
  LossGradient row{0, std::vector<double>(logits.size())};
  row.loss = cross_entropy({logits.data(), 1, classes}, Vector(&label, 1), {row.gradient.data(), 1, classes},
                           {.smoothing = smoothing})
                 .loss;
  return row;
}

std::vector<Check> run_checks(const Loss& loss, uint64_t seed) {
  std::vector<Check> checks;
  const auto run = [&](const auto&... check) { (checks.push_back(check(loss, seed)), ...); };
  const auto leave = [&](const auto&... words) { checks.push_back(not_tested(words...)); };
  constexpr const char* kStudy = "labelsmooth study";
  constexpr const char* kNothing = nullptr;

  run(hard_loss_sees_the_label_alone, hard_gradient_sees_every_class);
  leave("S2", "导致预测的时候，预测错误的概率增大", "hard labels fit the training set and predict wrongly",
        kStudy,
        "see labelsmooth study: training against validation in metrics.jsonl. On its cause see S1 and "
        "S16");
  leave("S3", "为了解决这一问题，标签平滑的正则化方法便应运而生", "smoothing was made to solve this",
        kNothing, "nothing tests it: history, not arithmetic");
  run(loss_is_linear_in_the_label);
  leave("S5", "如果某个样本的标注是错误的…该样本就有可能对训练结果产生负面影响",
        "a wrong label can harm the training", kStudy,
        "see labelsmooth study: hard labels at rising --noises");
  leave("S6", "模型对于少量的样本错误就会有“免疫力”",
        "a model told that labels may be wrong is immune to a few wrong ones", kStudy,
        "see labelsmooth study, claim S6");
  run(sampled_binary_flips);
  leave("S8", "不会“全力匹配”每一个标签…模型受到的影响就会更小",
        "a model that does not fit every label fully suffers less from wrong ones", kStudy,
        "see labelsmooth study, claim S8");
  run(enumerated_flips, sampled_labels, spread_of_sampled_labels, binary_derivation, printed_derivation,
      binary_targets, certainty_is_pulled_back, weights_grow_without_bound,
      weights_settle_where_classes_overlap, gradient_turns_at_the_target, optimum_is_reached,
      optimum_under_wrong_labels, extremes_become_less_extreme, raising_one_is_lowering_the_rest,
      element_wise_formula, example_loss_is_larger, larger_loss_in_general, every_class_is_in_the_loss,
      loss_grows_by_the_wrong_positions, back_to_the_first_loss, direction_of_the_example, pull_on_the_label,
      direction_in_general, code_is_uniform, code_is_not_the_example);
  leave("S19", "在几乎所有的情况下，使用标签平滑训练可以产生更好的校准网络",
        "smoothing gives better calibrated networks in almost all cases", kStudy,
        "see labelsmooth study, claim S19");
  leave("S20", "模型对于少量的样本错误就会有“免疫力”", "immunity to a few wrong labels (summary)", kStudy,
        "see labelsmooth study, claim S20");
  leave("S21", "从而更好地去泛化网路", "more accurate predictions on unseen data of the same kind", kStudy,
        "see labelsmooth study, claim S21");
  leave("S21", "最终对不可见的生产数据产生更准确的预测",
        "more accurate predictions on unseen production data, under shift", kNothing,
        "nothing tests it: that needs data from after a shift");
  return checks;
}

nlohmann::json to_json(const std::vector<Check>& checks, uint64_t seed) {
  nlohmann::json result = {{"seed", seed}, {"checks", nlohmann::json::array()}, {"failed", 0}};
  for (const Check& check : checks) {
    result["checks"].push_back({{"id", check.id},
                                {"quote", check.quote},
                                {"claim", check.claim},
                                {"verdict", check.verdict},
                                {"finding", check.finding},
                                {"evidence", check.evidence},
                                {"passed", check.passed}});
  }
  result["failed"] = std::count_if(checks.begin(), checks.end(), [](const Check& c) { return !c.passed; });
  return result;
}

std::string to_text(const nlohmann::json& result) {
  const auto line = [](const std::string& id, const std::string& verdict, const std::string& text) {
    return fmt::format("{:<6}{:<13}{}\n", id, verdict, text);
  };
  std::string text = line("id", "verdict", "claim and evidence");
  std::map<std::string, int> verdicts;
  for (const nlohmann::json& check : result["checks"]) {
    const bool passed = check["passed"];
    text += line(check["id"], passed ? check["verdict"] : "FAILED", check["claim"]);
    text += line("", "", check["finding"]);
    ++verdicts[check["verdict"]];
  }
  return text + fmt::format("\n{} checks: {} true, {} conditional, {} false, {} not tested; {} failed\n",
                            result["checks"].size(), verdicts["true"], verdicts["conditional"],
                            verdicts["false"], verdicts["not tested"], result["failed"].get<int>());
}

void require_passed(const nlohmann::json& result) {
  std::string failed;
  for (const nlohmann::json& check : result["checks"]) {
    if (!check["passed"]) failed += (failed.empty() ? "" : ", ") + check["id"].get<std::string>();
  }
  if (!failed.empty()) throw Error("verify", "the checks of " + failed + " failed, all have to pass");
}

}  // namespace labelsmooth::verify
