import pytest

from tests.small_models import MODELS


@pytest.fixture(scope="session")
def fitted():
    """A model by its name, fitted once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = MODELS[name]()
        return made[name]

    return get
