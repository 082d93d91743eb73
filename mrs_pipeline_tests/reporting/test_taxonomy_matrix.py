import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import FeatureUse
from mrs_pipeline.reporting.taxonomy_matrix import axis_of, matrix_text, taxonomy_matrix
from mrs_pipeline.taxonomy import Axis, Cell

ZOO = [
    ("ease", [Cell.BASELINE]),
    ("mgcn", [Cell.ITEM_ITEM_GRAPH, Cell.FILTRATION, Cell.CONTRASTIVE]),
    ("freedom", ["interaction/bridge/item_item_graph"]),
]


def test_matrix_has_every_cell_once_and_names_in_order():
    matrix = taxonomy_matrix(ZOO)
    assert matrix["cell"].to_list() == [cell.value for cell in Cell]
    rows = {row["cell"]: row for row in matrix.to_dicts()}
    assert rows[Cell.ITEM_ITEM_GRAPH]["models"] == ["mgcn", "freedom"]
    assert rows[Cell.TWO_STEP] == {"axis": "optimisation", "cell": Cell.TWO_STEP, "n_models": 0, "models": []}


def test_text_says_axis_count_and_names_and_keeps_its_width():
    many = [(f"model_number_{n}", [Cell.CONTRASTIVE]) for n in range(30)]
    text = matrix_text(taxonomy_matrix([*ZOO, *many]), width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "bridge: item item graph" in text
    (contrastive,) = [line for line in lines if line.strip().startswith("contrastive")]
    assert contrastive.split()[1] == "31"
    assert next(line for line in lines if "two step" in line).endswith(" 0  none")
    assert [line for line in lines if line and not line.startswith(" ")] == [axis.value for axis in Axis]


def test_text_of_no_models_covers_nothing():
    assert matrix_text(taxonomy_matrix([])).count("none") == len(Cell)


@pytest.mark.parametrize(
    ("cells", "axis"),
    [
        ([], Axis.BASELINE),
        ([Cell.BASELINE], Axis.BASELINE),
        ([Cell.OTHER_FUSION], Axis.INTERACTION),
        ([Cell.OTHER_FUSION, Cell.CONTRASTIVE], Axis.ENHANCEMENT),
        ([Cell.CONTRASTIVE, Cell.TWO_STEP], Axis.OPTIMISATION),
        ([Cell.END_TO_END], Axis.OPTIMISATION),
    ],
)
def test_a_model_is_grouped_under_its_last_special_step(cells, axis):
    assert axis_of(cells) == axis


def test_no_model_that_must_see_content_counts_as_a_baseline():
    specs = [model.spec for model in MODELS.values()]
    seeing = [spec for spec in specs if FeatureUse.REQUIRED in (spec.features, spec.raw)]
    assert {"vbpr", "end_to_end_sasrec"} <= {spec.name for spec in seeing}
    assert [spec.name for spec in seeing if axis_of(spec.cells) is Axis.BASELINE] == []


def test_unknown_cell_is_refused():
    with pytest.raises(InputError, match="'fusion' is no cell"):
        taxonomy_matrix([("x", ["fusion"])])
