#include "multicut.h"

#include <algorithm>
#include <cstddef>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "multicut_exchange.h"
#include "multicut_graph.h"
#include "multicut_joins.h"

#ifndef POSERAS_IDENTITY
#error "Build with python -m poseras.ops.build, which says what the library was built from."
#endif

// Read by multicut_compiled.py from the file, before it is loaded.
extern "C" __attribute__((visibility("default"), used)) const char poseras_multicut_identity[] =
    "poseras-ops-identity{" POSERAS_IDENTITY "}";

namespace poseras {
namespace {

class Search {
 public:
  Search(const Instance& instance, int64_t work)
      : instance_(instance), adjacency_(instance), budget_(work), place_(instance.nodes, -1) {}

  bool Run(int64_t kicks);
  const Solution& best() const { return best_; }

 private:
  using Known = std::set<Nodes>;
  using Tried = std::set<std::pair<Nodes, Nodes>>;

  void Settle();
  void Collect();
  void KeepBetter();
  void Start();
  Nodes JoinGreedily();
  void Descend(Known known);
  Known ImproveOnce(const Known& known);
  void ExchangeAll(const std::vector<bool>& fresh);
  void SplitAll(const Known& known);
  void TryExchange(Nodes* nodes_a, Nodes* nodes_b);
  void Relabel();
  void Kick(int64_t kicks);
  Nodes ChoosePair(Tried* tried) const;
  Nodes ChooseNode(std::vector<bool>* tried) const;
  Nodes Fingerprint(const Nodes& nodes) const;
  template <typename Weight>
  Joins::Gains SumCrossing(Weight weight) const;

  const Instance& instance_;
  const Adjacency adjacency_;
  Budget budget_;
  Nodes place_;  // (nodes) for Exchange
  Solution state_, best_;
  double best_value_ = 0.0;
  std::vector<Nodes> members_;  // of each cluster
};

// ---- the state -----------------------------------------------------------------------------------

// Split clusters into connected parts and number them by their first nodes.
void Search::Settle() {
  std::vector<int64_t> joined(instance_.nodes);
  for (size_t number = 0; number < members_.size(); ++number) {
    for (const int32_t node : members_[number]) joined[node] = static_cast<int64_t>(number);
  }
  std::fill(state_.cluster.begin(), state_.cluster.end(), -1);
  int64_t count = 0;
  Nodes open;
  for (int32_t first = 0; first < instance_.nodes; ++first) {
    if (state_.cluster[first] >= 0) continue;
    state_.cluster[first] = count;
    open.push_back(first);
    while (!open.empty()) {
      const int32_t node = open.back();
      open.pop_back();
      for (const Neighbour& edge : adjacency_.Of(node)) {
        if (state_.cluster[edge.node] >= 0 || joined[edge.node] != joined[node]) continue;
        state_.cluster[edge.node] = count;
        open.push_back(edge.node);
      }
    }
    ++count;
  }
  Collect();
}

// List the members of the clusters, in the order of the nodes.
void Search::Collect() {
  int64_t count = 0;
  for (const int64_t number : state_.cluster) count = std::max(count, number + 1);
  members_.assign(count, Nodes());
  for (int32_t v = 0; v < instance_.nodes; ++v) members_[state_.cluster[v]].push_back(v);
}

// Remember the state where it is better than the best so far.
void Search::KeepBetter() {
  const double value = Energy(instance_, state_);
  if (value < best_value_ - kEpsilon) {
    best_ = state_;
    best_value_ = value;
  }
}

// Tells clusters of other nodes or labels apart.
Nodes Search::Fingerprint(const Nodes& nodes) const {
  Nodes found(nodes);
  std::sort(found.begin(), found.end());
  for (int32_t& node : found) node = 2 * node + state_.label[node];
  return found;
}

// For each cluster those of higher numbers that it has edges to, rising, and the sums of the weights
// of the costs of the edges between kept nodes. Sums run over the nodes, then their neighbours.
template <typename Weight>
Joins::Gains Search::SumCrossing(Weight weight) const {
  const size_t count = members_.size();
  Joins::Gains sums(count);
  std::vector<double> row(count, 0.0);
  std::vector<bool> seen(count, false);
  for (size_t a = 0; a < count; ++a) {
    for (const int32_t node : members_[a]) {
      if (state_.label[node] != kKept) continue;
      for (const Neighbour& edge : adjacency_.Of(node)) {
        const int64_t b = state_.cluster[edge.node];
        if (b <= static_cast<int64_t>(a) || state_.label[edge.node] != kKept) continue;
        if (!seen[b]) sums[a].push_back({static_cast<int32_t>(b), 0.0});
        seen[b] = true;
        row[b] += weight(edge.cost);
      }
    }
    std::sort(sums[a].begin(), sums[a].end(),
              [](const Neighbour& b, const Neighbour& c) { return b.node < c.node; });
    for (Neighbour& other : sums[a]) {
      other.cost = std::exchange(row[other.node], 0.0);
      seen[other.node] = false;
    }
  }
  return sums;
}

// ---- the descent ---------------------------------------------------------------------------------

// Descend from the greedy joins twice: clusters meet in the order of their numbers. The first time
// they are numbered by their first nodes, the second time by their leaders, as in the code of the
// authors.
void Search::Start() {
  const Nodes leaders = JoinGreedily();
  const Solution joined = state_;
  Descend({});
  KeepBetter();
  if (std::is_sorted(leaders.begin(), leaders.end())) return;  // that is the same order
  Nodes sorted(leaders);
  std::sort(sorted.begin(), sorted.end());
  state_ = joined;
  for (int64_t& number : state_.cluster) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), leaders[number]);
    number = place - sorted.begin();
  }
  Collect();
  Descend({});
  KeepBetter();
}

// Join the two clusters that gain most, until none gains. Returns the leader of each: its first
// node, or where clusters were joined the leader of that with more neighbours, of equal ones the
// lower one.
Nodes Search::JoinGreedily() {
  Joins joins(SumCrossing([](double cost) { return -cost; }));
  Nodes leaders;
  for (const Nodes& nodes : members_) leaders.push_back(nodes[0]);
  int32_t a, b;
  while (joins.FindBest(&a, &b)) {
    budget_.Spend(instance_.nodes);
    const size_t of_a = joins.CountNeighbours(a), of_b = joins.CountNeighbours(b);
    if (of_b > of_a || (of_b == of_a && leaders[b] < leaders[a])) leaders[a] = leaders[b];
    members_[a].insert(members_[a].end(), members_[b].begin(), members_[b].end());
    members_[b].clear();
    joins.Join(a, b);
  }
  Nodes left;
  for (size_t c = 0; c < members_.size(); ++c) {
    if (!members_[c].empty()) left.push_back(leaders[c]);
  }
  Settle();
  leaders.resize(left.size());
  for (const int32_t leader : left) leaders[state_.cluster[leader]] = leader;
  return leaders;
}

// Rounds, until one gains nothing. known: as ImproveOnce.
void Search::Descend(Known known) {
  double before, after = Energy(instance_, state_);
  do {
    before = after;
    known = ImproveOnce(known);
    after = Energy(instance_, state_);
  } while (after < before - kEpsilon);
}

// One round over neighbouring clusters, splits and labels. known: fingerprints of clusters whose
// pairs, and whose splits, are not tried again. Returns those of the clusters at the start.
Search::Known Search::ImproveOnce(const Known& known) {
  Known before;
  std::vector<bool> fresh;
  for (const Nodes& nodes : members_) {
    Nodes print = Fingerprint(nodes);
    fresh.push_back(known.count(print) == 0);
    before.insert(std::move(print));
  }
  ExchangeAll(fresh);
  Settle();
  SplitAll(known);
  Settle();
  Relabel();
  return before;
}

// Moves between neighbouring clusters, by rising numbers, where one of both is fresh.
void Search::ExchangeAll(const std::vector<bool>& fresh) {
  std::vector<std::pair<int64_t, int64_t>> crossing;
  for (int64_t i = 0; i < instance_.edge_count; ++i) {
    const int64_t a = state_.cluster[instance_.edges[2 * i]];
    const int64_t b = state_.cluster[instance_.edges[2 * i + 1]];
    if (a != b && (fresh[a] || fresh[b])) crossing.emplace_back(std::min(a, b), std::max(a, b));
  }
  std::sort(crossing.begin(), crossing.end());
  crossing.erase(std::unique(crossing.begin(), crossing.end()), crossing.end());
  for (const auto& [a, b] : crossing) {
    if (!members_[a].empty() && !members_[b].empty()) TryExchange(&members_[a], &members_[b]);
  }
}

// Split clusters that were not known, as long as that gains.
void Search::SplitAll(const Known& known) {
  const size_t count = members_.size();
  for (size_t number = 0; number < count; ++number) {
    if (known.count(Fingerprint(members_[number]))) continue;
    while (!members_[number].empty()) {
      Nodes leave;
      TryExchange(&members_[number], &leave);
      if (leave.empty()) break;
      members_.push_back(std::move(leave));
    }
  }
}

void Search::TryExchange(Nodes* nodes_a, Nodes* nodes_b) {
  Exchange exchange(instance_, adjacency_, *nodes_a, *nodes_b, &state_.label, &place_);
  exchange.Run(&budget_);
  exchange.Apply(nodes_a, nodes_b);
}

// Change labels inside the clusters, each node's at most once, the greatest gain first.
void Search::Relabel() {
  std::vector<uint8_t>& label = state_.label;
  const std::vector<int64_t>& cluster = state_.cluster;
  std::vector<double> gain(instance_.nodes);
  for (int32_t v = 0; v < instance_.nodes; ++v) {
    double kept = 0.0, suppressed = 0.0;
    for (const Neighbour& edge : adjacency_.Of(v)) {
      if (cluster[edge.node] != cluster[v]) continue;
      kept += PairCost(edge.cost, kKept, label[edge.node]);
      suppressed += PairCost(edge.cost, kSuppressed, label[edge.node]);
    }
    kept = instance_.unary[v] + kept;
    gain[v] = label[v] == kKept ? kept - suppressed : suppressed - kept;
  }
  std::vector<bool> free(instance_.nodes, true);
  for (int64_t left = instance_.nodes; left > 0; --left) {
    budget_.Spend(instance_.nodes);
    int32_t best = -1;
    for (int32_t v = 0; v < instance_.nodes; ++v) {
      if (free[v] && (best < 0 || gain[v] > gain[best])) best = v;
    }
    if (gain[best] <= kEpsilon) return;
    for (const Neighbour& edge : adjacency_.Of(best)) {
      if (cluster[edge.node] != cluster[best]) continue;
      // Of going over to the other label: the neighbour's own sign, and that of the changed node.
      const double change = edge.cost - 2 * kMixedCost;
      const bool rises = (label[edge.node] == kKept) == (label[best] == kSuppressed);
      gain[edge.node] += rises ? change : -change;
    }
    label[best] = label[best] == kKept ? kSuppressed : kKept;
    free[best] = false;
  }
}

// ---- kicks ---------------------------------------------------------------------------------------

// Dissolve a part of the best solution, another each time, and descend again.
void Search::Kick(int64_t kicks) {
  Tried tried;
  std::vector<bool> tried_nodes(instance_.nodes, false);
  Nodes chosen;
  for (int64_t kick = 0; kick < kicks; ++kick) {
    budget_.Spend(instance_.nodes + instance_.edge_count);
    state_ = best_;
    Collect();
    chosen = kick % 2 == 0 ? ChoosePair(&tried) : ChooseNode(&tried_nodes);
    if (chosen.empty()) continue;
    Known known;
    for (const Nodes& nodes : members_) known.insert(Fingerprint(nodes));
    for (const int32_t node : chosen) {
      state_.label[node] = kKept;
      state_.cluster[node] = instance_.nodes + node;  // a number of its own
    }
    Collect();
    Settle();
    JoinGreedily();
    Descend(std::move(known));
    KeepBetter();
  }
}

// The nodes of the pair of clusters, not tried yet, that joining would gain most, or lose least,
// where attraction counts twice; of equal pairs of the first. None if all were tried.
Nodes Search::ChoosePair(Tried* tried) const {
  const Joins::Gains sums = SumCrossing([](double cost) { return cost < 0 ? -2 * cost : -cost; });
  const double* found = nullptr;
  std::pair<Nodes, Nodes> prints;
  Nodes chosen;
  for (size_t a = 0; a < sums.size(); ++a) {
    for (const Neighbour& b : sums[a]) {
      if (found != nullptr && !(b.cost > *found)) continue;
      std::pair<Nodes, Nodes> pair = {Fingerprint(members_[a]), Fingerprint(members_[b.node])};
      if (tried->count(pair)) continue;
      found = &b.cost;
      prints = std::move(pair);
      chosen = members_[a];
      chosen.insert(chosen.end(), members_[b.node].begin(), members_[b.node].end());
    }
  }
  if (found != nullptr) tried->insert(std::move(prints));
  return chosen;
}

// The node, not tried yet, whose cut attraction and joined repulsion add up to most, and the
// neighbours that attract it; of equal nodes the first. None if all were tried.
Nodes Search::ChooseNode(std::vector<bool>* tried) const {
  int32_t best = -1;
  double most = 0.0;
  for (int32_t v = 0; v < instance_.nodes; ++v) {
    if ((*tried)[v]) continue;
    double sum = 0.0;
    for (const Neighbour& edge : adjacency_.Of(v)) {
      const bool joined = state_.cluster[edge.node] == state_.cluster[v];
      sum += std::max(joined ? edge.cost : -edge.cost, 0.0);
    }
    if (best < 0 || sum > most) {
      best = v;
      most = sum;
    }
  }
  if (best < 0) return {};
  (*tried)[best] = true;
  Nodes chosen = {best};
  for (const Neighbour& edge : adjacency_.Of(best)) {
    if (edge.cost < 0) chosen.push_back(edge.node);
  }
  return chosen;
}

bool Search::Run(int64_t kicks) {
  for (int64_t v = 0; v < instance_.nodes; ++v) {
    state_.label.push_back(instance_.unary[v] < 0 ? kKept : kSuppressed);
    state_.cluster.push_back(v);
  }
  best_ = state_;
  best_value_ = Energy(instance_, state_);
  std::fill(state_.label.begin(), state_.label.end(), kKept);
  Collect();
  try {
    Start();
    Kick(kicks);
    return true;
  } catch (const LimitReached&) {
    Settle();  // what was done before the limit stands
    KeepBetter();
    return false;
  }
}

}  // namespace

bool SolveMulticut(const Instance& instance, const Effort& effort, uint8_t* active,
                   int64_t* cluster) {
  Search search(instance, effort.work);
  const bool complete = search.Run(effort.kicks);
  const Solution& best = search.best();
  for (int64_t v = 0; v < instance.nodes; ++v) active[v] = best.label[v] == kKept;
  std::copy(best.cluster.begin(), best.cluster.end(), cluster);
  return complete;
}

}  // namespace poseras

// For multicut_compiled.py: 1 where the search came to its end, 0 where its work was used up, -1
// where memory was.
extern "C" int poseras_multicut(const double* unary, int64_t nodes, const int64_t* edges,
                                const double* costs, int64_t edge_count, int64_t kicks,
                                int64_t work, uint8_t* active, int64_t* cluster) {
  try {
    const poseras::Instance instance = {unary, nodes, edges, costs, edge_count};
    return poseras::SolveMulticut(instance, {kicks, work}, active, cluster) ? 1 : 0;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}
