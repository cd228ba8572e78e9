// The node-labelled multicut by local search: the steps of multicut_local.py, in the same order and
// with the same sums, so that both decide alike. No TensorFlow in here.
#ifndef POSERAS_OPS_KERNELS_MULTICUT_H_
#define POSERAS_OPS_KERNELS_MULTICUT_H_

#include <cstdint>

namespace poseras {

// A checked instance, as multicut.Graph holds it: unary (nodes); edges (edge_count, 2), sorted,
// first < second, each pair once; costs (edge_count).
struct Instance {
  const double* unary;
  int64_t nodes;
  const int64_t* edges;
  const double* costs;
  int64_t edge_count;
};

// How long to search.
struct Effort {
  int64_t kicks;  // disturbances of the best solution that are tried
  int64_t work;   // gains that may be looked at; negative for any number
};

// Decide which nodes to keep and which to join. Writes active (nodes) 0 or 1 and cluster (nodes),
// ids in the order of their first nodes. Returns whether the search came to its end before its work
// was used up.
bool SolveMulticut(const Instance& instance, const Effort& effort, uint8_t* active,
                   int64_t* cluster);

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_MULTICUT_H_
