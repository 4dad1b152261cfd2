"""Baselines need PyTorch: without it their tests are skipped, and say so."""

import pytest

torch = pytest.importorskip("torch", reason="the baselines need PyTorch: pip install 'buff-flow[torch]'")
torch.set_num_threads(1)
