"""Nayru's single calls: writing memory, assembling, editing ROM files."""

from __future__ import annotations

from scripts.tools.generator.intents import call_templates

MEMORY = """
# yaze_write | yaze_debugger.write_memory address data
Write {data} to {address} in YAZE.
YAZE: set {address} to {data}.
In the YAZE debugger, store {data} at {address}.
Put {data} into memory at {address} with YAZE's debugger.
Could you have YAZE write {data} at {address}?
yaze write {address} {data}
For a test, poke {data} into {address} through the YAZE debugger.
# yaze_write_byte | yaze_debugger.write_memory address data:byte
Set {label} at {address} to {byte} in YAZE.
With the YAZE debugger, write the byte {byte} to {address}.
YAZE, one byte at {address}: {byte}.
I need {label} to be {byte}. It's at {address}; use YAZE.
# yaze_nops | yaze_debugger.write_memory address:code data:nops
Put {nops} at {code} in YAZE.
Blank out the call at {code} with {nops}, using the YAZE debugger.
In YAZE, overwrite {code} with {nops}.
# yaze_clear | yaze_debugger.write_memory address data:filler
Write {filler} to {address} in YAZE.
Clear {label} in the YAZE debugger: {filler} at {address}.
# yaze_verify | yaze_debugger.write_memory address data verify=true
Write {data} to {address} in YAZE and verify it.
In the YAZE debugger set {address} to {data}, then read it back to be sure. The write has an option for that.
YAZE write with verification: {data} at {address}.
# mesen_write | mesen2.write_memory address data
Write {data} to {address} in Mesen.
Mesen: set {address} to {data}.
Poke {data} into the emulator's memory at {address}.
In the running game (Mesen2), store {data} at {address}.
Could you change {address} to {data} in the emulator?
mesen write {address} {data}
Have Mesen2 put {data} at {address} while the game runs.
# mesen_write_byte | mesen2.write_memory address data:byte
Set {label} in Mesen to {byte}, address {address}.
The emulator should have {byte} in {address}. One byte.
Cheat for me: {label} at {address} becomes {byte} in Mesen.
Write the single byte {byte} at {address} in Mesen2.
# mesen_freeze | mesen2.write_memory address data:byte freeze=true
Freeze {address} at {byte} in Mesen.
Set {label} at {address} to {byte} in Mesen2 and hold it there.
In the emulator, keep {address} at {byte} for good.
Lock {label} ({address}) to {byte} in Mesen so it can't change.
I keep dying while testing. Write {byte} to {address} in the emulator and freeze it.
# assemble | yaze_debugger.assemble address:free code:snippet
Assemble {snippet} at {free}.
At {free}, assemble {snippet}.
Put this code at {free}: {snippet}
New code for {free}: {snippet}. Assemble it, please.
Could you assemble {snippet} into free space at {free}?
I want {routine} to live at {free}. Its code is {snippet}; assemble that.
asm {free} {snippet}
Turn {snippet} into machine code at {free}.
# assemble_over | yaze_debugger.assemble address:code code:snippet
Replace what's at {code} with {snippet}.
Redirect {routine}: assemble {snippet} over {code}.
Patch {code} with the instructions {snippet}.
Rewrite {routine} at {code} as {snippet}
The code at {code} should be {snippet} from now on.
"""
FILES = """
# graphics_slot | z3ed_cli.import rom file:gfx kind=graphics slot:sheet
Import {gfx} as graphics sheet {sheet} of {rom}.
Replace graphics sheet {sheet} in {rom} with {gfx}.
Put the graphics from {gfx} into {rom}, sheet {sheet}.
Sheet {sheet} of {rom} gets new graphics, the file is {gfx}.
# graphics | z3ed_cli.import rom file:gfx kind=graphics
Import the graphics file {gfx} into {rom}.
Add {gfx} to {rom} as a new graphics sheet.
The tiles are done at last: import graphics {gfx} into {rom}.
# palette_slot | z3ed_cli.import rom file:pal kind=palette slot:colours
Import {pal} over palette {colours} of {rom}.
Palette {colours} in {rom} should come from {pal}. Import it.
Swap palette {colours} of {rom} for the one in {pal}.
# palette | z3ed_cli.import rom file:pal kind=palette
Add the palette {pal} to {rom}.
Import {pal} into {rom} as a new palette.
# message_slot | z3ed_cli.import rom file:text kind=message slot:line
Import {text} as message {line} of {rom}.
Message {line} in {rom} is outdated, replace it with {text}.
The corrected dialogue is in {text}; put it into {rom} as message {line}.
# message | z3ed_cli.import rom file:text kind=message
Add {text} to {rom} as a new message.
Bring the dialogue from {text} into {rom}, as a message of its own.
# room | z3ed_cli.import rom file:roomfile kind=room slot:roomslot
Import the room {roomfile} into {rom} as room {roomslot}.
Overwrite dungeon room {roomslot} of {rom} with {roomfile}.
I redid room {roomslot}. It's in {roomfile}; import it into {rom}.
# map | z3ed_cli.import rom file:mapfile kind=map slot:mapslot
Import {mapfile} as overworld map {mapslot} of {rom}.
Overworld map {mapslot} in {rom} should be replaced by {mapfile}.
Put my new map {mapfile} in {rom}, entry {mapslot}.
# validate | z3ed_cli.validate rom
Validate {rom}.
Is {rom} all right? Check it.
Check {rom} for damage.
Run z3ed's validation on {rom}, please.
Could you make sure {rom} isn't broken?
Before I ship {rom}, validate it.
z3ed validate {rom}
My script touched {rom} last night. See whether it's still sound.
# validate_checksum | z3ed_cli.validate rom check=checksum
Check the checksum of {rom}.
Is the checksum in {rom} right?
Validate only the checksum of {rom}.
Emulators complain about {rom}'s checksum. Verify it.
# validate_header | z3ed_cli.validate rom check=header
Check the header of {rom} for errors.
Validate just the header of {rom}.
Is {rom}'s header valid?
# validate_pointers | z3ed_cli.validate rom check=pointers
Check the pointers in {rom}.
Validate the pointer tables of {rom} and nothing else.
I moved some tables in {rom}; do all the pointers still hold?
# validate_all | z3ed_cli.validate rom check=all
Run all checks on {rom}.
Validate {rom} with every check there is.
# modify | z3ed_cli.modify rom offset data
Write {data} to offset {offset} of {rom}.
Patch {rom}: {data} at PC {offset}.
In {rom}, change the bytes at file offset {offset} to {data}.
Modify {rom} at {offset} (PC); the new bytes are {data}.
Could you hex-edit {rom}? At offset {offset} put {data}.
Overwrite PC offset {offset} in {rom} with {data}.
z3ed modify {rom} {offset} {data}
# modify_byte | z3ed_cli.modify rom offset data:byte
Set the byte at PC {offset} in {rom} to {byte}.
One constant in {rom} is off: offset {offset} should be {byte}.
Change offset {offset} of {rom} to {byte}.
# modify_fill | z3ed_cli.modify rom offset data:filler
Put {filler} at offset {offset} in {rom}.
# modify_nops | z3ed_cli.modify rom offset data:nops
Disable the code at PC {offset} of {rom} with {nops}.
In {rom}, {nops} at offset {offset} should silence that routine.
# modify_backup | z3ed_cli.modify rom offset data backup=true
Back up {rom} and write {data} at offset {offset}, in one go.
Write {data} to PC {offset} in {rom}, but keep a backup.
Patch offset {offset} of {rom} with {data}; make a copy of the file first.
With a backup, change {rom} at {offset} (PC) to {data}.
"""
TEMPLATES = call_templates("nayru", MEMORY + FILES)
