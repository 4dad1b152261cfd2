import itertools

import numpy as np

from buff.physics.efps import EFP_DEGREES, efps, prime_efps
from tests.physics.clouds import clouds

#: Edges of each graph.
GRAPHS = {
    "point": [],
    "edge": [(0, 1)],
    "edge_d2": [(0, 1)] * 2,
    "path3": [(0, 1), (1, 2)],
    "edge_d3": [(0, 1)] * 3,
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "path3_d2": [(0, 1), (0, 1), (1, 2)],
    "path4": [(0, 1), (1, 2), (2, 3)],
    "star3": [(0, 1), (0, 2), (0, 3)],
    "edge_d4": [(0, 1)] * 4,
    "triangle_d2": [(0, 1), (0, 1), (1, 2), (2, 0)],
    "path3_d2d2": [(0, 1), (0, 1), (1, 2), (1, 2)],
    "path3_d3": [(0, 1), (0, 1), (0, 1), (1, 2)],
    "square": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "paw": [(0, 1), (1, 2), (2, 0), (0, 3)],
    "path4_middle_d2": [(0, 1), (1, 2), (1, 2), (2, 3)],
    "path4_end_d2": [(0, 1), (0, 1), (1, 2), (2, 3)],
    "star3_d2": [(0, 1), (0, 1), (0, 2), (0, 3)],
    "path5": [(0, 1), (1, 2), (2, 3), (3, 4)],
    "star4": [(0, 1), (0, 2), (0, 3), (0, 4)],
    "fork": [(0, 1), (0, 2), (0, 3), (3, 4)],
}


def by_definition(jet, edges):
    n = 1 + max(itertools.chain.from_iterable(edges), default=0)
    total = 0.0
    for chosen in itertools.product(range(len(jet)), repeat=n):
        term = np.prod([jet[i, 2] for i in chosen])
        total += term * np.prod([np.hypot(*(jet[chosen[a], :2] - jet[chosen[b], :2])) for a, b in edges])
    return total


def test_every_graph_is_the_sum_of_its_definition():
    jets = clouds(n=2, k=4, least=3)
    found = prime_efps(jets)
    assert {name: len(edges) for name, edges in GRAPHS.items()} == dict(EFP_DEGREES)
    for name, edges in GRAPHS.items():
        assert np.allclose(found[name], [by_definition(jet, edges) for jet in jets]), name


def test_padding_and_order_do_not_matter():
    jets = clouds(n=20)
    padded = np.concatenate([jets[:, ::-1], np.zeros((20, 3, 3))], axis=1)
    assert np.allclose(efps(jets), efps(padded))


def test_there_are_36_up_to_degree_4():
    assert [efps(clouds(n=3), d).shape[1] for d in range(5)] == [1, 2, 5, 13, 36]
