"""``python -m multirig`` is ``multirig``."""

from multirig.cli.start import main

if __name__ == "__main__":
    main()
