"""Encoders of time series, and a classifier on top of one.

`save_pretrained` copies this file into the folder of the model, so it imports torch and
transformers alone, and `AutoModel.from_pretrained(folder, trust_remote_code=True)` loads the
folder wherever these two are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

# Standard deviations of a head's weights: logits near zero at first prefer no class.
_HEAD_SPREAD = 0.02


class SeriesConfig(PretrainedConfig):  # type: ignore[misc]
    """Shape of an encoder of series, and of the classifier on top of it.

    Args:
        kind: `lstm`, `gru`, `tcn` or `transformer`.
        channels: Channels of a series.
        width: Numbers of a state; even where a layer reads both ways.
        layers: Number of layers.
        heads: Attention heads of a transformer.
        patch: Time steps that one state stands for.
        kernel: States that a convolution reads, odd; layer k takes every 2^k-th.
        dropout: Probability of zero, between layers and before the head.
        bidirectional: True if `lstm` and `gru` read both ways, half the width each.
        normalisation: `channel` and `robust`: values that were fitted, one pair for each channel;
            `series`: mean and standard deviation of each series; `none`.
        channel_names: Name of each channel.
        pooling: From states to the embedding of a series: `mean`, `last` or `attention`.
        class_rows: Training rows of each class of a classifier.
    """

    model_type = "graft_series"
    attribute_map = {  # noqa: RUF012 - as in transformers
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
    }

    kind: str = "transformer"
    channels: int = 1
    width: int = 64
    layers: int = 2
    heads: int = 4
    patch: int = 1
    kernel: int = 3
    dropout: float = 0.1
    bidirectional: bool = True
    normalisation: str = "channel"
    channel_names: list[str] | tuple[str, ...] = ()
    pooling: str = "mean"
    class_rows: list[int] | tuple[int, ...] = ()


class Scaler(nn.Module):
    """Values around 0 with a spread of about 1, and 0 where there is none.

    Args:
        config: Its `normalisation` and `channels`.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.per_series = config.normalisation == "series"
        self.register_buffer("center", torch.zeros(config.channels))
        self.register_buffer("scale", torch.ones(config.channels))

    def forward(self, values: Tensor, observed: Tensor) -> Tensor:
        """Return the normalised values.

        Args:
            values: `[rows, time, channels]`.
            observed: Same shape, True where a value counts.
        """
        center, scale = self.level(values, observed)
        known = torch.where(observed, values, 0)
        return torch.where(observed, (known - center) / scale, 0)

    def level(self, values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return center and scale of the values, infinite for what is flat and scaled by itself.

        Args:
            values: `[rows, time, channels]`.
            observed: Same shape, True where a value counts.

        Returns:
            Each `[channels]`, or `[rows, 1, channels]` if each series is normalised by itself.
        """
        if not self.per_series:
            return self.center, self.scale
        known = torch.where(observed, values, 0)
        count = observed.sum(dim=1, keepdim=True).clamp(min=1)
        center = known.sum(dim=1, keepdim=True) / count
        away = torch.where(observed, known - center, 0)
        scale = (away.square().sum(dim=1, keepdim=True) / count).sqrt()
        # A flat channel is all zeros, not the rounding of its mean, magnified.
        return center, torch.where(scale > 1e-6 * center.abs(), scale, torch.inf)


class RecurrentLayer(nn.Module):
    """LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014) over the real states alone.

    Args:
        config: Its `kind`, `width`, `dropout` and `bidirectional`.
        index: Place among the layers.
    """

    def __init__(self, config: SeriesConfig, index: int) -> None:
        super().__init__()
        cell = nn.LSTM if config.kind == "lstm" else nn.GRU
        own = config.width // 2 if config.bidirectional else config.width
        self.cell = cell(config.width, own, batch_first=True, bidirectional=config.bidirectional)
        self.dropout = nn.Dropout(config.dropout if index else 0.0)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the new states `[rows, steps, width]`; padding is not read."""
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(
            self.dropout(states), lengths, batch_first=True, enforce_sorted=False
        )
        found, _ = self.cell(packed)
        padded: Tensor = pad_packed_sequence(found, batch_first=True, total_length=mask.shape[1])[0]
        return padded


class ConvolutionLayer(nn.Module):
    """Two dilated convolutions with a way past them (Bai et al. 2018), reading both ways.

    Padding is zero before each convolution, as is what lies before the first state.

    Args:
        config: Its `width`, `kernel` and `dropout`.
        index: Place among the layers; the dilation is 2 to that power.
    """

    def __init__(self, config: SeriesConfig, index: int) -> None:
        super().__init__()
        width, shape = config.width, {"padding": "same", "dilation": 2**index}
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.first = nn.Conv1d(width, width, config.kernel, **shape)
        self.second = nn.Conv1d(width, width, config.kernel, **shape)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the new states `[rows, steps, width]`."""
        inner = states
        for norm, convolution in (
            (self.first_norm, self.first),
            (self.second_norm, self.second),
        ):
            inner = (gelu(norm(inner)) * mask[..., None]).transpose(1, 2)
            inner = self.dropout(convolution(inner).transpose(1, 2))
        return states + inner


class AttentionLayer(nn.Module):
    """A block of a Transformer (Vaswani et al. 2017), normalised first; padding is not attended.

    Args:
        config: Its `width`, `heads` and `dropout`.
        index: Place among the layers.
    """

    def __init__(self, config: SeriesConfig, index: int) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.value = nn.Linear(width, width), nn.Linear(width, width)
        # Attention does not change with a bias of the keys, so it would never be trained.
        self.key = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the new states `[rows, steps, width]`."""
        normed = self.attention_norm(states)
        query, key, value = (
            part(normed).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        states = states + self.dropout(self.output(found.transpose(1, 2).flatten(2)))
        inner = self.feedforward(self.feedforward_norm(states))
        out: Tensor = states + self.dropout(inner)
        return out


_LAYERS = {
    "lstm": RecurrentLayer,
    "gru": RecurrentLayer,
    "tcn": ConvolutionLayer,
    "transformer": AttentionLayer,
}


class SeriesModel(PreTrainedModel):  # type: ignore[misc]
    """What encoder and classifier share: their config and how weights begin."""

    config_class = SeriesConfig
    base_model_prefix = "encoder"
    main_input_name = "values"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Scaler):
            nn.init.zeros_(module.center)
            nn.init.ones_(module.scale)
        elif isinstance(module, nn.Linear | nn.Conv1d | nn.LSTM | nn.GRU | nn.LayerNorm):
            module.reset_parameters()


class SeriesEncoder(SeriesModel):
    """From series to states: normalised, cut into patches, embedded, and read by layers.

    A value that is missing is 0 after normalisation, and a second feature of each channel says
    whether there is one, so that nothing depends on what stands in a gap.

    Args:
        config: Its shape.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__(config)
        self.scaler = Scaler(config)
        self.embedding = nn.Linear(2 * config.channels * config.patch, config.width)
        layer = _LAYERS[config.kind]
        self.layers = nn.ModuleList(layer(config, index) for index in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.post_init()

    def forward(
        self, values: Tensor, lengths: Tensor, observed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states and which of them are real.

        Args:
            values: `[rows, time, channels]`; what stands after the end of a series is not read,
                NaN is a gap.
            lengths: Time steps of each series, at least 1: `[rows]`.
            observed: `[rows, time, channels]`, False where a value is to count as a gap.

        Returns:
            States `[rows, steps, width]`, zero after the end of a series, and the mask
            `[rows, steps]`, True for a real one. A step is `patch` time steps, the last one
            perhaps fewer.
        """
        patch = self.config.patch
        inside = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        seen = inside[..., None] & ~values.isnan()
        if observed is not None:
            seen = seen & observed
        features = torch.cat([self.scaler(values, seen), seen.to(values.dtype)], dim=2)
        missing = -values.shape[1] % patch
        mask = pad(inside, (0, missing))[:, ::patch]
        patches = pad(features, (0, 0, 0, missing)).reshape(*mask.shape, -1)
        states = self.embedding(patches)
        if self.config.kind == "transformer":
            states = states + positions(states.shape[1], states.shape[2]).to(states)
        for layer in self.layers:
            states = layer(states, mask)
        return self.norm(states) * mask[..., None], mask


def positions(steps: int, width: int) -> Tensor:
    """Return sines and cosines of each step (Vaswani et al. 2017): `[steps, width]`.

    They are computed, not learned, so that a series may be longer than those of the training.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


class Pooling(nn.Module):
    """From the states of a series to one embedding.

    `mean` is over the real states; `last` is the last real one, of a layer that reads both ways
    the last of each direction; `attention` weighs the real states by a learned score.

    Args:
        config: Its `pooling`, `width`, `kind` and `bidirectional`.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.kind = config.pooling
        self.both_ways = config.kind in ("lstm", "gru") and config.bidirectional
        if self.kind == "attention":
            self.score = nn.Linear(config.width, 1, bias=False)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the embeddings `[rows, width]`.

        Args:
            states: `[rows, steps, width]`.
            mask: `[rows, steps]`, True for a real state; the real ones come first.
        """
        if self.kind == "last":
            place = mask.sum(dim=1) - 1
            last = states[torch.arange(len(states), device=states.device), place]
            if self.both_ways:
                forth, _ = last.chunk(2, dim=1)
                _, back = states[:, 0].chunk(2, dim=1)
                return torch.cat([forth, back], dim=1)
            return last
        if self.kind == "attention":
            scores = self.score(states)[..., 0].masked_fill(~mask, -torch.inf)
            weights = scores.softmax(dim=1)
        else:
            weights = mask / mask.sum(dim=1, keepdim=True)
        return torch.einsum("rs,rsw->rw", weights.to(states.dtype), states)


class SeriesClassifier(SeriesModel):
    """An encoder, its pooling and a linear head; `config.id2label` names the classes.

    Args:
        config: Its shape.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__(config)
        self.encoder = SeriesEncoder(config)
        self.pooling = Pooling(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self.head:
            nn.init.normal_(module.weight, std=_HEAD_SPREAD)
            nn.init.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def embed(self, values: Tensor, lengths: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the embedding of each series, `[rows, width]`; arguments as of the encoder."""
        found: Tensor = self.pooling(*self.encoder(values, lengths, observed))
        return found

    def forward(
        self, values: Tensor, lengths: Tensor, observed: Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Return `logits`, `[rows, classes]`; arguments as of the encoder."""
        embeddings = self.embed(values, lengths, observed)
        return SequenceClassifierOutput(logits=self.head(self.dropout(embeddings)))


SeriesConfig.register_for_auto_class()
SeriesEncoder.register_for_auto_class("AutoModel")
SeriesClassifier.register_for_auto_class("AutoModel")
