"""Every numeric parameter of every estimator: what it cannot be is refused by its name, before anything is learned."""

from inspect import signature
from math import nan

import numpy as np
import pytest

from buff import BUFF, BUFFImputer, BUFFTransport, JetBUFF, ShowerBUFF, TableTransformer, TreeDensity, Unfolder
from buff.datasets import make_showers
from buff.generators import PublishedBUFF

X = np.random.default_rng(0).normal(size=(20, 3))
SHOWERS = make_showers(20, "ds1-photons", random_state=0)
#: A call of fit for each, with the parameters that it needs.
FITS = {
    BUFF: lambda model: model.fit(X),
    BUFFTransport: lambda model: model.fit(X, X + 1),
    BUFFImputer: lambda model: model.fit(X),
    JetBUFF: lambda model: model.fit(np.ones((20, 2, 3))),
    PublishedBUFF: lambda model: model.fit(X),
    ShowerBUFF: lambda model: model.fit(SHOWERS.showers, SHOWERS.incident_energies),
    TableTransformer: lambda model: model.fit(X),
    TreeDensity: lambda model: model.fit(X),
    Unfolder: lambda model: model.fit(X, X),
}
#: Of these, values that are valid.
VALID = {("n_jobs", "-1"), ("exponent", "-1"), ("verbose", "True")}


def numeric(estimator):
    for name, parameter in signature(estimator).parameters.items():
        if "int" in str(parameter.annotation) or "float" in str(parameter.annotation) or name == "random_state":
            yield name


CASES = [
    pytest.param(estimator, name, value, id=f"{estimator.__name__}-{name}-{value}")
    for estimator in FITS
    for name in numeric(estimator)
    for value in ("x", True, nan, -1)
    if (name, str(value)) not in VALID
]


@pytest.mark.parametrize(("estimator", "name", "value"), CASES)
def test_refused_by_name(estimator, name, value):
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        FITS[estimator](estimator(**{name: value}))


def test_parameters_are_found():
    found = {(case.values[0].__name__, case.values[1]) for case in CASES}
    assert {("BUFF", "learning_rate"), ("TreeDensity", "reg_lambda"), ("JetBUFF", "effort")} <= found


def test_parameters_of_networks_are_told_what_does_their_work():
    with pytest.raises(TypeError, match=r"BUFF has no parameter 'path': trees learn the linear path; .*Retimed"):
        BUFF(path="vp")
    with pytest.raises(TypeError, match=r"BUFF has no parameter 'guidance': networks overstate conditions: .*dropout"):
        BUFF().sample(3, guidance=2.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'paths'"):
        BUFF(paths="vp")
    assert list(signature(BUFF).parameters)[:3] == ["n_steps", "solver", "grid"]
