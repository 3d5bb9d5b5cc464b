"""Every cause that a folder can show, with what to do and what to expect then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownCause:
    """A cause in words: what it is, what to do, and what to expect when it is mended."""

    name: str
    fix: str
    expect: str


# In the order in which they explain each other: files, then adapters, then weights, then how
# inputs are read, then what comes out, then the log.
CAUSES: dict[str, KnownCause] = {
    "half_written": KnownCause(
        "The checkpoint is half-written",
        "Copy the missing files, or take the checkpoint before it.",
        "files_whole is passed: every tensor of the index is there.",
    ),
    "not_finite": KnownCause(
        "Weights became NaN or infinite",
        "Take an earlier checkpoint; train again in bf16 or fp32, or at a lower rate.",
        "weights_moved finds no NaN and no infinity.",
    ),
    "adapter_empty": KnownCause(
        "The adapter file is empty",
        "Save again from the PEFT model itself; under ZeRO-3, gather the parameters first.",
        "adapter_trained counts as many tensors as the config asks for.",
    ),
    "prefixed_adapter": KnownCause(
        "The keys of the adapter carry a wrapper's prefix",
        "Rename the keys to base_model.model.<module>, or save the unwrapped model "
        "(model._orig_mod for torch.compile, model.module for DDP).",
        "adapter_trained applies every key, and outputs_differ sees other outputs than the base's.",
    ),
    "adapter_not_applied": KnownCause(
        "The adapter does not fit the modules of the base",
        "Load it on the base that it was trained on, by the same model class.",
        "adapter_trained applies every key of the file.",
    ),
    "adapter_shape": KnownCause(
        "The adapter has other shapes than the base",
        "Load it on the base and with the rank that it was trained with.",
        "adapter_trained finds every shape as the config and the base say.",
    ),
    "other_base": KnownCause(
        "The adapter was trained on another base",
        "Load it on the base that its config names, or train it on this one.",
        "adapter_trained finds the base's weights under base_model_name_or_path.",
    ),
    "adapter_zero": KnownCause(
        "The adapter was never trained",
        "Look for what kept gradients from it: is_trainable=False on loading, reentrant gradient "
        "checkpointing without enable_input_require_grads, or a second freeze by the trainer.",
        "weights_moved shows every adapted layer UPDATED.",
    ),
    "adapter_partly_zero": KnownCause(
        "Part of the adapter was never trained",
        "Look for what cuts the graph below these layers: reentrant gradient checkpointing "
        "without enable_input_require_grads, or modules that the forward pass never reads.",
        "adapter_trained finds no B matrix of zero.",
    ),
    "adapter_uncovered": KnownCause(
        "Targets of the adapter have no tensors in the file",
        "Save the adapter again, whole; or correct target_modules.",
        "adapter_trained finds a tensor for every target.",
    ),
    "target_unmatched": KnownCause(
        "A pattern of the adapter's config matches nothing",
        "Correct the name in target_modules or rank_pattern; print model.named_modules() to see "
        "the names.",
        "adapter_trained names no pattern without a match.",
    ),
    "head_not_saved": KnownCause(
        "A trained head was not saved with the adapter",
        "Set task_type, or name the head in modules_to_save, train and save again.",
        "adapter_trained finds the tensors of every module in modules_to_save.",
    ),
    "tokens_not_saved": KnownCause(
        "New tokens have no embedding in the adapter",
        "Save with save_embedding_layers=True, or train them through trainable_token_indices.",
        "vocabulary_size finds a row for every token.",
    ),
    "merged_again": KnownCause(
        "The adapter was merged more than once",
        "Merge once, from the untouched base; do not load the adapter on the merged model.",
        "merged_once finds base + scale·B·A in every matrix.",
    ),
    "never_merged": KnownCause(
        "The adapter was never merged",
        "Call merge_and_unload() and save what it returns.",
        "merged_once finds base + scale·B·A, and outputs_differ other outputs than the base's.",
    ),
    "merged_scale": KnownCause(
        "The adapter was merged with another scale",
        "Merge with scale alpha / r, or alpha / sqrt(r) with rsLoRA.",
        "merged_once finds base + scale·B·A in every matrix.",
    ),
    "lost_in_rounding": KnownCause(
        "The adapter was lost in rounding",
        "Merge in float32 into an unquantised base, and only then convert.",
        "merged_once finds a residual below 2 % of the adapter.",
    ),
    "merged_otherwise": KnownCause(
        "The merged model is not the base plus this adapter",
        "Merge again, once, from the base that was trained on and the adapter that was saved.",
        "merged_once finds base + scale·B·A in every matrix.",
    ),
    "prefixed_keys": KnownCause(
        "The keys carry a wrapper's prefix",
        "Save the unwrapped model (model._orig_mod for torch.compile, model.module for DDP, "
        "merge_and_unload() for PEFT), or rename the keys.",
        "same_model finds the base's names; a strict loader reports no missing key.",
    ),
    "unrelated": KnownCause(
        "The tuned weights do not descend from the base",
        "Give the base that was trained on; if this is it, its weights were never loaded and the "
        "training began at random ones: look for missing keys in the loading report.",
        "same_model finds weights that point the way of the base's.",
    ),
    "tensors_lost": KnownCause(
        "Tensors of the model are missing",
        "Save the whole model again; do not filter the state dict.",
        "same_model finds every tensor of the base.",
    ),
    "head_lost": KnownCause(
        "The head of the base is gone",
        "Save the model of the class that was trained, not its body.",
        "same_model finds the head in the tuned folder.",
    ),
    "shapes_differ": KnownCause(
        "Tensors have other shapes than in the base",
        "Compare with the base that was trained on; a loader drops or refuses such tensors.",
        "same_model finds every shape unchanged.",
    ),
    "tied_apart": KnownCause(
        "Tied weights were saved apart",
        "Set tie_word_embeddings to false in config.json if both were trained; otherwise tie them "
        "again and save.",
        "tied_weights finds one matrix, or a config that does not tie.",
    ),
    "vocabulary": KnownCause(
        "Tokenizer and embedding do not fit",
        "Call resize_token_embeddings(len(tokenizer)), train, and save tokenizer and model "
        "together.",
        "vocabulary_size finds a row for every token.",
    ),
    "formats": KnownCause(
        "The config and the file name different number formats",
        "Take quantization_config out of config.json, or save the quantised weights.",
        "number_formats finds what the config says.",
    ),
    "thaw_not_reached": KnownCause(
        "The thaw never came: what it was to thaw stayed frozen for the whole run",
        "Look at the condition of the thaw: a count that is never reached, such as an epoch that "
        "early stopping ends before, a comparison that is never true, or a callback that is never "
        "called. Then train again.",
        "K3 is passed: every tensor of every phase moved. two_trainings then finds other weights "
        "below the head, and rows that the two decide differently.",
    ),
    "group_never_moved": KnownCause(
        "A group that was to be trained never moved",
        "Look whether its parameters are in the optimizer, with a rate above zero, and get a "
        "gradient.",
        "K3 is passed: every tensor of the group moved, and two_trainings finds other weights.",
    ),
    "seed_without_effect": KnownCause(
        "The seed has no effect on the training",
        "Look whether order, dropout and new weights are drawn from the seed; if all rows fit into "
        "one step and nothing is drawn, one seed says all.",
        "two_trainings finds other weights and other scores.",
    ),
    "same_recipe": KnownCause(
        "One recipe under two names",
        "Let the two arms differ in what they are to show, or leave one out.",
        "two_trainings finds other weights and other scores.",
    ),
    "served_twice": KnownCause(
        "The predictions of one model stand for two",
        "Look which model folder was loaded for each of the two, and predict again.",
        "two_trainings finds other scores where the weights are others.",
    ),
    "one_model": KnownCause(
        "Two trainings ended with the same weights",
        "Find which of the two was never applied: they cannot be two trainings.",
        "two_trainings finds other weights below the head, and rows decided differently.",
    ),
    "kept_before_thaw": KnownCause(
        "The checkpoint that was kept is from before the thaw",
        "Lower the rates of the later phase, thaw earlier, or keep the last weights.",
        "The kept step lies after the thaw, and two_trainings finds other weights below the head.",
    ),
    "frozen_by_plan": KnownCause(
        "The body was frozen for the whole run, as planned",
        "If it was meant to be trained, set unfreeze_after to -1 or to the epoch of its thaw.",
        "K3 counts tensors of the body that moved; two_trainings then finds other weights below "
        "the head, and rows decided differently.",
    ),
    "nothing_moved": KnownCause(
        "No weight was changed",
        "Look whether parameters were trainable and in the optimizer, and whether the folder is "
        "the trained one.",
        "weights_moved shows UPDATED layers.",
    ),
    "body_frozen": KnownCause(
        "The body was frozen for the whole run",
        "Unfreeze the body if it was meant to be trained.",
        "weights_moved shows UPDATED layers in the body.",
    ),
    "random_at_load": KnownCause(
        "Tensors are random at every load",
        "Save the model of the class that was trained; then load it without a report of newly "
        "initialised tensors.",
        "outputs_differ loads twice and sees the same outputs.",
    ),
    "cannot_load": KnownCause(
        "The library cannot load the folder",
        "Follow the library's message; save the model again with save_pretrained.",
        "outputs_differ loads the folder.",
    ),
    "tokens_changed": KnownCause(
        "The tokenizer gives other tokens than the base's",
        "Save the tokenizer that was trained with: tokenizer.save_pretrained(folder).",
        "reading_unchanged sees the same token ids.",
    ),
    "no_tokenizer": KnownCause(
        "No tokenizer was saved",
        "Save it beside the model: tokenizer.save_pretrained(folder).",
        "reading_unchanged compares token ids.",
    ),
    "template_changed": KnownCause(
        "The chat template is another one",
        "Save the template that was trained with, and serve with the same one.",
        "reading_unchanged sees a probe conversation rendered alike.",
    ),
    "limit_lowered": KnownCause(
        "The model reads less of a text, or pads at the other side",
        "Set model_max_length, max_seq_length and padding_side as they are to be used.",
        "reading_unchanged names no lower limit.",
    ),
    "pooling_changed": KnownCause(
        "Embeddings are pooled or normalised otherwise",
        "Save with the modules that were trained: SentenceTransformer.save_pretrained.",
        "pooling_unchanged sees the same modules.",
    ),
    "prompts_changed": KnownCause(
        "The prompts are others",
        "Save the prompts that were trained with, and encode with them.",
        "pooling_unchanged sees the same prompts.",
    ),
    "labels_permuted": KnownCause(
        "The labels are in another order",
        "Set id2label and label2id as in training, and train with the map of the base.",
        "label_order sees every label at its place, and the accuracy of the best order is that "
        "of the given one.",
    ),
    "architecture_changed": KnownCause(
        "The config describes another architecture",
        "Put back the config.json of the base; weights and config belong together.",
        "architecture_unchanged sees the same fields.",
    ),
    "outputs_equal": KnownCause(
        "The tuned model answers as the base does",
        "Look at the causes above; if there are none, look which folder was loaded.",
        "outputs_differ sees other outputs.",
    ),
    "predictions_equal": KnownCause(
        "Both models give the same predictions",
        "Look whether the second model was ever loaded; compare the outputs, not the metric.",
        "agreement finds rows that the models decide differently.",
    ),
    "metric_not_reproduced": KnownCause(
        "The logged metric is not that of the saved model",
        "Give the rows that the log was made on; if these are they, the saved weights or the "
        "saved head are others than those that were evaluated.",
        "metrics_reloaded finds the logged value again.",
    ),
    "collapsed": KnownCause(
        "Embeddings collapsed",
        "Add negatives, lower the rate, or use a loss that pushes texts apart.",
        "texts_apart finds a mean cosine like the base's.",
    ),
    "one_class": KnownCause(
        "All rows get the same answer",
        "Lower the rate, weight the classes, or look for labels that carry nothing.",
        "varied_answers counts more than one class.",
    ),
    "loss_not_finite": KnownCause(
        "The loss was not a number",
        "Lower the rate or train in bf16 or fp32; set logging_nan_inf_filter=False to see it.",
        "loss_log finds finite losses only.",
    ),
    "loss_zero": KnownCause(
        "The loss was exactly zero",
        "Look at the labels of a collated batch: all of them are masked, or the loss is filtered.",
        "loss_log finds a loss above zero that falls.",
    ),
    "loss_flat": KnownCause(
        "The loss never changed",
        "Look whether a gradient reaches the trainable parameters, and whether the rate is zero.",
        "loss_log finds losses that differ from step to step.",
    ),
    "gradient_zero": KnownCause(
        "Gradients were zero or not finite on most steps",
        "Look for parameters that are frozen again, a cut graph, or a scaler that skips steps.",
        "loss_log finds gradients above zero.",
    ),
    "rate_zero": KnownCause(
        "The learning rate was zero",
        "Give the scheduler the number of optimizer steps, and the optimizer its rate.",
        "rate_log finds the peak that was asked for.",
    ),
    "rate_never_peaks": KnownCause(
        "Training ended within the warm-up",
        "Shorten the warm-up, or train for more steps.",
        "rate_log finds a peak before the last step.",
    ),
    "rate_jumps": KnownCause(
        "The learning rate jumped in the middle of training",
        "Restore the scheduler with the checkpoint when training is taken up again.",
        "rate_log finds one rise and one fall.",
    ),
    "steps_missing": KnownCause(
        "Fewer steps were taken than planned",
        "If nothing stopped training early on purpose, take it up again from this checkpoint.",
        "rate_log finds as many steps as planned.",
    ),
    "worst_kept": KnownCause(
        "The checkpoint that was kept is not the best",
        "Set greater_is_better to the direction of the metric, and take the best checkpoint.",
        "kept_checkpoint finds the best value of the history.",
    ),
    "metric_absent": KnownCause(
        "The metric that chooses the checkpoint was not logged",
        "Name a logged metric in metric_for_best_model; for PEFT models set label_names.",
        "kept_checkpoint finds the metric in every evaluation.",
    ),
}
