"""The metrics of gameplay in plain words: name to (title, explanation)."""

METRICS = {
    "first_action": ("first action", "share of the answers whose first slot has exactly the keys that were pressed."),
    "slot_accuracy": ("slots right", "share of all slots with exactly the keys that were pressed, seven an answer."),
    "key_f1": ("keys, macro F1", "precision and recall of each key in one number, averaged over the keys in use."),
    "idle_precision": ("goal reached, precision", "of the answers that press nothing, how many were due."),
    "idle_recall": ("goal reached, recall", "of the answers that should press nothing, how many do."),
    "valid_json": ("valid answers", "share of the answers that can be read. One that cannot fails on every count."),
    "perplexity": (
        "perplexity",
        "how surprised the model is by held-out answers: 1 would be no surprise at all. Its n counts tokens.",
    ),
}
COUNTS = {
    "recordings": "Recordings that were read.",
    "unusable": "Recordings of which nothing could be used; quarantine says why.",
    "samples": "Frames with a goal and the keys of the next seven slots.",
    "dropped": "Frames that make no sample, by reason.",
    "quarantined": "What was wrong with files, by kind. Nothing is left out without a reason.",
    "segments without goal": "Segments that the labeller gave no goal; quarantine.jsonl says why.",
    "repeated pictures": "Frames left out because an earlier recording holds the same picture.",
    "split": "The recordings of each split.",
    "rows": "Frames in each split.",
    "goals": "How often each goal stands in each split.",
    "leakage": "Recordings and pictures on two sides of the split: both must be zero.",
    "health": "Shares of the time in which keys and words were held.",
}
