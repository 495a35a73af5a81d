// SPDX-License-Identifier: MIT
// What may have made a loss: a rule and its amount, a way to weigh the classes, a constant factor, KL in
// place of cross-entropy. Every rule's (a, b) is a straight line in its amount e, so a hypothesis has one
// unknown:
//
//   loss of a row = scale * (w + e * w') * (hard + e * slope) [+ offset]
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <string>   // std::string
#include <vector>   // std::vector

#include "identify/basis.h"
#include "identify/fit.h"
#include "labelsmooth/smoothing.h"

namespace labelsmooth::identify {

/// per_term: w_k q_k (PyTorch); label: the row times w_y (Keras, MLX); expected: the row times sum_k w_k q_k
/// (Paddle).
enum class Weighting : uint8_t { none, per_term, label, expected };
const char* name(Weighting weighting);
/// What can be told apart: with class weights all four.
std::vector<Weighting> weightings_of(const Basis& basis);

/// A constant factor that somebody uses.
struct Scale {
  double value = 1;
  std::string name = "";         // empty for 1
  std::string denominator = "";  // of a mean: each row holds its share; empty where no mean was taken
};
std::vector<Scale> scales_of(const Basis& basis);
/// The name of a factor that nobody is known to use.
inline constexpr const char* kAnyFactor = "a constant factor";
/// The factor of losses in bits.
Scale bits();

/// The (a, b) of amount 1 minus that of amount 0. The rules of mass 1 share one line: see Candidate.
struct Line {
  Rule rule = Rule::uniform;  // uniform, flip or additive
  Affine slope = {};
};
std::vector<Line> lines_of(int64_t classes);

/// Loss of a row at amount e in nats: (w + e * dw) * (x + e * dx).
struct Terms {
  double w, dw, x, dx;
  double at(double e) const { return (w + e * dw) * (x + e * dx); }
  double slope(double e) const { return dw * (x + e * dx) + (w + e * dw) * dx; }
};
Terms terms(const Basis& basis, const Row& row, Weighting weighting, const Affine& slope);
/// What the row's weight and the target's mass multiply rounding by.
double magnitude(const Basis& basis, const Row& row, Weighting weighting, double mass);

struct Candidate {
  Line line = {Rule::uniform, {0, 0}};  // q = (1 + e slope.a, e slope.b) at e = line_amount
  double line_amount = 0, line_uncertainty = 0;
  std::string rule;        // none, uniform, others, flip, additive or classy-vision
  double amount = 0;       // in [0, 1] for an answer; what fits best for the nearest
  double uncertainty = 0;  // infinite where the rows do not tell the amount
  Weighting weighting = Weighting::none;
  std::string reduction = "none";  // none, mean or sum
  bool share = false;              // each row holds its share of the mean
  Scale scale = {};
  std::string offset_name = "";  // "kl" or "constant"; empty for none
  double offset = 0;
  Fit fit = {};
  int extras = 0;                          // assumptions beyond a rule and an amount
  std::vector<int64_t> off = {};           // rows that it does not explain
  std::vector<double> label_weights = {};  // (classes,) estimated, NaN for a label without a row
  bool allowed() const;                    // some rule takes this amount
  /// What hard and flat are multiplied by, but for class weights.
  double onehot() const { return scale.value * (1 + line_amount * line.slope.a); }
  double flat() const { return scale.value * line_amount * line.slope.b; }
  bool told() const { return uncertainty < 0.5; }
  /// Decimals of the shortest number within the uncertainty that is ten times coarser than it; -1 for the
  /// hard label, 9 where there is none.
  int decimals() const;
};
/// An amount of so few decimals is one that people choose.
inline constexpr int kRoundDecimals = 2;
/// Free constants are an explanation where the rows outnumber them by this.
inline constexpr int64_t kSpareRows = 6;
/// And where they leave the amount no wider than this.
inline constexpr double kClear = 0.05;

/// All rows, or `most` of them from all over: a few of many rows refuse most hypotheses.
std::vector<Row> sample(std::span<const Row> rows, size_t most);

/// The names for an amount on a line: one for flip and additive; uniform, others and classy-vision on the
/// line of mass 1, which are the same losses. `candidate` gives the rest.
std::vector<Candidate> named(const Candidate& candidate, const Line& line, double amount, double uncertainty,
                             int64_t classes);

/// The candidate's loss of a row, infinite or NaN logits included, and how far rounding may move it.
double predict(const Basis& basis, const Row& row, const Candidate& candidate);
double allowed(const Basis& basis, const Row& row, const Candidate& candidate);

/// The simplest first: fewest rows unexplained, fewest extras, the closer fit to a hundredth of rounding,
/// then the amount of the fewest decimals, which decides between the names of one loss. `round_first` puts
/// amounts that people choose before all else, where the losses say nothing more.
void sort_candidates(std::vector<Candidate>& candidates, bool round_first = false);

/// Everything that explains `rows` to rounding with the fewest free constants: a named scale and weighting;
/// failing that KL or another offset; failing that any constant factor. The nearest, by rms, goes to
/// `nearest`.
std::vector<Candidate> explanations(const Basis& basis, std::span<const Row> rows, Candidate* nearest);

}  // namespace labelsmooth::identify
