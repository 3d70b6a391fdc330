"""The llama.cpp engine, on the low-level API. `engine.open_llama_cpp` is the entry; nothing here
imports the native library until that is called."""
