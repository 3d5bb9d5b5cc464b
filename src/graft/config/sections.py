"""The sections of a recipe that describe the base model and the way it is adapted."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from graft.config.augmentation import AugmentSection
from graft.config.section import Section

Schedule = Literal[
    "linear", "cosine", "constant", "polynomial", "one_cycle", "cosine_with_restarts"
]
Method = Literal["full", "lora", "head"]
Control = Literal["none", "random_init", "shuffled_labels"]
PairLoss = Literal["cosine_similarity", "cosent", "angle", "contrastive", "online_contrastive"]
ClassLoss = Literal["cross_entropy", "focal", "binary_cross_entropy", "mse"]
Loss = PairLoss | ClassLoss


class BaseSection(Section):
    """The pretrained model that is adapted."""

    model: str = Field(
        "all-MiniLM-L6-v2",
        description="A folder, the name of the embedded model, or a name on the hub, looked for "
        "in this order. Of series a folder, or `encoder`, the default there: the one that the "
        "recipe describes under that name.",
    )
    revision: str | None = Field(None, description="Revision on the hub.")
    max_seq_length: int | None = Field(
        None, ge=2, description="Tokens read per text; the model's own limit if left out."
    )
    allow: tuple[str, ...] = Field(
        (), description="Patterns of tensors that may be missing in, or left over from, the file."
    )


class LoraSection(Section):
    """A low-rank adapter (Hu et al. 2021), by the names of PEFT."""

    r: int = Field(8, ge=1, description="Rank.")
    lora_alpha: float = Field(16, gt=0, description="Scale numerator; the scale is alpha / r.")
    lora_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the adapter.")
    target_modules: tuple[str, ...] = Field(
        ("query", "value"), min_length=1, description="Names of the adapted linear modules."
    )
    use_rslora: bool = Field(False, description="Scale by alpha / sqrt(r) (Kalajdzievski 2023).")


class ClassifierSection(Section):
    """How texts and table become the input of the head, and how classes are weighed."""

    texts: Literal["joint", "towers"] = Field(
        "joint",
        description="joint: the text columns as one text, parted by the separator; towers: each "
        "through the same encoder, embeddings side by side.",
    )
    pooling: Literal["base", "mean", "cls", "last", "attention"] = Field(
        "base",
        description="base: as the base pools, mean where it does not say; cls of texts, last and "
        "attention of series.",
    )
    head_init: Literal["random", "class_means"] = Field(
        "random",
        description="random: near zero; class_means: at the mean embedding of each class, with "
        "embeddings of unit length (weight imprinting, Qi et al. 2018), for few rows a class.",
    )
    table: bool = Field(
        False, description="Put the table columns beside the embedding before the head."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class weighs as much as any other in the loss."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the label that is spread over all classes."
    )
    focal_gamma: float = Field(
        2.0, gt=0, description="Of the focal loss (Lin et al. 2017): how much easy rows lose."
    )


class FreezeGroup(Section):
    """A named part of the base with its own rate and its own time of thaw."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="Name of the group.")
    patterns: tuple[str, ...] = Field(
        min_length=1,
        description="Dotted components, each with * and [..]: `encoder.layer.[0-3]` does not "
        "match layer 10.",
    )
    unfreeze_after: int = Field(
        -1, ge=-1, description="-1 from the start, 0 never, N after epoch N."
    )
    learning_rate: float | None = Field(None, gt=0, description="Peak rate; the arm's if left out.")


class TrainingSection(Section):
    """Training arguments, by the names of Hugging Face's `TrainingArguments`."""

    num_train_epochs: int = Field(4, ge=1, description="Times that every row is seen.")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many optimizer steps.")
    per_device_train_batch_size: int = Field(16, ge=1, description="Rows per micro-batch.")
    per_device_eval_batch_size: int = Field(64, ge=1, description="Rows per batch in prediction.")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="Micro-batches per optimizer step; exact whatever their sizes."
    )
    max_tokens_per_micro_batch: int | Literal["auto"] | None = Field(
        None,
        description="Divide the rows of a step by their tokens instead: the step and its gradient "
        "stay the same, memory falls. auto: by what is free, if the rows would not fit; null: by "
        "rows.",
    )
    learning_rate: float = Field(2e-5, gt=0, description="Peak rate.")
    head_learning_rate: float | None = Field(
        None, gt=0, description="Peak rate of a new head; learning_rate if left out."
    )
    lr_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="What the rate is multiplied by from each layer to the one below it "
        "(discriminative rates, Howard & Ruder 2018).",
    )
    weight_decay: float = Field(0.0, ge=0, description="Of matrices; vectors are not decayed.")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="Decay of AdamW's first moment.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="Decay of AdamW's second moment.")
    adam_epsilon: float = Field(1e-8, gt=0, description="AdamW's guard against division by 0.")
    max_grad_norm: float | None = Field(1.0, gt=0, description="Clip the gradient's norm.")
    lr_scheduler_type: Schedule = Field("linear", description="Fall of the rate after warm-up.")
    warmup_steps: float = Field(
        0.1, ge=0, description="1 or more: optimizer steps; below 1: share of all steps."
    )
    num_cycles: int = Field(3, ge=1, description="Cycles of cosine_with_restarts.")
    power: float = Field(2.0, gt=0, description="Power of the polynomial schedule.")
    unfreeze_lr_factor: float = Field(
        0.3, gt=0, le=1, description="What a thaw multiplies the running rates by."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the processor has it natively, else fp32."
    )
    torch_compile: Literal["auto"] | bool = Field(
        False,
        description="Compile what stands between two attentions; takes about a minute. auto: if "
        "the run is long enough for that to pay.",
    )
    feature_cache_gb: float = Field(
        8.0,
        ge=0,
        description="Disk for the outputs of frozen layers, which are computed once; 0: in every "
        "epoch anew.",
    )
    eval_strategy: Literal["no", "epoch", "steps"] = Field(
        "epoch", description="When the validation metric is measured."
    )
    eval_steps: int | None = Field(None, ge=1, description="Optimizer steps between evaluations.")
    save_strategy: Literal["no", "epoch", "steps"] = Field(
        "epoch", description="When a checkpoint is written, besides those that are the best yet."
    )
    save_steps: int | None = Field(None, ge=1, description="Optimizer steps between checkpoints.")
    save_total_limit: int = Field(
        2, ge=1, description="Checkpoints kept while training, the best one besides."
    )
    load_best_model_at_end: bool = Field(
        True, description="Keep the weights of the best validation metric, not the last ones."
    )
    metric_for_best_model: str | None = Field(None, description="The primary metric if left out.")
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Evaluations without a better metric before training stops."
    )

    @field_validator("warmup_steps")
    @classmethod
    def _whole_steps(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError("1 or more means steps and must be a whole number")
        return value

    @field_validator("max_tokens_per_micro_batch", mode="before")
    @classmethod
    def _some_tokens(cls, value: object) -> object:
        # One problem for one mistake; pydantic names one for each type of a union.
        if value in (None, "auto") or (type(value) is int and value >= 1):
            return value
        choices = {"expected": "a whole number from 1 on, 'auto' or null"}
        raise PydanticCustomError("literal_error", "choose {expected}", choices)

    @model_validator(mode="after")
    def _intervals_given(self) -> Self:
        if self.eval_strategy == "steps" and self.eval_steps is None:
            raise ValueError("eval_strategy is 'steps' but eval_steps is not given")
        if self.save_strategy == "steps" and self.save_steps is None:
            raise ValueError("save_strategy is 'steps' but save_steps is not given")
        if self.early_stopping_patience and self.eval_strategy == "no":
            raise ValueError("early_stopping_patience needs an eval_strategy other than 'no'")
        return self


class ArmSection(Section):
    """One way to adapt the base: everything an arm may differ in."""

    title: str = Field("", description="A few words for the report.")
    base: BaseSection = BaseSection()
    method: Method = Field(
        "full", description="full: every tensor; lora: an adapter; head: a new head alone."
    )
    lora: LoraSection = LoraSection()
    freeze: tuple[FreezeGroup, ...] = Field((), description="Parts with their own time of thaw.")
    loss: Loss = Field(
        "cosine_similarity",
        description="pairs: a loss of Sentence-Transformers; classification: cross_entropy (the "
        "default there) or focal; of several labels binary_cross_entropy or focal; of a "
        "regression mse.",
    )
    classifier: ClassifierSection = ClassifierSection()
    rows_per_class: int | None = Field(
        None, ge=1, description="Train on so many rows of each class, drawn by the seed."
    )
    augment: AugmentSection | None = Field(
        None, description="Altered copies of the training rows of a series task."
    )
    reference: str | None = Field(
        None, description="Run of the headline verdict; evaluation.reference if left out."
    )
    control: Control = Field(
        "none",
        description="random_init: same architecture without pretraining; shuffled_labels: labels "
        "dealt out at random. Both must lose.",
    )
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="Trainings: with `seed`, the seed after it, and so on. Rows, splits and "
        "baselines stay those of `seed`; verdicts are over all of them.",
    )
    training: TrainingSection = TrainingSection()

    @model_validator(mode="after")
    def _names_unique(self) -> Self:
        names = [group.name for group in self.freeze]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"freeze names the group {twice[0]!r} twice")
        if self.control == "random_init" and self.method == "lora":
            raise ValueError(
                "control random_init with method lora: an adapter is merged into the pretrained "
                "base, so it cannot have been trained on a random one"
            )
        return self
