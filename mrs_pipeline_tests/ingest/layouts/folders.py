"""A tiny folder in each official layout, to the column, separator, header and encoding that its authors publish.

All of them tell of the same evenings: 30 users and 24 items, twelve events a user over half a year. What a layout
cannot say (times, ratings) is left out, and its quirks are put in.
"""

import gzip
import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

USERS, ITEMS, EACH = 30, 24, 12


@dataclass(frozen=True)
class Event:
    user: int
    item: int
    moment: datetime
    rating: int

    @property
    def seconds(self) -> int:
        return int(self.moment.timestamp())

    @property
    def milliseconds(self) -> int:
        return 1000 * self.seconds + 7

    @property
    def day(self) -> str:
        return f"{self.moment:%Y-%m-%d}"


def _events() -> list[Event]:
    rng = np.random.default_rng(5)
    start, events = datetime(2019, 1, 1, tzinfo=UTC), []
    for user in range(USERS):
        for number, item in enumerate(rng.permutation(ITEMS)[:EACH]):
            moment = start + timedelta(
                days=14 * number + int(rng.integers(12)), seconds=int(rng.integers(80_000))
            )
            events.append(
                Event(
                    user, int(item), moment, int(rng.choice([1, 2, 3, 4, 5], p=[0.05, 0.05, 0.1, 0.4, 0.4]))
                )
            )
    return sorted(events, key=lambda event: event.moment)


EVENTS = _events()


def part_of(event: Event) -> str:
    """Of each user's events, the last tests and the one before it validates."""
    own = [each for each in EVENTS if each.user == event.user]
    return {len(own) - 1: "test", len(own) - 2: "valid"}.get(own.index(event), "train")


def of_part(part: str) -> list[Event]:
    return [event for event in EVENTS if part_of(event) == part]


def write(root: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def lines(rows: Iterable[Iterable[Any]], separator: str = ",") -> str:
    return "".join(f"{separator.join(map(str, row))}\n" for row in rows)


def json_lines(objects: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in objects)


def literals(objects: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{each!r}\n" for each in objects)


def features(root: Path, name: str, rows: int = ITEMS, dtype: str = "float32") -> None:
    values = np.random.default_rng(len(name)).normal(size=(rows, 6)).astype(dtype)
    np.save(root / name, values)


def lists_of(part: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in of_part(part):
        found.setdefault(str(event.user), []).append(event.item)
    return found


def asin(item: int) -> str:
    return f"{item:010d}" if item % 2 else f"B00000X{item:03d}"


def reviewer(user: int) -> str:
    return f"A{user:02d}AAAAAAAAAAA"


WORDS = [
    f"{first} {second}"
    for first in ("amber", "birch", "cedar", "delta")
    for second in ("wing", "fall", "moor", "gate", "well", "side")
]
"""Two words for each item, which it shares with others, each with other ones."""

TITLES = [f"Thing number {item}" for item in range(ITEMS)]


def amazon_2014_ratings(root: Path) -> None:
    rows = (
        (reviewer(each.user), asin(each.item), f"{each.rating}.0", each.seconds // 86_400 * 86_400)
        for each in EVENTS
    )
    write(root, "ratings_Baby.csv", lines(rows))


def amazon_2014(root: Path) -> None:
    reviews = (
        {
            "reviewerID": reviewer(each.user),
            "asin": asin(each.item),
            "reviewerName": "N",
            "helpful": [2, 3],
            "reviewText": "it's ok",
            "overall": float(each.rating),
            "summary": "s",
            "unixReviewTime": each.seconds // 86_400 * 86_400,
            "reviewTime": f"{each.moment:%m %d, %Y}",
        }
        for each in EVENTS
    )
    write(root, "reviews_Baby_5.json.gz", gzip.compress(json_lines(reviews).encode()))
    meta = [
        {
            "asin": asin(item),
            "title": f"Tom's &amp; Ann's cup {item}",
            "description": "a <b>nice</b> cup",
            "price": 7.5,
            "imUrl": "http://x/1.jpg",
            "categories": [["Baby", "Cups"]],
            "salesRank": {"Baby": 9},
            "related": {"also_bought": ["B00000X1Y2"]},
        }
        for item in range(ITEMS - 1)
    ]
    meta.append({"asin": "B0NEVERSEEN", "categories": [["Baby"]]})
    write(root, "meta_Baby.json.gz", gzip.compress(literals(meta).encode()))


def amazon_2018_ratings(root: Path) -> None:
    rows = (
        (asin(each.item), reviewer(each.user), f"{each.rating}.0", each.seconds // 86_400 * 86_400)
        for each in EVENTS
    )
    write(root, "All_Beauty.csv", lines(rows))


def amazon_2018(root: Path) -> None:
    reviews = (
        {
            "overall": float(each.rating),
            "vote": "1,024",
            "verified": True,
            "reviewTime": f"{each.moment:%m %d, %Y}",
            "reviewerID": reviewer(each.user),
            "asin": asin(each.item),
            "style": {"Size:": " L"},
            "reviewText": "ok",
            "unixReviewTime": each.seconds // 86_400 * 86_400,
            "image": ["https://x/1.jpg"],
        }
        for each in EVENTS
    )
    write(root, "All_Beauty_5.json", json_lines(reviews))
    meta = [
        {
            "category": ["Beauty", "Soap"],
            "tech1": "",
            "description": ["first", "", "second"],
            "title": TITLES[item] if item else '<span id="productTitle" class="a-size-large">',
            "also_buy": [],
            "brand": "b",
            "feature": ["f"],
            "rank": "2,938 in Beauty (" if item % 2 else ["a", "b"],
            "main_cat": "All Beauty",
            "price": "$3.17" if item else ".a-box-inner{background-color:#fff} #alohaBuyBoxWidget",
            "asin": asin(item),
            "imageURL": [],
            "imageURLHighRes": ["https://x/1.jpg"],
        }
        for item in range(ITEMS)
    ]
    write(root, "meta_All_Beauty.json", json_lines([*meta, meta[3]]))


def amazon_2023(root: Path) -> None:
    reviews = [
        {
            "rating": float(each.rating),
            "title": "t",
            "text": "x",
            "images": [],
            "asin": asin(each.item) if each.item % 3 else f"B0VARIANT{each.user % 10}",
            "parent_asin": asin(each.item),
            "user_id": f"AG{each.user:026d}",
            "timestamp": each.milliseconds,
            "helpful_vote": 0,
            "verified_purchase": True,
        }
        for each in EVENTS
    ]
    write(root, "All_Beauty.jsonl", json_lines([*reviews, reviews[0]]))
    meta = (
        {
            "main_category": "All Beauty",
            "title": TITLES[item],
            "average_rating": 4.3,
            "rating_number": 3,
            "features": ["soft"],
            "description": ["d"] if item % 2 else [],
            "price": None if item % 2 else 3.5,
            "images": [{"thumb": "u", "large": "v", "variant": "MAIN", "hi_res": None}],
            "videos": [],
            "store": "s",
            "categories": ["Beauty", "Soap"],
            "details": {"k": "v"},
            "parent_asin": asin(item),
            "bought_together": None,
        }
        for item in range(ITEMS)
    )
    write(root, "meta_All_Beauty.jsonl", json_lines(meta))


def amazon_2023_benchmark(root: Path) -> None:
    for part in ("train", "valid", "test"):
        rows = (
            (f"AG{each.user:026d}", asin(each.item), f"{each.rating}.0", each.milliseconds, "")
            for each in of_part(part)
        )
        header = "user_id,parent_asin,rating,timestamp,history\n" if part == "train" else ""
        write(root, f"All_Beauty.{part}.csv", header + lines(rows))


def ml_100k(root: Path) -> None:
    rows = ((each.user + 1, each.item + 1, each.rating, each.seconds) for each in EVENTS)
    write(root, "u.data", lines(rows, "\t"))
    films = (
        (
            item + 1,
            f"Caf\xe9 {item} (19{60 + item})",
            "01-Jan-1995",
            "",
            "http://x",
            0,
            1,
            1,
            *[0] * 13,
            1,
            0,
            0,
        )
        for item in range(ITEMS)
    )
    write(root, "u.item", lines(films, "|"), "latin-1")
    write(root, "u.user", "1|24|M|technician|05201\n")
    write(root, "u.genre", "unknown|0\nAction|1\n")
    write(root, "u1.base", "1\t2\t3\t881250949\n")


def ml_1m(root: Path) -> None:
    rows = ((each.user + 1, each.item + 1, each.rating, each.seconds) for each in EVENTS)
    write(root, "ml-1m/ratings.dat", lines(rows, "::"))
    films = ((item + 1, f"Caf\xe9 :: {WORDS[item]} (1995)", "Adventure|Children's") for item in range(ITEMS))
    write(root, "ml-1m/movies.dat", lines(films, "::"), "latin-1")
    write(root, "ml-1m/users.dat", "1::F::1::10::02138\n")


def ml_10m(root: Path) -> None:
    rows = ((each.user + 1, each.item + 1, each.rating - 0.5, each.seconds) for each in EVENTS)
    write(root, "ratings.dat", lines(rows, "::"))
    films = ((item + 1, f"Caf\xe9 {item} (1995)", "Adventure|Children") for item in range(ITEMS))
    write(root, "movies.dat", lines(films, "::"))
    write(root, "tags.dat", "1::2::a::b::1215184630\n77::2::Funny::1215184630\n")


def ml_25m(root: Path) -> None:
    rows = ((each.user + 1, each.item + 1, float(each.rating), each.seconds) for each in EVENTS)
    write(root, "ratings.csv", "userId,movieId,rating,timestamp\n" + lines(rows))
    films = (
        (item + 1, f'"American President {item}, The (1995)"', "Comedy|Drama") for item in range(ITEMS - 1)
    )
    write(root, "movies.csv", "movieId,title,genres\n" + lines(films) + f"{ITEMS},Last,(no genres listed)\n")
    write(root, "links.csv", "movieId,imdbId,tmdbId\n2,0113497,8844\n3,0114709,\n")
    write(root, "tags.csv", "userId,movieId,tag,timestamp\n1,2,funny,1445714994\n")
    write(root, "genome-scores.csv", "movieId,tagId,relevance\n2,1,0.5\n")


def microlens(root: Path) -> None:
    rows = ((each.user + 1, each.item + 1, each.milliseconds) for each in EVENTS)
    write(root, "MicroLens-50k_pairs.csv", "user,item,timestamp\n" + lines(rows))
    write(root, "MicroLens-50k_pairs.tsv", "1\t7 9 3\n")
    titles = ((item + 1, f'"a, b {item}"') for item in range(ITEMS))
    write(root, "MicroLens-50k_titles.csv", "item,title\n" + lines(titles))
    write(
        root,
        "MicroLens-50k_likes_and_views.txt",
        lines(((item + 1, 10_000, 44_000) for item in range(ITEMS)), "\t"),
    )
    write(root, "MicroLens-50k_covers/3.jpg", b"x")


def microlens_100k(root: Path) -> None:
    rows = ((each.user + 1, each.item + 1, each.milliseconds) for each in EVENTS)
    write(root, "MicroLens-100k_pairs.csv", "user,item,timestamp\n" + lines(rows))
    write(root, "MicroLens-100k_title_en.csv", lines((item + 1, f"a, b {item}") for item in range(ITEMS)))
    write(root, "tags_to_summary.csv", "7,music\n7,dance\n")
    write(
        root,
        "MicroLens-100k_likes_and_views.txt",
        lines(((item + 1, 10_000, 44_000) for item in range(ITEMS)), "\t"),
    )
    (root / "extracted_modality_features").mkdir()
    features(root / "extracted_modality_features", "MicroLens-100k_image_features_CLIPRN50.npy")


def microlens_mmctr(root: Path) -> None:
    import polars as pl

    folder = root / "MicroLens_1M_x1"
    folder.mkdir()
    for part in ("train", "valid"):
        chosen = [each for each in EVENTS if (part_of(each) == "train") == (part == "train")]
        pl.DataFrame(
            {
                "user_id": [each.user + 1 for each in chosen],
                "item_seq": [[0, 0, (each.item + 1) % ITEMS + 1] for each in chosen],
                "item_id": [each.item + 1 for each in chosen],
                "likes_level": [3] * len(chosen),
                "views_level": [3] * len(chosen),
                "label": [int(each.rating > 1) for each in chosen],
            }
        ).write_parquet(folder / f"{part}.parquet")
    tags = [[1, 2, 0, 0, 0]] * (ITEMS + 1)
    pl.DataFrame({"item_id": range(ITEMS + 1), "item_tags": tags}).write_parquet(folder / "item_info.parquet")


def mind(root: Path) -> None:
    for part in ("train", "dev"):
        chosen = [each for each in EVENTS if (part_of(each) == "train") == (part == "train")]
        rows = (
            (
                number,
                f"U{each.user}",
                f"{each.moment.month}/{each.moment.day}/{each.moment.year} {each.moment:%I:%M:%S %p}".replace(
                    " 0", " "
                ),
                "" if each.user == 0 else f"N{each.user % ITEMS} N{ITEMS}",
                f"N{each.item}-1 N{(each.item + 1) % ITEMS}-0",
            )
            for number, each in enumerate(chosen, start=1)
        )
        write(root, f"MINDsmall_{part}/behaviors.tsv", lines(rows, "\t"))
        entity = '[{"Label": "A", "Type": "P", "WikidataId": "Q1", "Confidence": 1.0}]'
        news = (
            (
                f"N{item}",
                "sports",
                "nfl",
                f'He said "go {WORDS[item]}',
                "",
                "https://x",
                entity,
                "" if item else "[]",
            )
            for item in range(ITEMS // 2 if part == "train" else 0, ITEMS)
        )
        write(root, f"MINDsmall_{part}/news.tsv", lines(news, "\t"))
        write(root, f"MINDsmall_{part}/entity_embedding.vec", "Q1\t0.1\t0.2\n")


def hm(root: Path) -> None:
    def article(item: int) -> str:
        return f"0{100 + item:03d}000017"

    rows = ((each.day, f"00a{each.user}", article(each.item), 0.0201, 2) for each in EVENTS)
    write(
        root, "transactions_train.csv", "t_dat,customer_id,article_id,price,sales_channel_id\n" + lines(rows)
    )
    articles = (
        (article(item), article(item)[:7], f"Plain hat {item}", '"Wool, warm"', "Hat")
        for item in range(ITEMS)
    )
    write(
        root,
        "articles.csv",
        "article_id,product_code,prod_name,detail_desc,product_type_name\n" + lines(articles),
    )
    write(
        root,
        "customers.csv",
        "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code\n",
    )
    for item in range(0, ITEMS, 2):
        write(root, f"images/{article(item)[:3]}/{article(item)}.jpg", b"x")


def yelp(root: Path) -> None:
    reviews = (
        {
            "review_id": f"r{number}",
            "user_id": f"-u{each.user}",
            "business_id": f"_b{each.item}",
            "stars": float(each.rating),
            "useful": 0,
            "funny": 0,
            "cool": 0,
            "text": "x",
            "date": f"{each.moment:%Y-%m-%d %H:%M:%S}",
        }
        for number, each in enumerate(EVENTS)
    )
    write(root, "yelp_academic_dataset_review.json", json_lines(reviews))
    businesses = (
        {
            "business_id": f"_b{item}",
            "name": TITLES[item],
            "city": "c",
            "stars": 3.5,
            "categories": "Cafes, Food" if item else ["Cafes", "Food"],
        }
        for item in range(ITEMS)
    )
    write(root, "yelp_academic_dataset_business.json", json_lines(businesses))
    photos = [
        {"photo_id": f"p{name}", "business_id": "_b3", "caption": "", "label": name}
        for name in ("menu", "food")
    ]
    write(root, "photos.json", json_lines(photos))
    write(root, "photos/pfood.jpg", b"x")


def recbole(root: Path) -> None:
    rows = ((each.item, each.user, each.rating, f"{each.seconds:.1f}") for each in EVENTS)
    header = "artist_id:token\tuser_id:token\trating:float\ttimestamp:float\n"
    write(root, "tiny.inter", header + lines(rows, "\t"))
    items = ((item, f'Toy "Story {item}', "1995", "Fun Family") for item in range(ITEMS))
    header = "artist_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    write(root, "tiny.item", header + lines(items, "\t"))
    triples = [(f"m.{item}", "genre", f"g.{item % 3}") for item in range(ITEMS - 1)]
    write(root, "tiny.kg", "head_id:token\trelation_id:token\ttail_id:token\n" + lines(triples, "\t"))
    links = [(item, f"m.{item}") for item in range(ITEMS - 1)]
    write(root, "tiny.link", "artist_id:token\tentity_id:token\n" + lines(links, "\t"))


def mmrec(root: Path) -> None:
    number = {"train": 0, "valid": 1, "test": 2}
    rows = (
        (each.user, each.item, float(each.rating), each.seconds, number[part_of(each)]) for each in EVENTS
    )
    write(root, "baby.inter", "userID\titemID\trating\ttimestamp\tx_label\n" + lines(rows, "\t"))
    mapping = ((asin(item), item) for item in range(ITEMS))
    write(root, "i_id_mapping.csv", "asin\titemID\n" + lines(mapping, "\t"))
    features(root, "image_feat.npy")
    features(root, "text_feat.npy")


def mrlib(root: Path) -> None:
    rows = ((each.user, each.item, each.rating, 1) for each in EVENTS)
    write(root, "inter.csv", "user_id,item_id,rating,label\n" + lines(rows))
    features(root, "visual_feat.npy")
    features(root, "textual_feat.npy")


def _json_parts(root: Path, folder: str) -> None:
    for name, part in (("train", "train"), ("val", "valid"), ("test", "test")):
        lists: dict[str, list[int]] = lists_of(part)
        write(root, f"{folder}{name}.json", json.dumps(lists | {"99": []}))


def lattice(root: Path) -> None:
    _json_parts(root, "5-core/")
    features(root, "image_feat.npy")
    features(root, "text_feat.npy")
    write(root, "item_list.txt", lines(((asin(item), item) for item in range(ITEMS)), " "))


def mmssl(root: Path) -> None:
    _json_parts(root, "")
    write(root, "train_mat", b"\x80\x03cos\nsystem\n(X\x02\x00\x00\x00lstR.")
    features(root, "image_feat.npy", rows=ITEMS + 1)
    features(root, "text_feat.npy", rows=ITEMS + 1)


def diffmm(root: Path) -> None:
    for name, part in (("trnMat", "train"), ("valMat", "valid"), ("tstMat", "test")):
        chosen = of_part(part)
        places = [each.user for each in chosen], [each.item for each in chosen]
        matrix = scipy.sparse.coo_matrix((np.ones(len(chosen)), places), shape=(USERS, ITEMS))
        write(root, f"{name}.pkl", pickle.dumps(matrix, protocol=3))
    features(root, "image_feat.npy", dtype="float16")
    write(root, "README.md", "read me\n")


def lightgcn(root: Path) -> None:
    for name in ("train", "test"):
        own: dict[int, list[int]] = {}
        for event in EVENTS:
            if (part_of(event) == "test") == (name == "test"):
                own.setdefault(event.user, []).append(event.item)
        rows = ((user, *items) for user, items in own.items())
        write(root, f"{name}.txt", lines(rows, " ") + ("99 \n" if name == "train" else ""))
    write(
        root, "item_list.txt", "org_id remap_id\n" + lines(((f"k{item}", item) for item in range(ITEMS)), " ")
    )


def ncf(root: Path) -> None:
    for name in ("train", "test"):
        chosen = [each for each in EVENTS if (part_of(each) == "test") == (name == "test")]
        write(
            root, f"pinterest-20.{name}.rating", lines(((each.user, each.item, 1) for each in chosen), "\t")
        )
    write(root, "pinterest-20.test.negative", "(0,2)\t7\t8\n")


def cornac(root: Path) -> None:
    write(
        root,
        "rating.txt",
        lines(((f"A{each.user}", asin(each.item), f"{each.rating}.0") for each in EVENTS), "\t"),
    )
    write(root, "text.txt", lines(((asin(item), f"soft shoes {item}") for item in range(ITEMS)), "::"))
    write(root, "item_ids.txt", lines([asin(item)] for item in reversed(range(ITEMS))))
    write(root, "context.txt", "B1\tB2\n")
    features(root, "image_features.npy")


def triples(root: Path) -> None:
    write(
        root, "rating.txt", lines(((f"A{each.user}", asin(each.item), each.rating) for each in EVENTS), " ")
    )


def steam_au(root: Path) -> None:
    owned = []
    for user in range(USERS):
        games = [
            {
                "item_id": str(each.item),
                "item_name": f"Tom's Game {each.item}",
                "playtime_forever": each.rating - 1,
                "playtime_2weeks": 0,
            }
            for each in EVENTS
            if each.user == user
        ]
        owned.append(
            {
                "user_id": f"n{user}",
                "items_count": 1,
                "steam_id": f"76{user}",
                "user_url": "u",
                "items": games,
            }
        )
    write(root, "australian_users_items.json", literals([*owned, owned[0]]))
    review = {"funny": "", "posted": "Posted February 3.", "item_id": "1", "recommend": True, "review": "ok"}
    write(
        root,
        "australian_user_reviews.json",
        literals([{"user_id": "n1", "user_url": "u", "reviews": [review]}]),
    )


def steam_reviews(root: Path) -> None:
    rows = (
        f"{{u'username': u'n{each.user}', u'hours': 1.5, u'products': 3, u'product_id': u'{each.item}', "
        f"u'page_order': 0, u'date': u'{each.day}', u'text': u\"it's ok\", u'early_access': False, u'page': 1}}\n"
        for each in EVENTS
    )
    write(root, "steam_reviews.json", "".join(rows))
    games = (
        f"{{u'app_name': u'Game', u'title': u\"Tom's Game {item}\", u'genres': [u'Action', u'Indie'], "
        f"u'id': u'{item}', u'price': u'Free To Play', u'release_date': u'Oct 2016'}}\n"
        for item in range(ITEMS)
    )
    write(root, "steam_games.json", "".join(games) + "{u'app_name': u'without an id'}\n")


def steam_200k(root: Path) -> None:
    rows = [(each.user, f'"Game {each.item}, The"', "purchase", "1.0", 0) for each in EVENTS]
    rows += [(each.user, f'"Game {each.item}, The"', "play", f"{each.rating}.5", 0) for each in EVENTS[20:]]
    write(root, "steam-200k.csv", lines(rows))


def lastfm_2k(root: Path) -> None:
    rows = ((each.user + 2, each.item + 1, 40 * each.rating) for each in EVENTS)
    write(root, "user_artists.dat", "userID\tartistID\tweight\n" + lines(rows, "\t"))
    artists = ((item + 1, f'The "Q" Band {item}', "http://x", "http://y") for item in range(ITEMS))
    write(root, "artists.dat", "id\tname\turl\tpictureURL\n" + lines(artists, "\t"))
    write(root, "tags.dat", "tagID\ttagValue\n1\tmetal\n2\tn\xfc metal\n", "cp1252")
    write(
        root,
        "user_taggedartists.dat",
        "userID\tartistID\ttagID\tday\tmonth\tyear\n2\t5\t1\t1\t4\t2009\n2\t5\t2\t1\t4\t2009\n",
    )


def lastfm_360k(root: Path) -> None:
    rows = [
        (f"{each.user:040x}", f"mbid-{each.item}" if each.item % 4 else "", f'unknown "band" {each.item}', 31)
        for each in EVENTS
    ]
    write(root, "usersha1-artmbid-artname-plays.tsv", lines(rows, "\t"))
    write(root, "usersha1-profile.tsv", "00a\tm\t19\tMexico\tApr 28, 2008\n")


def lastfm_1k(root: Path) -> None:
    rows = [
        (
            f"user_{each.user:06d}",
            f"{each.moment:%Y-%m-%dT%H:%M:%SZ}",
            f"mbid-{each.item}",
            f"Band {each.item}",
            "",
            "Song",
        )
        for each in EVENTS
    ]
    write(root, "userid-timestamp-artid-artname-traid-traname.tsv", lines([*rows, rows[0]], "\t"))


def kuairec(root: Path) -> None:
    header = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
    big = [
        (
            each.user,
            each.item,
            9000,
            6000,
            f"{each.moment:%Y-%m-%d %H:%M:%S.500}",
            f"{each.moment:%Y%m%d}",
            f"{each.seconds}.5",
            each.rating - 1.5,
        )
        for each in EVENTS
        if part_of(each) == "train"
    ]
    write(root, "data/big_matrix.csv", header + lines([*big, big[0]]))
    small = (
        (each.user, each.item, 3000, 6000, "", "", "", each.rating - 1)
        for each in EVENTS
        if part_of(each) != "train"
    )
    write(root, "data/small_matrix.csv", header + lines(small))
    kinds = ((item, f'"[{item % 4}, 9]"') for item in range(ITEMS))
    write(root, "data/item_categories.csv", "video_id,feat\n" + lines(kinds))
    captions = (
        (item, f"cover {item}", f"caption {item}", "[fun,cats]", 1, "Pets", -1, "Cats", -124, "UNKNOWN")
        for item in range(ITEMS)
    )
    names = "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
    names += "second_level_category_id,second_level_category_name,third_level_category_id,third_level_category_name\n"
    write(root, "data/kuairec_caption_category.csv", names + lines(captions))


def kuairand(root: Path) -> None:
    header = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,tab\n"
    for name, part in (("standard_4_08_to_4_21", False), ("random_4_22_to_5_08", True)):
        rows = (
            (
                each.user,
                each.item,
                f"{each.moment:%Y%m%d}",
                400,
                each.milliseconds,
                int(each.rating > 1),
                0,
                1,
            )
            for each in EVENTS
            if (part_of(each) == "test") == part
        )
        write(root, f"data/log_{name}_pure.csv", header + lines(rows))
    videos = ((item, 4, "NORMAL", "2022-04-07", '"12,65"') for item in range(ITEMS))
    write(
        root,
        "data/video_features_basic_pure.csv",
        "video_id,author_id,video_type,upload_dt,tag\n" + lines(videos),
    )


def _movie_lines(item: int) -> str:
    own = ((each.user + 7, each.rating, each.day) for each in EVENTS if each.item == item)
    return f"{item + 1}:\n{lines(own)}"


def netflix(root: Path) -> None:
    write(root, "combined_data_1.txt", "".join(map(_movie_lines, range(10))))
    write(root, "combined_data_2.txt", "".join(map(_movie_lines, range(10, ITEMS))).rstrip("\n"))
    titles = ((item + 1, 2003 if item else "NULL", f"Strangers, At Caf\xe9 {item}") for item in range(ITEMS))
    write(root, "movie_titles.csv", lines(titles), "latin-1")
    write(root, "probe.txt", "1:\n30878\n")


def netflix_tar(root: Path) -> None:
    for item in range(ITEMS):
        write(root, f"training_set/mv_{item + 1:07d}.txt", _movie_lines(item))
    write(root, "movie_titles.txt", lines((item + 1, 2003, TITLES[item]) for item in range(ITEMS)))


def gowalla(root: Path) -> None:
    rows = [(each.user, f"{each.moment:%Y-%m-%dT%H:%M:%SZ}", 10.5, -20.5, 900 + each.item) for each in EVENTS]
    content = lines([*rows, rows[0]], "\t").encode()
    write(root, "loc-gowalla_totalCheckins.txt.gz", gzip.compress(content))
    write(root, "loc-gowalla_edges.txt", "0\t1\n")


def _offset_time(event: Event) -> str:
    return f"{event.moment:%a %b %d %H:%M:%S +0000 %Y}"


def foursquare(root: Path) -> None:
    rows = (
        (each.user, f"aa{each.item}", "cc01", "Caf\xe9 & Bar", 40.5, -74.5, -240, _offset_time(each))
        for each in EVENTS
    )
    write(root, "dataset_TSMC2014_NYC.txt", lines(rows, "\t"), "latin-1")


def foursquare_world(root: Path) -> None:
    rows = ((each.user, f"aa{each.item}", _offset_time(each), 240) for each in EVENTS)
    write(root, "dataset_TIST2015_Checkins.txt", lines(rows, "\t"))
    places = ((f"aa{item}", 40.5, -74.5, "Bar", "US") for item in range(ITEMS))
    write(root, "dataset_TIST2015_POIs.txt", lines(places, "\t"))


def goodreads(root: Path) -> None:
    rows = (
        {
            "user_id": f"8842{each.user}",
            "book_id": str(each.item),
            "review_id": "c6",
            "is_read": each.rating > 1,
            "rating": each.rating if each.rating > 2 else 0,
            "review_text_incomplete": "",
            "date_added": _offset_time(each).replace("+0000", "-0700"),
            "date_updated": "" if each.item == 0 else _offset_time(each).replace("+0000", "-0700"),
            "read_at": "",
            "started_at": "",
        }
        for each in EVENTS
    )
    write(root, "goodreads_interactions_poetry.json.gz", gzip.compress(json_lines(rows).encode()))
    write(root, "goodreads_books_poetry.json.gz", gzip.compress(json_lines(_books()).encode()))


def _books() -> Iterable[dict[str, Any]]:
    for item in range(ITEMS):
        author = {"author_id": "1", "role": ""}
        yield {
            "book_id": str(item),
            "title": TITLES[item],
            "description": "",
            "image_url": "u",
            "isbn": "",
            "authors": [author],
        }


def goodreads_csv(root: Path) -> None:
    rows = (
        (each.user, 100 + each.item, int(each.rating > 1), each.rating if each.rating > 2 else 0, 0)
        for each in EVENTS
    )
    write(root, "goodreads_interactions.csv", "user_id,book_id,is_read,rating,is_reviewed\n" + lines(rows))
    mapping = ((100 + item, item) for item in range(ITEMS))
    write(root, "book_id_map.csv", "book_id_csv,book_id\n" + lines(mapping))
    write(root, "goodreads_books_poetry.json", json_lines(_books()))


def pixelrec(root: Path) -> None:
    rows = ((f"i{each.item}", f"u{each.user}", each.seconds) for each in EVENTS)
    write(root, "interaction/Pixel200K.csv", "item_id,user_id,timestamp\n" + lines(rows))
    header = "item_id,view_number,comment_number,thumbup_number,share_number,coin_number,favorite_number,"
    items = ((f"i{item}", *[0] * 7, '"a, b\nc"', "t", "d") for item in range(ITEMS))
    write(root, "item_info/Pixel200K.csv", f"{header}barrage_number,title,tag,description\n" + lines(items))
    write(root, "covers/i3.jpg", b"x")


def pog(root: Path) -> None:
    rows = ((f"u{each.user}", f"i{each.item};i{(each.item + 1) % ITEMS}", "o1") for each in EVENTS)
    write(root, "user_data.txt", lines(rows))
    items = ((f"i{item}", "c1", "//x/1.jpg", f"red, wool coat {item}") for item in range(ITEMS))
    write(root, "item_data.txt", lines(items))
    write(root, "outfit_data.txt", "o1,i1;i2\n")


def book_crossing(root: Path) -> None:
    def isbn(item: int) -> str:
        return f"{item:09d}X"

    rows = "".join(
        f'"{each.user}";"{isbn(each.item)}";"{2 * each.rating if each.rating > 2 else 0}"\r\n'
        for each in EVENTS
    )
    write(root, "BX-Book-Ratings.csv", '"User-ID";"ISBN";"Book-Rating"\r\n' + rows)
    names = (
        "ISBN",
        "Book-Title",
        "Book-Author",
        "Year-Of-Publication",
        "Publisher",
        "Image-URL-S",
        "Image-URL-M",
        "Image-URL-L",
    )
    books = "".join(
        f'"{isbn(item)}";"Soft; \\"Tones\\" &amp; Joe\x92s {item}";"M. J. R.";"2002";"B";"u";"u";"u"\r\n'
        for item in range(ITEMS)
    )
    write(root, "BX-Books.csv", (";".join(f'"{name}"' for name in names) + "\r\n" + books), "latin-1")
    write(root, "BX-Users.csv", '"User-ID";"Location";"Age"\r\n"81";"here, there, us";NULL\r\n')


def douban(root: Path) -> None:
    rows = (
        (each.user, each.item, each.rating if each.rating > 1 else -1, f"{each.seconds}.0") for each in EVENTS
    )
    write(root, "movie/douban_movie.tsv", "UserId\tItemId\tRating\tTimestamp\n" + lines(rows, "\t"))
    write(root, "socialnet/socialnet.tsv", "Follower\tFollowee\tWeight\n1\t2\t1\n")


def douban_dmsc(root: Path) -> None:
    rows = (
        (
            number,
            f"Film {each.item}",
            "F",
            "2017-01-22",
            1,
            f"nick{each.user}",
            each.day,
            each.rating,
            '"a, b"',
            4,
        )
        for number, each in enumerate(EVENTS)
    )
    names = "ID,Movie_Name_EN,Movie_Name_CN,Crawl_Date,Number,Username,Date,Star,Comment,Like\n"
    write(root, "DMSC.csv", names + lines(rows))


FOLDERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "amazon-2014, ratings": ("amazon-2014", amazon_2014_ratings),
    "amazon-2014, reviews": ("amazon-2014", amazon_2014),
    "amazon-2018, ratings": ("amazon-2018", amazon_2018_ratings),
    "amazon-2018, reviews": ("amazon-2018", amazon_2018),
    "amazon-2023": ("amazon-2023", amazon_2023),
    "amazon-2023-benchmark": ("amazon-2023-benchmark", amazon_2023_benchmark),
    "ml-100k": ("ml-100k", ml_100k),
    "ml-1m": ("ml-1m", ml_1m),
    "ml-10m": ("ml-10m", ml_10m),
    "ml-csv": ("ml-csv", ml_25m),
    "microlens, 50k": ("microlens", microlens),
    "microlens, 100k": ("microlens", microlens_100k),
    "microlens-mmctr": ("microlens-mmctr", microlens_mmctr),
    "mind": ("mind", mind),
    "hm": ("hm", hm),
    "yelp": ("yelp", yelp),
    "recbole": ("recbole", recbole),
    "mmrec": ("mmrec", mmrec),
    "mrlib": ("mrlib", mrlib),
    "lattice": ("lattice", lattice),
    "mmssl": ("mmssl", mmssl),
    "diffmm": ("diffmm", diffmm),
    "lightgcn": ("lightgcn", lightgcn),
    "ncf": ("ncf", ncf),
    "cornac": ("cornac", cornac),
    "triples": ("triples", triples),
    "steam-au": ("steam-au", steam_au),
    "steam-reviews": ("steam-reviews", steam_reviews),
    "steam-200k": ("steam-200k", steam_200k),
    "lastfm-2k": ("lastfm-2k", lastfm_2k),
    "lastfm-360k": ("lastfm-360k", lastfm_360k),
    "lastfm-1k": ("lastfm-1k", lastfm_1k),
    "kuairec": ("kuairec", kuairec),
    "kuairand": ("kuairand", kuairand),
    "netflix, four files": ("netflix", netflix),
    "netflix, a file a film": ("netflix", netflix_tar),
    "pixelrec": ("pixelrec", pixelrec),
    "goodreads": ("goodreads", goodreads),
    "goodreads-csv": ("goodreads-csv", goodreads_csv),
    "book-crossing": ("book-crossing", book_crossing),
    "gowalla": ("gowalla", gowalla),
    "foursquare": ("foursquare", foursquare),
    "foursquare-world": ("foursquare-world", foursquare_world),
    "pog": ("pog", pog),
    "douban": ("douban", douban),
    "douban-dmsc": ("douban-dmsc", douban_dmsc),
}
"""What the folder is called -> (its layout, what writes it)."""


def make(root: Path, name: str) -> Path:
    """The folder of that name, below `root`; written once."""
    folder = root / "".join(mark if mark.isalnum() else "_" for mark in name)
    if not folder.is_dir():
        folder.mkdir(parents=True)
        FOLDERS[name][1](folder)
    return folder
