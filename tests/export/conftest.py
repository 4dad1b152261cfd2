import pytest

from tests.small_models import DEFAULTS, MODELS


@pytest.fixture(scope="session")
def fitted():
    """A model by its name, fitted once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = (MODELS | DEFAULTS)[name]()
        return made[name]

    return get
