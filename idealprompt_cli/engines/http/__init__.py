"""The engine for people who already run a server: llama-server, Ollama, vLLM and their like.

`engine.open_http` is the entry. Standard library only; the native library is never loaded here,
and no other machine is talked to unless that was asked for.
"""
