"""Files of triples: read as they are, or refused with file, line and remedy; and the settings beside them."""

import pytest
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.knowledge_options import KnowledgeOptions
from mrs_pipeline.ingest.triples import triples_select


def read(raw, **columns: str) -> list[tuple[str, str, str]]:
    select = triples_select(raw.con, raw.root, "kg.csv", columns)
    return raw.con.sql(f"SELECT head, relation, tail FROM ({select}) ORDER BY ALL").fetchall()


KG = "head_id:token\trelation_id:token\ttail_id:token\n"
LINK = "item_id:token\tentity_id:token\n"


def linked(raw, **options) -> list[tuple[object, ...]]:
    select = triples_select(raw.con, raw.root, "x.kg", {}, links="x.link", **options)
    return raw.con.sql(f"SELECT * FROM ({select}) ORDER BY ALL").fetchall()


def test_recbole_triples_name_their_items_by_the_links(raw) -> None:
    """Entity 7 is not item 7, and an entity that is two items speaks of both."""
    raw.write("x.kg", f"{KG}m.1\tgenre\tm.9\n7\tgenre\tm.1\nm.2\tby\tm.9\n")
    raw.write("x.link", f"{LINK}7\tm.1\n8\tm.1\n008\tm.2\n")
    assert linked(raw) == [
        ("008", "by", "m.9", True, False),
        ("7", "genre", "7", False, True),
        ("7", "genre", "8", False, True),
        ("7", "genre", "m.9", True, False),
        ("8", "genre", "m.9", True, False),
    ]
    assert ("8", "by", "m.9", True, False) in linked(raw, ids=IdOptions(zeros=True))


@pytest.mark.parametrize(
    ("links", "sentence"),
    [
        (f"{LINK}7\t\n", r"x\.link, line 2: no entity_id:token; a link needs an item and an entity"),
        ("item_id:token\tname:token\n7\tx\n", r"x\.link has the columns .*; a file of links has two"),
        (LINK, r"x\.link has no rows"),
    ],
)
def test_bad_links_are_refused_with_their_place(raw, links: str, sentence: str) -> None:
    raw.write("x.kg", f"{KG}m.1\tgenre\tm.9\n")
    raw.write("x.link", links)
    with pytest.raises(InputError, match=sentence):
        linked(raw)


def test_triples_are_text_without_blanks_around(raw) -> None:
    raw.write("kg.csv", "head,relation,tail\na, colour ,red\n7,made in,1999\n")
    assert read(raw) == [("7", "made in", "1999"), ("a", "colour", "red")]


def test_columns_may_have_other_names(raw) -> None:
    raw.write("kg.csv", "s,p,o\na,colour,red\n")
    assert read(raw, head="s", relation="p", tail="o") == [("a", "colour", "red")]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("head,relation,tail\na,colour,red\nb,,green\n", r"kg\.csv, line 3: no relation; a triple needs"),
        ('head,relation,tail\n"a\nb",colour,red\nb,colour,  \n', r"kg\.csv, line 4: no tail"),
        ("head,relation,tail\n,colour,red\n", r"kg\.csv, line 2: no head"),
        ("head,relation,tail\na,colour\n", r"kg\.csv, line 2: 2 fields, but the header names 3"),
        ("head,relation,tail\n", "has no rows below its header"),
        (
            "s,p,o\na,b,c\n",
            r"no column 'head' \(it has: s, p, o\).*`triple_columns: \{head: s\}` under knowledge",
        ),
    ],
)
def test_bad_lines_are_refused_with_their_place(raw, content: str, sentence: str) -> None:
    raw.write("kg.csv", content)
    with pytest.raises(InputError, match=sentence):
        read(raw)


def test_an_absent_file_is_refused_by_its_setting(raw) -> None:
    with pytest.raises(InputError, match=r"knowledge\.triples: no file 'kg\.csv'"):
        read(raw)


def test_a_list_of_columns_names_their_relations() -> None:
    options = KnowledgeOptions.model_validate({"attributes": ["genre", "tag"], "decade": "year"})
    assert options.relations == {"genre": "genre", "tag": "tag", "decade": "year"}
    assert KnowledgeOptions.model_validate({"attributes": {"pairing": "food"}}).relations == {
        "pairing": "food"
    }
    assert KnowledgeOptions.model_validate({"triples": "kg.csv"}).relations == {}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "either attributes .* or triples, and not both"),
        ({"attributes": ["genre"], "triples": "kg.csv"}, "either attributes .* or triples, and not both"),
        ({"attributes": ["genre"], "triple_columns": {"head": "s"}}, "triple_columns goes with triples"),
        ({"attributes": ["Genre"]}, "'Genre' cannot be a relation"),
        ({"attributes": {"decade": "ten"}, "decade": "year"}, "already that of knowledge.decade"),
        ({"attributes": ["genre"], "min_items": 0}, "greater than or equal to 1"),
        ({"attribute": ["genre"]}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        KnowledgeOptions.model_validate(settings)
