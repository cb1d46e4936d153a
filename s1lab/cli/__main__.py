"""`python -m s1lab.cli`: the command line without the console script."""

from s1lab.cli import main

if __name__ == "__main__":
    main()
