// Sequences of moves between two clusters; multicut_exchange.py in C++.
#ifndef POSERAS_OPS_KERNELS_MULTICUT_EXCHANGE_H_
#define POSERAS_OPS_KERNELS_MULTICUT_EXCHANGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "multicut_graph.h"

namespace poseras {

// The nodes of two clusters, of which the second may be empty, to split the first; and what moving
// each to the other side gains.
class Exchange {
 public:
  // label: (all nodes), changed by Apply. place: (all nodes) of -1, as it is again afterwards.
  Exchange(const Instance& instance, const Adjacency& adjacency, const Nodes& nodes_a,
           const Nodes& nodes_b, std::vector<uint8_t>* label, Nodes* place);

  // Move one node after the other, and remember after which of them the most was gained.
  void Run(Budget* budget);

  // Join the clusters, in the first of them, or make the moves up to the best, or do nothing.
  void Apply(Nodes* nodes_a, Nodes* nodes_b);

 private:
  struct Item {
    double gain[2];  // of moving it, by the label it gets
    int32_t across;  // neighbours on the other side
    uint8_t label;
    bool side;
    bool free;  // not moved yet
  };
  struct Move {
    int32_t item;
    uint8_t label;
  };

  void FindLinks(const Adjacency& adjacency, const Nodes& place);
  void FillGains(const double* unary);
  bool FindBest(Move* best) const;
  void Carry(const Move& move);
  Range Links(size_t item) const {
    return {links_.data() + starts_[item], links_.data() + starts_[item + 1]};
  }

  Nodes nodes_;
  const bool split_;  // of one cluster in two
  std::vector<uint8_t>& all_labels_;
  std::vector<Item> items_;       // one of each node
  std::vector<size_t> starts_;    // (items + 1) into links_
  std::vector<Neighbour> links_;  // of each item, by their numbers in here
  std::vector<Move> moves_;
  double join_gain_ = 0.0, best_gain_ = 0.0;
  size_t best_count_ = 0;
};

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_MULTICUT_EXCHANGE_H_
