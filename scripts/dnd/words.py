"""The dnd metrics in plain words: name to (title, explanation)."""

METRICS = {
    "call_precision": (
        "call precision",
        "of the calls the model wrote, the share that the scenario has at that turn: the right tool with the right "
        "arguments.",
    ),
    "call_recall": ("call recall", "of the calls the scenario has, the share the model wrote, arguments and all."),
    "call_f1": ("call F1", "precision and recall of calls in one number; both must be good for it to be good."),
    "tool_precision": ("tool precision", "as call precision, but only the tool must be right, not its arguments."),
    "tool_recall": ("tool recall", "as call recall, but only the tool must be right."),
    "tool_f1": ("tool F1", "as call F1, but only the tool must be right."),
    "well_formed": ("well formed", "of the brackets the model opened for a call, the share that a program can read."),
    "false_call_rate": ("false calls", "of the turns where no call is due, the share in which the model wrote one."),
    "stranger_rate": ("strangers", "of the calls that name somebody, the share that name someone not in the party."),
    "perplexity": (
        "perplexity",
        "how surprised the model is by held-out answers: 1 would be no surprise at all. Its n counts tokens.",
    ),
}
COUNTS = {
    "scenarios": "Scenario files: how many were found, how many are used.",
    "scenarios: dropped": "Why files were left out. Nothing is left out without a reason.",
    "scenarios: quarantined": "The files and turns set aside, one by one; all are in quarantine.jsonl.",
    "scenarios: warnings": "Oddities in files that are used all the same, such as a result that does not add up.",
    "records": "Conversations in each split. All of a scenario lies in one split.",
    "categories": "Scenarios of each kind in each split.",
    "turns": "Turns of the dungeon master, each of them a case; and those where no call is due.",
    "calls: by tool": "Calls that the splits expect, by tool.",
    "tokens": "Lengths of conversations in tokens, against the longest the model takes. Nothing is cut.",
    "supervised share": "The share of tokens that the model learns to write: only the dungeon master's turns.",
    "leakage": "Held-out conversations that also stand in the training data; the first two must be zero. "
    "A plain random split by turn would have leaked as many as the naive figure says.",
    "split": "How the splits were drawn.",
}
