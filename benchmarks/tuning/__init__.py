"""Tuning against adapting the prompt: PEDRO, LoRA and (IA)3 on the same examples (extra `train`).

    python -m benchmarks.tuning write DIR              task folders with 64 training examples
    python -m benchmarks.tuning measure DIR --work W   one line of W/tuning.jsonl for each run
    python -m benchmarks.tuning report --runs W        results/tuning.json, tables of docs/tuning.md

The language model is SmolLM2 in PyTorch with the GGUF's dequantised weights, frozen. Templates,
tokens, picture embeddings and scores of labels are those of the package. The beginning that all
chats of a prompt share is computed once without an adapter, for every method alike.
"""
