"""One dataset's whole pipeline as typed settings: what its `defs.yaml` may say.

Each part is declared where it is used (source in `ingest`, rules in `tables`, ...); this file only puts the parts
together and holds what spans them. Reading YAML with file and line is the component's work (`orchestration`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from mrs_pipeline.encoders.options import EncoderOptions, feature_set_name
from mrs_pipeline.encoders.raw_options import RawOptions
from mrs_pipeline.encoders.registry import FeatureOptions
from mrs_pipeline.errors import did_you_mean
from mrs_pipeline.evaluation.options import COMPARED, EvaluationOptions
from mrs_pipeline.ingest.knowledge_options import KnowledgeOptions
from mrs_pipeline.ingest.registry import AnySource
from mrs_pipeline.metrics.base import Need, parse_label
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.models.config import ModelConfig, refuse_former_names
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind, Needs, unmet_need
from mrs_pipeline.open_settings import ByName
from mrs_pipeline.retrieval.options import IndexOptions
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.tables.rules import InteractionRules
from mrs_pipeline.taxonomy import Modality
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.windows import WindowOptions

if TYPE_CHECKING:
    from mrs_pipeline.models.pretraining.base import PretrainingConfig

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


_OWNER = r"^(team:[a-z0-9_\-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$"


class AutomationOptions(BaseModel):
    """What runs by itself. Off by default; switched on here and then visible in the UI's Automation page."""

    model_config = _STRICT

    retrain: bool = False
    """At the start of each window, score the window that has closed and train for the one that opens."""
    watch: bool = False
    """Look at the source's files every `watch_seconds` and run the windows whose rows have landed, changed or gone."""
    watch_seconds: int = Field(default=60, ge=1, le=86_400)
    """Least seconds between two looks of `watch`."""
    settle_seconds: float = Field(default=30.0, ge=0, le=86_400)
    """How long a file must have been unchanged before `watch` takes it for complete; a text whose last line has no end,
    a minute at least."""
    conditions: bool = False
    """Let Dagster request by itself what is missing or follows a change: tables and features at once, models when a
    window begins. With `watch`, which reads the files, or instead of `retrain`."""
    max_hours: float | None = Field(default=None, gt=0)
    """Hours after which the daemon ends a run that the UI, a schedule or a sensor has started; no bound without it."""
    verify: bool = False
    """Every night, recompute the digests of all that is kept, and fail where something is not what was written."""


class ServingOptions(BaseModel):
    """What the lists in `serving.recommendations` come from, and how items are found by their vectors."""

    model_config = _STRICT

    refit: bool = True
    """Whether models are trained again on train and validation rows together, with the first seed and for the epochs
    that validation chose. Without it lists come from the weights as they were chosen, which know the latest events of
    a history only as what is not to be shown again."""
    index: IndexOptions = IndexOptions()
    """The index of a model's item vectors."""


class DriftOptions(BaseModel):
    """How far a window may differ from the one before it until a check warns; what chance explains is no drift."""

    model_config = _STRICT

    max_psi: float = Field(default=0.25, gt=0)
    """Population stability index of activity, attributes and popularity; above .25 a shift is usually called large."""
    max_ks: float = Field(default=0.3, gt=0, le=1)
    """Largest Kolmogorov-Smirnov distance of a dimension of a feature set."""
    min_cosine: float = Field(default=0.8, ge=-1, le=1)
    """Cosine between the mean vectors of a feature set."""
    min_overlap: float = Field(default=0.05, ge=0, le=1)
    """Share of a user's list that stays, in the mean over users."""
    ignore: tuple[str, ...] = ()
    """Attributes of the catalogue that change by nature. Years, months and days are left out anyway."""


class PromotionOptions(BaseModel):
    """The rules by which a model becomes the champion, which `mrs serve` serves."""

    model_config = _STRICT

    beats_popularity: bool = True
    """Whether it must beat the most popular items, by the paired test of the leaderboard."""
    not_worse_on_cold: bool = True
    """Whether it must not be worse than the champion on cold items, by the same test; where there are cold items."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Most seconds of a training; no bound without it."""
    max_memory_mb: float | None = Field(default=None, gt=0)
    """Most megabytes that a training may hold; no bound without it."""


class ExperimentOptions(BaseModel):
    """The budget of every arm of the survey's experiments (`mrs experiment`), the same for all."""

    model_config = _STRICT

    epochs: int = Field(default=100, ge=1)
    """Most epochs of an arm."""
    patience: int = Field(default=10, ge=1)
    """Validations without a gain after which an arm stops."""
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    """Each arm is trained once a seed."""


FeatureSets = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda named: [named] if isinstance(named, str) else named,
        json_schema_input_type=str | tuple[str, ...],
    ),
    Field(min_length=1),
]
"""Names of feature sets; one alone needs no list."""


class DatasetConfig(BaseModel):
    """The attributes of one `defs.yaml`."""

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """Short name in lower case; the first part of every asset key and the `dataset` column of every table."""
    description: str = ""
    """A sentence for the report and the UI."""
    owners: tuple[Annotated[str, Field(pattern=_OWNER)], ...] = ()
    """Who answers for the dataset, as the UI shows it: mail addresses, or names of teams such as `team:music`."""
    source: AnySource
    """Where the raw files are and how they are read."""
    window: WindowOptions = WindowOptions()
    """How time is cut into partitions; `every: none` for one partition."""
    interactions: InteractionRules = InteractionRules()
    """De-duplication, rating threshold and k-core."""
    features: tuple[FeatureOptions, ...] = ()
    """Feature sets; where a modality has several, models use the first of it, or what `modalities` says. Those with
    `pooling: none` hold regions or words and go to the models that attend to them, the first of each modality."""
    modalities: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], FeatureSets] = Field(
        default_factory=dict
    )
    """What models receive: name -> one feature set or several, which are put side by side (`image: [image_clip,
    image_color_gradient]`). Under names of their own (`clip: image_clip`, `color: image_color_gradient`) they are
    modalities of their own. Sets that are not named here are made and not read."""
    knowledge: KnowledgeOptions | None = None
    """A knowledge graph of the items, for SQL and for the models that need one."""
    raw: tuple[RawOptions, ...] = ()
    """Content that is decoded, not encoded, for models that train an encoder; one entry a modality."""
    missing: Literal["mask", "zero", "mean", "neighbours", "propagate"] = "mask"
    """What models receive where an item lacks a modality: nothing (`mask`), a row of zeros, the mean of the others,
    the mean of the nearest by another modality, or what reaches it over the training interactions."""
    split: SplitOptions = SplitOptions()
    """How train, validation and test are told apart. With windows only the validation share is used."""
    models: Annotated[dict[str, BaseModel], ByName(MODELS)] = Field(default_factory=dict)
    """The models to train: name -> overrides of its defaults (`lightgcn: {}` for none)."""
    presets: bool = True
    """Whether models start from the settings that `mrs tune --save` has put into `presets.yaml` beside this file. What
    stands here under `models:` comes on top, key by key."""
    pretraining: Annotated[dict[str, BaseModel], ByName(PRETRAINERS)] = Field(default_factory=dict)
    """First steps whose item vectors all models that name them share: name -> overrides of its defaults. One that a
    model needs and that is not listed is run with its defaults."""
    item_graph_k: int = Field(default=10, ge=1, le=200)
    """Neighbours of an item in the stored item graphs, itself among them. A model uses as many of them as its `knn_k`
    says, at most these."""
    user_graph_k: int = Field(default=200, ge=1, le=1000)
    """Neighbours of a user in the stored graph of users who share items. A model uses as many of them as its `user_k`
    says, at most these."""
    training: TrainingOptions = TrainingOptions()
    """Epochs, batches, patience."""
    model_training: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """What of `training` is otherwise for single models: name -> overrides (`bm3: {patience: 40}`). Experiments, whose
    arms share one budget, do not heed it."""
    evaluation: EvaluationOptions = EvaluationOptions()
    """Cut-offs, exclusion rule, the metric that selects."""
    serving: ServingOptions = ServingOptions()
    """What is served."""
    drift: DriftOptions = DriftOptions()
    """What differences between windows are warned of."""
    promotion: PromotionOptions = PromotionOptions()
    """What a model must show to be promoted."""
    seeds: tuple[int, ...] = (1,)
    """Each model is trained once a seed; reports show mean and spread."""
    experiments: ExperimentOptions = ExperimentOptions()
    """Budget of the survey's experiments."""
    automation: AutomationOptions = AutomationOptions()
    """Schedule and sensor."""
    _presets: Mapping[str, Mapping[str, Any]] = PrivateAttr(default_factory=dict)
    _trials: Mapping[str, int] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _no_former_names(cls, values: object) -> object:
        return refuse_former_names(values, {"knn_k": "item_graph_k", "user_k": "user_graph_k"})

    @model_validator(mode="after")
    def _held_out_users_stay_out(self) -> "DatasetConfig":
        if self.split.held_out_users and self.evaluation.refit:
            raise ValueError(
                "split.held_out_users does not go with evaluation.refit, which trains on their rows; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _warm_starts_have_windows(self) -> "DatasetConfig":
        asked = [self.training.warm_start, *(each.get("warm_start") for each in self.model_training.values())]
        if any(asked) and not self.windowed:
            raise ValueError(
                "training.warm_start goes on from the window before, and there are no windows; set window.every, or "
                "leave it out"
            )
        return self

    @model_validator(mode="after")
    def _model_training_fits(self) -> "DatasetConfig":
        for name in self.model_training:
            if name not in MODELS:
                raise ValueError(
                    f"model_training: there is no model {name}{did_you_mean(name, MODELS)}; `mrs models` lists them"
                )
            try:
                self.training_of(name)
            except ValidationError as error:
                problem = error.errors()[0]
                raise ValueError(
                    f"model_training.{name}.{problem['loc'][0]}: {problem['msg']}; see `training` for what there is"
                ) from error
        return self

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError("seeds must name at least one number, each once")
        return seeds

    @model_validator(mode="after")
    def _parts_fit(self) -> "DatasetConfig":
        names = self.feature_names
        every = [*names, *self.token_names]
        twice = sorted({name for name in every if every.count(name) > 1})
        if twice:
            raise ValueError(f"features: {twice[0]} is listed twice; give one of them another name")
        self._require_sets(names)
        raw = self.raw_modalities
        if len(set(raw)) < len(raw):
            raise ValueError(f"raw: {max(raw, key=raw.count)} is listed twice; leave one of the entries out")
        if self.missing == "neighbours" and len(self.model_features) < 2:
            raise ValueError(
                "missing: neighbours looks them up in another modality; list features of a second one"
            )
        return self

    def _require_sets(self, names: Sequence[str]) -> None:
        """Refuses modalities of feature sets that are not listed, or that are called like another modality."""
        for modality, sets in self.modalities.items():
            for name in sets:
                place = f"modalities.{modality}"
                if name not in names:
                    raise ValueError(
                        f"{place}: there is no feature set '{name}' (there are: {', '.join(names) or 'none'}); list it "
                        "under features"
                    )
                own = str(self.feature(name).modality)
                if modality in tuple(Modality) and own != modality:
                    raise ValueError(f"{place}: {name} describes {own}; give the entry a name of its own")
            if len(set(sets)) < len(sets):
                raise ValueError(f"modalities.{modality} names a feature set twice; leave one out")

    @model_validator(mode="after")
    def _metrics_can_be_measured(self) -> "DatasetConfig":
        evaluation = self.evaluation
        for name, k in map(parse_label, COMPARED):
            if name not in evaluation.metrics:
                raise ValueError(
                    f"evaluation.metrics must contain {name}, by which the leaderboard compares models"
                )
            if k not in evaluation.ks:
                raise ValueError(f"evaluation.ks must contain {k}, at which the leaderboard compares models")
        for metric in metrics_of(evaluation.metrics):
            if Need.FEATURES in metric.needs and not self.feature_names:
                raise ValueError(
                    f"evaluation.metrics: {metric.name} compares items by their features, but the dataset lists none; "
                    "add a `features:` entry, or leave the metric out"
                )
            if Need.ATTRIBUTE in metric.needs and evaluation.attribute is None:
                raise ValueError(
                    f"evaluation.metrics: {metric.name} needs an attribute of the items; name a column of the "
                    "catalogue under `evaluation.attribute`, or leave the metric out"
                )
        return self

    @model_validator(mode="after")
    def _models_can_run(self) -> "DatasetConfig":
        self._require_models_fit()
        return self

    def _require_models_fit(self) -> None:
        """Refuses models whose settings cannot work here, presets included."""
        for name, config in self.model_configs.items():
            spec = MODELS[name].spec
            self._require_needs(f"models.{name}", spec, config)
            if spec.batches is not BatchKind.NONE and not self._validates:
                raise ValueError(
                    f"models.{name} chooses its best epoch on validation rows and split.valid is 0; give it a share "
                    "above 0 or leave the model out"
                )
        for name, config in self.pretraining_configs.items():
            self._require_needs(f"pretraining.{name}", PRETRAINERS[name].spec, config)

    def with_presets(
        self, presets: Mapping[str, Mapping[str, Any]], trials: Mapping[str, int] | None = None
    ) -> "DatasetConfig":
        """These settings, with models starting from presets.

        Args:
            presets: model -> settings that fit the model.
            trials: model -> how many settings the search tried that found them.

        Raises:
            ValueError: a preset does not go together with what is said here; the sentence names the model.
        """
        config = self.model_copy()
        config._presets = dict(presets)
        config._trials = dict(trials or {})
        for name in presets:
            try:
                config.config_of(name)
            except ValidationError as error:
                raise ValueError(
                    f"{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
                ) from error
        config._require_models_fit()
        return config

    def _require_needs(self, place: str, needs: Needs, config: ModelConfig) -> None:
        """Refuses a model or pretraining that could not run on what this dataset gives it."""
        problem = unmet_need(
            needs,
            features=bool(self.model_features),
            knowledge=self.knowledge is not None,
            raw=bool(self.raw),
            tokens=bool(self.model_tokens),
        ) or config.misfit([str(modality) for modality in self.model_features])
        if problem:
            raise ValueError(f"{place} {problem}")
        graphs = (
            (config.item_neighbours, "item_graph_k", self.item_graph_k, "item graphs hold"),
            (config.user_neighbours, "user_graph_k", self.user_graph_k, "graph of users holds"),
        )
        for wanted, key, stored, what in graphs:
            if wanted and wanted.count > stored:
                raise ValueError(
                    f"{place}.{wanted.setting} is {wanted.count} but the {what} {stored} neighbours a row; raise "
                    f"{key} to {wanted.count} or lower {wanted.setting}"
                )

    @property
    def _validates(self) -> bool:
        """Whether the settings leave validation rows."""
        shares = self.windowed or self.split.strategy in ("random", "global_time")
        return self.split.valid > 0 or not shares

    @property
    def windowed(self) -> bool:
        """Whether the dataset is cut in time."""
        return self.window.every != "none"

    @property
    def model_configs(self) -> dict[str, ModelConfig]:
        """Configuration of each model to train, in the registry's order."""
        return {name: self.config_of(name) for name in self.models}

    def config_of(self, model: str) -> ModelConfig:
        """Configuration of a model, on the list or not: its preset, and on top what is said of it here."""
        return MODELS[model].Config.model_validate({**self._presets.get(model, {}), **self.written(model)})

    def training_of(self, model: str) -> TrainingOptions:
        """How a model is trained: `training`, and on top what `model_training` says of it."""
        return TrainingOptions(**{**self.training.model_dump(), **self.model_training.get(model, {})})

    def settings_of(self, model: str) -> dict[str, Any]:
        """What `config_of` sets beyond the model's defaults, as plain data."""
        settings: dict[str, Any] = self.config_of(model).model_dump(mode="json", exclude_unset=True)
        return settings

    def trials_of(self, model: str) -> int | None:
        """How many settings a search tried for a model: 0 without a search, None where there is nothing to search."""
        config = MODELS[model].Config
        searchable = config.search_space or MODELS[model].spec.batches is not BatchKind.NONE
        return self._trials.get(model, 0) if searchable else None

    def written(self, model: str) -> dict[str, Any]:
        """What is said of a model under `models:`, without its preset; empty for one that is not listed."""
        listed = self.models.get(model)
        return {} if listed is None else listed.model_dump(exclude_unset=True)

    @property
    def pretraining_configs(self) -> dict[str, "PretrainingConfig"]:
        """Configuration of each pretraining that is listed or that a listed model needs, in the registry's order."""
        needed = {MODELS[name].spec.pretraining for name in self.models}
        listed = cast("dict[str, PretrainingConfig]", self.pretraining)  # `ByName` has made each of its class
        return {
            name: listed.get(name) or PRETRAINERS[name].Config()
            for name in PRETRAINERS
            if name in needed or name in self.pretraining
        }

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all feature sets of one vector an item, in their order."""
        return tuple(feature_set_name(feature) for feature in self.features if feature.token_shape is None)

    @property
    def token_names(self) -> tuple[str, ...]:
        """Names of all sets of tokens, in their order."""
        return tuple(
            feature_set_name(feature) for feature in self.features if feature.token_shape is not None
        )

    @property
    def model_tokens(self) -> dict[str, str]:
        """Modality -> name of its first set of tokens, which models that attend to tokens receive."""
        chosen: dict[str, str] = {}
        for name in self.token_names:
            chosen.setdefault(str(self.feature(name).modality), name)
        return chosen

    @property
    def raw_modalities(self) -> tuple[str, ...]:
        """Modalities whose content is decoded for models that train an encoder."""
        return tuple(str(entry.modality) for entry in self.raw)

    @property
    def first_features(self) -> dict[str, str]:
        """Modality -> name of its first feature set."""
        chosen: dict[str, str] = {}
        for feature in self.features:
            if feature.token_shape is None:
                chosen.setdefault(feature.modality, feature_set_name(feature))
        return chosen

    @property
    def model_features(self) -> dict[str, tuple[str, ...]]:
        """Modality, as models know it -> names of the feature sets that they receive for it, side by side."""
        return dict(self.modalities) or {modality: (name,) for modality, name in self.first_features.items()}

    def raw_entry(self, modality: str) -> RawOptions:
        """The entry of `raw:` for `modality`; KeyError if there is none."""
        return {str(entry.modality): entry for entry in self.raw}[modality]

    def feature(self, name: str) -> EncoderOptions:
        """The options of the feature set `name`; KeyError if there is none."""
        return {feature_set_name(feature): feature for feature in self.features}[name]
