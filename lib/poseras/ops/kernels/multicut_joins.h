// Joins of whole clusters, the one that gains most first.
#ifndef POSERAS_OPS_KERNELS_MULTICUT_JOINS_H_
#define POSERAS_OPS_KERNELS_MULTICUT_JOINS_H_

#include <algorithm>
#include <cstddef>
#include <queue>
#include <utility>
#include <vector>

#include "multicut_graph.h"

namespace poseras {

// What joining pairs of clusters gains. Of equal gains the pair of the lowest numbers comes first.
class Joins {
 public:
  using Gains = std::vector<std::vector<Neighbour>>;

  // gains: for each cluster its neighbours of higher numbers, rising; their costs are gains here.
  explicit Joins(const Gains& gains) : gains_(gains.size()) {
    for (size_t a = 0; a < gains.size(); ++a) {
      for (const Neighbour& other : gains[a]) {
        gains_[a].push_back(other);
        gains_[other.node].push_back({static_cast<int32_t>(a), other.cost});
        Offer(static_cast<int32_t>(a), other.node, other.cost);
      }
    }
  }

  // The next pair, a < b, whose join loses nothing; false if there is none.
  bool FindBest(int32_t* a, int32_t* b) {
    for (; !queue_.empty(); queue_.pop()) {
      const Pair& pair = queue_.top();
      const auto place = Place(pair.a, pair.b);
      if (place == gains_[pair.a].end() || place->node != pair.b) continue;  // b is gone
      if (place->cost != pair.gain) continue;  // it has changed since, and was offered again
      *a = pair.a;
      *b = pair.b;
      return true;
    }
    return false;
  }

  size_t CountNeighbours(int32_t a) const { return gains_[a].size(); }

  // The neighbours of b become those of a, and b has none.
  void Join(int32_t a, int32_t b) {
    const std::vector<Neighbour> lost = std::move(gains_[b]);
    gains_[b].clear();
    for (const Neighbour& other : lost) {
      gains_[other.node].erase(Place(other.node, b));
      if (other.node == a) continue;
      const double gain = Add(a, other.node, other.cost);
      Add(other.node, a, other.cost);
      Offer(std::min(a, other.node), std::max(a, other.node), gain);
    }
  }

 private:
  struct Pair {
    double gain;
    int32_t a, b;
    bool operator<(const Pair& other) const {
      if (gain != other.gain) return gain < other.gain;
      return a != other.a ? a > other.a : b > other.b;
    }
  };

  // Where b stands, or would stand, among the neighbours of a.
  std::vector<Neighbour>::iterator Place(int32_t a, int32_t b) {
    return std::lower_bound(gains_[a].begin(), gains_[a].end(), b,
                            [](const Neighbour& entry, int32_t node) { return entry.node < node; });
  }

  double Add(int32_t a, int32_t b, double gain) {
    auto place = Place(a, b);
    if (place == gains_[a].end() || place->node != b) place = gains_[a].insert(place, {b, 0.0});
    return place->cost += gain;
  }

  void Offer(int32_t a, int32_t b, double gain) {
    if (gain >= 0) queue_.push({gain, a, b});
  }

  Gains gains_;
  std::priority_queue<Pair> queue_;
};

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_MULTICUT_JOINS_H_
