"""A market small enough to check by hand, and the formulas that many models share in dense NumPy."""

import numpy as np
import torch

from mrs_pipeline.evaluation.evaluator import RankingTask, ranking_evidence, user_metrics
from mrs_pipeline.functional.graphs import DEGREE_EPSILON
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.models.base import AnyRecommender, PairBatch
from mrs_pipeline.types import FeatureMatrix, KnowledgeGraph, TokenMatrix, TrainingData
from mrs_pipeline_tests.toy import interactions

N_USERS, N_ITEMS = 5, 6
PAIRS = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 0], [2, 3], [3, 4], [3, 1], [4, 2]])
BATCH = PairBatch(torch.tensor([0, 1, 3, 2]), torch.tensor([1, 2, 4, 3]), torch.tensor([3, 0, 2, 4]))
EVERYONE = torch.arange(N_USERS)


def small_market() -> TrainingData:
    """Item 5 is cold; item 1 has no image, item 3 no text."""
    rng = np.random.default_rng(0)
    features = {}
    for name, width, lacking in (("image", 4, 1), ("text", 3, 3)):
        values = rng.normal(size=(N_ITEMS, width)).astype(np.float32)
        values[lacking] = 0
        features[name] = FeatureMatrix(values, np.arange(N_ITEMS) != lacking, name)
    train = interactions(PAIRS, N_USERS, N_ITEMS)
    return TrainingData(
        train,
        interactions(np.array([[0, 2]]), N_USERS, N_ITEMS),
        features,
        knowledge=KNOWLEDGE,
        tokens=small_tokens(),
    )


def small_tokens() -> dict[str, TokenMatrix]:
    """Three regions or words of four numbers; item 1 has no image, item 3 no text, and item 4 one word."""
    rng, tokens = np.random.default_rng(1), {}
    for name, lacking in (("image", 1), ("text", 3)):
        values = rng.normal(size=(N_ITEMS, 3, 4)).astype(np.float16)
        values[lacking] = 7
        tokens[name] = TokenMatrix(values, np.arange(N_ITEMS) != lacking, name)
    tokens["text"].values[4, 1:] = 0
    return tokens


KNOWLEDGE = KnowledgeGraph(
    heads=np.array([0, 1, 2, 3, 4, 5, 0, 2, 5, 6]),
    relations=np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2]),
    tails=np.array([6, 6, 7, 7, 6, 7, 8, 8, 8, 9]),
    n_entities=11,
    n_relations=3,
)
"""A genre for each item, a maker for some, a family for a genre; nothing names entity 10."""

DATA = small_market()
RATINGS = np.zeros((N_USERS, N_ITEMS))
RATINGS[PAIRS[:, 0], PAIRS[:, 1]] = 1


def weights(model) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def scores(model) -> np.ndarray:
    return model.score(EVERYONE).numpy()


def losses(model, batch=BATCH) -> dict[str, float]:
    return {name: term.item() for name, term in model.loss(batch).items()}


def with_biases(model):
    """The model with biases that are drawn: they start at zero, where a sign or a place could be wrong unseen."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(generator=model.generator)
    return model


def twin(generator: torch.Generator) -> torch.Generator:
    """Draws what `generator` will draw next."""
    other = torch.Generator()
    other.set_state(generator.get_state())
    return other


def unit(rows: np.ndarray) -> np.ndarray:
    """Vectors of length one along the last axis; zeros stay zero."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def leaky(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 0.01 * values)


def affine(state: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def projected(
    state: dict[str, np.ndarray], modality: str, prefix: str = "projection", unit_features: bool = False
) -> np.ndarray:
    """[I, D] W_m x^m + b_m, a learned vector where an item lacks the modality."""
    matrix = DATA.features[modality]
    values = unit(matrix.values.astype(float)) if unit_features else matrix.values
    rows = affine(state, f"{prefix}.layers.{modality}", values)
    rows[~matrix.present] = state[f"{prefix}.missing.{modality}"]
    return rows


def in_batch_contrast(logits: np.ndarray) -> float:
    """-mean log softmax of the diagonal: row i belongs to column i."""
    return float(np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)))


def bpr(users: np.ndarray, items: np.ndarray) -> float:
    user, positive, negative = users[BATCH.users], items[BATCH.positives], items[BATCH.negatives]
    return float(np.mean(np.log1p(np.exp(-((user * positive).sum(1) - (user * negative).sum(1))))))


def norms(users: np.ndarray, items: np.ndarray) -> float:
    parts = (users[BATCH.users], items[BATCH.positives], items[BATCH.negatives])
    return sum(np.sqrt((part**2).sum()) for part in parts) / len(BATCH.users)


def adjacency(ratings: np.ndarray) -> np.ndarray:
    n_users, n_items = ratings.shape
    matrix = np.block([[np.zeros((n_users, n_users)), ratings], [ratings.T, np.zeros((n_items, n_items))]])
    scale = (matrix.sum(1) + DEGREE_EPSILON) ** -0.5
    return scale[:, None] * matrix * scale[None, :]


def propagated(
    matrix: np.ndarray, state: dict[str, np.ndarray], n_layers: int
) -> tuple[np.ndarray, np.ndarray]:
    layers = [np.concatenate([state["user_embedding"], state["item_embedding"]])]
    for _ in range(n_layers):
        layers.append(matrix @ layers[-1])
    mean = np.mean(layers, axis=0)
    return mean[:N_USERS], mean[N_USERS:]


def ridge_weights(gram: np.ndarray, ridge: float) -> np.ndarray:
    """Item weights of the regression of each item on all others, by an inverse."""
    inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
    found = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(found, 0)
    return found


def mean_metric(model: AnyRecommender, task: RankingTask, label: str) -> float:
    """The mean over users of an accuracy metric at a cut-off, such as `recall@5`."""
    name, _, k = label.partition("@")
    nobody = np.zeros((0, 2), dtype=np.int64)
    background = Background(interactions(nobody, model.n_users, model.n_items))
    values = user_metrics(ranking_evidence(model, task, background), metrics_of([name]), [int(k)])
    return float(values[label].mean())
