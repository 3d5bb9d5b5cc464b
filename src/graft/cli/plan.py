"""`graft plan`: what would be trained, how, and at what cost; nothing is trained or written."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from graft.cli.data_lines import data_document, data_lines
from graft.cli.options import Json, Quiet, Recipe, Settings
from graft.cli.output import answering, table
from graft.cli.recipes import opened
from graft.report.numerals import count, decimal, duration, listed, plural, rate, share, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from graft.core.plan import PlannedGroup, ResolvedPlan
    from graft.runs.estimate import Estimate
    from graft.runs.preview import ArmPreview, PretrainingPreview

BARS = "▁▂▃▄▅▆▇█"
BAR_COUNT = 40
DEFAULT_PATTERNS = {
    "base": "every tensor that no group names",
    "adapter": "every LoRA matrix",
    "head": "the new head",
    "frozen": "every other tensor of the base",
    "unused": "what the forward pass never reads",
}
THAW = {-1: "from the start", 0: "never"}


def plan(
    recipe: Recipe, settings: Settings = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Show what would be trained, and its cost.

    Nothing is trained and nothing is written.
    """
    with answering(json, quiet) as output:
        # The run folder may belong to an earlier recipe; a plan neither needs nor touches it.
        with tempfile.TemporaryDirectory() as nowhere:
            experiment = opened(recipe, settings, Path(nowhere))
            from graft.runs.preview import preview_arm, preview_data, preview_pretraining

            data = preview_data(experiment)
            section = experiment.recipe.pretrain
            pretraining = preview_pretraining(experiment, section, data) if section else None
            arms = [preview_arm(experiment, name, data) for name in experiment.recipe.arms]
        shown: list[RenderableType] = [*data_lines(data.report, data.findings)]
        if pretraining is not None:
            shown += ["", *pretraining_lines(pretraining)]
        for arm in arms:
            shown += ["", *arm_lines(arm)]
        document = {
            **data_document(data.report, data.findings),
            "pretraining": pretraining,
            "arms": {arm.name: arm for arm in arms},
        }
        output.answer(document, shown)


def pretraining_lines(pretraining: PretrainingPreview) -> list[str]:
    """Return what the base learns before the arms begin, on what and for how many steps."""
    objectives = listed([f"{name} ({weight:g})" for name, weight in pretraining.objectives.items()])
    settings = ", ".join(f"{name} {value}" for name, value in pretraining.settings.items())
    return [
        f"Pretraining of the base ({pretraining.kind}), before the arms",
        f"  Rows: {count(pretraining.rows)} to learn from, {count(pretraining.held_out)} held out; "
        "no label is read",
        f"  Objectives with their weights: {objectives}; {settings}",
        f"  {_steps(pretraining.plan)}",
        *rate_lines(pretraining.plan),
    ]


def _steps(resolved: ResolvedPlan) -> str:
    return (
        f"Steps: {count(resolved.steps_per_epoch)} per epoch, {count(resolved.total_steps)} in "
        f"all, {count(resolved.warmup_steps)} of them warm-up; schedule {resolved.schedule}"
    )


def arm_lines(arm: ArmPreview) -> list[RenderableType]:
    """Return base, freeze plan, steps, schedule and estimate of one arm."""
    resolved = arm.plan
    title = f" ({arm.title})" if arm.title else ""
    part = resolved.trainable_parameters / resolved.total_parameters
    return [
        f"Arm {arm.name}{title}",
        f"  Base: {arm.base}, {_place(arm)}",
        f"  Trainable: {count(resolved.trainable_parameters)} of "
        f"{count(resolved.total_parameters)} parameters ({share(part)}), method {resolved.method}",
        f"  {_steps(resolved)}",
        groups_table(arm),
        *phase_lines(resolved),
        *rate_lines(resolved),
        *estimate_lines(arm),
    ]


def _place(arm: ArmPreview) -> str:
    # What the experiment makes itself lies in a folder that a plan does not make.
    return "made by the experiment" if arm.found == "made" else f"{arm.found}: {arm.folder}"


def _default_pattern(group: str) -> str:
    """Return what belongs to a group that the recipe does not name.

    Example:
        >>> _default_pattern("top.layer.5"), _default_pattern("layer.5")
        ('layer.5 of top', 'layer.5')
    """
    owner, _, part = group.partition(".")
    of_base = owner in ("layer", "layers", "block", "h") or not part
    return DEFAULT_PATTERNS.get(group, group if of_base else f"{part} of {owner}")


def groups_table(arm: ArmPreview) -> Table:
    """Return the resolved freeze plan, one line per group."""
    rows = []
    for group in arm.plan.groups:
        tensors = [tensor for tensor in arm.plan.tensors if tensor.group == group.name]
        patterns = ", ".join(arm.patterns.get(group.name, ())) or _default_pattern(group.name)
        rows.append(
            (
                group.name,
                patterns,
                THAW.get(group.unfreeze_after, f"after epoch {group.unfreeze_after}"),
                _number(group, rate(group.learning_rate)),
                _number(group, decimal(group.weight_decay)),
                count(len(tensors)),
                count(sum(tensor.count for tensor in tensors)),
            )
        )
    numbers = ("peak rate", "decay", "tensors", "parameters")
    columns = ("group", "patterns", "trainable", *numbers)
    return table(f"Freeze plan of {arm.name}", columns, rows, numbers)


def _number(group: PlannedGroup, text: str) -> str:
    return "none" if group.unfreeze_after == 0 else text


def phase_lines(resolved: ResolvedPlan) -> list[str]:
    """Return one line per phase, if there is more than one."""
    if len(resolved.phases) < 2:
        return []
    return [
        f"  Phase {phase.index}: epochs {phase.first_epoch + 1} to {phase.last_epoch + 1}, "
        f"{plural(phase.steps, 'step')}, {count(phase.trainable)} parameters trainable "
        f"({', '.join(phase.groups)})"
        for phase in resolved.phases
    ]


def rate_lines(resolved: ResolvedPlan) -> list[str]:
    """Return each group's rate over the steps as a small picture, and at its main points."""
    lines = []
    for name, rates in resolved.rates.items():
        peak = max(rates)
        points = sorted({0, rates.index(peak), len(rates) // 2, len(rates) - 1})
        told = ", ".join(f"step {step + 1}: {rate(rates[step])}" for step in points)
        lines.append(f"  Rate of {name}: {sparkline(rates)}  {told}")
    return lines


def sparkline(values: tuple[float, ...], bars: int = BAR_COUNT) -> str:
    """Return the values as at most `bars` bars, the tallest for the largest value.

    Example:
        >>> sparkline((0.0, 0.5, 1.0))
        '▁▅█'
    """
    peak = max(values) or 1.0
    count = min(bars, len(values))
    places = [round(bar * (len(values) - 1) / max(count - 1, 1)) for bar in range(count)]
    return "".join(BARS[round(values[place] / peak * (len(BARS) - 1))] for place in places)


def estimate_lines(arm: ArmPreview) -> list[str]:
    """Return time and memory, called an estimate, with what they stand on."""
    cost = arm.estimate
    return [
        f"  Estimate: about {duration(cost.seconds)} in {cost.precision} with "
        f"{plural(cost.threads, 'thread')} on this machine: steps {duration(cost.step_seconds)}, "
        f"evaluations and checkpoints {duration(cost.evaluation_seconds)}"
        f"{_frozen(cost.frozen_seconds)}, the rest is loading, probes, prediction and saving "
        f"({plural(cost.measured_steps, 'step')} measured, none applied)",
        f"  Estimate: about {size(cost.memory_bytes)} of memory (weights "
        f"{size(cost.weight_bytes)}, gradients {size(cost.gradient_bytes)}, AdamW moments "
        f"{size(cost.optimizer_bytes)}, largest micro-batch {size(cost.activation_bytes)}, the "
        "rest is the process)",
        *_seeds(arm),
        *_budget(cost),
    ]


def _seeds(arm: ArmPreview) -> list[str]:
    """Return what all trainings of the arm cost together, if there are several."""
    if arm.seeds == 1:
        return []
    together = duration(arm.seeds * arm.estimate.seconds)
    return [f"  Estimate: {arm.seeds} seeds, one after another: about {together} in all"]


def _frozen(seconds: float) -> str:
    return f", frozen layers once {duration(seconds)}" if seconds else ""


def _budget(cost: Estimate) -> list[str]:
    """Return the largest micro-batch that is safe, for losses that may be divided by tokens."""
    if cost.max_tokens_per_micro_batch is None:
        return []
    safe = (
        f"  Largest safe micro-batch: {count(cost.max_tokens_per_micro_batch)} tokens "
        f"({size(cost.free_bytes)} are free); those of the recipe "
    )
    fix = (
        f"do not fit: set training.max_tokens_per_micro_batch to {cost.max_tokens_per_micro_batch}"
    )
    return [safe + ("fit" if cost.fits else f"{fix} or auto")]
