"""Media files: found by column or by name, counted when missing, refused outside the root."""

from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError


def with_images(raw, *paths: str) -> None:
    rows = "".join(f"{item},{path}\n" for item, path in zip("abcdefg", paths, strict=False))
    raw.write("items.csv", f"item_id,image\n{rows}")


def test_a_column_names_the_files_and_missing_ones_are_counted(raw) -> None:
    raw.write("pics/1.jpg", b"x")
    raw.write("pics/deep/2.jpg", b"x")
    with_images(
        raw,
        "pics/1.jpg",
        "pics/deep/2.jpg",
        "pics/3.jpg",
        "",
        "http://example.org/4.jpg",
        "none/5.jpg",
        "pics",
    )
    assert raw.items()["image"].to_list() == ["pics/1.jpg", "pics/deep/2.jpg", None, None, None, None, None]
    media = raw.describe().media["image"]
    assert (media.present, media.missing) == (2, 4)


def test_files_named_by_item_id(raw) -> None:
    raw.write("images/a.jpg", b"x")
    raw.write("images/readme.txt", b"x")
    raw.write("images/unknown.png", b"x")
    raw.write("audio/b.FLAC", b"x")
    raw.write("clips/a.mp4", b"x")
    items = raw.items(media_folders={"image": "images", "audio": "audio", "video": "clips"})
    assert items.select("item_id", "image", "audio", "video").rows() == [
        ("a", "images/a.jpg", None, "clips/a.mp4"),
        ("b", None, "audio/b.FLAC", None),
    ]


def test_names_with_dots_do_not_collide(raw) -> None:
    raw.write("items.csv", "item_id\na.b\na.c\na\n")
    raw.write("images/a.b.jpg", b"x")
    raw.write("images/a.c.jpg", b"x")
    assert raw.items()["image"].to_list() == [None, "images/a.b.jpg", "images/a.c.jpg"]


def test_two_files_of_one_item_are_refused(raw) -> None:
    raw.write("images/a.jpg", b"x")
    raw.write("images/a.png", b"x")
    with pytest.raises(
        InputError, match=r"^images/a.jpg and images/a.png both carry the name of item 'a'; keep one$"
    ):
        raw.items()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../secret.jpg",
        "pics/../../secret.jpg",
        "C:\\pics\\1.jpg",
        "\\\\server\\1.jpg",
        "..\\x.jpg",
    ],
)
def test_paths_outside_the_root_are_refused(raw, path: str) -> None:
    (raw.root.parent / "secret.jpg").write_bytes(b"x")
    with_images(raw, "", path)
    with pytest.raises(InputError) as caught:
        raw.items()
    assert str(caught.value) == (
        f"items.csv, line 3, column image: '{path}' lies outside the source folder; give a path below it, or leave the "
        "files out (`--no-modality image` of `mrs init`, another name for the column under source.item_columns)"
    )


@pytest.fixture
def outside(raw) -> Path:
    folder = raw.root.parent / "outside"
    folder.mkdir()
    (folder / "b.jpg").write_bytes(b"x")
    return folder


def test_links_that_lead_out_are_refused_by_column(raw, outside: Path) -> None:
    raw.write("pics/a.jpg", b"x")
    (raw.root / "pics" / "b.jpg").symlink_to(outside / "b.jpg")
    with_images(raw, "pics/a.jpg", "pics/b.jpg")
    with pytest.raises(
        InputError, match=r"^items.csv, line 3, column image: 'pics/b.jpg' lies outside the source"
    ):
        raw.items()
    with_images(raw, "pics/a.jpg")
    assert raw.items()["image"].to_list() == ["pics/a.jpg"], "a link that no item uses harms nobody"


def test_linked_folders_that_lead_out_are_refused(raw, outside: Path) -> None:
    (raw.root / "images").symlink_to(outside)
    with pytest.raises(InputError, match=r"images.* leaves the source folder"):
        raw.items()
    with_images(raw, "", "images/b.jpg")
    (raw.root / "images").rename(raw.root / "pics")
    with_images(raw, "", "pics/b.jpg")
    with pytest.raises(InputError, match=r"^items.csv, line 3, column image: 'pics/b.jpg' lies outside"):
        raw.items()


def test_links_that_lead_out_are_refused_by_name(raw, outside: Path) -> None:
    (raw.root / "images").mkdir()
    (raw.root / "images" / "b.jpg").symlink_to(outside / "b.jpg")
    with pytest.raises(InputError, match=r"^images/b.jpg is a link to a file outside the source folder"):
        raw.items()


def test_links_inside_the_root_are_fine(raw) -> None:
    raw.write("store/1.jpg", b"x")
    (raw.root / "images").mkdir()
    (raw.root / "images" / "a.jpg").symlink_to(raw.root / "store" / "1.jpg")
    assert raw.items()["image"].to_list() == ["images/a.jpg", None]
