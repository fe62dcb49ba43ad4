"""The commands of the command line, one a file; `serve/cli.py` lists them."""
