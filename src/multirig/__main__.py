"""``python -m multirig`` is ``multirig``."""

from multirig.cli.main import main

if __name__ == "__main__":
    main()
