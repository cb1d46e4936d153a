"""`python -m s1core.cli`: the command line without the console script."""

from s1core.cli import main

main()
