"""A corpus of a model's own knowledge, and how far a prompt moves the model from it.

`tree` lets a model write topics, questions and answers (tree generation, arXiv 2406.11354),
`corpus` keeps them, `drift` compares the model's answers with and without a prompt.
"""
