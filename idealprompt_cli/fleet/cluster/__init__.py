"""One owner, several machines: an engine whose work is done by Dask workers."""
