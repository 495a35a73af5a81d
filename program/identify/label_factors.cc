// SPDX-License-Identifier: MIT
#include "identify/label_factors.h"

#include <boost/math/tools/minima.hpp>
#include <cmath>   // std::abs
#include <limits>  // std::numeric_limits

namespace labelsmooth::identify {
namespace {

// With e given each label's factor is a projection; so least squares in e alone is left (variable
// projection).
class LabelFactors {
 public:
  LabelFactors(const Basis& basis, std::span<const Row> rows)
      : basis_(basis), rows_(rows), slope_(lines_of(basis.classes)[0].slope), moments_(basis.classes) {
    for (const Row& row : rows) {
      const Terms t = terms(basis, row, Weighting::none, slope_);
      const long double y = row.found / allowed(row), x = t.x / allowed(row), dx = t.dx / allowed(row);
      Moments& m = moments_[row.label];
      ++m.rows;
      m.yy += y * y, m.yx += y * x, m.yd += y * dx, m.xx += x * x, m.xd += x * dx, m.dd += dx * dx;
    }
  }

  double squares(double e) const {
    long double sum = 0;
    for (const Moments& m : moments_) sum += m.yy - m.yf(e) * m.factor(e);
    return static_cast<double>(sum);
  }
  double factor(int64_t label, double e) const { return static_cast<double>(moments_[label].factor(e)); }
  int64_t labels() const {
    int64_t count = 0;
    for (const Moments& m : moments_) count += m.rows > 0;
    return count;
  }
  bool seen(int64_t label) const { return moments_[label].rows > 0; }

  // One step of Gauss and Newton in e, the factors following it.
  Fit step(double e) const {
    return fit(static_cast<int64_t>(rows_.size()), 1, [&](int64_t i) {
      const Row& row = rows_[i];
      const Moments& m = moments_[row.label];
      const Terms t = terms(basis_, row, Weighting::none, slope_);
      const double f = t.at(e), w = factor(row.label, e);
      const double share = m.ff(e) > 0 ? static_cast<double>(m.df(e) / m.ff(e)) : 0;
      return Equation{row.found - w * f, {w * (t.dx - f * share), 0}, basis_.allowed(row, w)};
    });
  }

 private:
  struct Moments {
    int64_t rows = 0;
    long double yy = 0, yx = 0, yd = 0, xx = 0, xd = 0, dd = 0;
    long double yf(double e) const { return yx + e * yd; }
    long double df(double e) const { return xd + e * dd; }
    long double ff(double e) const { return xx + e * (2 * xd + e * dd); }
    long double factor(double e) const { return ff(e) > 0 ? yf(e) / ff(e) : 0; }
  };

  double allowed(const Row& row) const { return basis_.allowed(row, 1); }

  const Basis& basis_;
  std::span<const Row> rows_;
  const Affine slope_;
  std::vector<Moments> moments_;
};

}  // namespace

std::vector<Candidate> explain_by_label_factors(const Basis& basis, std::span<const Row> rows) {
  if (basis.classes < 2) return {};
  const LabelFactors model(basis, rows);
  if (model.labels() < 2 || static_cast<int64_t>(rows.size()) < model.labels() + 1 + kSpareRows) return {};
  double e =
      boost::math::tools::brent_find_minima([&](double x) { return model.squares(x); }, 0.0, 1.0, 40).first;
  Fit f;
  for (int i = 0; i < 4; ++i) {
    f = model.step(e);
    e += f.theta[0];
  }
  if (f.worst > 1 || !(f.uncertainty[0] < kClear)) return {};

  Candidate c;
  c.fit = f;
  c.weighting = Weighting::label;
  c.extras = 3;
  c.label_weights.assign(basis.classes, std::numeric_limits<double>::quiet_NaN());
  for (int64_t k = 0; k < basis.classes; ++k) {
    if (model.seen(k)) c.label_weights[k] = model.factor(k, e);
  }
  std::vector<Candidate> list;
  if (std::abs(e) <= f.uncertainty[0] && f.uncertainty[0] < 0.01) {
    c.rule = "none";
    c.uncertainty = std::abs(e) + f.uncertainty[0];
    return {c};
  }
  for (const Candidate& known : named(c, lines_of(basis.classes)[0], e, f.uncertainty[0], basis.classes)) {
    if (known.allowed()) list.push_back(known);
  }
  return list;
}

}  // namespace labelsmooth::identify
