"""The multicut on graphs that can be solved by hand or by trying everything.

Each test of the local search goes both ways, by the compiled solver and by its reference.
"""

import itertools

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from poseras.ops import multicut_compiled, multicut_exact
from poseras.ops.multicut import MAX_NODES, MIXED_COST, Solution, make_graph, solve_multicut
from poseras.ops.multicut_local import Search, _choose_node, _choose_pair, _relabel

SOLVERS = ["local", "exact"]


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def way(request, monkeypatch):
    if request.param == "compiled":
        request.getfixturevalue("compiled_multicut")
    else:
        monkeypatch.setattr(multicut_compiled, "load_library", lambda: None)


def make_random(nodes, density, seed):
    rng = np.random.default_rng(seed)
    edges = np.array([p for p in itertools.combinations(range(nodes), 2) if rng.random() < density])
    return rng.normal(-0.5, 2, nodes), edges.reshape(-1, 2), rng.normal(0, 2, len(edges))


def make_people(count, joints, seed):
    """Detections of people far apart: joining inside a person pays, across costs."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), joints)
    edges = np.array(list(itertools.combinations(range(len(person)), 2)))
    same = person[edges[:, 0]] == person[edges[:, 1]]
    costs = np.where(same, -2.0, 2.0) + rng.normal(0, 0.5, len(edges))
    return person, (np.full(len(person), -1.0), edges, costs)


def energy(unary, edges, costs, active, cluster):
    """The definition, edge by edge."""
    total = sum(unary[v] for v in range(len(unary)) if active[v])
    for (v, w), cost in zip(edges, costs, strict=True):
        if cluster[v] == cluster[w]:
            total += cost if active[v] and active[w] else MIXED_COST * (active[v] != active[w])
    return total


def best_energy(unary, edges, costs):
    """The least energy of all labels and all partitions."""
    nodes = len(unary)
    return min(
        energy(unary, edges, costs, active, cluster)
        for active in itertools.product([False, True], repeat=nodes)
        for cluster in itertools.product(range(nodes), repeat=nodes)
        if all(c <= max(cluster[:i], default=-1) + 1 for i, c in enumerate(cluster))
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_two_people_and_a_false_alarm_are_told_apart(solver):
    edges, costs = [[0, 1], [2, 3], [1, 2], [3, 4]], [-3.0, -2.0, 5.0, 1.0]
    solution = solve_multicut([-1, -1, -1, 0.5, 2], edges, costs, solver=solver)
    assert solution.active.tolist() == [True, True, True, True, False]
    assert solution.cluster.tolist() == [0, 0, 1, 1, 2]
    assert solution.objective == -1 - 1 - 1 + 0.5 - 3 - 2
    assert solution.complete


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_detection_is_kept_for_what_it_joins(solver):
    chain = [[0, 1], [1, 2]]
    solution = solve_multicut([-1, 1.0, -1], chain, [-2.0, -2.0], solver=solver)
    assert solution.active.all() and set(solution.cluster) == {0}
    solution = solve_multicut([-1, 5.0, -1], chain, [-2.0, -2.0], solver=solver)
    assert solution.active.tolist() == [True, False, True] and len(set(solution.cluster)) == 3


@pytest.mark.parametrize("seed", range(6))
def test_the_exact_solver_finds_what_trying_everything_finds(seed):
    instance = make_random(5, 0.8, seed)
    best = best_energy(*instance)
    exact = solve_multicut(*instance, solver="exact")
    assert exact.objective == pytest.approx(best, abs=1e-9) and exact.complete
    assert exact.bound == pytest.approx(best, abs=1e-6)
    assert solve_multicut(*instance).objective >= best - 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_no_single_move_or_change_of_a_label_improves_what_local_search_finds(seed):
    unary, edges, costs = make_random(24, 0.4, seed)
    found = solve_multicut(unary, edges, costs)
    assert found.objective == pytest.approx(
        energy(unary, edges, costs, found.active, found.cluster), abs=1e-9
    )
    for node, wanted in itertools.product(range(24), range(int(found.cluster.max()) + 2)):
        for keep in (False, True):
            active, cluster = found.active.copy(), found.cluster.copy()
            active[node], cluster[node] = keep, wanted
            assert energy(unary, edges, costs, active, cluster) > found.objective - 1e-5


def test_kicks_leave_a_solution_that_moves_do_not_improve():
    instance = make_random(20, 0.5, seed=20)
    first, kicked = (solve_multicut(*instance, kicks=kicks) for kicks in (0, 8))
    assert kicked.objective < first.objective - 1.9
    assert kicked.objective == pytest.approx(energy(*instance, kicked.active, kicked.cluster))


def test_clusters_meet_in_the_order_of_their_leaders_too():
    rng = np.random.default_rng(2467)
    edges = np.array([p for p in itertools.combinations(range(19), 2) if rng.random() < 0.4])
    unary, costs = rng.normal(-1, 2, 19).round(2), rng.normal(0, 2, len(edges)).round(2)
    # In the order of their first nodes alone, which the authors' code does not take, -38.99.
    found = solve_multicut(unary, edges, costs, kicks=0)
    assert found.objective == pytest.approx(-39.76, abs=1e-9)


def test_what_the_exact_solver_found_before_its_time_was_up_is_not_lost(monkeypatch):
    graph = make_graph([-1.0, -1.0, -1.0], [[0, 1], [1, 2], [0, 2]], [-2.0, -2.0, 1.0])
    worse = Solution(np.zeros(3, bool), np.arange(3), 0.0, True)
    # All are kept; of the cycle two edges join, which breaks it, and the third is joined with them.
    incumbent = np.array([1.0, 1, 1, 1, 0, 1])
    stopped = OptimizeResult(x=incumbent, status=1, mip_dual_bound=-7.5, fun=-7.0)
    monkeypatch.setattr(multicut_exact, "_RELAXED_ROUNDS", 0)
    monkeypatch.setattr(multicut_exact._Program, "solve", lambda *_: stopped)
    found = multicut_exact.prove(graph, worse, 1.0)
    assert found.objective == pytest.approx(-6.0) and found.cluster.tolist() == [0, 0, 0]
    assert not found.complete and found.bound == -7.5


def test_clear_people_are_found_whole():
    person, instance = make_people(4, 6, seed=0)
    solution = solve_multicut(*instance)
    assert solution.active.all()
    np.testing.assert_array_equal(solution.cluster, person)


def test_clusters_are_connected_and_equal_input_gives_equal_output():
    unary, edges, costs = make_random(40, 0.1, seed=3)
    first, second = solve_multicut(unary, edges, costs), solve_multicut(unary, edges, costs)
    np.testing.assert_array_equal(first.cluster, second.cluster)
    np.testing.assert_array_equal(first.active, second.active)
    for number in set(first.cluster.tolist()):
        nodes = set(np.flatnonzero(first.cluster == number).tolist())
        reached = {min(nodes)}
        for _ in nodes:
            reached |= {w for v, w in edges.tolist() if v in reached and w in nodes}
            reached |= {v for v, w in edges.tolist() if w in reached and v in nodes}
        assert reached == nodes


@pytest.mark.parametrize("solver", SOLVERS)
def test_graphs_without_nodes_or_edges_and_in_parts_are_solved(solver):
    empty = solve_multicut([], np.zeros((0, 2), int), [], solver=solver)
    assert len(empty.cluster) == 0 and empty.objective == 0 and empty.complete
    alone = solve_multicut([-1.0, 1.0], [], [], solver=solver)
    assert alone.active.tolist() == [True, False] and alone.objective == -1
    parts = solve_multicut([-1.0] * 4, [[0, 1], [2, 3]], [-1.0, -1.0], solver=solver)
    assert parts.cluster.tolist() == [0, 0, 1, 1]


def test_loops_are_left_out_and_repeated_pairs_add_up():
    graph = make_graph([1, 2, 3], [[2, 0], [1, 1], [0, 2]], [0.5, 9.0, 0.25])
    assert graph.edges.tolist() == [[0, 2]] and graph.costs.tolist() == [0.75]
    published = solve_multicut([-1.0, -1.0], np.array([[0, 1], [0, 0]], np.uint16), [-1.0, 0.0])
    assert published.objective == -3


def test_a_limit_ends_the_search_with_the_best_so_far_and_says_so(caplog):
    _, instance = make_people(5, 12, seed=1)
    whole = solve_multicut(*instance)
    before = np.inf
    for work in (0, 2_000, 10_000):
        caplog.clear()
        part = solve_multicut(*instance, max_work=work)
        assert not part.complete and f"limit of max_work {work}" in caplog.text
        assert whole.objective <= part.objective <= before
        assert part.objective == pytest.approx(energy(*instance, part.active, part.cluster))
        before = part.objective
    assert before < -60  # better than sixty detections alone
    caplog.clear()
    assert solve_multicut(*instance, max_work=10**9).complete and not caplog.text


def test_a_graph_of_thousands_of_detections_ends_at_its_limit(caplog):
    rng = np.random.default_rng(5)
    edges = rng.integers(0, 3_000, (60_000, 2))
    part = solve_multicut(
        rng.normal(-1, 1, 3_000), edges, rng.normal(0, 2, 60_000), max_work=2_000_000
    )
    assert not part.complete and "3000 detections" in caplog.text
    assert part.objective < -3_000 * 1.1


def test_the_exact_solver_stops_in_time_with_the_local_solution(caplog):
    instance = make_random(60, 0.3, seed=2)
    stopped = solve_multicut(*instance, solver="exact", time_limit_s=0.05)
    assert not stopped.complete and "limit of 0.05 s" in caplog.text
    assert stopped.objective == solve_multicut(*instance).objective
    assert stopped.bound <= stopped.objective


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], [], []), r"unary must have shape \(nodes,\)"),
        (([1.0], [[0, 1]], [1.0]), "edges must join nodes 0 to 0. Received ids from 0 to 1"),
        (([1.0, 1], [[0, 1]], [1.0, 2]), r"edges must have shape \(2, 2\)"),
        (([1.0, 1], [[0.0, 1.0]], [1.0]), "one pair of integers"),
        (([np.nan, 1], [[0, 1]], [1.0]), "must be finite"),
        (([1.0, 1], [[0, 1]], [np.inf]), "must be finite"),
        (([1e308, 1e308], [[0, 1]], [1.0]), "must be finite"),
        ((np.ones(MAX_NODES + 1), [], []), "raise det_min_score"),
    ],
)
def test_wrong_graphs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        solve_multicut(*arguments)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="solver must be local or exact. Received 'klj'"):
        solve_multicut([], [], [], solver="klj")
    for options in ({"kicks": -1}, {"max_work": -1}):
        with pytest.raises(ValueError, match="kicks and max_work must not be negative. Received"):
            solve_multicut([], [], [], **options)
    with pytest.raises(ValueError, match="time_limit_s must be above 0"):
        solve_multicut([], [], [], solver="exact", time_limit_s=0)


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_changed_one_after_the_other_by_what_they_gain(seed):
    unary, edges, costs = make_random(12, 0.5, seed)
    graph, rng = make_graph(unary * 800, edges, costs * 800), np.random.default_rng(seed)
    label, cluster = rng.integers(0, 2, 12), rng.integers(0, 4, 12)
    search = Search(graph)
    search.label, search.cluster = label.copy(), cluster
    _relabel(search)

    def gain(node):
        changed = np.where(np.arange(12) == node, 1 - label, label)
        return graph.objective(label == 0, cluster) - graph.objective(changed == 0, cluster)

    free = set(range(12))
    while free:  # the same by the energy of the whole
        best = max(free, key=gain)
        if gain(best) <= 1e-6:
            break
        label[best] = 1 - label[best]
        free.remove(best)
    np.testing.assert_array_equal(search.label, label)


@pytest.mark.parametrize(("repulsion", "chosen"), [(3.0, [0, 1, 2, 3]), (5.0, [0, 1, 4])])
def test_a_kick_begins_with_the_pair_that_nearly_joins_and_attraction_counts_twice(
    repulsion, chosen
):
    # Joining {0, 1} with {2, 3} gains 2 and loses the repulsion, with {4} it loses a half.
    edges = [[0, 1], [2, 3], [0, 2], [1, 3], [1, 4]]
    search = Search(make_graph([-1.0] * 5, edges, [-9, -9, -2, repulsion, 0.5]))
    search.cluster = np.array([0, 0, 1, 1, 2])
    search.collect()
    tried = set()
    assert _choose_pair(search, tried).tolist() == chosen
    assert _choose_pair(search, tried).tolist() != chosen
    assert len(_choose_pair(search, tried)) == 0


def test_a_kick_frees_the_node_that_its_edges_cost_most_and_those_that_attract_it():
    edges = [[0, 1], [1, 2], [1, 3], [0, 3]]
    search = Search(make_graph([-1.0] * 4, edges, [1.0, -2.0, -0.5, 4.0]))
    search.cluster = np.array([0, 0, 1, 0])
    # Node 1 is joined by 1, cut by 2; node 3 by 4 and node 0 by 5, the most.
    tried = np.zeros(4, bool)
    assert [_choose_node(search, tried).tolist() for _ in range(5)] == [
        [0],
        [3, 1],
        [1, 2, 3],
        [2, 1],
        [],
    ]
