"""``python -m buff`` is the command ``buff``."""

from buff.cli import main

if __name__ == "__main__":
    main()
