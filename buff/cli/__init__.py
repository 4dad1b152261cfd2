"""The command ``buff``: each verb parses, calls the library and prints.

Results go to standard output, progress and messages to standard error. The exit status is 0 for success, 1
for input that cannot be used (with one line that says why), 2 for a command line that cannot be understood.
"""

from buff.cli.app import new_app
from buff.cli.demo import demo
from buff.cli.evaluate import evaluate
from buff.cli.export import export
from buff.cli.fit import fit, plan
from buff.cli.impute import impute
from buff.cli.inspect import inspect, samplers
from buff.cli.sample import sample
from buff.cli.split import split
from buff.cli.unfold import unfold

__all__ = ["app", "main"]

app = new_app()
for _verb in (demo, split, fit, sample, evaluate, impute, unfold, inspect, plan, export, samplers):
    app.command()(_verb)


def main() -> None:
    """Run the command line."""
    app(prog_name="buff")
