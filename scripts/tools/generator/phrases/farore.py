"""Farore's single calls: the emulator and the debugger."""

from __future__ import annotations

from scripts.tools.generator.intents import call_templates

EMULATOR = """
# load | mesen2.load_rom path:rom
Load {rom}.
Open {rom} in Mesen.
Start the emulator with {rom}.
Could you load {rom} into Mesen2 for me?
Put {rom} in the emulator, please.
Boot {rom} in Mesen.
I want to test {rom}; get it loaded.
Swap the game in the emulator for {rom}.
mesen load {rom}
# load_patched | mesen2.load_rom path:rom patch
Load {rom} with {patch} applied.
Open {rom} in Mesen, patched with {patch}.
Test the patch {patch} on top of {rom}: load it that way.
Get {rom} into the emulator, and apply {patch} while loading.
Please boot {rom} plus {patch}.
Soft-patch {rom} with {patch} and load it in Mesen2.
# run_for | mesen2.run frames
Run for {frames}.
Let the game run for {frames}.
Run the emulator for {frames}, please.
Let Mesen play on for {frames}.
Give the game {frames} to get going.
Can you let it run {frames}?
mesen run {frames}
I want {frames} of normal gameplay to pass in the emulator; run it that long.
# run_turbo | mesen2.run frames speed=turbo
Run {frames} at turbo speed.
Fast-forward {frames} with turbo.
Turbo through {frames} of the game.
Let it run for {frames}, but on turbo.
Skip the intro: {frames} of emulation at turbo speed.
# run_turbo_open | mesen2.run speed=turbo
Let the game run on turbo until I pause it.
Run at turbo speed, no frame limit.
Turbo on and keep the emulator running.
# run_open | mesen2.run
Let the game run.
Unpause the emulator.
Start emulation; I'll pause it myself.
Run Mesen until I say stop.
Let the emulator play on without a limit.
# shot | mesen2.screenshot path:shot
Take a screenshot to {shot}.
Save what's on screen as {shot}.
Screenshot, file {shot}.
Could you capture the current picture in {shot}?
I need this screen for the report: write it to {shot}.
Grab the frame into {shot}, please.
mesen screenshot {shot}
Snap the emulator's screen and call it {shot}.
Look at that glitch! Keep a picture of it in {shot}.
# shot_scaled | mesen2.screenshot path:shot scale
Take a screenshot to {shot}, scale {scale}.
Save the screen as {shot} at {scale} times the size.
Capture the picture in {shot}, enlarged by a factor of {scale}.
For the wiki I need {shot}, a screenshot at scale {scale}.
Screenshot the game to {shot}, blown up {scale} times.
# pause | mesen2.pause
Pause the game.
Pause Mesen, please.
Hold the emulator right there.
Stop! Freeze the emulation where it is.
Can you pause emulation for me?
Halt the running game in Mesen2.
pause
Wait, put the game on hold.
I need to get the door; pause the emulator.
Don't let the game go any further for now.
Please interrupt emulation.
Time out: the emulator should pause.
The bug is on screen right now, so pause the emulator quickly.
mesen pause
# advance | mesen2.step frames:advance
Advance {advance}.
Step the emulator by {advance}.
Frame-advance: {advance}.
The game is paused; move it on by {advance}.
Please step Mesen forward {advance}.
Go {advance} further in the paused game.
mesen step {advance}
I want to see the sprite move, so advance the paused game {advance}.
Nudge emulation ahead {advance} in frame-advance mode.
Could you step {advance} forward in Mesen2?
"""
DEBUGGER = """
# read | yaze_debugger.read_memory address length
Read {length} at {address}.
What's at {address}? {length}, please.
Dump {length} from {address} in the debugger.
Show me {length} of memory starting at {address}.
I suspect {label} goes bad. Read {length} at {address}.
Debugger: {length} from {address}
Check memory at {address} for me, {length}.
Could you read {label}? I want {length} at {address}.
Tell me what is stored from {address} on, {length}.
# read_decimal | yaze_debugger.read_memory address length view=decimal
Read {length} at {address}, in decimal.
How many is that in decimal? {length} at {address}.
# continue | yaze_debugger.continue
Continue to the next breakpoint.
Resume execution in the debugger.
Carry on until something breaks.
Go on, let the CPU run to whatever breakpoint comes next.
continue
Leave the breakpoint and resume the program.
Done looking here; continue.
Let the debugger go.
Please resume from this stop.
# continue_until | yaze_debugger.continue until:code
Continue, but stop at {code} at the latest.
Run the CPU up to {code}.
Resume until {code}.
Let the debugger go as far as {code}.
I want to get to {routine} at {code}; continue until there.
continue until {code}
Please carry on in the debugger and halt when you reach {code}.
# break_execute | yaze_debugger.set_breakpoint address:code type=execute
Break at {code}.
Set an execution breakpoint at {code}.
Stop when the CPU executes {code}.
Put a breakpoint on {routine}, it starts at {code}.
Does {routine} ever run? Break on execution of {code}.
Please halt whenever code at {code} is reached.
bp exec {code}
I want the debugger to stop as soon as {code} gets executed.
# break_read | yaze_debugger.set_breakpoint address type=read
Break when {address} is read.
Who reads {label}? Set a read breakpoint on {address}.
Set a read breakpoint at {address}.
Stop on any read of {address}.
bp read {address}
# break_write | yaze_debugger.set_breakpoint address type=write
Break when {address} is written.
Something overwrites {label}. Stop on writes to {address}.
Watch {address} for writes.
Set a write breakpoint at {address}, please.
I need to catch whoever stores to {address}; break on it.
Halt the moment {address} gets a new value written.
bp write {address}
# break_if | yaze_debugger.set_breakpoint address:code type=execute condition
Break at {code} if {condition}.
Stop at {code}, but only when {condition}.
Set an execution breakpoint on {code} that fires if {condition}.
{routine} runs too often, so break at {code} only while {condition}.
# write_if | yaze_debugger.set_breakpoint address type=write condition
Break on writes to {address}, only if {condition}.
When {address} is written and {condition}, stop.
I only care about writes to {address} where {condition}. Set a breakpoint.
# break_once | yaze_debugger.set_breakpoint address:code type=execute once=true
Break at {code} just once.
One-shot execution breakpoint at {code}, please.
Stop the first time {code} is executed, then drop the breakpoint.
I need a temporary breakpoint on {routine} at {code}; it may vanish after one hit.
# read_once | yaze_debugger.set_breakpoint address type=read once=true
Break on the first read of {address} and remove the breakpoint then.
A one-time read breakpoint on {address}, please.
# step_count | yaze_debugger.step count
Step {count}.
Execute {count} and stop.
Trace {count} from here.
Let the CPU do {count}, no more.
Single-step {count} in the debugger.
Step the debugger by {count}, please.
I'd like to walk through {count}.
# step_over | yaze_debugger.step mode=over
Step over the subroutine call.
Step over this JSR.
Don't descend into that JSL, step over it.
I know what that routine does; step over.
step over
# step_over_count | yaze_debugger.step count mode=over
Step over {count}.
Step {count}, without entering subroutines.
Do {count} in step-over mode.
# step_out | yaze_debugger.step mode=out
Step out of this routine.
Finish the current subroutine and stop in the caller.
Get me back to the caller: step out.
step out
I've seen enough of this function. Step out.
# step_into | yaze_debugger.step mode=into
Step into the call.
Follow that JSL, step into it.
Enter the subroutine at the cursor with step into.
step into
"""
TEMPLATES = call_templates("farore", EMULATOR + DEBUGGER)
