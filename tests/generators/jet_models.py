"""Models of small jets that train in a moment."""

from buff import BUFF, JetBUFF

N, K = 300, 8


def quick(**changes):
    options = {"n_steps": 3, "effort": 0.01, "jet_model": BUFF(n_steps=3, n_estimators=2, noise_budget=2000)}
    return JetBUFF(**options | {"random_state": 0, "device": "cpu"} | changes)
