"""What runs inside one actor of a cluster: a crew of one, with the limits per picture that every crew keeps."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pyarrow as pa

from beholder.batch.rows import rows_table
from beholder.batch.worker import Job
from beholder.batch.workers import Crew
from beholder.errors import UserError
from beholder.scoring.card import Card


class Hand:
    """Scores whole shards on the machine where Ray puts it. The picture is opened in a process below this one, so that
    a decoder that hangs or crashes costs a row here as anywhere, and not the actor.
    """

    def __init__(self, job: Job, card: Card, folder: str, batch_size: int, timeout_s: float) -> None:
        self._card = card
        self._job = job
        self._folder = folder
        self._crew = Crew(job, workers=1, batch_size=batch_size, timeout_s=timeout_s)

    def ready(self) -> str:
        """Check that this machine has the run's model, and say who this is.

        Raises `UserError` where the model is missing or is another one here. Not done in `__init__`, whose errors reach
        the driver as text only.
        """
        if Path(self._folder).is_dir():  # relative paths mean the same here as where the run was started
            os.chdir(self._folder)
        here = f"process {os.getpid()} on {socket.gethostname()}"
        try:
            found = self._job.checkpoint.card()
        except UserError as error:
            raise UserError(f"{here} can't load the model: {error}") from error
        if found != self._card:
            raise UserError(
                f"{here} has another {self._card.name}: its weights are {found.weights_sha256[:12]}, the run's are "
                f"{self._card.weights_sha256[:12]}. Put the same model on all machines"
            )
        return here

    def score(self, paths: list[str]) -> tuple[str, pa.Table]:
        """Device, and the rows of `paths` in order (`batch.rows.SCHEMA`)."""
        scores = dict(self._crew.scores(enumerate(paths), len(paths)))
        return self._crew.device, rows_table([scores[i] for i in range(len(paths))], self._card)
