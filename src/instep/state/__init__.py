"""What learners wrote and requests read: columnar tables, snapshots, the state hash."""

from instep.state.attention import Attention, Rehearsal
from instep.state.compiled import drop_older_loops
from instep.state.heap import return_large_arrays
from instep.state.held import Held, Tables, hold
from instep.state.ragged import (
    Ragged,
    append_cell,
    cell_of,
    empty_ragged,
    extended,
    grow_row,
    with_cells,
    with_rows,
)
from instep.state.slates import PLACES, Examination, Slates
from instep.state.state import State
from instep.state.tables import (
    CATEGORY_SLOTS,
    DAY,
    DECAY_NAMES,
    DECAYS,
    EVENT_HALF_LIVES,
    HEAD_SLOTS,
    MONTH,
    SECOND_HALF_LIVES,
    STAGE_STARTS,
    STAGES,
    TEXT_WIDTH,
    VECTOR_WIDTH,
    WEEK,
    Clock,
    Head,
    Items,
    Space,
    TextSpace,
    Trending,
    Users,
    Weights,
    new_space,
    new_text_space,
)
from instep.state.terms import Terms

drop_older_loops()
return_large_arrays()

__all__ = [
    "CATEGORY_SLOTS",
    "DAY",
    "DECAYS",
    "DECAY_NAMES",
    "EVENT_HALF_LIVES",
    "HEAD_SLOTS",
    "MONTH",
    "PLACES",
    "SECOND_HALF_LIVES",
    "STAGES",
    "STAGE_STARTS",
    "TEXT_WIDTH",
    "VECTOR_WIDTH",
    "WEEK",
    "Attention",
    "Clock",
    "Examination",
    "Head",
    "Held",
    "Items",
    "Ragged",
    "Rehearsal",
    "Slates",
    "Space",
    "State",
    "Tables",
    "Terms",
    "TextSpace",
    "Trending",
    "Users",
    "Weights",
    "append_cell",
    "cell_of",
    "empty_ragged",
    "extended",
    "grow_row",
    "hold",
    "new_space",
    "new_text_space",
    "with_cells",
    "with_rows",
]
