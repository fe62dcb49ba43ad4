"""``python -m instep``: the command line, where the script is not on the path."""

from instep.serve.cli import main

main()
