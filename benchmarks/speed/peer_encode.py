"""The peer that encodes: `SentenceTransformer.encode`, float32, with its default batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sentence_transformers import SentenceTransformer

from speed.jobs import Done, Job
from speed.watch import Positions, Watch


def work(job: Job, watch: Watch) -> Done:
    """Encode the texts of the job and save the embeddings."""
    texts = list(pd.read_parquet(job.train)["text"])
    encoder = SentenceTransformer(job.base, device="cpu", local_files_only=True)
    table = encoder[0].auto_model.get_input_embeddings()
    positions = Positions(table, encoder.tokenizer.pad_token_id)
    with watch:
        vectors = encoder.encode(texts, show_progress_bar=False)
    positions.stop()
    if job.vectors:
        np.save(job.vectors, vectors)
    return Done(None, positions.calls, positions.tokens, positions.padding)
