"""On-device prompt adaptation for quantised vision-language models (IDEALPrompt)."""

__version__ = "0.1.0"
