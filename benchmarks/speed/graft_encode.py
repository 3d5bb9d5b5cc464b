"""Graft that encodes: `graft.evaluate.encoding.encode`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graft.config.sections import BaseSection
from graft.evaluate.encoding import encode
from graft.models.encoder import load_encoder
from graft.models.locate import locate_base
from speed.jobs import Done, Job
from speed.watch import Positions, Watch


def work(job: Job, watch: Watch) -> Done:
    """Encode the texts of the job and save the embeddings."""
    texts = list(pd.read_parquet(job.train)["text"])
    encoder = load_encoder(locate_base(job.base), BaseSection(model=job.base)).model
    table = encoder[0].auto_model.get_input_embeddings()
    positions = Positions(table, encoder.tokenizer.pad_token_id)
    with watch:
        vectors = encode(encoder, texts, precision=job.precision)
    positions.stop()
    if job.vectors:
        np.save(job.vectors, vectors)
    return Done(None, positions.calls, positions.tokens, positions.padding)
