"""The metrics of terrain in plain words: name to (title, explanation)."""

METRICS = {
    "height_rmse": (
        "height error, yards",
        "root of the mean squared difference between the true ground and the one rebuilt from the answer.",
    ),
    "height_correlation": (
        "height correlation",
        "whether the ground rises where it should within a tile, whatever its level: 1 is perfect, 0 says nothing.",
    ),
    "valid_json": ("valid answers", "share of the answers that can be read. One that cannot fails on every count."),
    "texture_f1": ("textures F1", "precision and recall of the textures named, in one number."),
    "object_error": ("objects off", "by how many the number of objects is off, on average."),
    "liquid_f1": ("liquid F1", "precision and recall of the cells under liquid, by type."),
    "hole_f1": ("holes F1", "precision and recall of the cells with holes."),
    "perplexity": (
        "perplexity",
        "how surprised the model is by held-out answers: 1 would be no surprise at all. Its n counts tokens.",
    ),
}
COUNTS = {
    "rows in": "Tiles found in the exports.",
    "tiles": "Tiles that could be read and checked.",
    "maps": "Tiles of each map.",
    "quarantined": "Why tiles were left out. Nothing is left out without a reason; quarantine.jsonl names each.",
    "picked": "Why tiles were kept: worth most, with liquid, objects or holes, drawn, or all of them.",
    "look alikes": "Tiles whose minimap looks as another one's: of those that do the first is kept.",
    "gap": "Tiles that lie between two splits and are in neither.",
    "rows": "Tiles in each split; unseen ones are of maps in a style that no one trained on.",
    "leakage": "Tiles of different splits that are neighbours, or look alike: both must be zero.",
    "naive split": "How many test tiles a plain random split would have left beside a training tile.",
    "pictures": "The pictures that the model sees, and their side in pixels.",
    "answer": "The form of the answers, its longest, and how far the ground it rebuilds is from the true one, yards.",
}
