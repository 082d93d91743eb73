# %% [markdown]
# # A first model, from Python
#
# Two hundred customers and eighty articles of four kinds. A customer likes one kind, and what an article is
# stands in its title. Without Dagster, without YAML: frames go in, frames come out.

# %%
import numpy as np
import polars as pl

from mrs_pipeline import Dataset, evaluate, fit, recommend

KINDS = ("linen", "denim", "velvet", "canvas")
rng = np.random.default_rng(0)
customers = np.repeat(np.arange(200), 12)
liked = rng.random(len(customers)) < 0.8
kinds = np.where(liked, customers % 4, rng.integers(0, 4, len(customers)))
articles = 4 * rng.integers(0, 20, len(customers)) + kinds
clicks = pl.DataFrame({"customer": customers, "article": articles, "at": np.arange(len(customers))})
titles = pl.DataFrame(
    {"article": np.arange(80), "title": [f"{KINDS[number % 4]} shirt {number}" for number in range(80)]}
)
clicks.head(3)

# %% [markdown]
# The last click of each customer is kept for the test, the one before it for choosing the epoch.

# %%
data = Dataset.of(clicks, user="customer", item="article", time="at")
data = data.with_features("text", titles, encoder="tfidf_svd", columns=["title"], dimensions=8)
data = data.split("leave_one_out")

# %% [markdown]
# Popularity, a linear model without content, and one that reads the titles:

# %%
models = {name: fit(data, name) for name in ("most_pop", "ease", "mm_ease")}
scores = [
    evaluate(model, data, ks=(10, 20))
    .filter(pl.col("slice") == "all", pl.col("metric") == "recall", pl.col("k") == 10)
    .select(pl.lit(name).alias("model"), pl.col("value").round(2))
    for name, model in models.items()
]
pl.concat(scores)

# %% [markdown]
# What customer 1, who likes denim, would be shown:

# %%
recommend(models["mm_ease"], [1], k=5).join(titles, on="article").sort("rank").select("rank", "title")
