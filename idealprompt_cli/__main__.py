"""`python -m idealprompt_cli` is the same as `idealprompt`."""

from .cli.main import main

if __name__ == "__main__":
    main()
