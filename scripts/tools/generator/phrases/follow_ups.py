"""Requests whose later calls depend on what an earlier one returned.

A block opens with ``# name | step | step`` as in `intents`; ``< text | text`` lines give what a step may return (one
line a step, in order), ``> text | text`` the possible final answers; other lines are phrases. ``{slot}`` in a result
or an answer is the call's own value, ``{slot:le3}`` the same as three little-endian bytes, ``{slot:low}`` its low
word, ``{dump:short}`` as many random bytes as the slot says.
"""

from __future__ import annotations

from scripts.tools.generator.intents import Template, read_blocks, read_step

VERAN = """
# pointer_yaze | yaze_debugger.read_memory address:spot length=3 | yaze_debugger.read_memory address^target length:short
< {spot}: {target:le3} | bytes: {target:le3}
< {target}: {dump:short} | bytes: {dump:short}
> The pointer is {target}; it holds {dump:short}. | At {target} stands {dump:short}.
There's a 24-bit pointer at {spot}. In YAZE, read it, then read {short} where it points.
YAZE: follow the 24-bit pointer at {spot} and dump {short} from its target.
Dereference the three-byte pointer at {spot} with the YAZE debugger; show me {short} of what it points to.
# pointer_mesen | mesen2.read_memory address:spot length=3 | mesen2.read_memory address^target length:short
< {spot}: {target:le3} | {target:le3}
< {target}: {dump:short} | {dump:short}
> It points to {target}, where {dump:short} stands. | {target}: {dump:short}.
In Mesen, a 24-bit pointer sits at {spot}. Read it and then {short} at the address it gives.
Follow the 24-bit pointer at {spot} in the emulator; I want {short} from there.
Mesen again: which {short} does the three-byte pointer at {spot} lead to?
# vector_code | mesen2.read_memory address=0x00FFEA length=2 | mesen2.read_memory address^handler length:short
< 00FFEA: {handler:le2} | {handler:le2}
< {handler}: {dump:short} | {dump:short}
> NMI goes to {handler}, which begins with {dump:short}. | The handler at {handler} starts {dump:short}.
In Mesen, read the NMI vector, a word at 00:FFEA, and then {short} of its handler in bank 00.
Where does NMI go? The emulator has the word at $00FFEA; read it, then read {short} at that address in bank $00.
# at_pc | yaze_debugger.get_registers | yaze_debugger.read_memory address^code length:short
< A=0040 X=0012 Y=0003 S=01F3 PC={code} P=30 | PC {code}, A 00FF, X 0004, Y 0000, S 01EF, P B1
< {code}: {dump:short} | bytes: {dump:short}
> The CPU is at {code}: {dump:short}. | At {code} the code bytes are {dump:short}.
Where's the CPU? Get the registers, then read {short} at the program counter in YAZE.
Show {short} of code at the current PC. Take the PC from the registers and read in YAZE.
Look at the registers and dump {short} from where PC is, with the YAZE debugger.
# at_stack | yaze_debugger.get_registers | mesen2.read_memory address^stack length:short
< A=0001 X=0000 Y=0020 S={stack:low} PC=0x0DB4A6 P=35 | S {stack:low}, PC 0x02C10A, A 0010, X 0002, Y 0000
< {stack}: {dump:short} | {dump:short}
> From {stack} on the stack holds {dump:short}. | Stack at {stack}: {dump:short}.
Check the registers for the stack pointer, then read {short} in Mesen at that address in bank 00.
I want to see the stack: S from the registers, then {short} there (bank $00) from the emulator.
# find_room | z3ed_cli.inspect rom kind=room id:room | z3ed_cli.extract rom offset^offset length^size out
< room {room}: data at PC {offset}, {size} bytes | {"id": "{room}", "offset": "{offset}", "length": {size}}
< wrote {size} bytes to {out} | ok, {size} bytes
> {size} bytes from PC {offset} are in {out}. | Room {room} is saved in {out}, {size} bytes.
Find out where room {room} is in {rom} and how long it is, then extract it to {out}.
Inspect room {room} of {rom} and dump exactly its data into {out}.
I want room {room} of {rom} as a file, {out}. Look its place and size up first.
# find_message | z3ed_cli.inspect rom kind=message id:message | z3ed_cli.extract rom offset^offset length^size out
< message {message}: PC {offset}, {size} bytes | {"id": "{message}", "offset": "{offset}", "length": {size}}
< wrote {size} bytes to {out} | ok, {size} bytes
> Message {message}, {size} bytes at PC {offset}, is in {out}. | Saved {size} bytes to {out}.
Look up message {message} in {rom} and extract its raw bytes to {out}.
Where is message {message} in {rom}? Once you know, save its bytes as {out}.
# find_palette | z3ed_cli.inspect rom kind=palette id:palette | z3ed_cli.extract rom offset^offset length:block out
< palette {palette}: stored at PC {offset} | {"id": "{palette}", "offset": "{offset}"}
< wrote {block} bytes to {out} | ok, {block} bytes
> {block} bytes from PC {offset} are in {out}. | Done: {out} holds the bytes from {offset} on.
Locate palette {palette} in {rom}, then extract {block} from there to {out}.
Inspect palette {palette} of {rom}. Copy {block} from the offset it reports to {out}.
"""
FARORE = """
# handler | yaze_debugger.read_memory address=0x00FFEA length=2 | yaze_debugger.set_breakpoint address^handler \
type=execute
< 0x00FFEA: {handler:le2} | bytes: {handler:le2}
< breakpoint 1 at {handler} | ok, breakpoint 4
> It will stop at the NMI handler, {handler}. | Breakpoint set on {handler}.
Break on the NMI handler: read the vector, a word at 00:FFEA, and set an execution breakpoint there in bank 00.
The NMI vector is the word at $00FFEA. Look where it goes in bank $00 and break on execution of that.
# pointed_code | yaze_debugger.read_memory address:spot length=3 | yaze_debugger.set_breakpoint address^code \
type=execute
< {spot}: {code:le3} | bytes: {code:le3}
< breakpoint 2 at {code} | ok, breakpoint 1
> Breakpoint set on {code}. | The pointer leads to {code}; execution stops there.
A 24-bit code pointer is at {spot}. Read it and break when its target is executed.
Set an execution breakpoint on the routine that the three-byte pointer at {spot} points to.
Which code does the 24-bit pointer at {spot} select? Put an execution breakpoint on it.
# pointed_data | yaze_debugger.read_memory address:spot length=3 | yaze_debugger.set_breakpoint address^place type=write
< {spot}: {place:le3} | bytes: {place:le3}
< breakpoint 1 at {place}, write | ok, breakpoint 3
> Writes to {place} will stop the CPU. | Watching {place} for writes.
Read the 24-bit pointer at {spot} and break on writes to what it points to.
The three-byte pointer at {spot} tells where the buffer is. Put a write breakpoint on that buffer.
# timer | yaze_debugger.read_memory address:spot length=1 | mesen2.run frames^timer
< {spot}: {timer:le1} | bytes: {timer:le1}
< ran {timer} frames | ok, stopped after {timer} frames
> The timer stood at {timer}; that many frames have run. | Ran {timer} frames.
The byte at {spot} counts the frames that are left. Read it and run the emulator exactly that long.
One byte at {spot} is a countdown in frames; read it, then let the game run for as many frames.
Read the frame timer at {spot} (one byte) and run just that number of frames.
# timer_step | yaze_debugger.read_memory address:spot length=1 | mesen2.step frames^timer
< {spot}: {timer:le1} | bytes: {timer:le1}
< advanced {timer} frames | ok, {timer} frames
> Advanced {timer} frames, as the timer said. | {timer} frames stepped.
The game is paused. Read the one-byte delay at {spot} and frame-advance by that many frames.
Look at the byte at {spot}: it's the number of frames to advance the paused game. Do so.
# culprit | yaze_debugger.set_breakpoint address type=write | yaze_debugger.continue | yaze_debugger.read_memory \
address^code length:short
< breakpoint 1 at {address}, write | ok, breakpoint 2
< hit: write to {address} by {code} | stopped at {code}, breakpoint on {address}
< {code}: {dump:short} | bytes: {dump:short}
> The code at {code} writes {address}: {dump:short}. | {code} did it; its bytes are {dump:short}.
Catch who writes {address}: write breakpoint, continue, then read {short} at the place in the code that did it.
Set a write breakpoint on {address}, resume, and dump {short} of code at the address where it stops.
# reader | yaze_debugger.set_breakpoint address type=read | yaze_debugger.continue | yaze_debugger.set_breakpoint \
address^code type=execute
< breakpoint 1 at {address}, read | ok, breakpoint 5
< stopped at {code}, read of {address} | hit: read of {address} by {code}
< breakpoint 2 at {code} | ok, breakpoint 6
> {code} reads it; execution stops there from now on. | Breakpoint set on the reader, {code}.
Find the code that reads {address} (read breakpoint, continue) and put an execution breakpoint on it.
Read breakpoint on {address}, resume; wherever it stops, set an execution breakpoint too.
# return_here | yaze_debugger.step mode=out | yaze_debugger.set_breakpoint address^code type=execute
< stopped at {code} | PC {code}
< breakpoint 1 at {code} | ok, breakpoint 2
> The caller goes on at {code}; there is a breakpoint now. | Breakpoint set on {code}.
Step out and set an execution breakpoint where we land.
Get back to the caller with step out, and break on execution of that address from now on.
# come_back | yaze_debugger.step count | yaze_debugger.continue until^code
< stopped at {code} | PC {code}
< stopped at {code} again | reached {code}
> Back at {code}. | Stopped at {code} the second time.
Step {count}, note where that is, and continue until the CPU is at that address again.
Execute {count}. Then resume until it returns to the address where it stopped.
# paused_at | mesen2.pause | yaze_debugger.read_memory address^code length:short
< paused, PC {code} | paused at {code}
< {code}: {dump:short} | bytes: {dump:short}
> Paused at {code}: {dump:short}. | The code at {code} is {dump:short}.
Pause the game and read {short} of code at the program counter that it reports.
Hold the emulator; wherever PC is then, dump {short} from there.
"""
NAYRU = """
# fix_checksum | z3ed_cli.validate rom check=checksum | z3ed_cli.modify rom offset=0x007FDC data^checksum
< checksum wrong; PC 0x007FDC should hold {checksum} | {"ok": false, "offset": "0x007FDC", "expected": "{checksum}"}
< 4 bytes written | ok
> The checksum is mended: {checksum} at PC 0x007FDC. | Wrote {checksum} to PC 0x007FDC.
Check the checksum of {rom}; if it's wrong, write the expected bytes to PC 0x7FDC.
Mend the checksum of {rom}: validate it, then put the bytes it expects at offset $007FDC.
# fix_byte | z3ed_cli.validate rom | z3ed_cli.modify rom offset^offset data^data
< 1 problem: PC {offset} should hold {data} | {"problems": [{"offset": "{offset}", "expected": "{data}"}]}
< written | ok
> PC {offset} holds {data} now. | Fixed: {data} at {offset}.
Validate {rom} and correct the problem it reports with the bytes it expects.
Run the validation on {rom}, then write the expected bytes at the offset it complains about.
See what's wrong with {rom} and fix it as the validator says.
# fix_pointer | z3ed_cli.validate rom check=pointers | z3ed_cli.modify rom offset^offset data^entry backup=true
< bad pointer: PC {offset} should hold {entry} | {"offset": "{offset}", "expected": "{entry}"}
< written, backup kept | ok
> The pointer at PC {offset} is {entry} now; a backup is kept. | Corrected {offset} to {entry}.
Check the pointers of {rom}. Write the expected bytes over the bad one, with a backup.
Is a pointer broken in {rom}? Validate the pointers, and repair what it reports, keeping a backup.
# append_code | yaze_debugger.assemble address:free code:snippet | yaze_debugger.assemble address^free2 code:snippet2
< ok, next free address {free2} | assembled, ends before {free2}
< ok | assembled
> The second part starts at {free2}. | Both are in place; the second at {free2}.
Assemble {snippet} at {free}, and {snippet2} directly behind it.
At {free} assemble {snippet}. Where that ends, go on with {snippet2}.
Two pieces back to back, starting at {free}: {snippet} and then, at the address the first one ends, {snippet2}.
# mark_end | yaze_debugger.assemble address:free code:snippet | yaze_debugger.write_memory address^free2 data:byte
< ok, next free address {free2} | assembled, ends before {free2}
< 1 byte written | ok
> {byte} marks the end at {free2}. | The byte behind the code, {free2}, is {byte}.
Assemble {snippet} at {free} and write the byte {byte} right behind it, in YAZE.
Assemble {snippet} at {free}; the next free address gets {byte}, through the YAZE debugger.
# table_entry | z3ed_cli.import rom file:gfx kind=graphics | z3ed_cli.modify rom offset data^sheet:byte
< imported as sheet {sheet:hex} | {"slot": "{sheet:hex}"}
< 1 byte written | ok
> Sheet {sheet:hex} is entered at PC {offset}. | Done, PC {offset} holds {sheet:byte}.
Import graphics {gfx} into {rom} as a new sheet, then write the sheet number it gets, one byte, to PC {offset}.
Add {gfx} to the graphics of {rom}, and put the new sheet's number as a byte at offset {offset}.
# room_pointer | z3ed_cli.import rom file:roomfile kind=room slot:roomslot | z3ed_cli.modify rom offset data^offset2:le3
< imported at PC {offset2} | {"slot": {roomslot}, "offset": "{offset2}"}
< 3 bytes written | ok
> The entry at PC {offset} points to {offset2}. | Wrote {offset2:le3} to {offset}.
Import {roomfile} as room {roomslot} of {rom}; write the PC offset it lands at, 3 bytes little-endian, to offset \
{offset}.
Room {roomslot} of {rom} comes from {roomfile}. Store its new PC offset at offset {offset}, three bytes, low byte first.
# free_pointer | yaze_debugger.assemble address:free code:snippet | yaze_debugger.write_memory address:spot \
data^free2:le3
< ok, next free address {free2} | assembled, ends before {free2}
< 3 bytes written | ok
> {spot} says {free2} now. | The free-space pointer at {spot} is {free2:le3}.
Assemble {snippet} at {free}. Write the address right behind it to {spot} in YAZE, as a little-endian 24-bit pointer.
Put {snippet} at {free} as code; then let the 24-bit pointer at {spot} point to the first byte behind it (YAZE).
# live_pointer | yaze_debugger.assemble address:free code:snippet | mesen2.write_memory address:spot data^free2:le3
< ok, next free address {free2} | assembled, ends before {free2}
< 3 bytes written | ok
> In the running game {spot} says {free2}. | The emulator has {free2:le3} at {spot}.
Assemble {snippet} at {free}; write the next free address, 24 bits little-endian, to {spot} in Mesen.
After assembling {snippet} at {free}, poke the address where it ends into {spot} in the emulator: \
3 bytes, low byte first.
"""


def follow_up_templates(specialist: str, text: str) -> list[Template]:
    """Templates of kind ``follow_up``: their steps carry results, and they end with an answer."""
    templates = []
    for block in read_blocks(text):
        lines = {mark: [line[1:].split(" | ") for line in block.phrases if line[0] == mark] for mark in "<>"}
        phrases = [line for line in block.phrases if line[0] not in "<>"]
        results = [tuple(part.strip() for part in row) for row in lines["<"]]
        steps = tuple(read_step(part, row) for part, row in zip(block.parts, results, strict=True))
        answers = tuple(part.strip() for part in lines[">"][0])
        for index, phrase in enumerate(phrases, 1):
            name = f"{specialist}.{block.name}.{index:02d}"
            templates.append(Template(name, "follow_up", specialist, phrase, steps, answers))
    return templates


TEMPLATES = [
    *follow_up_templates("veran", VERAN),
    *follow_up_templates("farore", FARORE),
    *follow_up_templates("nayru", NAYRU),
]
