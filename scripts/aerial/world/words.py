"""The metrics of the occupancy world model in plain words: name to (title, explanation)."""

METRICS = {
    "iou_no_ground": (
        "IoU without ground",
        "cells that are foretold as occupied by anything but ground and are, over those that are either.",
    ),
    "iou": ("IoU", "the same with the ground, which a plane gets right."),
    "miou_no_ground": ("mIoU without ground", "mean of the classes' IoU, ground and free left out."),
    "miou": ("mIoU", "mean of the classes' IoU, free left out."),
    "precision": ("precision", "share of the cells foretold as occupied that are."),
    "recall": ("recall", "share of the occupied cells that were foretold as such."),
    "position_error": ("position, m", "how far the foretold ego position is from the true one."),
    "orientation_error": ("orientation, degrees", "the angle between the foretold orientation and the true one."),
}
COUNTS = {
    "frames": "Frames found, used, and quarantined; quarantine.jsonl names each of the last with its reason.",
    "missing in a row": "Frames that are missing between others; no window reaches across them.",
    "windows": "Windows of history and future in each split.",
    "windows dropped": "Windows in no split, and why.",
    "squares": "Squares of ground that each split has whole.",
    "least distance m": "The least distance between frames of two splits; the buffer is what it must reach.",
    "occupied share": "Cells that are not free, over all frames.",
}
