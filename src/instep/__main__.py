"""``python -m instep`` is ``instep``."""

from instep.serve.cli import main

if __name__ == "__main__":
    main(prog_name="instep")
