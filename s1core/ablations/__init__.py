"""What was trained beside the recipe, laid side by side (Section 5.1, Tables 2 and 8).

`subsets` compares training sets, `lengths` sequence lengths of training. Both read finished runs
and the paper's numbers, and give the rows that `s1core.figures.ablations` draws.
"""
