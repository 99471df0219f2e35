"""Farore's requests for several calls; all their parameters stand in the request."""

from __future__ import annotations

from scripts.tools.generator.intents import call_templates

PHRASES = """
# load_run | mesen2.load_rom path:rom | mesen2.run frames
Load {rom} and run it for {frames}.
Boot {rom} in Mesen and let {frames} pass.
Start {rom}. After loading, give it {frames}.
# load_turbo | mesen2.load_rom path:rom | mesen2.run frames speed=turbo
Load {rom} and rush through {frames} on turbo.
Open {rom}, then fast-forward {frames} at turbo speed.
# load_pause | mesen2.load_rom path:rom | mesen2.pause
Load {rom} and pause right away.
Get {rom} into Mesen, but paused.
# run_pause | mesen2.run frames | mesen2.pause
Run {frames}, then pause.
Let {frames} go by and put the game on hold.
# pause_shot | mesen2.pause | mesen2.screenshot path:shot
Pause and take a screenshot to {shot}.
Hold the game and save the picture as {shot}.
Freeze emulation; the still goes to {shot}.
# pause_shot_big | mesen2.pause | mesen2.screenshot path:shot scale
Pause the game and save a screenshot at scale {scale} in {shot}.
# pause_read | mesen2.pause | yaze_debugger.read_memory address length
Pause the emulator and read {length} at {address}.
Stop emulation, then tell me what {address} holds, {length}.
# pause_advance | mesen2.pause | mesen2.step frames:advance
Pause, then advance {advance}.
Put the game on hold and step it {advance} onward.
Freeze it here and frame-advance by {advance}.
# advance_shot | mesen2.step frames:advance | mesen2.screenshot path:shot
Advance {advance} and save the screen to {shot}.
Step Mesen {advance} forward, then screenshot into {shot}.
# shot_before_after | mesen2.screenshot path:shot | mesen2.step frames:advance | mesen2.screenshot path:shot2
Screenshot to {shot}, advance {advance}, screenshot to {shot2}.
I want a before and an after picture, {shot} and {shot2}, with a frame advance of {advance} between them.
# break_go | yaze_debugger.set_breakpoint address:code type=execute | yaze_debugger.continue
Break at {code} and continue.
Put an execution breakpoint on {routine} at {code}, then resume.
Set an execution breakpoint at {code} and let the debugger go.
# watch_go | yaze_debugger.set_breakpoint address type=write | yaze_debugger.continue
Stop on writes to {address}, then continue.
Find out who changes {label}: write breakpoint at {address}, then resume.
# watch_read_go | yaze_debugger.set_breakpoint address type=read | yaze_debugger.continue
Set a read breakpoint on {address} and resume the debugger.
# until_step | yaze_debugger.continue until:code | yaze_debugger.step count
Continue up to {code} and step {count} from there.
Run the CPU to {code}, then execute {count}.
# until_out | yaze_debugger.continue until:code | yaze_debugger.step mode=out
Go on until {code}, then step out of that routine.
# step_read | yaze_debugger.step count | yaze_debugger.read_memory address length
Step {count}, then show {length} at {address}.
After {count} more I'd like to see {length} of memory at {address}.
# over_read | yaze_debugger.step mode=over | yaze_debugger.read_memory address length
Step over the call and then read {length} at {address}.
# load_run_shot | mesen2.load_rom path:rom | mesen2.run frames | mesen2.screenshot path:shot
Load {rom}, run {frames}, and take a screenshot to {shot}.
How does {rom} look after {frames}? Load it, run it that long and save the screen in {shot}.
I need {shot}: a picture of {rom}, {frames} after loading.
# patched_run_shot | mesen2.load_rom path:rom patch | mesen2.run frames | mesen2.screenshot path:shot
Load {rom} with patch {patch}, let it run {frames} and write a screenshot to {shot}.
Does {patch} work on {rom}? Load them together, run {frames}, screenshot to {shot}.
# run_pause_read | mesen2.run frames | mesen2.pause | yaze_debugger.read_memory address length
Let the game run {frames}, pause, and read {length} at {address}.
Give it {frames}, put it on hold, then look at {address}, {length}.
# pause_step_shot | mesen2.pause | mesen2.step frames:advance | mesen2.screenshot path:shot
Pause, go {advance} further, and capture the screen to {shot}.
Hold the game, frame-advance {advance}, screenshot as {shot}.
# break_go_over | yaze_debugger.set_breakpoint address:code type=execute | yaze_debugger.continue \
| yaze_debugger.step mode=over
Break at {code}, continue to it, and step over the call there.
# break_go_into | yaze_debugger.set_breakpoint address:code type=execute | yaze_debugger.continue \
| yaze_debugger.step mode=into
Set an execution breakpoint at {code}, resume, and when it hits step into the call.
# break_go_read | yaze_debugger.set_breakpoint address type=write | yaze_debugger.continue \
| yaze_debugger.read_memory address length
Catch the next write to {address}: set the breakpoint, continue, then read {length} there.
Write breakpoint on {address}, resume, and show me {length} at the same address.
# break_go_step | yaze_debugger.set_breakpoint address:code type=execute | yaze_debugger.continue | \
yaze_debugger.step count
Break at {code}, continue, and then single-step {count}.
Get me to {code} with an execution breakpoint and a resume; trace {count} after that.
# load_break_go | mesen2.load_rom path:rom | yaze_debugger.set_breakpoint address:code type=execute | \
yaze_debugger.continue
Load {rom}, put an execution breakpoint at {code}, and continue.
Open {rom} and stop it where {code} is executed: set that breakpoint, then resume.
# three_breaks | yaze_debugger.set_breakpoint address:code type=execute | \
yaze_debugger.set_breakpoint address type=read | yaze_debugger.set_breakpoint address:address2 type=write
Three breakpoints: execution of {code}, reads of {address}, writes to {address2}.
# two_breaks | yaze_debugger.set_breakpoint address:code type=execute | \
yaze_debugger.set_breakpoint address:code2 type=execute condition
Break at {code} always, and at {code2} only if {condition}.
# step_out_read | yaze_debugger.step mode=out | yaze_debugger.step count | yaze_debugger.read_memory address length
Step out, then step {count}, then read {length} at {address}.
# demo_four | mesen2.load_rom path:rom | mesen2.run frames | mesen2.pause | mesen2.screenshot path:shot
Load {rom}, run for {frames}, pause and save a screenshot to {shot}.
Boot {rom}, wait {frames}, hold the game and put the picture in {shot}.
# repro_four | mesen2.load_rom path:rom | mesen2.run frames speed=turbo | mesen2.pause | yaze_debugger.read_memory \
address length
Reproduce it: load {rom}, turbo through {frames}, pause, read {length} at {address}.
# hunt_four | mesen2.load_rom path:rom | yaze_debugger.set_breakpoint address type=write | yaze_debugger.continue | \
yaze_debugger.step mode=out
With {rom} loaded, break on writes to {address}, continue, and step out once it hits. Load it first.
# session_five | mesen2.load_rom path:rom | mesen2.run frames | mesen2.pause | mesen2.screenshot path:shot | \
yaze_debugger.read_memory address length
Load {rom}, run {frames}, pause, screenshot to {shot}, and read {length} at {address}.
Whole session, please: {rom} in, {frames} of play, pause, picture to {shot}, then {length} at {address}.
# frames_five | mesen2.pause | mesen2.step frames:advance | mesen2.screenshot path:shot | mesen2.step frames:advance2 \
| \
mesen2.screenshot path:shot2
Pause; advance {advance}; screenshot to {shot}; advance another {advance2}; screenshot to {shot2}.
"""
TEMPLATES = call_templates("farore", PHRASES)
