# %% [markdown]
# # Explore the data
#
# *What people asked of s1K when it came out, asked again with SQL. You need [data curation](01_data_curation), and a
# little SQL to go on.*
#
# When s1K appeared, readers wanted to know where its questions come from, which subjects they cover, how long the
# traces are, how many are even correct, and why there are crossword clues among them. This page asks the same of the
# pocket pool and of the selection from it, next to what is known of the published s1K.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import tempfile
from pathlib import Path

import duckdb
from s1lab.analysis.training import load_audit
from s1lab.audit.published import published
from s1lab.book.chapter import open_chapter
from s1lab.data.export import export

chapter = open_chapter("explore", PROFILE, SEED)
curated = chapter.pipeline.curated
audit, paper = load_audit(), published()


def show(query):
    rows = database.sql(query).df().astype(object).to_dict("records")
    chapter.table(rows)
    return rows


# %% [markdown]
# ## From records to tables
#
# One row per question: its key, text, source and domain, the trace, and what the graders said. `s1lab.data.export`
# writes any pool or selection to SQLite, Parquet or CSV.

# %%
folder = Path(tempfile.mkdtemp())
rows = export(curated.curation()[0], folder / "pool.parquet")
chosen = export(curated.examples(), folder / "selected.parquet")
database = duckdb.connect()
for name in ("pool", "selected"):
    database.sql(f"CREATE VIEW {name} AS FROM '{folder}/{name}.parquet'")

# %% [markdown]
# {glue:text}`explore_pool` rows are in the pool, {glue:text}`explore_selected` of them selected.
#
# **What to keep.** Put a data set into one table before you argue about it: most questions are then one query.
#
# ## Where do the questions come from?

# %%
sources = show("""
SELECT source, count(*) AS pool, count(selected.key) AS selected,
       count(selected.key) / count(*) AS "share selected (%)"
FROM pool LEFT JOIN selected USING (key, source)
GROUP BY source ORDER BY pool DESC, source
""")

# %% [markdown]
# In s1K, from 16 sources, AIME alone gives more than a quarter, although it is 1.5% of the pool: every AIME question
# with a correct trace was taken before anything was drawn. The sources below are recorded for the questions that the
# released s1K shares with the authors' selection notebook.

# %%
sizes = {name: n for name, (n, _) in paper["table7"]["rows"].items()}
chapter.table(
    {"source": name, "pool": sizes.get(name), "s1K": count}
    for name, count in audit["published"]["by_source"].items()
)

# %% [markdown]
# **What to keep.** A selection is a new mix. A small source that is taken whole can outweigh the largest one.
#
# ## Which subjects?
#
# The eight largest of the pocket pool, then of s1K, whose traces are thousands of tokens long.

# %%
subjects = show("""
SELECT domain AS subject, count(*) AS pool, count(selected.key) AS selected,
       round(avg(pool.thinking_tokens))::INT AS "mean trace (tokens)"
FROM pool LEFT JOIN selected USING (key, domain)
GROUP BY domain ORDER BY pool DESC, domain LIMIT 8
""")

# %%
largest = list(paper["table6"]["rows"].items())[:8]
chapter.table(
    {"subject": name, "s1K": n, "mean trace (tokens)": round(1000 * k / n)}
    for name, (n, k) in largest
)

# %% [markdown]
# **What to keep.** A name like "diverse" says what was wanted. Count the subjects to see what came.
#
# ## Longer thoughts, harder questions?
#
# The paper takes the length of a trace as a sign of difficulty.
#
# :::{admonition} Predict before you look
# :class: exercise
# If length is a sign of difficulty, what should the share of questions that a model solves do from the quarter with
# the shortest traces to the quarter with the longest? And what if traces are long because their teacher got lost?
# :::

# %%
quarters = show("""
SELECT quarter, min(thinking_tokens) AS "from (tokens)",
       max(thinking_tokens) AS "to (tokens)", count(*) AS n,
       avg(small_correct::INT) AS "small model (%)",
       avg(large_correct::INT) AS "large model (%)"
FROM (SELECT *, ntile(4) OVER (ORDER BY thinking_tokens, key) AS quarter
      FROM pool WHERE error = '') GROUP BY quarter ORDER BY quarter
""")

# %% tags=["remove-input"]
chapter.numbers(pool=rows, selected=chosen)
shares = [row["large model (%)"] for row in quarters]
chapter.numbers("%", shortest=shares[0], longest=shares[-1])
chapter.says("falls", sorted(shares, reverse=True) == shares)

# %% [markdown]
# :::{admonition} What it does
# :class: dropdown
# It falls from quarter to quarter{glue:text}`explore_falls`: the large model solves {glue:text}`explore_shortest` of the shortest and
# {glue:text}`explore_longest` of the longest. Here length *is* a sign of difficulty, because the teacher tries until it sees a
# hit.
# :::
#
# **What to keep.** Length is a sign of difficulty where the writer stops at the first hit. Compare it with what
# models fail on before you select by it.
#
# ## Are the traces right?
#
# Neither the paper nor this pool asks for a correct trace outside the pre-selection. Here is the pocket pool:

# %%
traces = show("""
SELECT CASE WHEN trace_correct THEN 'right' ELSE 'wrong' END AS trace,
       count(*) AS n, median(thinking_tokens)::INT AS "median (tokens)",
       avg((thinking LIKE '%Wait%')::INT) AS "with a Wait (%)"
FROM pool WHERE error = '' GROUP BY trace_correct ORDER BY trace
""")

# %% tags=["remove-input"]
for name, key in (("s1K", "first"), ("s1K-1.1", "second")):
    judged = paper["grading_of_traces"][name]
    right, n = judged["correct"], sum(judged.values())
    chapter.numbers(**{key: right, f"{key}_n": n})
    chapter.says(f"{key}_half", abs(right / n - 0.5) < 0.15)
chapter.number("crosswords", audit["published"]["crosswords"])
chapter.number("drawn", audit["notebook"]["crosswords"])

# %% [markdown]
# The authors' own grading finds {glue:text}`explore_first` of {glue:text}`explore_first_n` traces of s1K right{glue:text}`explore_first_half`, and
# {glue:text}`explore_second` of {glue:text}`explore_second_n` of s1K-1.1{glue:text}`explore_second_half`. About half of what taught s1 ends in a wrong
# answer.
#
# **What to keep.** A model can learn to think from traces that end wrong. Know how many of yours do.
#
# ## The odd ones
#
# s1K trains a mathematics model on cryptic crosswords, to the amusement of its first readers. They are one of the 16
# sources, and a uniform draw over subjects keeps a few: {glue:text}`explore_crosswords` in the published s1K, {glue:text}`explore_drawn` in
# the run of the selection notebook. In the pocket pool, the odd ones have debris, or no answer from the teacher.

# %%
oddities = show("""
SELECT CASE WHEN error <> '' THEN error
            WHEN question LIKE '%![Image]%' THEN 'image reference'
            WHEN thinking LIKE '%**%' THEN 'bold number' END AS oddity,
       count(*) AS questions, any_value(question ORDER BY key) AS example
FROM pool GROUP BY oddity HAVING oddity IS NOT NULL
ORDER BY questions DESC, oddity
""")

# %% [markdown]
# **What to keep.** Read the oddest and the longest rows of a data set before you train on it.
