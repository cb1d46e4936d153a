"""`python -m s1core.cli`: the command line without the console script."""

from s1core.cli import main

if __name__ == "__main__":  # a reference to this page must not run it
    main()
