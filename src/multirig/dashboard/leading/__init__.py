"""The process that leads one session for the console, and outlives it; and the client that talks to it.

`python -m multirig.dashboard.leading STATE_FILE` leads; `client.Leader` begins it, finds it again, and tells
it what its operator wants.
"""
