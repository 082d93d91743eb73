"""SMORE. Ong & Khong, "Spectrum-based Modality Representation Fusion Graph Convolutional Network", WSDM 2025.

In full: "... for Multimodal Recommendation". https://arxiv.org/abs/2412.14978

Equation: y_m = W_m x_m + b_m; Y_m = its orthonormal Fourier transform over the D dimensions; denoised content
IFFT(Y_m * w_m) and fused content IFFT(prod_m Y_m * w_f) with learned complex filters w. For each view v, the
modalities and the fused one: z_v = E_item * sigmoid(G_v content_v), h_v = S_v z_v for items and R^ h_v for
users (S_m = kNN, cosine weights, normalised D^-1/2 S D^-1/2; S_f = element-wise maximum of all S_m; R^ =
user-item block of the normalised adjacency). c = LightGCN(E); b_m = softmax over dimensions of
Q_m tanh(P_m h_f) times h_m, b_f = h_f; side = mean over views of dropout(sigmoid(V_v c)) * b_v. e = c + side;
y_ui = <e_u, e_i>; loss = BPR + reg_weight * half the squared norm of the batch's e + cl_weight *
(InfoNCE(side_i, c_i) over its positive items + InfoNCE(side_u, c_u) over its users).

Deviations: any number of modalities; one that an item lacks is left out of the spectral product and of the
mean over views, and a node without any takes no part in InfoNCE; raw features stay frozen (the published
code fine-tunes them), the learning rate constant (published: times .96 every 50 epochs), and no cosine below
zero stays in an item graph. Identifiers of items never seen in training are zero: these items are ranked by
their neighbours' content.

Complexity: O((E L + (k I + E) M) D + I F D + I M D log D) a step and O(B^2 D) for InfoNCE, plus Adam's
O((U + I) D).
"""

from collections.abc import Collection, Mapping
from functools import reduce
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.graphs import nearest, normalise_symmetric, strongest
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.item_graphs import item_graphs, linked
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.two_sides import TwoSidedConfig, TwoSidedRecommender
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_FUSED = "fused"


class SmoreConfig(TwoSidedConfig):
    """Settings of SMORE."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (3, 4),
        "cl_weight": (1e-2, 3e-2),
        "reg_weight": (1e-4, 1e-5),
        "dropout": (0.0, 0.1),
    }

    n_layers: int = Field(default=4, ge=1, le=8)
    """Propagation steps on the user-item graph."""
    modality_knn_k: Mapping[str, Annotated[int, Field(ge=1)]] = {}
    """Fewer neighbours than `knn_k` for the modalities named."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of a preference's dimensions left out in training."""

    @model_validator(mode="after")
    def _within_the_graphs(self) -> Self:
        wide = [name for name, k in self.modality_knn_k.items() if k > self.knn_k]
        if wide:
            raise ValueError(f"modality_knn_k of '{wide[0]}' is above knn_k {self.knn_k}; raise knn_k too")
        return self

    def misfit(self, modalities: Collection[str]) -> str | None:
        """A number of neighbours goes with a modality that is there."""
        unknown = sorted(set(self.modality_knn_k) - set(modalities))
        if unknown:
            return (
                f"has a modality_knn_k for '{unknown[0]}' but the features are {sorted(modalities)}; take it out "
                "or list such a feature set"
            )
        return None


class Smore(TwoSidedRecommender[SmoreConfig]):
    """Modalities denoised and fused in the frequency domain; see the module."""

    spec = ModelSpec(
        name="smore",
        title="SMORE",
        paper="Ong & Khong, WSDM 2025",
        url="https://arxiv.org/abs/2412.14978",
        cells=frozenset({Cell.OTHER_FUSION, Cell.FILTRATION}),
        complexity="O((E L + (k I + E) M) D + I F D + I M D log D + B^2 D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = SmoreConfig

    def __init__(self, config: SmoreConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        graphs = _graphs(inputs, config)
        self._item_graphs = [SparseOperator.from_csr(graph) for graph in graphs.values()]
        del graphs[_FUSED]
        has = _with_fused(linked(graphs))
        self.set_views(inputs, has)
        self.spectra = _Spectra(inputs, has, size, generator)
        self.preferences = nn.ModuleDict({name: _Preference(size, generator) for name in graphs})
        views = [*graphs, _FUSED]
        self.purifiers = nn.ModuleDict({view: linear(size, size, generator) for view in views})
        self.selectors = nn.ModuleDict({view: linear(size, size, generator) for view in views})

    def item_views(self) -> list[Tensor]:
        """h_v [I, D], the fused view last."""
        views = []
        for content, purifier, graph in zip(
            self.spectra(), self.purifiers.values(), self._item_graphs, strict=True
        ):
            view: Tensor = self.item_embedding * torch.sigmoid(purifier(content))
            for _ in range(self.config.n_item_layers):
                view = graph @ view
            views.append(view)
        return views

    def side(self, behaviour: Tensor, views: list[Tensor], has: Tensor) -> Tensor:
        """[n, D] from c [n, D], views [n, D] each and which of them the nodes have [n, M + 1]."""
        *modal, fused = views
        weighed = [
            preference(fused) * view
            for preference, view in zip(self.preferences.values(), modal, strict=True)
        ]
        total = torch.zeros_like(behaviour)
        # the view of a missing modality is zero: it adds nothing and does not count
        for selector, view in zip(self.selectors.values(), [*weighed, fused], strict=True):
            gate = torch.sigmoid(selector(behaviour))
            if self.training:
                gate = dropout(gate, self.config.dropout, self.generator)
            total = total + gate * view
        return total / has.sum(1, keepdim=True).clamp(min=1)


class _Spectra(nn.Module):
    """Denoised content of each modality and their fusion, by learned filters on Fourier coefficients.

    Transforms and filters are linear maps of D numbers: they are applied to the D unit vectors, and the I items
    multiplied by the small matrices that result. Only the product of spectra is taken item by item.
    """

    def __init__(self, inputs: ModelInputs, has: Tensor, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self._features, self._has, self._size = inputs.features, has, size
        self._complete = has.all(0).tolist()
        self._unit_spectra = torch.fft.rfft(torch.eye(size, device=inputs.device), norm="ortho")
        self.projections, self.filters = nn.ModuleDict(), nn.ParameterDict()
        for name, values in inputs.features.items():
            self.projections[name] = linear(values.shape[1], size, generator)
        for name in (*inputs.features, _FUSED):
            # real and imaginary parts, as not every file format knows complex numbers
            start = torch.empty(size // 2 + 1, 2, device=generator.device).normal_(generator=generator)
            self.filters[name] = nn.Parameter(start)

    def forward(self) -> list[Tensor]:
        """Contents [I, D] of the modalities, then the fused one."""
        contents, factors = [], []
        for number, (name, values) in enumerate(self._features.items()):
            projected = self.projections[name](values)
            contents.append(projected @ self._inverse(self._unit_spectra * self._filter(name)))
            real, imaginary = projected @ self._unit_spectra.real, projected @ self._unit_spectra.imag
            if not self._complete[number]:
                has = self._has[:, number].unsqueeze(1)
                real, imaginary = real.where(has, 1.0), imaginary.where(has, 0.0)
            factors.append((real, imaginary))
        real, imaginary = reduce(_complex_product, factors)
        # the fused spectrum in its real and imaginary coefficients, each of which is one unit vector filtered
        filtered = torch.diag(self._filter(_FUSED))
        return [*contents, real @ self._inverse(filtered) + imaginary @ self._inverse(1j * filtered)]

    def _filter(self, name: str) -> Tensor:
        return torch.view_as_complex(self.filters[name])

    def _inverse(self, spectra: Tensor) -> Tensor:
        signals: Tensor = torch.fft.irfft(spectra, n=self._size, norm="ortho")
        return signals


def _complex_product(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """(a + bi)(c + di), each number as its real and imaginary part."""
    (a, b), (c, d) = left, right
    return a * c - b * d, a * d + b * c


class _Preference(nn.Module):
    """Which dimensions of a modality the fused view asks for: softmax over them of Q tanh(P h_f + b)."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = linear(size, size, generator)
        self.query = linear(size, size, generator, bias=False)

    def forward(self, fused: Tensor) -> Tensor:
        return torch.softmax(self.query(torch.tanh(self.hidden(fused))), dim=1)


def _graphs(inputs: ModelInputs, config: SmoreConfig) -> dict[str, Csr]:
    """Modality -> normalised kNN graph, and last their element-wise maximum."""
    graphs = {
        modality: normalise_symmetric(nearest(graph, config.modality_knn_k.get(modality, config.knn_k)))
        for modality, graph in item_graphs(inputs, config.knn_k, "smore").items()
    }
    return {**graphs, _FUSED: strongest(list(graphs.values()))}


def _with_fused(has: Tensor) -> Tensor:
    """[n, M] -> [n, M + 1]: whoever has any modality has the fused view."""
    return torch.cat([has, has.any(1, keepdim=True)], dim=1)
