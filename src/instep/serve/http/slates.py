"""Recommendations, similar items, trends and search."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from instep.domain import Context, InvalidRequest, SlateItem
from instep.guard import check_id
from instep.serve.http.messages import (
    AssignmentAnswer,
    Categories,
    CountQuery,
    ReasonAnswer,
    RecommendationQuery,
    SearchQuery,
    SlateAnswer,
    SlateEntry,
    SlateItems,
    TrendingQuery,
)
from instep.serve.http.problems import Refusal
from instep.serve.http.records import new_id, who
from instep.serve.http.routes import Request, Route

if TYPE_CHECKING:
    from instep.serve.http.service import Service


async def recommend(service: Service, request: Request) -> SlateAnswer:
    """Choose a slate for a user or a visitor.

    Give its `slate_id` and the item's position back with the events it leads to. Whatever was acknowledged
    before is reflected. The slate is shorter than `n` when fewer items qualify.
    """
    query: RecommendationQuery = request.body
    began = perf_counter()
    context = Context(
        who(query.user_id, query.session),
        query.n,
        time(),
        new_id(),
        query.categories,
        query.exclude,
        query.filter,
        query.surface,
        query.repeat,
        query.explain,
        query.context,
    )
    if service.flow.is_quick:  # shorter than a change of threads is worth
        slate = service.flow.recommend(context)
    else:
        slate = await asyncio.to_thread(service.flow.recommend, context)
    service.metrics.count_slate(perf_counter() - began, slate.degraded)
    return SlateAnswer(
        slate.slate_id,
        _entries(slate.items),
        slate.policy,
        slate.as_of,
        slate.degraded,
        [AssignmentAnswer(each.experiment, each.arm) for each in slate.experiments],
    )


async def similar(service: Service, request: Request) -> SlateItems:
    """Items like this one."""
    query: CountQuery = request.query
    return SlateItems(_entries(await asyncio.to_thread(service.flow.similar, request.names[0], query.n)))


async def trending(service: Service, request: Request) -> SlateItems:
    """What is popular now, everywhere or in one category."""
    query: TrendingQuery = request.query
    category = None if query.category is None else check_id(query.category, "category")
    return SlateItems(_entries(await asyncio.to_thread(service.flow.trending, query.n, category, time())))


async def search(service: Service, request: Request) -> SlateItems:
    """Items whose text means what the words mean, by the language model, or has these very words.

    503 while the model is being loaded; 404 when none is configured.
    """
    query: SearchQuery = request.query
    if not query.q.strip():
        raise InvalidRequest("must have a word in it", "q")
    if service.flow.encoder is None:
        raise Refusal(404, "there is no search by text: no encoder is configured")
    if not service.flow.model.state.n_items:
        return SlateItems([])
    return SlateItems(_entries(await asyncio.to_thread(service.flow.search, query.q, query.n)))


async def categories(service: Service, request: Request) -> Categories:
    """All categories, the most popular first."""
    return Categories(await asyncio.to_thread(service.flow.categories))


def _entries(items: Iterable[SlateItem]) -> list[SlateEntry]:
    return [
        SlateEntry(
            item.item_id,
            item.score,
            item.propensity,
            item.sources,
            [ReasonAnswer(reason.signal, reason.contribution, reason.because) for reason in item.reasons]
            if item.reasons
            else _NO_REASONS,
        )
        for item in items
    ]


_NO_REASONS: Final[list[ReasonAnswer]] = []


ROUTES: Final = (
    Route("POST", "/v1/recommendations", recommend, "read", SlateAnswer, body=(RecommendationQuery,)),
    Route(
        "GET", "/v1/items/{item_id}/similar", similar, "read", SlateItems, query=CountQuery, problems=(404,)
    ),
    Route("GET", "/v1/trending", trending, "read", SlateItems, query=TrendingQuery),
    Route("GET", "/v1/search", search, "read", SlateItems, query=SearchQuery, problems=(404,)),
    Route("GET", "/v1/categories", categories, "read", Categories),
)
