"""A folder's flow: what its arms may name, and what an erasure must reach beside the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from instep.domain import ConfigError
from instep.encode import Encoder
from instep.flow import Certificate, Flow, Settings
from instep.log import Log
from instep.policy import Parameters, Reinforce
from instep.policy.reinforce import TABLE
from instep.serve.settings import in_folder
from instep.state.tables import F32

if TYPE_CHECKING:
    from instep.serve.app import App


class FolderFlow(Flow):
    """A flow whose erasure reaches the folder's snapshots, whoever asks for it.

    Args:
        app: whose folder it is.
        log: as for `Flow`.
        settings: as for `Flow`.
        encoder: as for `Flow`.
    """

    def __init__(self, app: App, log: Log, settings: Settings, encoder: Encoder | None) -> None:
        super().__init__(log, settings, encoder)
        self._app = app
        self.variants.completed = self._completed

    def _completed(self, policy: str | None, parameters: Parameters) -> Parameters:
        """An arm's parameters: a taught policy's table is a file of the folder, and no other file."""
        table = str(parameters.get("table", TABLE))
        if policy == Reinforce.name and Path(table).name != table:
            raise ConfigError(f"policy 'reinforce': table: must be a file in the folder, not {table!r}")
        return in_folder(policy, parameters, self._app.config)

    def encode_query(self, text: str, live: str) -> F32:
        """A query's vector, by the language model whose vectors are live."""
        return self._app.encode_query(text, live)

    def erase(self, user_id: str) -> Certificate:
        """Remove a user. The snapshots go first: a kill in between must not leave one that knows the user."""
        with self._app.snapshots.stopped():
            self._app.folder.drop_snapshots()
            certificate = super().erase(user_id)
        self._app.models.forget_counts()
        return certificate
