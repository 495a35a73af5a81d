// SPDX-License-Identifier: MIT
#include "identify/hypotheses.h"

#include <algorithm>  // std::clamp, std::find, std::max, std::min, std::sort
#include <cmath>      // std::abs, std::isfinite, std::lround, std::round
#include <iterator>   // std::begin, std::end
#include <limits>     // std::numeric_limits
#include <numbers>    // std::numbers::ln2, ln10
#include <tuple>      // std::tuple

namespace labelsmooth::identify {
namespace {

constexpr const char* kRuleOrder[] = {"none", "uniform", "others", "flip", "additive", "classy-vision"};
constexpr int kMostDecimals = 9;

struct Hypothesis {
  Weighting weighting = Weighting::none;
  Scale scale;
  Line line;
  bool offset = false;
  int parameters() const { return offset ? 2 : 1; }
  int extras() const { return (weighting != Weighting::none) + (scale.value != 1) + offset; }
};

struct Solution {
  double amount = 0, uncertainty = 0, offset = 0, offset_uncertainty = 0;
  Fit fit;
};

// The equation of the step from amount e. With parameters 0 it only tests e.
Fit step(const Basis& basis, std::span<const Row> rows, const Hypothesis& h, double e, int parameters) {
  const double mass = 1 + e * (h.line.slope.a + h.line.slope.b);
  return fit(static_cast<int64_t>(rows.size()), parameters, [&](int64_t i) {
    const Row& row = rows[i];
    const Terms t = terms(basis, row, h.weighting, h.line.slope);
    return Equation{row.found - h.scale.value * t.at(e),
                    {h.scale.value * t.slope(e), 1},
                    basis.allowed(row, h.scale.value * magnitude(basis, row, h.weighting, mass))};
  });
}

// Gauss and Newton. One step where the loss is linear in e and the mass is 1; a few otherwise.
Solution solve(const Basis& basis, std::span<const Row> rows, const Hypothesis& h, double start) {
  Solution s;
  s.amount = start;
  for (int i = 0; i < 30; ++i) {
    s.fit = step(basis, rows, h, s.amount, h.parameters());
    if (!std::isfinite(s.fit.theta[0])) break;
    s.amount += s.fit.theta[0];
    s.uncertainty = s.fit.uncertainty[0];
    s.offset = s.fit.theta[1];
    s.offset_uncertainty = s.fit.uncertainty[1];
    if (!(std::abs(s.fit.theta[0]) > 0.01 * s.uncertainty) || std::abs(s.amount) > 1e6) break;
  }
  return s;
}

Candidate candidate_of(const Hypothesis& h, const Fit& fit) {
  Candidate c;
  c.weighting = h.weighting;
  c.scale = h.scale;
  c.share = !h.scale.denominator.empty();
  c.reduction = c.share ? "mean" : "none";
  c.fit = fit;
  c.extras = h.extras();
  return c;
}

// Collects what explains the rows, and the best of what does not.
class Search {
 public:
  Search(const Basis& basis, std::span<const Row> rows)
      : basis_(basis), rows_(rows), some_(sample(rows, 1000)) {}

  /// `hard_fits`: the hard label does too, and an amount of 0 would say so again.
  void try_line(const Hypothesis& h, bool hard_fits) {
    Solution best = solve(basis_, some_, h, 0);
    if (h.weighting == Weighting::expected) {  // a quadratic in e has other minima
      for (const double start : {0.5, 1.0}) {
        const Solution s = solve(basis_, some_, h, start);
        if (s.fit.rms < best.fit.rms) best = s;
      }
    }
    keep_nearest(h, best);
    if (best.fit.worst > 4) return;
    const Solution s = solve(basis_, rows_, h, best.amount);
    if (s.fit.worst > 1) return;
    if (hard_fits && std::abs(s.amount) <= s.uncertainty && s.uncertainty < 0.01) return;
    if (h.offset && !(s.uncertainty < kClear)) return;
    Candidate c = candidate_of(h, s.fit);
    if (h.offset) {
      c.offset = s.offset;
      c.offset_name = is_kl(h, s) ? "kl" : "constant";
      c.extras += c.offset_name == "constant";
    }
    add(named(c, h.line, s.amount, s.uncertainty, basis_.classes));
  }

  /// The hard label, which stands for every amount that is 0 but for rounding; true where it fits.
  bool try_none(const Hypothesis& h) {
    if (step(basis_, some_, h, 0, 0).worst > 1) return false;
    const Fit fit = step(basis_, rows_, h, 0, 0);
    if (fit.worst > 1) return false;
    Candidate c = candidate_of(h, fit);
    c.rule = "none";
    const Solution s = solve(basis_, rows_, h, 0);
    c.uncertainty = std::abs(s.amount) + s.uncertainty;
    found_.push_back(c);
    return true;
  }

  // Any constant factor: two unknowns, S and S * e.
  void try_any_scale(Weighting weighting, const Line& line) {
    double scale = 1;
    Fit f;
    for (int i = 0; i < 2; ++i) {
      f = fit(static_cast<int64_t>(rows_.size()), 2, [&](int64_t i) {
        const Terms t = terms(basis_, rows_[i], weighting, line.slope);
        return Equation{rows_[i].found,
                        {t.w * t.x, t.w * t.dx},
                        basis_.allowed(rows_[i], scale * magnitude(basis_, rows_[i], weighting, 1))};
      });
      scale = f.theta[0];
    }
    if (f.worst > 1 || !(scale > 0)) return;
    Hypothesis h{weighting, {scale, kAnyFactor}, line};
    Candidate c = candidate_of(h, f);
    ++c.extras;
    const double amount = f.theta[1] / scale;
    const double uncertainty = (f.uncertainty[1] + std::abs(amount) * f.uncertainty[0]) / scale;
    if (!(uncertainty < kClear)) return;
    if (std::abs(amount) <= uncertainty) {
      c.rule = "none";
      c.uncertainty = std::abs(amount) + uncertainty;
      found_.push_back(c);
      return;
    }
    add(named(c, line, amount, uncertainty, basis_.classes));
  }

  const std::vector<Candidate>& found() const { return found_; }

  Candidate nearest() const {
    const Solution s = solve(basis_, rows_, nearest_, nearest_amount_);
    return named(candidate_of(nearest_, s.fit), nearest_.line, s.amount, s.uncertainty, basis_.classes)
        .front();
  }

 private:
  void add(const std::vector<Candidate>& candidates) {
    for (const Candidate& c : candidates) {
      if (c.allowed()) found_.push_back(c);
    }
  }

  // KL leaves out the entropy of the target, which is the least cross-entropy of a target of mass 1.
  bool is_kl(const Hypothesis& h, const Solution& s) const {
    const auto entropy = [&](double e) {
      return h.scale.value * optimum(uniform(std::clamp(e, 0.0, 1.0)), basis_.classes).floor;
    };
    const double least = entropy(s.amount - s.uncertainty), most = entropy(s.amount + s.uncertainty);
    const double slack = std::abs(most - least) + s.offset_uncertainty;
    return std::abs(s.offset + entropy(s.amount)) <= slack;
  }

  void keep_nearest(const Hypothesis& h, const Solution& s) {
    if (h.offset || h.extras() > 1 || s.fit.rms >= least_rms_) return;
    least_rms_ = s.fit.rms;
    nearest_ = h;
    nearest_amount_ = s.amount;
  }

  const Basis& basis_;
  std::span<const Row> rows_;
  std::vector<Row> some_;
  std::vector<Candidate> found_;
  double least_rms_ = std::numeric_limits<double>::infinity();
  Hypothesis nearest_;
  double nearest_amount_ = 0;
};

}  // namespace

const char* name(Weighting weighting) {
  constexpr const char* kNames[] = {"none", "per-term", "label", "expected"};
  return kNames[static_cast<size_t>(weighting)];
}

std::vector<Weighting> weightings_of(const Basis& basis) {
  if (!basis.weighted) return {Weighting::none};
  return {Weighting::none, Weighting::per_term, Weighting::label, Weighting::expected};
}

Scale bits() { return {1 / std::numbers::ln2, "in bits"}; }

std::vector<Scale> scales_of(const Basis& basis) {
  std::vector<Scale> scales = {{}, bits(), {1 / std::numbers::ln10, "in base 10"}};
  const auto add = [&](double divisor, const std::string& name, const std::string& denominator) {
    if (divisor != 0 && divisor != 1) scales.push_back({1 / divisor, name, denominator});
  };
  add(static_cast<double>(basis.classes), "divided by the classes", "");
  add(static_cast<double>(basis.counted), "divided by the counted rows", "counted");
  if (basis.rows != basis.counted) add(static_cast<double>(basis.rows), "divided by all rows", "rows");
  if (basis.weighted) add(basis.weight_sum, "divided by the labels' weights", "weights");
  return scales;
}

std::vector<Line> lines_of(int64_t classes) {
  std::vector<Line> lines;
  for (const Rule rule : {Rule::uniform, Rule::flip, Rule::additive}) {
    const Affine one = affine({rule, 1}, classes), zero = affine({rule, 0}, classes);
    lines.push_back({rule, {one.a - zero.a, one.b - zero.b}});
  }
  return lines;
}

Terms terms(const Basis& basis, const Row& row, Weighting weighting, const Affine& slope) {
  const double dx = slope.a * row.hard + slope.b * row.flat;
  switch (weighting) {
    case Weighting::none:
      return {1, 0, row.hard, dx};
    case Weighting::per_term:
      return {1, 0, row.weight * row.hard, slope.a * row.weight * row.hard + slope.b * row.weighted_flat};
    case Weighting::label:
      return {row.weight, 0, row.hard, dx};
    case Weighting::expected:
      return {row.weight, slope.a * row.weight + slope.b * basis.mean_weight, row.hard, dx};
  }
  return {};
}

std::vector<Row> sample(std::span<const Row> rows, size_t most) {
  if (rows.size() <= most) return {rows.begin(), rows.end()};
  std::vector<Row> some;
  // Multiples of the golden ratio fill [0, 1) evenly without a period, which rows may have.
  for (uint64_t i = 0; i < most; ++i) {
    const double place = static_cast<double>(i * 0x9E3779B97F4A7C15u >> 11) * 0x1p-53;
    some.push_back(rows[static_cast<size_t>(place * static_cast<double>(rows.size()))]);
  }
  return some;
}

double magnitude(const Basis& basis, const Row& row, Weighting weighting, double mass) {
  if (weighting == Weighting::none) return mass;
  const double mean = weighting == Weighting::label ? 0 : std::abs(basis.mean_weight);
  return mass * std::max(std::abs(row.weight), mean);
}

bool Candidate::allowed() const { return amount >= 0 && amount <= 1; }

std::vector<Candidate> named(const Candidate& candidate, const Line& line, double amount, double uncertainty,
                             int64_t classes) {
  std::vector<Candidate> list;
  const auto add = [&](const char* rule, double value, double spread) {
    Candidate c = candidate;
    c.line = line;
    c.line_amount = amount;
    c.line_uncertainty = uncertainty;
    c.rule = rule;
    c.uncertainty = spread;
    // 1.0000001 +- 0.000001 is an amount that the rule takes; 1.1 is not.
    const double inside = std::clamp(value, 0.0, 1.0);
    c.amount = std::abs(value - inside) <= spread ? inside : value;
    list.push_back(c);
  };
  if (line.rule == Rule::flip) add("flip", amount, uncertainty);
  if (line.rule == Rule::additive) add("additive", amount, uncertainty);
  if (line.rule != Rule::uniform) return list;
  add("uniform", amount, uncertainty);
  if (classes < 2) return list;
  const double most = affine(others(1), classes).b;
  add("others", amount / most, uncertainty / most);
  // ClassyVision's e gives the uniform amount e / (1 + e), at most 1/2.
  if (amount < 1) add("classy-vision", amount / (1 - amount), uncertainty / ((1 - amount) * (1 - amount)));
  return list;
}

double predict(const Basis& basis, const Row& row, const Candidate& c) {
  const auto term = [](double coefficient, double x) { return coefficient == 0 ? 0 : coefficient * x; };
  const bool per_term = c.weighting == Weighting::per_term;
  const double e = c.line_amount, a = 1 + e * c.line.slope.a, b = e * c.line.slope.b;
  double weight = c.label_weights.empty() ? 1 : c.label_weights[row.label];
  if (c.label_weights.empty() && !per_term) {
    const Terms t = terms(basis, row, c.weighting, c.line.slope);
    weight = t.w + e * t.dw;
  }
  const double hard = per_term ? row.weight * row.hard : row.hard;
  return c.scale.value * weight * (term(a, hard) + term(b, per_term ? row.weighted_flat : row.flat)) +
         c.offset;
}

double allowed(const Basis& basis, const Row& row, const Candidate& c) {
  const double mass = 1 + c.line_amount * (c.line.slope.a + c.line.slope.b);
  const double weight =
      c.label_weights.empty() ? magnitude(basis, row, c.weighting, mass) : c.label_weights[row.label];
  return basis.allowed(row, c.scale.value * weight);
}

int Candidate::decimals() const {
  if (rule == "none") return -1;
  double unit = 1;
  for (int d = 0; d < kMostDecimals; ++d, unit /= 10) {
    if (unit < 10 * uncertainty) break;
    if (std::abs(amount - std::round(amount / unit) * unit) <= uncertainty) return d;
  }
  return kMostDecimals;
}

void sort_candidates(std::vector<Candidate>& candidates, bool round_first) {
  const auto key = [round_first](const Candidate& c) {
    const int decimals = c.told() ? c.decimals() : kMostDecimals;
    const auto order =
        std::find(std::begin(kRuleOrder), std::end(kRuleOrder), c.rule) - std::begin(kRuleOrder);
    return std::tuple(c.off.size(), round_first ? std::min(decimals, kRoundDecimals + 1) : 0, c.extras,
                      std::lround(100 * c.fit.rms), decimals, order, c.weighting, c.scale.denominator,
                      c.scale.value);
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const Candidate& x, const Candidate& y) { return key(x) < key(y); });
}

std::vector<Candidate> explanations(const Basis& basis, std::span<const Row> rows, Candidate* nearest) {
  Search search(basis, rows);
  const std::vector<Weighting> weightings = weightings_of(basis);
  const std::vector<Line> lines = lines_of(basis.classes);
  for (const Weighting weighting : weightings) {
    for (const Scale& scale : scales_of(basis)) {
      const bool hard_fits = search.try_none({weighting, scale, lines[0]});
      for (const Line& line : lines) search.try_line({weighting, scale, line}, hard_fits);
    }
  }
  *nearest = search.nearest();
  if (!search.found().empty() || static_cast<int64_t>(rows.size()) < 2 + kSpareRows) return search.found();
  for (const Scale& scale : scales_of(basis))
    search.try_line({Weighting::none, scale, lines[0], true}, false);
  if (!search.found().empty()) return search.found();
  for (const Weighting weighting : weightings) {
    if (weighting != Weighting::expected) search.try_any_scale(weighting, lines[0]);
  }
  return search.found();
}

}  // namespace labelsmooth::identify
