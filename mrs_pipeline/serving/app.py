"""The service over HTTP: FastAPI around `answers`, `newcomers` and `explaining`, with a page, metrics and bounds.

Every answer is made of one `Served`, the one that is in place when the request arrives.
"""

import base64
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Final

from fastapi import FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.exceptions import HTTPException

from mrs_pipeline.encoders.options import TextOptions
from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import takes_new_items
from mrs_pipeline.reporting.thumbnails import bytes_thumbnail, item_thumbnail
from mrs_pipeline.serving.answers import Answer, recommend, similar, ways_to_compare
from mrs_pipeline.serving.explaining import explanation, sentence
from mrs_pipeline.serving.guarding import AsgiProgram, Guard, Message, Receive, Send
from mrs_pipeline.serving.messages import (
    MAX_K,
    ExplanationAnswer,
    ExplanationRequest,
    FilterRequest,
    Health,
    Id,
    ListAnswer,
    ListRequest,
    NewItemAnswer,
    PlaceAnswer,
    Problem,
    ReasonAnswer,
)
from mrs_pipeline.serving.newcomers import NewItem, TakenError, new_item
from mrs_pipeline.serving.shelf import Filter, NotThereError
from mrs_pipeline.serving.swapping import Holder, Served

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "The request cannot be read."},
    401: {"model": Problem, "description": "The token is lacking or wrong."},
    403: {"model": Problem, "description": "The request comes from another page."},
    404: {"model": Problem, "description": "What is asked for is not there."},
    409: {"model": Problem, "description": "The id is taken."},
    413: {"model": Problem, "description": "The request is too large."},
    422: {"model": Problem, "description": "The request does not fit; the sentence says why."},
}
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_NEAREST: Final = 5
_PAGE: Final = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
_SAFE: Final = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
ItemId = Annotated[str, InPath(min_length=1, max_length=200)]
K = Annotated[int, Query(ge=1, le=MAX_K, description="Most places.")]
Picture = Annotated[
    UploadFile | None, File(description="A file, within the bounds of the dataset's encoder.")
]


class _Meters:
    """What is counted, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("mrs_requests", "Requests.", ["route", "status"], registry=self.registry)
        self.seconds = Histogram(
            "mrs_request_seconds",
            "Seconds of a request.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.swaps = Counter("mrs_swaps", "Models put in the place of another.", registry=self.registry)
        self.lists = Counter("mrs_lists", "Lists by what ranked them.", ["ranked_by"], registry=self.registry)
        self.new_items = Gauge("mrs_new_items", "Items added while serving.", registry=self.registry)
        self.model = Gauge(
            "mrs_model_info",
            "What is served.",
            ["dataset", "window", "model", "version"],
            registry=self.registry,
        )

    def show(self, served: Served) -> None:
        """The model that is served now."""
        bundle = served.bundle
        self.model.clear()
        self.model.labels(
            bundle.stage.config.name, bundle.stage.window, bundle.name, bundle.version[:16]
        ).set(1)


class _Measured:
    """An ASGI program that counts the requests of another, and sends headers that keep its page to itself."""

    def __init__(self, app: AsgiProgram, meters: _Meters) -> None:
        self._program, self._meters = app, meters

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand on, and count."""
        if scope["type"] != "http":
            await self._program(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_SAFE]
            await send(message)

        try:
            await self._program(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._meters.requests.labels(route, str(status)).inc()
            self._meters.seconds.labels(route).observe(time.perf_counter() - started)


def make_app(
    holder: Holder, *, token: str | None = None, local: bool = True, max_upload_mb: float = 32.0
) -> AsgiProgram:
    """The service as an ASGI program.

    Args:
        holder: of what is served.
        token: that every request must bring; None for none, which is for localhost alone.
        local: whether only requests to names of this machine are answered.
        max_upload_mb: of a request.
    """
    app, _ = make_api(holder)
    return Guard(app, max_bytes=int(max_upload_mb * 1e6), token=token, local=local)


def make_api(holder: Holder) -> tuple[FastAPI, _Meters]:
    """The service without what stands before it, and its counters."""
    app = FastAPI(
        title="mrs serve",
        description="Recommendations of a final model, similar items, new items and explanations.",
        version="1",
        docs_url=None,  # its page fetches scripts from elsewhere; /openapi.json is the schema
        redoc_url=None,
        responses=_PROBLEMS,
    )
    meters = _Meters()
    meters.show(holder.served)

    def swapped(served: Served) -> None:
        meters.swaps.inc()
        meters.show(served)

    holder.on_swap(swapped)
    _add_handlers(app)
    _add_lists(app, holder, meters)
    _add_items(app, holder, meters)
    _add_state(app, holder, meters)
    _add_page(app)

    app.add_middleware(_Measured, meters=meters)
    return app, meters


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(InputError)
    async def refused(_: Request, error: InputError) -> JSONResponse:
        status = 404 if isinstance(error, NotThereError) else 409 if isinstance(error, TakenError) else 422
        return JSONResponse({"detail": str(error)}, status)

    @app.exception_handler(RequestValidationError)
    async def unfit(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"detail": f"{place}: {first['msg']}" if place else first["msg"]}, 422)

    @app.exception_handler(HTTPException)
    async def told(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)


def _add_lists(app: FastAPI, holder: Holder, meters: _Meters) -> None:
    # lists are made where requests arrive: handing work of a millisecond to another thread costs as much again

    @app.post("/v1/recommendations", tags=["lists"], response_model=ListAnswer)
    async def recommendations(asked: ListRequest) -> Response:
        """The best items for a user, or for a history of anybody, without what they have."""
        served = holder.served
        found = recommend(
            served.bundle,
            asked.k,
            user=asked.user,
            history=asked.history,
            chosen=_filter(asked),
            newcomers=served.newcomers,
        )
        meters.lists.labels(found.ranked_by).inc()
        return _list(served, found)

    @app.get("/v1/users/{user_id}/recommendations", tags=["lists"], response_model=ListAnswer)
    async def of_user(user_id: ItemId, k: K = 10) -> Response:
        """The same for a user, without filters."""
        return await recommendations(ListRequest(user=user_id, k=k))

    @app.post("/v1/explanations", tags=["lists"])
    def explanations(asked: ExplanationRequest) -> ExplanationAnswer:
        """Why an item is shown to a user, or to somebody with a history."""
        bundle = holder.served.bundle
        found = explanation(bundle, asked.item, user=asked.user, history=asked.history)
        return ExplanationAnswer(
            item_id=found.item_id,
            title=found.title,
            picture=_picture_of(holder.served, found.item_id),
            score=found.score,
            sentence=sentence(found),
            exact=found.exact,
            named=found.named,
            paths=dict(found.paths),
            excess=dict(found.excess),
            reasons=[
                ReasonAnswer(
                    item_id=each.item_id,
                    title=each.title,
                    picture=_picture_of(holder.served, each.item_id),
                    share=each.share,
                    alike=dict(each.alike),
                )
                for each in found.reasons
            ],
            nearest={name: list(ids) for name, ids in found.nearest.items()},
            known=list(found.known),
        )


def _add_items(app: FastAPI, holder: Holder, meters: _Meters) -> None:
    @app.get("/v1/items/{item_id}/similar", tags=["items"], response_model=ListAnswer)
    async def similar_items(
        item_id: ItemId,
        by: Annotated[
            str, Query(max_length=40, description="A modality, joint or model; see /health.")
        ] = "joint",
        k: K = 10,
    ) -> Response:
        """Items like one: by a modality, by all of them, or by the model's vectors."""
        served = holder.served
        return _list(served, similar(served.bundle, item_id, k, by))

    @app.post("/v1/items", tags=["items"], status_code=201)
    def add_item(  # noqa: PLR0917 - the fields of a form
        item_id: Annotated[Id, Form()],
        title: Annotated[str, Form(max_length=1000)] = "",
        description: Annotated[str, Form(max_length=20_000)] = "",
        image: Picture = None,
        audio: Picture = None,
        video: Picture = None,
    ) -> NewItemAnswer:
        """An item that training has not seen; it is in lists from the next request on, until the service ends."""
        started = time.perf_counter()
        sent = {"image": image, "audio": audio, "video": video}
        media = {name: each.file.read() for name, each in sent.items() if each is not None and each.size}
        texts = {"title": title, "description": description}

        def make(served: Served) -> NewItem:
            content = served.encoders.encode(texts, media)
            return new_item(served.bundle, item_id, content, title or None, media.get("image"))

        item = holder.add(make)
        served = holder.served
        meters.new_items.set(len(served.newcomers.items))
        return NewItemAnswer(
            item_id=item_id,
            modalities=sorted(item.content),
            seconds=time.perf_counter() - started,
            nearest={name: _nearest(served, name, item) for name in item.content},
        )

    @app.get(
        "/v1/items/{item_id}/picture",
        tags=["items"],
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}, "description": "The picture as a JPEG."}},
    )
    def picture(item_id: ItemId, size: Annotated[int, Query(ge=32, le=512)] = 160) -> Response:
        """An item's picture."""
        served = holder.served
        new = served.newcomers.items.get(item_id)
        if new is not None:
            shown = bytes_thumbnail(new.picture, size) if new.picture else None
        else:
            shown = _thumbnail(served, served.bundle.shelf.number(item_id), size)
        if shown is None:
            raise NotThereError(f"item '{item_id}' has no picture")
        data = base64.b64decode(shown.partition(",")[2])
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=300"})


def _add_state(app: FastAPI, holder: Holder, meters: _Meters) -> None:
    @app.get("/health", tags=["state"])
    def health() -> Health:
        """What is served, since when, and whether something newer cannot be loaded."""
        served = holder.served
        bundle = served.bundle
        config = bundle.stage.config
        first = [config.feature(sets[0]) for sets in config.model_features.values()]
        approximate = bundle.index is not None and bundle.index.graph is not None
        return Health(
            status="ok" if holder.trouble is None else "stale",
            dataset=config.name,
            window=bundle.stage.window,
            model=bundle.name,
            version=bundle.version,
            users=len(bundle.users),
            items=len(bundle.shelf),
            new_items=len(served.newcomers.items),
            search="hnsw" if approximate else "exact",
            histories=bundle.fold is not None,
            takes_new_items=takes_new_items(bundle.model) is None,
            similar_by=ways_to_compare(bundle),
            attributes=bundle.shelf.attributes,
            texts=sorted(
                {column for each in first if isinstance(each, TextOptions) for column in each.columns}
            ),
            media=sorted(str(each.modality) for each in first if not isinstance(each, TextOptions)),
            swaps=holder.swaps,
            serving_since=served.since,
            trouble=holder.trouble,
        )

    @app.get("/v1/users", tags=["state"])
    def users(
        like: Annotated[str, Query(max_length=200, description="How their ids begin.")] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> list[str]:
        """Ids of users that are known."""
        found = []
        for name in holder.served.bundle.users:
            if name.startswith(like):
                found.append(name)
                if len(found) == limit:
                    break
        return found

    @app.get("/v1/users/{user_id}/history", tags=["state"])
    def history(user_id: ItemId, k: K = 20) -> list[PlaceAnswer]:
        """What a user took, latest first; nothing of one that nobody knows."""
        served = holder.served
        number = served.bundle.users.get(user_id)
        taken = [] if number is None else served.bundle.history_of(number)[::-1][:k].tolist()
        shelf = served.bundle.shelf
        return [
            PlaceAnswer(
                rank=rank,
                item_id=shelf.ids[item],
                title=shelf.titles[item],
                score=0.0,
                picture=_picture_of(served, shelf.ids[item]),
                new=False,
            )
            for rank, item in enumerate(taken, 1)
        ]

    @app.get(
        "/metrics",
        tags=["state"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Counters for Prometheus."}},
    )
    def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI) -> None:
    def shown(name: str, kind: str) -> Callable[[], Response]:
        text = (files("mrs_pipeline.serving") / name).read_text(encoding="utf-8")
        return lambda: Response(text, media_type=kind)

    for path, (name, kind) in _PAGE.items():
        app.add_api_route(path, shown(name, kind), include_in_schema=False)


def _filter(asked: FilterRequest) -> Filter:
    return Filter(asked.exclude, asked.available, asked.where)


def _list(served: Served, found: Answer) -> Response:
    answer = ListAnswer(
        model=found.model,
        version=found.version[:16],
        window=served.bundle.stage.window,
        ranked_by=found.ranked_by,
        notice=found.notice,
        places=[
            PlaceAnswer(
                rank=each.rank,
                item_id=each.item_id,
                title=each.title,
                score=each.score,
                picture=_picture_of(served, each.item_id),
                new=each.new,
            )
            for each in found.places
        ],
    )
    return Response(answer.model_dump_json(), media_type="application/json")  # it is checked already


def _picture_of(served: Served, item_id: str) -> str | None:
    """Where an item's picture is asked for; None where it has none."""
    from urllib.parse import quote

    new = served.newcomers.items.get(item_id)
    if new is not None:
        has = new.picture is not None
    else:
        has = served.bundle.shelf.has_picture[served.bundle.shelf.places[item_id]]
    return f"/v1/items/{quote(item_id, safe='')}/picture" if has else None


def _nearest(served: Served, modality: str, item: NewItem) -> list[PlaceAnswer]:
    """The catalogue's items most like a new one."""
    import numpy as np

    matrix, row = served.bundle.content[modality], item.content[modality]
    likeness = np.where(
        matrix.present, matrix.values @ (row / max(float(np.linalg.norm(row)), 1e-30)), -np.inf
    )
    shelf = served.bundle.shelf
    return [
        PlaceAnswer(
            rank=rank,
            item_id=shelf.ids[place],
            title=shelf.titles[place],
            score=float(likeness[place]),
            picture=_picture_of(served, shelf.ids[place]),
            new=False,
        )
        for rank, place in enumerate(np.argsort(-likeness, kind="stable")[:_NEAREST].tolist(), 1)
        if np.isfinite(likeness[place])
    ]


@lru_cache(maxsize=4096)
def _cached_thumbnail(root: Any, path: str, size: int) -> str | None:
    return item_thumbnail(root, path, size)


def _thumbnail(served: Served, item: int, size: int) -> str | None:
    path = served.bundle.shelf.picture(item)
    return None if path is None else _cached_thumbnail(served.bundle.shelf.root, path, size)
