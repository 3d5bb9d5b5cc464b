"""What became of the options of an arm: read or not, and what was in force."""

from __future__ import annotations

import json
from typing import Any

from graft.config.options import options_asked, options_read
from graft.config.sections import ArmSection
from graft.core.files import read_json, read_jsonl, write_json
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.core.options import OptionInForce, OptionUse, Value
from graft.core.plan import ResolvedPlan
from graft.core.probes import Reading
from graft.core.roles import Split
from graft.models.freeze import UNUSED
from graft.runs.experiment import Experiment

# Read after the training: a title by the report, a reference by the comparison.
_LATER = ("title", "reference")
# Stands in a recipe for the file of rows that were given as frames.
IN_MEMORY = "rows in memory"
# The other sections are read after the audits, or are lists whose items are read one by one.
_OF_ALL = ("seed", "base", "encoder", "data", "evaluation")


def option_use(experiment: Experiment, name: str) -> OptionUse:
    """Return what became of the options of an arm after the training `name`.

    Observed is what training left behind: plan, ledger, history, reading and saved adapter.
    """
    found = in_force(experiment.arm(name), experiment.paths.run(name))
    return _use(experiment, f"arms.{experiment.arm_name(name)}.", found)


def pretraining_use(experiment: Experiment, trained: ArmSection) -> OptionUse:
    """Return what became of the options of the pretraining, which has just ended.

    Args:
        experiment: The experiment.
        trained: The arm that the loop was given.
    """
    paths = experiment.paths.pretraining
    plan, ledger = read_json(paths.plan, ResolvedPlan), read_json(paths.ledger, Ledger)
    found = (*_steps(trained, paths, plan, ledger), *_numbers(trained, ledger))
    return _use(experiment, "pretrain.", found)


def _use(experiment: Experiment, prefix: str, found: tuple[OptionInForce, ...]) -> OptionUse:
    asked = tuple(
        key
        for key in options_asked(experiment.recipe, experiment.loaded.origins)
        if key.startswith(prefix) and key.removeprefix(prefix) not in _LATER
    )
    read = options_read(experiment.recipe, experiment.reads)
    return OptionUse(
        asked=tuple(key.removeprefix(prefix) for key in asked),
        unread=tuple(key.removeprefix(prefix) for key in asked if key not in read),
        in_force=found,
    )


def recipe_use(experiment: Experiment) -> OptionUse:
    """Return what became of the options that are not of one arm, over all stages so far."""
    data = experiment.recipe.data
    given = {f"data.{split}" for split in Split if vars(data)[split] == IN_MEMORY}
    asked = tuple(
        key
        for key in options_asked(experiment.recipe, experiment.loaded.origins)
        if key.partition(".")[0] in _OF_ALL and key not in given
    )
    read = note_reads(experiment)
    return OptionUse(asked, tuple(key for key in asked if key not in read), ())


def note_reads(experiment: Experiment) -> frozenset[str]:
    """Return the options that any stage has read so far, and keep them for the next stage."""
    file = experiment.paths.reads
    before = read_json(file, tuple[str, ...]) if file.is_file() else ()
    read = options_read(experiment.recipe, experiment.reads).union(before)
    write_json(file, sorted(read))
    return read


def in_force(arm: ArmSection, paths: RunPaths) -> tuple[OptionInForce, ...]:
    """Return what was asked for and what was observed, option by option."""
    plan, ledger = read_json(paths.plan, ResolvedPlan), read_json(paths.ledger, Ledger)
    return (*_steps(arm, paths, plan, ledger), *_numbers(arm, ledger), *_model(arm, paths, plan))


def _steps(
    arm: ArmSection, paths: RunPaths, plan: ResolvedPlan, ledger: Ledger
) -> list[OptionInForce]:
    training = arm.training
    steps = [record for record in read_jsonl(paths.history) if record["kind"] == "step"]
    executed = sum(phase.executed_steps for phase in ledger.phases)
    epochs = executed / plan.steps_per_epoch
    batch = training.per_device_train_batch_size * training.gradient_accumulation_steps
    largest = max((int(record["rows"]) for record in steps), default=0)
    rows = max((phase.distinct_rows for phase in ledger.phases), default=0)
    peak = max((rate for record in steps for rate in record["rates"].values()), default=None)
    wanted = max(rate for rates in plan.rates.values() for rate in rates)
    stopped = f"stopped early: {ledger.stopped_early}" if ledger.stopped_early else ""
    whole = executed == plan.total_steps or bool(stopped)
    return [
        OptionInForce(
            "training.num_train_epochs",
            training.num_train_epochs,
            round(epochs, 3),
            whole
            and (
                training.max_steps is not None
                or bool(stopped)
                or epochs == training.num_train_epochs
            ),
            stopped or "executed steps over steps per epoch",
        ),
        OptionInForce(
            "training.max_steps",
            training.max_steps,
            executed,
            bool(stopped) or training.max_steps in (None, executed),
            stopped or "executed steps",
        ),
        OptionInForce(
            "rows per step",
            batch,
            largest,
            largest == min(batch, rows),
            "micro-batch × accumulation; most rows of a step in history.jsonl",
        ),
        _micro_batches(training.max_tokens_per_micro_batch, steps),
        OptionInForce(
            "training.learning_rate",
            training.learning_rate,
            peak,
            peak is not None and (bool(stopped) or abs(peak - wanted) <= 1e-6 * wanted),
            "largest rate of any group that the optimizer used; K4 compares every step",
        ),
        OptionInForce(
            "training.warmup_steps",
            training.warmup_steps,
            plan.warmup_steps,
            True,
            "resolved steps",
        ),
    ]


def _micro_batches(requested: Value, steps: list[dict[str, Any]]) -> OptionInForce:
    largest = max((int(record["largest_micro_batch"]) for record in steps), default=0)
    same = largest <= requested if isinstance(requested, int) else None
    note = "tokens of the largest micro-batch of several rows in history.jsonl"
    return OptionInForce("training.max_tokens_per_micro_batch", requested, largest, same, note)


def _numbers(arm: ArmSection, ledger: Ledger) -> list[OptionInForce]:
    formats = ", ".join(f"{name} ({count:,})" for name, count in ledger.dtypes.items())
    requested = arm.training.precision
    return [
        OptionInForce(
            "training.precision",
            requested,
            ledger.precision,
            requested in ("auto", ledger.precision),
            "number format of the forward pass",
        ),
        OptionInForce(
            "training.torch_compile",
            arm.training.torch_compile,
            ledger.compiled_parts,
            arm.training.torch_compile in ("auto", ledger.compiled_parts > 0),
            "compiled parts of the model",
        ),
        OptionInForce(
            "weights",
            "float32",
            formats,
            set(ledger.dtypes) == {"float32"},
            "master weights; quantised ones would show here",
        ),
        OptionInForce("units with loss", None, ledger.units, None, f"{ledger.tokens:,} tokens"),
    ]


def _model(arm: ArmSection, paths: RunPaths, plan: ResolvedPlan) -> list[OptionInForce]:
    limit = read_json(paths.reading, Reading).settings.get("max_seq_length")
    asked = arm.base.max_seq_length
    found = [
        OptionInForce(
            "base.max_seq_length", asked, limit, asked in (None, limit), "as the tokenizer cuts"
        )
    ]
    if arm.method == "lora":
        file = paths.adapter / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        ranks = {t.shape[0] for t in plan.tensors if ".lora_A." in t.name}
        adapted = {
            t.name.split(".lora_A.")[0].split(".")[-1] for t in plan.tensors if ".lora_A." in t.name
        }
        found += [
            _same("lora.r", arm.lora.r, max(ranks, default=None), "rows of A"),
            _same("lora.lora_alpha", arm.lora.lora_alpha, config["lora_alpha"], "adapter_config"),
            _same(
                "lora.lora_dropout", arm.lora.lora_dropout, config["lora_dropout"], "adapter_config"
            ),
            _same("lora.use_rslora", arm.lora.use_rslora, config["use_rslora"], "adapter_config"),
            _same(
                "lora.target_modules",
                ", ".join(sorted({t.rpartition(".")[2] for t in arm.lora.target_modules})),
                ", ".join(sorted(adapted)),
                "modules that hold an A",
            ),
            _same("adapted modules", *_coverage(plan, arm), "modules that the targets name"),
        ]
    return found


def _coverage(plan: ResolvedPlan, arm: ArmSection) -> tuple[int, int]:
    """Return how many modules the targets name, those never read left out, and how many have A."""
    matrices = {
        tensor.name.removesuffix(".weight").removesuffix(".base_layer")
        for tensor in plan.tensors
        if tensor.name.endswith(".weight") and len(tensor.shape) == 2 and tensor.group != UNUSED
    }
    targets = tuple(f".{target}" for target in arm.lora.target_modules)
    named = [module for module in matrices if f".{module}".endswith(targets)]
    return len(named), sum(".lora_A." in tensor.name for tensor in plan.tensors)


def _same(option: str, requested: Value, observed: Value, note: str) -> OptionInForce:
    return OptionInForce(option, requested, observed, requested == observed, note)
