"""`python -m s1lab.cli`: the command line without the console script."""

from s1lab.cli import main

main()
