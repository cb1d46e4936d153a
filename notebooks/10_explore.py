# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Appendix: explore the data
#
# *What people asked of s1K when it came out, asked again with SQL.*
#
# A data set of a thousand rows is small enough to read and large enough to be surprised by. When
# s1K appeared, readers wanted to know where its questions come from, which subjects they cover, how
# long the traces are, how many are even correct, and why there are crossword clues among them. This
# page asks such questions of the pocket pool and of the selection from it, and puts next to them
# what is known of the published s1K.
#
# The tables come from `s1lab.data.export`, which writes any pool or selection to SQLite, Parquet
# or CSV. From there DuckDB, sqlite-utils and Datasette take over.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
from s1lab import profiles
from s1lab.audit.published import published
from s1lab.data.audit import load_audit
from s1lab.data.export import export
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)

# %% [markdown]
# ## From records to tables
#
# One row per question: its key, text, source and domain, the trace, and what the graders said.

# %%
folder = Path(tempfile.mkdtemp())
candidates, _, _ = pipeline.curated.curation()
rows = export(candidates, folder / "pool.parquet")
chosen = export(pipeline.curated.examples(), folder / "selected.parquet")
database = duckdb.connect()
for name in ("pool", "selected"):
    database.sql(
        f"CREATE TABLE {name} AS SELECT * FROM '{folder / name}.parquet'"
    )
print(f"{rows:,} rows in the pool, {chosen:,} selected")

# %% [markdown]
# ## Where do the questions come from?

# %%
database.sql("""
    SELECT source, count(*) AS pool, count(selected.key) AS selected,
           round(100.0 * count(selected.key) / count(*), 1) AS "selected, %"
    FROM pool LEFT JOIN selected USING (key, source)
    GROUP BY source ORDER BY pool DESC, source
""").df().set_index("source")

# %% [markdown]
# In s1K, from 16 sources, AIME alone gives more than a quarter, although it is 1.5% of the pool:
# every AIME question with a correct trace was taken before anything was drawn. The sources below
# are recorded for the questions that the released s1K shares with the authors' selection notebook.

# %%
audit = load_audit()
pool_sizes = {name: n for name, (n, _) in published()["table7"]["rows"].items()}
taken = audit["published"]["by_source"]
pd.DataFrame(
    {"source": name, "pool": pool_sizes.get(name), "s1K": count}
    for name, count in taken.items()
).astype({"pool": "Int64"}).set_index("source")

# %% [markdown]
# ## Which subjects?

# %%
database.sql("""
    SELECT domain, count(*) AS pool, count(selected.key) AS selected,
           round(avg(pool.thinking_tokens))::INT AS "mean thinking tokens"
    FROM pool LEFT JOIN selected USING (key, domain)
    GROUP BY domain ORDER BY pool DESC, domain LIMIT 8
""").df().set_index("domain")

# %%
table6 = published()["table6"]["rows"]
pd.DataFrame(
    {
        "subject": name,
        "questions in s1K": n,
        "mean trace, tokens": round(1000 * tokens / n),
    }
    for name, (n, tokens) in list(table6.items())[:8]
).set_index("subject")

# %% [markdown]
# ## Longer thoughts, harder questions?
#
# The paper takes the length of a trace as a sign of difficulty. If it is one, longer traces belong
# to questions that fewer models solve. Here the pool is cut into four quarters by length.

# %%
database.sql("""
    SELECT quarter, min(thinking_tokens) AS "from, tokens",
           max(thinking_tokens) AS "to, tokens",
           round(100 * avg(small_correct::INT), 1) AS "small model solves, %",
           round(100 * avg(large_correct::INT), 1) AS "large model solves, %"
    FROM (SELECT *, ntile(4) OVER (ORDER BY thinking_tokens, key) AS quarter
          FROM pool WHERE error = '')
    GROUP BY quarter ORDER BY quarter
""").df().set_index("quarter")

# %% [markdown]
# ## Are the traces right?
#
# Neither the paper nor this pool asks for a correct trace outside the pre-selection. Does length
# tell?

# %%
database.sql("""
    SELECT trace_correct AS "trace correct", count(*) AS questions,
           median(thinking_tokens)::INT AS "median tokens",
           count(*) FILTER (thinking LIKE '%Wait%') AS "with a Wait"
    FROM pool WHERE error = '' GROUP BY trace_correct ORDER BY trace_correct
""").df().set_index("trace correct")

# %%
for name in ("s1K", "s1K-1.1"):
    judged = published()["grading_of_traces"][name]
    print(
        f"{name}: {judged['correct']} of {sum(judged.values()):,} traces are correct"
    )

# %% [markdown]
# ## The odd ones
#
# s1K trains a mathematics model on cryptic crosswords, to the amusement of its first readers. They
# are one of the 16 sources, and a uniform draw over subjects keeps a few.

# %%
print(
    f"crossword clues in the published s1K: {audit['published']['crosswords']}"
)
print(
    f"in the run of the selection notebook: {audit['notebook']['crosswords']}"
)

# %% [markdown]
# In the pocket pool, the odd ones are those with debris and those whose teacher did not answer.

# %%
database.sql("""
    SELECT CASE WHEN error <> '' THEN error
                WHEN question LIKE '%![Image]%' THEN 'image reference'
                WHEN thinking LIKE '%**%' THEN 'bold number' END AS oddity,
           count(*) AS questions, any_value(question ORDER BY key) AS example
    FROM pool GROUP BY oddity HAVING oddity IS NOT NULL ORDER BY questions DESC, oddity
""").df().set_index("oddity")

# %% [markdown]
# The longest trace that was selected, from its end:

# %%
question, thinking, attempt = database.sql("""
    SELECT question, thinking, attempt FROM selected ORDER BY length(thinking) DESC, key LIMIT 1
""").fetchall()[0]
print(question, "…", *thinking.splitlines()[-8:], attempt, sep="\n")
