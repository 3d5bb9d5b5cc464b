"""K15 and K2: is the gradient that of the loss, and does accumulation leave it what it is?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status

# float32 sums in another order; a lost or doubled factor is far beyond it.
TOLERANCE = 1e-3
# A finite difference of a curved loss; a wrong gradient is far beyond it.
DIRECTION = 0.1


def accumulation(evidence: RunEvidence) -> Answer:
    """Return whether micro-batches gave the loss and the gradient of one large batch."""
    probes = evidence.given("probes", evidence.probes)
    probe = probes.accumulation
    if probe is None:
        raise NotApplicableError(probes.not_probed.get("accumulation", "it was not probed"))
    apart = abs(probe.loss - probe.loss_at_once) / max(abs(probe.loss_at_once), 1e-12)
    shown = {"probe": probe, "loss_gap": apart, "tolerance": probe.tolerance or TOLERANCE}
    summary = (
        f"{probe.micro_batches} micro-batches and one batch differ by {apart:.1e} of the loss and"
        f" {probe.gradient_gap:.1e} of the gradient."
    )
    if not probe.rowwise:
        summary = (
            "The loss compares the rows of a micro-batch with each other, so accumulation does not"
            f" make a larger batch of it. {summary}"
        )
        fix = "Raise per_device_train_batch_size instead of gradient_accumulation_steps."
        return Answer(Status.warned, summary, shown, fix)
    if max(apart, probe.gradient_gap) > (probe.tolerance or TOLERANCE):
        fix = "Sum the loss over the micro-batches and divide by the count of the whole batch."
        return Answer(Status.failed, summary, shown, fix)
    return Answer(Status.passed, summary, shown)


def gradient_direction(evidence: RunEvidence) -> Answer:
    """Return whether the loss rises along the gradient as steeply as the gradient says.

    (L(w + h·g) − L(w − h·g)) / 2h‖g‖ equals ‖g‖ for the gradient of L, and for no other vector
    of that length.
    """
    probes = evidence.given("probes", evidence.probes)
    probe = probes.gradient
    if probe is None:
        raise NotApplicableError(probes.not_probed.get("gradient", "it was not probed"))
    ratio = probe.measured / probe.norm
    shown = {"probe": probe, "ratio": ratio, "tolerance": DIRECTION}
    summary = (
        f"Along the gradient the loss changes by {ratio:.3f} of what the gradient says"
        f" (norm {probe.norm:.3g}, loss {probe.loss:.4g})."
    )
    if abs(ratio - 1) > DIRECTION:
        fix = "Find what computes a wrong gradient: recomputation, a custom backward, quantisation."
        return Answer(Status.failed, summary, shown, fix)
    return Answer(Status.passed, summary, shown)


GRADIENT = (
    Check("K2", "gradient_direction", "Is the gradient the one of the loss?", gradient_direction),
)
ACCUMULATION = (
    Check(
        "K15",
        "accumulation",
        "Do micro-batches give the gradient of the whole batch?",
        accumulation,
    ),
)
