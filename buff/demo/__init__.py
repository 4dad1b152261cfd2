"""What buff does from end to end, on data that come with it: learn, generate, compare, report."""

from buff.demo.jets import run_jets
from buff.demo.showers import run_showers
from buff.demo.table import Contestant, run_demo
from buff.demo.unfolding import run_unfolding

__all__ = ["Contestant", "run_demo", "run_jets", "run_showers", "run_unfolding"]
