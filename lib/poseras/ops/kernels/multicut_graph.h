// What the parts of the multicut share: the graph, labels and what they cost, and the work left.
#ifndef POSERAS_OPS_KERNELS_MULTICUT_GRAPH_H_
#define POSERAS_OPS_KERNELS_MULTICUT_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "multicut.h"

namespace poseras {

constexpr double kMixedCost = 1000.0;  // of an edge in a cluster, one end kept, one suppressed
constexpr double kEpsilon = 1e-6;      // gains below this are rounding

enum Label : uint8_t { kKept = 0, kSuppressed = 1 };

// What an edge inside a cluster costs.
inline double PairCost(double cost, uint8_t first, uint8_t second) {
  if (first != second) return kMixedCost;
  return first == kKept ? cost : 0.0;
}

using Nodes = std::vector<int32_t>;

struct Neighbour {
  int32_t node;
  double cost;
};

struct Range {
  const Neighbour* first;
  const Neighbour* last;
  const Neighbour* begin() const { return first; }
  const Neighbour* end() const { return last; }
};

// The neighbours of each node, by rising number, with the costs of joining them.
class Adjacency {
 public:
  explicit Adjacency(const Instance& instance)
      : starts_(instance.nodes + 1, 0), entries_(2 * instance.edge_count) {
    for (int64_t i = 0; i < 2 * instance.edge_count; ++i) ++starts_[instance.edges[i] + 1];
    for (int64_t v = 0; v < instance.nodes; ++v) starts_[v + 1] += starts_[v];
    std::vector<int64_t> place(starts_.begin(), starts_.end() - 1);
    for (int64_t i = 0; i < instance.edge_count; ++i) {
      const auto v = static_cast<int32_t>(instance.edges[2 * i]);
      const auto w = static_cast<int32_t>(instance.edges[2 * i + 1]);
      entries_[place[v]++] = {w, instance.costs[i]};
      entries_[place[w]++] = {v, instance.costs[i]};
    }
  }

  Range Of(int32_t node) const {
    return {entries_.data() + starts_[node], entries_.data() + starts_[node + 1]};
  }

 private:
  std::vector<int64_t> starts_;
  std::vector<Neighbour> entries_;
};

struct Solution {
  std::vector<uint8_t> label;    // (nodes)
  std::vector<int64_t> cluster;  // (nodes)
};

inline double Energy(const Instance& instance, const Solution& solution) {
  double unary = 0.0, pairs = 0.0;
  for (int64_t v = 0; v < instance.nodes; ++v) {
    if (solution.label[v] == kKept) unary += instance.unary[v];
  }
  for (int64_t i = 0; i < instance.edge_count; ++i) {
    const int64_t v = instance.edges[2 * i], w = instance.edges[2 * i + 1];
    if (solution.cluster[v] != solution.cluster[w]) continue;
    pairs += PairCost(instance.costs[i], solution.label[v], solution.label[w]);
  }
  return unary + pairs;
}

// The search has used up its work.
struct LimitReached {};

// The work that is left; any amount where it is negative at the start.
class Budget {
 public:
  explicit Budget(int64_t work) : left_(work), limited_(work >= 0) {}

  void Spend(int64_t amount) {
    if (!limited_) return;
    left_ -= amount;
    if (left_ < 0) throw LimitReached();
  }

 private:
  int64_t left_;
  const bool limited_;
};

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_MULTICUT_GRAPH_H_
