"""The engine for an existing server: llama-server, Ollama, vLLM and similar.

`engine.open_http` is the entry. Standard library only; the native library is never loaded here,
and no other machine is contacted unless the user allows it.
"""
