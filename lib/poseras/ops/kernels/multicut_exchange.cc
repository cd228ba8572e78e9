#include "multicut_exchange.h"

#include <algorithm>
#include <cstddef>

namespace poseras {

Exchange::Exchange(const Instance& instance, const Adjacency& adjacency, const Nodes& nodes_a,
                   const Nodes& nodes_b, std::vector<uint8_t>* label, Nodes* place)
    : nodes_(nodes_a), split_(nodes_b.empty()), all_labels_(*label) {
  nodes_.insert(nodes_.end(), nodes_b.begin(), nodes_b.end());
  items_.reserve(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    (*place)[nodes_[i]] = static_cast<int32_t>(i);
    items_.push_back({{0.0, 0.0}, 0, all_labels_[nodes_[i]], i >= nodes_a.size(), true});
  }
  FindLinks(adjacency, *place);
  for (const int32_t node : nodes_) (*place)[node] = -1;
  FillGains(instance.unary);
}

// The edges among the nodes.
void Exchange::FindLinks(const Adjacency& adjacency, const Nodes& place) {
  starts_.assign(1, 0);
  for (const int32_t node : nodes_) {
    for (const Neighbour& edge : adjacency.Of(node)) {
      if (place[edge.node] >= 0) links_.push_back({place[edge.node], edge.cost});
    }
    starts_.push_back(links_.size());
  }
}

// The gains before the first move. Sums run over the nodes in their order.
void Exchange::FillGains(const double* unary) {
  struct Sums {
    double own = 0.0, across = 0.0, kept = 0.0, suppressed = 0.0;
  };
  std::vector<Sums> sums(items_.size());
  for (size_t j = 0; j < items_.size(); ++j) {
    const Item& other = items_[j];
    for (const Neighbour& link : Links(j)) {
      Item& item = items_[link.node];
      Sums& sum = sums[link.node];
      const double now = PairCost(link.cost, item.label, other.label);
      if (item.side == other.side) {
        sum.own += now;
        continue;
      }
      ++item.across;
      sum.across += now;
      sum.kept += PairCost(link.cost, kKept, other.label);
      sum.suppressed += PairCost(link.cost, kSuppressed, other.label);
    }
  }
  double joined = 0.0;
  for (size_t i = 0; i < items_.size(); ++i) {
    const double keep = unary[nodes_[i]];
    const double leaving = (items_[i].label == kKept ? keep : 0.0) + sums[i].own;
    items_[i].gain[kKept] = leaving - (keep + sums[i].kept);
    items_[i].gain[kSuppressed] = leaving - sums[i].suppressed;
    joined += sums[i].across;
  }
  join_gain_ = -joined / 2;
}

// The move that gains most, or loses least, of a node that has neighbours on the other side; the
// first of equal ones. False if there is none. A split begins with any node.
bool Exchange::FindBest(Move* best) const {
  const bool anywhere = split_ && moves_.empty();
  const double* found = nullptr;
  for (size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    if (!item.free || !(anywhere || item.across > 0)) continue;
    for (const uint8_t label : {kKept, kSuppressed}) {
      if (found != nullptr && !(item.gain[label] > *found)) continue;
      found = &item.gain[label];
      *best = {static_cast<int32_t>(i), label};
    }
  }
  return found != nullptr;
}

// Move a node, and tell its neighbours.
void Exchange::Carry(const Move& move) {
  Item& moved = items_[move.item];
  for (const Neighbour& link : Links(move.item)) {
    Item& item = items_[link.node];
    const bool there = item.side != moved.side;  // on the side that the node moves to
    item.across += there ? -1 : 1;
    const double before = PairCost(link.cost, item.label, moved.label);
    const double after = PairCost(link.cost, item.label, move.label);
    for (const uint8_t label : {kKept, kSuppressed}) {
      if (there) {
        item.gain[label] += PairCost(link.cost, label, moved.label) + after;
      } else {
        item.gain[label] -= PairCost(link.cost, label, move.label) + before;
      }
    }
  }
  moved.side = !moved.side;
  moved.label = move.label;
  moved.free = false;
}

void Exchange::Run(Budget* budget) {
  double total = 0.0;
  Move move;
  while (FindBest(&move)) {
    budget->Spend(2 * static_cast<int64_t>(items_.size()));
    total += items_[move.item].gain[move.label];
    moves_.push_back(move);
    if (total > best_gain_) {
      best_gain_ = total;
      best_count_ = moves_.size();
    }
    Carry(move);
  }
}

void Exchange::Apply(Nodes* nodes_a, Nodes* nodes_b) {
  if (!split_ && join_gain_ > std::max(best_gain_, kEpsilon)) {
    *nodes_a = nodes_;
    nodes_b->clear();
    return;
  }
  if (best_gain_ <= kEpsilon) return;
  std::vector<bool> side(nodes_.size(), false);
  std::fill(side.begin() + static_cast<std::ptrdiff_t>(nodes_a->size()), side.end(), true);
  for (size_t i = 0; i < best_count_; ++i) {
    side[moves_[i].item] = !side[moves_[i].item];
    all_labels_[nodes_[moves_[i].item]] = moves_[i].label;
  }
  nodes_a->clear();
  nodes_b->clear();
  for (size_t i = 0; i < nodes_.size(); ++i) (side[i] ? nodes_b : nodes_a)->push_back(nodes_[i]);
}

}  // namespace poseras
