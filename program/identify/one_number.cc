// SPDX-License-Identifier: MIT
#include "identify/one_number.h"

#include <algorithm>  // std::max
#include <cmath>      // std::abs, std::copysign, std::sqrt
#include <string>     // std::to_string

namespace labelsmooth::identify {
namespace {

// c[0] + c[1] e + c[2] e^2
struct Quadratic {
  long double c[3] = {0, 0, 0};

  // Written so that the roots do not cancel.
  std::vector<double> roots() const {
    if (c[2] == 0)
      return c[1] == 0 ? std::vector<double>{} : std::vector<double>{static_cast<double>(-c[0] / c[1])};
    const long double square = c[1] * c[1] - 4 * c[2] * c[0];
    if (square < 0) return {};
    const long double q = -(c[1] + std::copysign(std::sqrt(square), c[1])) / 2;
    if (q == 0) return {0};
    return {static_cast<double>(q / c[2]), static_cast<double>(c[0] / q)};
  }
  double slope(double e) const { return static_cast<double>(c[1] + 2 * c[2] * e); }
};

struct Sums {
  Quadratic loss;         // sum of the rows' losses
  long double weight[2];  // sum of the rows' weights: weight[0] + weight[1] e
  double allowed = 0;     // rounding of the rows, were every one wrong the same way
};

Sums sums_of(const Basis& basis, Weighting weighting, const Line& line) {
  Sums sums{{}, {0, 0}, 0};
  const double most_mass = std::max(1.0, 1 + line.slope.a + line.slope.b);
  for (const Row& row : basis.finite) {
    const Terms t = terms(basis, row, weighting, line.slope);
    sums.loss.c[0] += static_cast<long double>(t.w) * t.x;
    sums.loss.c[1] += static_cast<long double>(t.w) * t.dx + static_cast<long double>(t.dw) * t.x;
    sums.loss.c[2] += static_cast<long double>(t.dw) * t.dx;
    sums.weight[0] += row.weight;
    sums.weight[1] += t.dw;
    sums.allowed += basis.allowed(row, magnitude(basis, row, weighting, most_mass));
  }
  return sums;
}

// What a reduction divides the sum by: d[0] + d[1] e.
struct Divisor {
  std::string reduction, denominator;
  long double d[2];
};

std::vector<Divisor> divisors_of(const Basis& basis, Weighting weighting, const Sums& sums) {
  std::vector<Divisor> list;
  if (basis.rows > 1) list.push_back({"mean", "counted", {static_cast<long double>(basis.counted), 0}});
  if (basis.weighted && weighting != Weighting::none) {
    list.push_back({"mean", "weights", {static_cast<long double>(basis.weight_sum), 0}});
    if (weighting == Weighting::expected)
      list.push_back({"mean", "expected weights", {sums.weight[0], sums.weight[1]}});
  }
  if (basis.rows != basis.counted)
    list.push_back({"mean", "rows", {static_cast<long double>(basis.rows), 0}});
  list.push_back({basis.rows == 1 ? "none" : "sum", "", {1, 0}});
  return list;
}

// Rounding of sum / divisor, in units of the sum: the rows', the addition's and the number's own.
double allowed_of(const Basis& basis, const Sums& sums, double sum) {
  const double adding = basis.precision.computed * (1 + std::sqrt(static_cast<double>(basis.counted)) / 2);
  return sums.allowed + std::abs(sum) * (2 * basis.precision.stored + adding);
}

// All amounts in [0, 1] for which scale * loss / divisor is the number.
void solve(const Basis& basis, const Line& line, const Sums& sums, const Divisor& divisor, Candidate c,
           std::vector<Candidate>& found) {
  Quadratic equation = sums.loss;  // minus what the number says the sum is
  for (int i = 0; i < 2; ++i) equation.c[i] -= basis.total / c.scale.value * divisor.d[i];
  const double shrink = c.scale.value / std::abs(static_cast<double>(divisor.d[0]));
  const double allowed = allowed_of(basis, sums, basis.total / shrink);
  c.fit.rounding = allowed * shrink;
  const double left = std::abs(static_cast<double>(equation.c[0]));  // by the hard label
  const bool hard_fits = left <= allowed;
  if (hard_fits && line.rule == Rule::uniform) {
    Candidate hard = c;
    hard.rule = "none";
    hard.uncertainty = (left + allowed) / std::abs(equation.slope(0));
    hard.fit.residual = left * shrink;
    hard.fit.worst = hard.fit.rms = left / allowed;
    found.push_back(hard);
  }
  for (const double root : equation.roots()) {
    const double uncertainty = allowed / std::abs(equation.slope(root));
    if (hard_fits && std::abs(root) <= uncertainty && uncertainty < 0.01) continue;
    for (const Candidate& known : named(c, line, root, uncertainty, basis.classes)) {
      if (known.allowed()) found.push_back(known);
    }
  }
}

}  // namespace

std::vector<Candidate> explain_one_number(const Basis& basis) {
  if (!basis.infinite.empty()) {
    throw Error("losses", "one number found, and row " + std::to_string(basis.infinite[0].row) +
                              " has infinite logits; losses per row are needed");
  }
  std::vector<Candidate> found;
  for (const Weighting weighting : weightings_of(basis)) {
    for (const Line& line : lines_of(basis.classes)) {
      const Sums sums = sums_of(basis, weighting, line);
      for (const Divisor& divisor : divisors_of(basis, weighting, sums)) {
        if (divisor.d[0] == 0) continue;
        for (const Scale& scale : {Scale{}, bits()}) {
          Candidate c;
          c.weighting = weighting;
          c.reduction = divisor.reduction;
          c.scale = {scale.value, scale.name, divisor.denominator};
          c.extras = (weighting != Weighting::none) + (scale.value != 1) + (divisor.denominator == "rows");
          solve(basis, line, sums, divisor, c, found);
        }
      }
    }
  }
  sort_candidates(found, /*round_first=*/true);
  return found;
}

}  // namespace labelsmooth::identify
