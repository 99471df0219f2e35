"""The metrics of tool calls in plain words: name to (title, explanation)."""

METRICS = {
    "exact_match": (
        "exact match",
        "of the requests that want calls, the share answered with exactly those: the same calls in order, every name "
        "and every parameter equal.",
    ),
    "tool_accuracy": ("tool accuracy", "as exact match, but only the names of the tools must be right."),
    "parameter_precision": (
        "parameter precision",
        "of the tools and parameters the model wrote, the share that is due at that place with that value.",
    ),
    "parameter_recall": ("parameter recall", "of the tools and parameters that are due, the share the model wrote."),
    "parameter_f1": ("parameter F1", "precision and recall of parameters in one number."),
    "schema_validity": (
        "schema validity",
        "of the calls the model wrote, broken ones counted, the share that keeps the tool schema.",
    ),
    "decline_precision": (
        "decline precision",
        "of the requests the model answered without a call, the share that had to be declined or asked back.",
    ),
    "decline_recall": (
        "decline recall",
        "of the requests that had to be declined or asked back, the share answered without a call.",
    ),
    "perplexity": (
        "perplexity",
        "how surprised the model is by held-out answers: 1 would be no surprise at all. Its n counts tokens.",
    ),
}
COUNTS = {
    "rows in": "Rows read from the files of examples, of all specialists.",
    "valid": "Rows whose calls keep the tool schema.",
    "distinct": "Examples left once repeats fell, of all specialists.",
    "duplicates": "Rows that say and call what another does.",
    "near duplicates": "Rows that call the same as another and are phrased almost as it is.",
    "dropped": "Why rows were left out. Nothing is left out without a reason; quarantine.jsonl names each.",
    "of other specialists": "Examples that need tools which this specialist lacks.",
    "records": "Examples of this specialist in each split.",
    "calls": "Calls that each split expects.",
    "by tool": "Calls by tool.",
    "by difficulty": "Examples by difficulty.",
    "by kind": "Examples by what is due: calls, calls that wait for a result, a decline, a question back.",
    "templates": "What phrased the examples; none may dominate.",
    "groups": "What is kept on one side of the split: examples of one template, and near texts.",
    "leakage": "Examples that stand in two splits, the same or nearly; the first two must be zero. Naive figures say "
    "how many test rows a plain random split of the rows would have leaked.",
    "split": "How the splits were drawn.",
}
