"""What released models said under budgets and Waits, made by others, read and graded again.

The generations lie in public repositories; some state no licence, so no text of them is kept here:
only what was computed from each row. `files` knows where every file is, turns rows into outcomes
and keeps these, `tables` turns outcomes into what the chapter shows.
"""
