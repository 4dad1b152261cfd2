"""``python -m notebooks.run``: execute every notebook beside this file; one that fails fails the command.

With ``--write`` the notebooks keep their outputs; with names, such as ``01 07``, only those that begin so are run.
"""

import sys
from pathlib import Path

import nbclient
import nbformat

HERE = Path(__file__).parent


def main(arguments: list[str]) -> None:
    names = tuple(a for a in arguments if not a.startswith("-"))
    for path in sorted(HERE.glob("*.ipynb")):
        if names and not path.name.startswith(names):
            continue
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(HERE)}}).execute()
        if "--write" in arguments:
            keep(notebook, path)
        sys.stdout.write(f"{path.name}: {len(notebook.cells)} cells\n")


def keep(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the notebook with its outputs, without the times and versions that differ from run to run."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        outputs = cell.get("outputs", [])
        # progress and warnings of the machine that ran it are of no interest
        cell["outputs"] = [o for o in outputs if o.get("name") != "stderr"] if cell.cell_type == "code" else []
        if cell.cell_type != "code":
            del cell["outputs"]
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
