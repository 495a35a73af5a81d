// SPDX-License-Identifier: MIT
#include "identify/verdict.h"

#include <fmt/format.h>  // fmt::format, fmt::join

#include <algorithm>  // std::all_of, std::any_of, std::max, std::min, std::sort
#include <cmath>      // std::abs, std::isnan, std::pow, std::sqrt
#include <limits>     // std::numeric_limits
#include <set>        // std::set
#include <utility>    // std::move

#include "identify/label_factors.h"
#include "identify/one_number.h"

namespace labelsmooth::identify {
namespace {

// |found - predicted| / allowed; infinity where one of them is not finite and they differ.
double misfit(const Basis& basis, const Row& row, const Candidate& c) {
  const double value = predict(basis, row, c);
  const bool same = std::isnan(value) ? std::isnan(row.found) : row.found == value;
  if (same) return 0;
  const double ratio = std::abs(row.found - value) / allowed(basis, row, c);
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

// Which rows a candidate leaves over.
void judge(const Basis& basis, Candidate& c) {
  c.off.clear();
  for (const std::vector<Row>* rows : {&basis.finite, &basis.infinite}) {
    for (const Row& row : *rows) {
      const double ratio = misfit(basis, row, c);
      if (!(ratio <= 1)) c.off.push_back(row.row);
      if (!std::isfinite(ratio) || ratio <= c.fit.worst) continue;
      c.fit.worst = ratio;  // fitted to fewer rows
      c.fit.rounding = allowed(basis, row, c);
      c.fit.residual = ratio * c.fit.rounding;
    }
  }
  std::sort(c.off.begin(), c.off.end());
}

// The rows that one (a, b) explains when a few others pull: Huber's estimate, by reweighting, on a sample.
std::vector<Row> majority(const Basis& basis, Weighting weighting) {
  const std::vector<Row> some = sample(basis.finite, 5000);
  const auto count = static_cast<int64_t>(some.size());
  const Line line = lines_of(basis.classes)[0];
  const auto equation = [&](const Row& row, double mass) {
    const Terms t = terms(basis, row, weighting, line.slope);
    return Equation{
        row.found, {t.w * t.x, t.w * t.dx}, basis.allowed(row, magnitude(basis, row, weighting, mass))};
  };
  const auto ratio = [](const Equation& e, const Fit& f) {
    return std::abs(e.y - e.x[0] * f.theta[0] - e.x[1] * f.theta[1]) / e.allowed;
  };
  std::vector<double> stretch(count, 1);
  Fit f;
  for (int step = 0; step < 60; ++step) {
    const double mass = step == 0 ? 1 : f.theta[0];
    f = fit(count, 2, [&](int64_t i) {
      Equation e = equation(some[i], mass);
      e.allowed *= stretch[i];
      return e;
    });
    for (int64_t i = 0; i < count; ++i) {
      stretch[i] = std::sqrt(std::max(1.0, ratio(equation(some[i], mass), f)));
    }
  }
  std::vector<Row> kept;
  for (const Row& row : basis.finite) {
    if (ratio(equation(row, f.theta[0]), f) <= 3) kept.push_back(row);
  }
  return kept;
}

// Where nothing explains every row, something may explain most of them.
void explain_most(const Basis& basis, Candidate& nearest) {
  std::vector<Row> most;
  for (const Weighting weighting : weightings_of(basis)) {
    if (weighting == Weighting::expected) continue;
    std::vector<Row> kept = majority(basis, weighting);
    if (kept.size() > most.size()) most = std::move(kept);
  }
  if (most.size() < 4 || 2 * most.size() <= basis.finite.size()) return;
  Candidate unused;
  std::vector<Candidate> found = explanations(basis, most, &unused);
  if (found.empty()) return;
  for (Candidate& c : found) judge(basis, c);
  sort_candidates(found);
  nearest = found.front();
}

// Two candidates are one loss under two names.
bool same_loss(const Candidate& x, const Candidate& y) {
  const auto slack = [&](const auto& slope) {
    return 1e-9 * x.scale.value + std::abs(x.scale.value * slope(x)) * x.line_uncertainty +
           std::abs(y.scale.value * slope(y)) * y.line_uncertainty;
  };
  return std::abs(x.onehot() - y.onehot()) <= slack([](const Candidate& c) { return c.line.slope.a; }) &&
         std::abs(x.flat() - y.flat()) <= slack([](const Candidate& c) { return c.line.slope.b; });
}

// ---- notes ----

std::string rows_text(const std::vector<int64_t>& rows) {
  const size_t shown = std::min<size_t>(rows.size(), 5);
  const std::vector<int64_t> first(rows.begin(), rows.begin() + static_cast<int64_t>(shown));
  return fmt::format("{}{}", fmt::join(first, ", "), shown < rows.size() ? ", ..." : "");
}

// What the rows that are off have in common.
std::string pattern(const Basis& basis, const std::vector<int64_t>& off) {
  const std::set<int64_t> rows(off.begin(), off.end());
  const auto is_off = [&](const Row& row) { return rows.count(row.row) > 0; };
  std::set<int64_t> labels;
  bool all_zero = true, any_finite = false;
  for (const std::vector<Row>* part : {&basis.finite, &basis.infinite}) {
    for (const Row& row : *part) {
      if (!is_off(row)) continue;
      labels.insert(row.label);
      all_zero &= row.found == 0;
      any_finite |= part == &basis.finite;
    }
  }
  if (!any_finite) {
    return "only rows with infinite or NaN logits are off: a mask of -inf whose classes got no mass, "
           "or another rule for such rows";
  }
  if (all_zero) return "every row that is off has loss 0: ignored where the losses were made?";
  const auto explained = [&](const Row& row) { return labels.count(row.label) == 0 || is_off(row); };
  if (labels.size() <= 5 && std::all_of(basis.finite.begin(), basis.finite.end(), explained) &&
      off.size() < basis.finite.size()) {
    return fmt::format("the rows that are off are those of label {}", fmt::join(labels, ", "));
  }
  return "";
}

void note_nearest(const Basis& basis, Verdict& v) {
  const Candidate& c = v.nearest;
  if (!c.allowed() && c.fit.worst <= 1) {
    v.notes.push_back("the nearest fits to rounding, but no rule takes its amount: 0 to 1 is allowed");
    return;
  }
  if (c.off.empty()) return;
  const auto counted = static_cast<size_t>(basis.counted);
  if (2 * c.off.size() <= counted) {
    v.notes.push_back(fmt::format("the nearest explains {} of {} counted rows to rounding; off: {}",
                                  counted - c.off.size(), counted, rows_text(c.off)));
    const std::string common = pattern(basis, c.off);
    if (!common.empty()) v.notes.push_back(common);
  } else if (!basis.weighted) {
    v.notes.push_back("if class weights were in use, give them with --class-weights");
  }
}

void note_one_number(Verdict& v) {
  v.notes.push_back("one number cannot tell rule, amount and reduction at once: every candidate gives it");
  const Candidate& first = v.candidates.front();
  if (!first.told() || first.decimals() > kRoundDecimals) return;
  // Chance that some amount is as round as this by accident: the share of [0, 1] near such a number.
  double chance = 0;
  for (const Candidate& c : v.candidates) {
    chance += std::min(1.0, 2 * c.uncertainty * std::pow(10, std::max(0, first.decimals())));
  }
  v.notes.push_back(fmt::format(
      "{} stands first because its amount is round; by accident that happens with a chance of about {:.1g}",
      first.rule, std::min(1.0, chance)));
}

std::string labels_without_weight(const std::vector<double>& weights) {
  std::vector<size_t> labels;
  for (size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] == 0) labels.push_back(k);
  }
  return fmt::format("{}", fmt::join(labels, ", "));
}

void note_answer(const Basis& basis, Verdict& v) {
  const Candidate& first = v.candidates.front();
  if (basis.one_number) return note_one_number(v);
  if (!first.told() ||
      std::any_of(v.candidates.begin(), v.candidates.end(), [](const Candidate& c) { return !c.told(); })) {
    v.notes.push_back(basis.classes == 1 ? "with one class every loss is 0, whatever the rule"
                                         : "these logits do not tell the amount");
  } else if (!v.identified) {
    v.notes.push_back("these rows do not tell the candidates apart");
  }
  if (!first.label_weights.empty()) {
    v.notes.push_back(
        "a factor for each label explains the losses: class weights, estimated; with amount 0 weighting "
        "per-term gives the same");
    const std::string ignored = labels_without_weight(first.label_weights);
    if (!ignored.empty())
      v.notes.push_back("the factor of label " + ignored + " is 0: ignored where the losses were made?");
  }
  if (first.scale.name == kAnyFactor) {
    v.notes.push_back(
        "flip and additive with other factors are the same losses: the factor hides their mass");
  }
  if (first.rule == "uniform" && first.told()) {
    Candidate once = first;  // a (1 - e)(1 - e) twice is one pass of 1 - (1 - e)^2
    once.amount = 1 - std::sqrt(1 - first.amount);
    if (once.decimals() < first.decimals())
      v.notes.push_back(
          fmt::format("the same as uniform {:.{}f} applied twice", once.amount, once.decimals()));
  }
}

// Where every row has a class of -inf, smoothing would make every loss infinite.
std::vector<Candidate> per_row(const Basis& basis, Candidate& nearest) {
  if (basis.finite.empty()) {
    nearest.rule = "none";
    return {nearest};
  }
  std::vector<Candidate> found = explanations(basis, basis.finite, &nearest);
  return found.empty() ? explain_by_label_factors(basis, basis.finite) : found;
}

}  // namespace

Verdict verdict_of(const Basis& basis) {
  Verdict v;
  if (basis.one_number) {
    v.candidates = explain_one_number(basis);
  } else {
    v.candidates = per_row(basis, v.nearest);
    for (Candidate& c : v.candidates) judge(basis, c);
    sort_candidates(v.candidates);
  }
  v.fits = !v.candidates.empty() && v.candidates.front().off.empty();
  if (v.fits) {
    std::erase_if(v.candidates, [](const Candidate& c) { return !c.off.empty(); });
    const Candidate& first = v.candidates.front();
    v.identified = !basis.one_number && basis.counted > 1;
    for (const Candidate& c : v.candidates) v.identified &= c.told() && same_loss(first, c);
    note_answer(basis, v);
  } else if (basis.one_number) {
    v.notes.push_back("no rule gives this number with an amount in [0, 1]");
  } else {
    if (!v.candidates.empty()) {
      v.nearest = v.candidates.front();
      v.candidates.clear();
    } else {
      judge(basis, v.nearest);
      if (v.nearest.fit.worst > 1) explain_most(basis, v.nearest);
    }
    note_nearest(basis, v);
  }
  if (basis.ignored_nonzero > 0) {
    v.notes.push_back(fmt::format("{} of {} ignored rows hold a loss other than 0", basis.ignored_nonzero,
                                  basis.rows - basis.counted));
  }
  return v;
}

}  // namespace labelsmooth::identify
