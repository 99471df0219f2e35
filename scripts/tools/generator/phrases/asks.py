"""Requests that lack one required value, and the question that asks for it."""

from __future__ import annotations

from scripts.tools.generator.intents import answer_templates

VERAN = """
# yaze_length | How many bytes should I read? | How many bytes do you want?
Read memory at {address} in YAZE.
Dump {address} with the YAZE debugger.
Show me what YAZE has from {address} on.
# mesen_length | How many bytes should I read? | How many bytes do you want?
Read Mesen's memory at {address}.
Dump some emulator memory, starting at {address}.
# yaze_address | At which address should I read? | Which address do you mean?
Read {length} in YAZE.
Get me {length} out of the YAZE debugger.
# mesen_address | At which address should I read? | Which address do you mean?
I need {length} from Mesen's memory.
Take {length} from the emulator for me.
# inspect_rom | Which ROM file should I inspect? | Which ROM file do you mean?
Describe room {room}.
What does message {message} say?
Show me palette {palette}.
Inspect sprite {sprite} in the ROM.
# inspect_kind | What should I inspect: header, room, map, sprite, message or palette?
Inspect {rom}.
Describe entry {room} of {rom}.
# extract_out | Which file should I write to? | What should the output file be called?
Extract {block} at PC {offset} of {rom}.
Dump {block} of {rom}, starting at file offset {offset}, to a file.
# extract_length | How many bytes should I extract? | How many bytes do you want?
Extract the data at offset {offset} of {rom} to {out}.
Cut the table at PC {offset} out of {rom} and save it as {out}.
# extract_offset | At which PC offset should I start? | Which PC offset do you mean?
Extract {block} from {rom} to {out}.
# extract_rom | Which ROM file should I extract from? | Which ROM file do you mean?
Save {block} from PC {offset} in {out}.
"""
FARORE = """
# load | Which ROM file should I load? | Which ROM file do you mean?
Load the ROM.
Start the emulator with my new build.
Load the game with {patch} applied.
# shot | Which file should I save the screenshot to? | What should the screenshot file be called?
Take a screenshot.
Capture the screen at scale {scale}.
Save what's on screen right now.
# advance | How many frames should I advance? | By how many frames?
Advance the paused game.
Step Mesen forward some frames.
Frame-advance the emulator a little.
# read_length | How many bytes should I read? | How many bytes do you want?
Read memory at {address}.
Show what's stored from {address} on.
# read_address | At which address should I read? | Which address do you mean?
Read {length} in the debugger.
Show me {length} of memory.
# break_address | At which address should it break? | Which address do you mean?
Set an execution breakpoint.
Add a write breakpoint for me.
Break on execution, but only if {condition}.
# break_type | Should it break on execute, read or write? | Which type: execute, read or write?
Set a breakpoint on {address}.
Put a breakpoint at {address}, please.
I need a breakpoint for {label}, address {address}.
"""
NAYRU = """
# write_data | Which bytes should I write? | What value should I write?
Write to {address} in YAZE.
Change {label} at {address} in the YAZE debugger.
# cheat_data | Which bytes should I write? | What value should I write?
Freeze {address} in Mesen.
Set {address} to a new value in the emulator.
# write_address | At which address should I write? | Which address do you mean?
Write {data} in YAZE.
Poke {byte} into memory with the YAZE debugger.
# cheat_address | At which address should I write? | Which address do you mean?
Poke {byte} into Mesen's memory.
Freeze it at {byte} in the emulator.
# assemble_address | At which address should I assemble it? | Which address should the code go to?
Assemble {snippet}.
Please assemble {snippet} into free space.
# assemble_code | Which code should I assemble? | What code should go there?
Assemble my hook at {free}.
Put new code at {free}.
# import_rom | Which ROM file should I import into? | Which ROM file do you mean?
Import {gfx} as graphics sheet {sheet}.
Add the palette {pal}.
# import_file | Which file should I import? | Which asset file do you mean?
Import the new graphics into {rom}.
Replace message {line} of {rom}.
Import a palette into {rom}.
# modify_data | Which bytes should I write? | What value should I write?
Modify {rom} at PC {offset}.
Change the byte at offset {offset} of {rom}.
# modify_offset | At which PC offset should I write? | Which PC offset do you mean?
Write {data} into {rom}.
Hex-edit {rom}; the new bytes are {data}.
# modify_rom | Which ROM file should I change? | Which ROM file do you mean?
Write {data} at PC offset {offset}.
# validate | Which ROM file should I check? | Which ROM file do you mean?
Validate the ROM.
Check the checksum.
Are the pointers still right?
"""
TEMPLATES = [
    *answer_templates("ask", "veran", VERAN),
    *answer_templates("ask", "farore", FARORE),
    *answer_templates("ask", "nayru", NAYRU),
]
