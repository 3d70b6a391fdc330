"""Runs on several machines, on Dask distributed (the extra "fleet").

A cluster: one owner, whose images are spread over workers, each with the model (`cluster`).
A federation: boxes that keep their own examples and answer with sums (`federation`).
Nothing here is imported, and no socket is opened, unless a command's flag asks for it.
"""
