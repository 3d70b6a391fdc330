"""Tasks over real photographs and real sentences: what they are, and how their folders are written.

    python -m benchmarks.real write DIR
    python -m benchmarks.real list

Nothing of the data is part of this repository: product photographs and customer questions come from
a folder beside it (`--data`, default `../shared/data`), textile and solar-cell photographs from the
packages `conformal-clip-data` and `elpv-dataset`. Only pictures and questions that no training of
ours has seen are used (the `bench` split; `test.csv` of banking77 for the held-out questions).
"""
