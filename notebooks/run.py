"""``python -m notebooks.run``: execute every notebook beside this file; one that fails fails the command."""

import sys
from pathlib import Path

import nbclient
import nbformat

HERE = Path(__file__).parent


def main() -> None:
    for path in sorted(HERE.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(HERE.parent)}}).execute()
        sys.stdout.write(f"{path.name}: {len(notebook.cells)} cells\n")


if __name__ == "__main__":
    main()
