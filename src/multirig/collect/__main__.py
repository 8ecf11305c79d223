"""The program that copies for a rig: ``python -m multirig.collect``."""

from multirig.collect.worker import main

main()
