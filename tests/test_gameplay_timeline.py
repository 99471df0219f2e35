"""The timeline, its segments and windows, and health figures, all by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gameplay_fixtures import OTHER, every_tick, recording, shown

from scripts.gameplay.health import Counts, figures, warnings
from scripts.gameplay.keys import KEYS, code_of, keys_of, word_of_code
from scripts.gameplay.options import GameplayIngestOptions, HealthOptions, TimelineOptions
from scripts.gameplay.readers.order import in_order, runs
from scripts.gameplay.segments import cut, pictures_of, pieces_of, segments_of, window_of
from scripts.gameplay.timeline import build


def built(*args, options=None, **kwargs):
    return build(recording(*args, **kwargs), options or TimelineOptions(), threshold=20.0)


def words(stretch):
    return [word_of_code(code) for code in stretch.held.tolist()]


def test_codes_and_words():
    assert [code_of([key]) for key in KEYS] == [1 << bit for bit in range(len(KEYS))]
    assert keys_of(word_of_code(code_of(["w", "left"]))) == {"left", "w"}
    assert (word_of_code(0), word_of_code(code_of(["w", "left"]))) == ("none", "left+w")


def test_a_held_key_leaves_one_frame_and_is_carried_forward():
    timeline = built([(0, "none"), (100, "w"), (600, "left+w"), (800, "none"), (900, "none")])
    (stretch,) = timeline.stretches
    assert words(stretch) == ["none", "w", "w", "w", "w", "w", "left+w", "left+w", "none", "none"]
    assert shown(stretch.shots) == [0, 1, None, None, None, None, 2, None, 3, 4]
    assert timeline.gaps == [] and timeline.seconds == 1.0 and stretch.last
    assert timeline.words() == {"none": 3, "w": 5, "left+w": 2}


def test_frames_that_come_early_or_late_find_their_own_tick():
    (stretch,) = built([(1000, "none"), (1149, "w"), (1151, "a"), (1290, "d"), (1449, "none")]).stretches
    assert words(stretch) == ["none", "w", "a", "d", "none"]
    assert stretch.start == 1000


def test_two_frames_in_a_tick_the_nearest_is_shown_and_the_last_state_counts():
    (stretch,) = built([(0, "w"), (95, "w"), (140, "a"), (200, "none")]).stretches
    assert words(stretch) == ["w", "a", "none"]
    assert shown(stretch.shots) == [0, 1, 3]


def test_a_tap_between_two_ticks_is_not_lost():
    rows = [(0, "w"), (160, "space+w"), (190, "w"), (260, "none"), (280, "w"), (400, "w")]
    (stretch,) = built(rows, rhythm="events").stretches
    assert words(stretch) == ["w", "w", "space+w", "w", "w"]


def test_silences_longer_than_the_recorder_is_silent_are_gaps():
    rows = [(0, "none"), (1000, "none"), (2100, "w"), (14_100, "w"), (26_200, "none")]
    timeline = built(rows)
    assert [(gap.at, gap.seconds, gap.why) for gap in timeline.gaps] == [
        (1000, 1.1, "silent"),
        (14_100, 12.1, "silent with keys held"),
    ]
    assert [(stretch.start, len(stretch.held), stretch.last) for stretch in timeline.stretches] == [
        (0, 11, False),
        (2100, 121, False),
        (26_200, 1, True),
    ]


@pytest.mark.parametrize(("rhythm", "limit"), [("even", 1.0), ("events", 3.0)])
def test_other_recorders_fall_silent_for_less(rhythm, limit):
    for seconds, gaps in ((limit, 0), (limit + 0.001, 1)):
        assert len(built([(0, "w"), (round(1000 * seconds), "w")], rhythm=rhythm).gaps) == gaps


def test_events_are_carried_while_other_messages_show_that_the_recorder_runs():
    timeline = built([(0, "none"), (500, "w")], rhythm="events", alive=[0, 500, 3000, 5000], shots=[1000])
    (stretch,) = timeline.stretches
    assert words(stretch) == ["none"] * 5 + ["w"] * 46
    assert shown(stretch.shots)[9:12] == [None, 0, None]


def test_unknown_keys_cut_the_timeline_until_the_next_state():
    timeline = built([(0, "w"), (100, "w"), (200, OTHER), (300, OTHER), (450, "a"), (550, "a")])
    first, second = timeline.stretches
    assert (words(first), first.last) == (["w", "w"], False)
    assert (second.start, words(second), second.last) == (450, ["a", "a"], True)
    assert [(gap.at, gap.seconds, gap.why) for gap in timeline.gaps] == [(200, 0.25, "keys unknown")]


def test_keys_unknown_at_the_end_are_no_true_end():
    (stretch,) = built([(0, "w"), (100, "w"), (200, OTHER)]).stretches
    assert (words(stretch), stretch.last) == (["w", "w"], False)


def test_keys_unknown_before_and_after_a_silence():
    timeline = built([(0, "w"), (100, OTHER), (5000, OTHER), (5100, "a"), (5200, "a"), (9000, OTHER)])
    assert [(one.start, words(one)) for one in timeline.stretches] == [(0, ["w"]), (5100, ["a"] * 39)]
    assert [(gap.at, gap.seconds) for gap in timeline.gaps] == [(100, 5.0)]


def test_unknown_keys_beside_a_silence_are_one_gap():
    timeline = built([(0, "w"), (100, OTHER), (5000, "a"), (5100, "a")])
    assert [(gap.at, gap.seconds) for gap in timeline.gaps] == [(100, 4.9)]


def test_the_mouse_turns_the_camera_in_the_tick_in_which_it_moves():
    moved = [(0, 12, 0), (99, 8, -19), (110, -20, 0), (250, 3, 25), (5000, 99, 0)]
    (stretch,) = built([(0, "w"), (300, "none")], turns=moved).stretches
    assert words(stretch) == ["right+w", "left+w", "down+w", "none"]


def test_no_frames_no_timeline():
    assert built([]).stretches == [] and built([]).words() == {}


def test_time_that_runs_backwards_is_found_where_it_does():
    assert in_order([1, 2, 2, 3]).all() and in_order([]).all()
    assert in_order([1, 9, 2, 3, 4]).tolist() == [True, False, True, True, True]
    assert in_order([5, 6, 7, 1, 2, 8]).tolist() == [True, True, True, False, False, True]
    assert list(runs(np.array([True, False, True, True]))) == [(0, 0), (2, 3)]


def test_windows_look_ahead_and_are_padded_only_at_the_true_end():
    held = list("abcdefghij")
    assert window_of(held, 1, last=False) == list("cdefghi")
    assert window_of(held, 2, last=False) == list("defghij")
    assert window_of(held, 3, last=False) is None
    assert window_of(held, 3, last=True) == [*"efghij", "none"]
    assert window_of(held, 9, last=True) == ["none"] * 7


@pytest.mark.parametrize(
    ("ticks", "pieces"),
    [
        (9, []),
        (10, [(0, 10)]),
        (40, [(0, 40)]),
        (49, [(0, 49)]),
        (50, [(0, 40), (40, 50)]),
        (89, [(0, 40), (40, 89)]),
    ],
)
def test_pieces_of_four_seconds_and_what_is_left(ticks, pieces):
    assert cut(ticks, 40, 10) == pieces


@pytest.mark.parametrize(
    ("held", "pieces"),
    [
        ([("w", 30), ("none", 10), ("a", 30)], [(0, 40), (40, 70)]),  # where one stood still, a goal was reached
        ([("w", 30), ("none", 9), ("a", 30)], [(0, 40), (40, 69)]),  # too short a rest: every four seconds
        ([("w", 50), ("none", 15), ("a", 5)], [(0, 40), (40, 70)]),  # too little is left for a segment of its own
        ([("none", 12), ("a", 20), ("none", 20)], [(0, 12), (12, 52)]),  # the rest belongs to what led to it
    ],
)
def test_a_rest_ends_a_segment(held, pieces):
    words = [word for word, ticks in held for _ in range(ticks)]
    assert pieces_of(words, GameplayIngestOptions()) == pieces


def test_windows_cross_the_borders_of_segments():
    rows = [*every_tick(40, "w"), *every_tick(20, "left+w", first=40)]
    (first, second), dropped = segments_of(built(rows), GameplayIngestOptions())
    assert (first.start, first.end, second.start, second.end) == (0, 4000, 4000, 6000)
    assert len(first.samples) == 40 and len(second.samples) == 20 and dropped == {}
    assert first.samples[36] == (36, 3600, "w", ["w"] * 3 + ["left+w"] * 4)
    assert first.samples[39].actions == ["left+w"] * 7
    assert second.samples[-1].actions == ["none"] * 7 and second.samples[12].actions == ["left+w"] * 7
    assert second.samples[13].actions == ["left+w"] * 6 + ["none"]


def test_samples_before_a_gap_are_left_out_and_counted():
    rows = [*every_tick(40, "w"), *every_tick(5, "a", first=200), *every_tick(12, "d", first=400)]
    segments, dropped = segments_of(built(rows, options=TimelineOptions(max_held_gap=2)), GameplayIngestOptions())
    assert [len(one.samples) for one in segments] == [33, 12]
    assert dropped == {"pictures with a gap in their window": 7, "pictures in stretches too short": 5}


def test_only_pictures_make_samples_and_segments_without_any_are_left_out():
    rows = [(0, "none"), (100, "w"), (9000, "none"), (9100, "none")]
    segments, dropped = segments_of(built(rows), GameplayIngestOptions())
    assert [(one.start, [sample.stamp for sample in one.samples]) for one in segments] == [
        (0, [0, 100]),
        (8000, [9000, 9100]),
    ]
    assert dropped == {"ticks of segments without a picture": 40}


def test_strides_count_through_the_recording():
    rows = every_tick(90)
    segments, dropped = segments_of(built(rows), GameplayIngestOptions(stride=7))
    kept = [sample.shot for one in segments for sample in one.samples]
    assert kept == list(range(0, 90, 7))
    assert dropped == {"pictures between strides": 90 - len(kept)}
    options = GameplayIngestOptions(stride=40, label_frames=2)
    (first, *_), _ = segments_of(built(rows), options)
    assert pictures_of(first, options) == [0, 20]


def test_health_figures_by_hand():
    counts = Counts({"none": 50, "w": 30, "left+w": 15, "up": 5}, frames=100, goals={"a": 6, "b": 3})
    of = figures(counts)
    assert of["keys"] == {"none": 0.5, "w": 0.45, "left": 0.15, "up": 0.05}
    assert of["words"] == {"none": 0.5, "w": 0.3, "left+w": 0.15, "up": 0.05}
    assert (of["none"], of["camera_to_movement"], of["goal_ratio"]) == (0.5, 20 / 45, 2.0)
    assert [warned.kind for warned in warnings(counts, HealthOptions())] == ["goals", "frames"]


@pytest.mark.parametrize(
    ("held", "frames", "goals", "found"),
    [
        ({"none": 50, "left+w": 50}, 2000, {"a": 5, "b": 3}, []),
        ({"none": 51, "left+w": 49}, 2000, {"a": 5}, [("caution", "none")]),
        ({"none": 70, "left+w": 30}, 2000, {}, [("caution", "none")]),
        ({"none": 71, "left+w": 29}, 2000, {}, [("warning", "none")]),
        ({"w": 80, "left+w": 20}, 2000, {}, []),
        ({"w": 81, "left+w": 19}, 2000, {}, [("warning", "camera")]),
        ({"left": 5}, 1999, {}, [("warning", "frames")]),
        ({"left": 5}, 2000, {"a": 51, "b": 30}, [("warning", "goals")]),
        ({}, 0, {}, [("warning", "frames")]),
    ],
)
def test_limits_of_the_warnings(held, frames, goals, found):
    told = warnings(Counts(held, frames, goals), HealthOptions())
    assert [(warned.level, warned.kind) for warned in told] == found
