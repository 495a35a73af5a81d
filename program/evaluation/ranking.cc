// SPDX-License-Identifier: MIT
#include "evaluation/ranking.h"

#include <algorithm>  // std::clamp, std::min
#include <cmath>      // std::ceil
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string
#include <utility>    // std::move

#include "evaluation/sorted_rows.h"

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// N times the aurc of `rows` rows of which `wrong` are wrong and rank last.
double best_area(int64_t rows, int64_t wrong) {
  double sum = 0;
  for (int64_t n = rows - wrong + 1; n <= rows; ++n)
    sum += static_cast<double>(wrong - (rows - n)) / static_cast<double>(n);
  return sum;
}

}  // namespace

Ranking::Ranking(std::vector<double> score, const std::vector<double>& correct) {
  if (correct.empty() || correct.size() > std::numeric_limits<uint32_t>::max())
    throw Error("items", std::to_string(correct.size()) + " rows, 1 to 2^32 - 1 are allowed");
  const SortedRows sorted(std::move(score), correct, First::greatest);
  score_.reserve(sorted.size());
  wrong_.reserve(sorted.size());
  row_.reserve(sorted.size());
  for (size_t n = 0; n < sorted.size(); ++n) {
    const bool wrong = !sorted.correct(n);
    score_.push_back(sorted.key(n));
    wrong_.push_back(wrong);
    row_.push_back(sorted.row(n));
    errors_ += wrong;
  }
}

void Ranking::need_two() const {
  if (rows() < 2) throw Error("items", "1 row, at least 2 needed");
}

/// Calls body(n, errors(n)), n = 1..N.
template <class Body>
void Ranking::each_coverage(const Body& body) const {
  int64_t errors = 0;
  for (int64_t n = 1; n <= rows(); ++n) {
    errors += wrong_[n - 1];
    body(n, static_cast<double>(errors));
  }
}

/// Rows [begin, end) of one score, with the right and wrong ones among them, above and below.
struct Tie {
  int64_t begin, end;
  double right, wrong, right_above, wrong_below;
};
/// Calls body(Tie) for each score, the highest first.
template <class Body>
void Ranking::each_score(const Body& body) const {
  Tie tie = {};
  auto wrong_left = errors_;
  for (int64_t right_above = 0; tie.end < rows(); right_above += static_cast<int64_t>(tie.right)) {
    tie.begin = tie.end;
    int64_t wrong = 0;
    for (; tie.end < rows() && score_[tie.end] == score_[tie.begin]; ++tie.end) wrong += wrong_[tie.end];
    wrong_left -= wrong;
    tie.wrong = static_cast<double>(wrong);
    tie.right = static_cast<double>(tie.end - tie.begin - wrong);
    tie.right_above = static_cast<double>(right_above);
    tie.wrong_below = static_cast<double>(wrong_left);
    body(tie);
  }
}

double Ranking::aurc() const {
  double sum = 0;
  each_coverage([&](int64_t n, double errors) { sum += errors / static_cast<double>(n); });
  return sum / static_cast<double>(rows());
}

double Ranking::eaurc(double aurc) const {
  return aurc - best_area(rows(), errors_) / static_cast<double>(rows());
}

double Ranking::augrc() const {
  double sum = 0;
  each_coverage([&](int64_t, double errors) { sum += errors; });
  const auto n = static_cast<double>(rows());
  return sum / (n * n);
}

double Ranking::ordered_pairs() const {
  double pairs = 0;
  each_score([&](const Tie& tie) { pairs += tie.right * (tie.wrong_below + tie.wrong / 2); });
  return pairs;
}

double Ranking::auroc() const {
  const double all = static_cast<double>(errors_) * static_cast<double>(rows() - errors_);
  return all > 0 ? ordered_pairs() / all : kNaN;
}

std::vector<double> Ranking::aurc_items() const {
  need_two();
  // Without the row of rank n, those before it keep their place and those after it move up by one:
  // (N - 1) theta(-n) = sum_{m < n} errors(m) / m + sum_{m > n} (errors(m) - [n is wrong]) / (m - 1)
  std::vector<double> pseudo(wrong_.size());  // the first sum, at first
  double total = 0;
  each_coverage([&](int64_t n, double errors) {
    pseudo[n - 1] = total;
    total += errors / static_cast<double>(n);
  });
  double after = 0, share = 0;  // the second sum, apart: errors and 1 over m - 1
  auto errors = static_cast<double>(errors_);
  for (int64_t n = rows(); n > 0; --n) {
    const double wrong = wrong_[n - 1];
    pseudo[n - 1] = total - (pseudo[n - 1] + after - wrong * share);
    if (n == 1) break;
    const double less = 1 / static_cast<double>(n - 1);
    after += errors * less;
    share += less;
    errors -= wrong;
  }
  return pseudo;
}

std::vector<double> Ranking::eaurc_items(std::vector<double> pseudo) const {
  const double whole = best_area(rows(), errors_);
  const double without_right = best_area(rows() - 1, std::min(errors_, rows() - 1));
  const double without_wrong = errors_ > 0 ? best_area(rows() - 1, errors_ - 1) : 0;
  for (size_t n = 0; n < pseudo.size(); ++n) pseudo[n] -= whole - (wrong_[n] ? without_wrong : without_right);
  return pseudo;
}

std::vector<double> Ranking::augrc_items() const {
  need_two();
  // N^2 theta = sum over the wrong rows of N - rank + 1. Without the row of rank n its own term goes, if it
  // is wrong, and every wrong row before it loses one.
  double total = 0;
  each_coverage([&](int64_t, double errors) { total += errors; });
  std::vector<double> pseudo(wrong_.size());
  const auto all = static_cast<double>(rows()), mean = total / all;
  each_coverage([&](int64_t n, double errors) {
    const double wrong = wrong_[n - 1];
    const double without = total - wrong * static_cast<double>(rows() - n + 1) - (errors - wrong);
    pseudo[n - 1] = mean - without / (all - 1);
  });
  return pseudo;
}

std::vector<double> Ranking::auroc_items() const {
  need_two();
  const auto all = static_cast<double>(rows()), wrong = static_cast<double>(errors_), right = all - wrong;
  if (right < 2 || wrong < 2) return std::vector<double>(wrong_.size(), kNaN);
  const double pairs = ordered_pairs(), whole = all * (pairs / (right * wrong));
  std::vector<double> pseudo(wrong_.size());
  each_score([&](const Tie& tie) {
    // Without a row the pairs that it wins are gone.
    const double of_right =
        whole - (all - 1) * ((pairs - (tie.wrong_below + tie.wrong / 2)) / ((right - 1) * wrong));
    const double of_wrong =
        whole - (all - 1) * ((pairs - (tie.right_above + tie.right / 2)) / (right * (wrong - 1)));
    for (int64_t n = tie.begin; n < tie.end; ++n) pseudo[n] = wrong_[n] ? of_wrong : of_right;
  });
  return pseudo;
}

std::vector<double> Ranking::by_row(const std::vector<double>& by_rank) const {
  std::vector<double> values(by_rank.size());
  for (size_t n = 0; n < by_rank.size(); ++n) values[row_[n]] = by_rank[n];
  return values;
}

std::vector<RiskPoint> Ranking::risk_coverage(int points) const {
  if (points < 1) throw Error("points", std::to_string(points) + ", at least 1 is needed");
  const int64_t kept = std::min<int64_t>(points, rows());
  std::vector<RiskPoint> curve;
  int64_t k = 1, next = rows() / kept;
  each_coverage([&](int64_t n, double errors) {
    if (n != next) return;
    curve.push_back({static_cast<double>(n) / static_cast<double>(rows()), errors / static_cast<double>(n)});
    next = ++k * rows() / kept;
  });
  return curve;
}

double Ranking::accuracy_at(double coverage) const {
  const auto wanted = static_cast<int64_t>(std::ceil(coverage * static_cast<double>(rows())));
  const auto kept = std::clamp<int64_t>(wanted, 1, rows());
  int64_t errors = 0;
  for (int64_t n = 0; n < kept; ++n) errors += wrong_[n];
  return static_cast<double>(kept - errors) / static_cast<double>(kept);
}

double Ranking::coverage_at(double risk) const {
  int64_t n = rows();
  for (int64_t errors = errors_; n > 0 && static_cast<double>(errors) > risk * static_cast<double>(n); --n)
    errors -= wrong_[n - 1];
  return static_cast<double>(n) / static_cast<double>(rows());
}

double aurc(const Items& items) { return Ranking(items).aurc(); }
double augrc(const Items& items) { return Ranking(items).augrc(); }
double auroc(const Items& items) { return Ranking(items).auroc(); }
std::vector<double> aurc_items(const Items& items) {
  const Ranking ranking(items);
  return ranking.by_row(ranking.aurc_items());
}
std::vector<double> augrc_items(const Items& items) {
  const Ranking ranking(items);
  return ranking.by_row(ranking.augrc_items());
}
std::vector<double> auroc_items(const Items& items) {
  const Ranking ranking(items);
  return ranking.by_row(ranking.auroc_items());
}
std::vector<RiskPoint> risk_coverage(const Items& items, int points) {
  return Ranking(items).risk_coverage(points);
}

}  // namespace labelsmooth
