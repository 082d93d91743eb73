# %% [markdown]
# # Articles that nobody has bought yet
#
# A collaborative model learns an article from who bought it, so it can say nothing of one that came this morning.
# A model that reads content can. The shop is that of [the first model](first_model.md), with eight more articles
# that have a title and no click.

# %%
import numpy as np
import polars as pl

from mrs_pipeline import Dataset, fit, recommend

KINDS = ("linen", "denim", "velvet", "canvas")
rng = np.random.default_rng(0)
customers = np.repeat(np.arange(200), 12)
liked = rng.random(len(customers)) < 0.8
kinds = np.where(liked, customers % 4, rng.integers(0, 4, len(customers)))
articles = 4 * rng.integers(0, 20, len(customers)) + kinds
clicks = pl.DataFrame({"customer": customers, "article": articles, "at": np.arange(len(customers))})
catalogue = pl.DataFrame(
    {"article": np.arange(88), "title": [f"{KINDS[number % 4]} shirt {number}" for number in range(88)]}
)

# %% [markdown]
# `items=` names the whole catalogue; articles 80 to 87 are cold.

# %%
data = Dataset.of(clicks, user="customer", item="article", time="at", items=catalogue)
data = data.with_features("text", catalogue, encoder="tfidf_svd", columns=["title"], dimensions=8)
data = data.split("leave_one_out")
models = {name: fit(data, name) for name in ("ease", "knn_fusion")}

# %% [markdown]
# How many of the new articles stand in the lists of all customers, over their whole length? EASE has none in
# them, as it cannot rank what has no interaction:

# %%
whole = {name: recommend(model, k=88) for name, model in models.items()}
pl.DataFrame(
    {
        "model": list(whole),
        "new articles listed": [
            lists.filter(pl.col("article") >= 80)["article"].n_unique() for lists in whole.values()
        ],
    }
)

# %% [markdown]
# And are they shown to the right people? The customer's number modulo 4 is the kind that he or she likes, and so
# is the article's. Of the new articles, the first in each list is of the liked kind in this share of lists (by
# chance it would be 0.25):

# %%
first = whole["knn_fusion"].filter(pl.col("article") >= 80).sort("rank").group_by("customer").first()
round(float((first["article"] % 4 == first["customer"] % 4).mean()), 2)

# %% [markdown]
# Somebody whom training has not seen, and who took two articles of velvet, is ranked for at once:

# %%
strangers = recommend(models["knn_fusion"], histories={"a stranger": [2, 6]}, k=4)
strangers.join(catalogue, on="article").sort("rank").select("rank", "title")
