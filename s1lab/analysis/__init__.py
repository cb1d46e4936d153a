"""What the chapters of the book compute from finished runs. Pure: nothing is sampled here."""
