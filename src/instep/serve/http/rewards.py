"""How an act became its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from instep.guard import check_id
from instep.reward import Account
from instep.serve.http.problems import Refusal
from instep.serve.http.routes import Request, Route

if TYPE_CHECKING:
    from instep.serve.http.service import Service


class AccountAnswer(msgspec.Struct):
    """What was made of an act."""

    account: Account
    steps: Annotated[list[str], Meta(description="the account in sentences")]


async def get_reward(service: Service, request: Request) -> AccountAnswer:
    """How one of the newest acts became its number, and which slate was credited with it.

    The service knows the newest 4,096 acts since its start; `instep rewards explain` knows all.
    """
    event_id = check_id(request.names[0], "event_id")
    account = service.flow.account(event_id)
    if account is None:
        raise Refusal(
            404,
            "there is no such act among the newest; `instep rewards explain FOLDER EVENT_ID` reads the whole log",
        )
    return AccountAnswer(account, account.steps())


ROUTES: Final = (
    Route("GET", "/v1/events/{event_id}/reward", get_reward, "read", AccountAnswer, problems=(404,)),
)
