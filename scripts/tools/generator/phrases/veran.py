"""Veran's single calls: memory, registers, ROM files."""

from __future__ import annotations

from scripts.tools.generator.intents import call_templates

PHRASES = """
# yaze_read | yaze_debugger.read_memory address length
Read {length} at {address} with the YAZE debugger.
YAZE: dump {length} from {address}.
In YAZE, what do {address} and up hold? Show me {length}.
Could you peek at {address} in the YAZE debugger? I need {length}.
I'd like to see {length} of memory in YAZE, beginning at {address}.
yaze read {address}, {length}
Have the YAZE debugger fetch {length} starting at {address}.
Before I change anything: which values does YAZE see at {address}? Please give me {length}.
My notes say {label} lives at {address}. Check that with {length} out of YAZE.
Pull {length} out of YAZE's view of RAM at {address}.
Use YAZE to print {length} for me, start address {address}.
Is {label} still at {address}? Get {length} from the YAZE debugger so I can tell.
Grab {address} from YAZE's debugger, {length} in all.
# yaze_ascii | yaze_debugger.read_memory address:spot length view=ascii
Show {length} at {spot} as ASCII in YAZE.
There should be text at {spot}. Have YAZE print {length} of it as ASCII.
YAZE again, ASCII view this time: {length} from {spot}.
I think the player's name is stored at {spot}; read {length} as ASCII characters in the YAZE debugger.
# yaze_decimal | yaze_debugger.read_memory address length view=decimal
In YAZE, give me {length} at {address} in decimal.
Decimal view, please: {length} at {address} in the YAZE debugger.
I can't think in hex today. Have YAZE read {length} from {address} and show decimal numbers.
What's {label} at {address} in decimal? Ask YAZE for {length}.
# mesen_read | mesen2.read_memory address length
Read {length} at {address} in Mesen.
Mesen: dump {length} from {address}.
What does the running game hold at {address}? {length}, taken from Mesen2.
Could you look at {address} in the emulator and give me {length}?
From the Mesen2 session, fetch {length} at {address}.
mesen read {address} {length}
I want the live value of {label}: {length} at {address} in Mesen2.
While the game is up in Mesen, get me {length} from {address}.
Sample {length} of the emulator's RAM, starting at {address}.
Let me have {length} from the emulator at {address}, raw.
The emulator is running my build. Which bytes are at {address}? I want {length}.
Check {label} in Mesen, address {address}, {length}.
Query Mesen2's memory at {address} for {length}.
Peek into live memory (Mesen) at {address}: {length}.
# registers | yaze_debugger.get_registers
Show the registers.
What are A, X and Y right now?
Where is the program counter at the moment?
Dump the CPU state, please.
Print the registers of the halted CPU.
I need to know what the stack pointer is.
Which processor flags are set now?
regs
Give me the register values where we stopped.
What's in the accumulator?
Is the accumulator 8 or 16 bits wide at this point? The registers will tell.
Quick look at the registers in YAZE.
# registers_main | yaze_debugger.get_registers cpu=main
Registers of the main CPU, please.
Show me the main CPU's registers, not the sound chip's.
Get the register set for the main processor.
What does the main CPU have in its registers?
# registers_sound | yaze_debugger.get_registers cpu=spc700
Show the SPC700's registers.
The sound chip seems stuck. What's in its registers?
Dump the registers of the audio processor (SPC700).
spc700 regs please
Which values do the SPC700 registers have now?
Music stopped after the fade. Look at the sound CPU's registers.
# header | z3ed_cli.inspect rom kind=header
What does the header of {rom} say?
Inspect the header of {rom}.
Is {rom} LoROM or HiROM? Look at its header.
Tell me the internal header of {rom}, please.
z3ed: header info for {rom}
Somebody sent me {rom}. Which title is in its header?
# room | z3ed_cli.inspect rom kind=room id:room
Describe room {room} of {rom}.
Inspect dungeon room {room} in {rom}.
What's in room {room}? The ROM is {rom}.
In {rom}, where is the data of room {room}?
Look up room {room} in {rom} for me.
I need the objects and doors of room {room}; file {rom}.
z3ed inspect {rom}, room {room}
# map | z3ed_cli.inspect rom kind=map id:map
Describe overworld map {map} of {rom}.
Show what overworld map {map} looks like in {rom}.
In {rom}, inspect map {map}.
Which tiles does map {map} use? Check {rom}.
Give me the details on overworld screen map {map}, ROM file {rom}.
# sprite | z3ed_cli.inspect rom kind=sprite id:sprite
What do we know about sprite {sprite} in {rom}?
Inspect sprite {sprite} in {rom}.
Tell me the properties of sprite {sprite}, using {rom}.
Open {rom} and describe sprite {sprite}.
How much health does sprite {sprite} have in {rom}? Inspect it.
# message | z3ed_cli.inspect rom kind=message id:message
What does message {message} in {rom} say?
Show dialogue message {message} from {rom}.
Inspect text message {message} of {rom}.
Someone found a typo in message {message}. Pull it up from {rom}.
Please look up message {message} in {rom}.
# palette | z3ed_cli.inspect rom kind=palette id:palette
Describe palette {palette} of {rom}.
Which colours are in palette {palette} of {rom}?
Inspect palette {palette} in {rom}.
In {rom}, what's palette {palette} made of?
# all_rooms | z3ed_cli.inspect rom kind=room
List all rooms of {rom}.
Give me an overview of every dungeon room in {rom}.
# all_messages | z3ed_cli.inspect rom kind=message
Show all dialogue messages of {rom}.
I want to proofread: list every message in {rom}.
# all_palettes | z3ed_cli.inspect rom kind=palette
Which palettes does {rom} have? All of them, please.
List every palette in {rom}.
# all_sprites | z3ed_cli.inspect rom kind=sprite
Give me the full sprite list of {rom}.
What sprites exist in {rom}? Show all.
# all_maps | z3ed_cli.inspect rom kind=map
List the overworld maps in {rom}.
Every overworld map of {rom}, please.
# extract | z3ed_cli.extract rom offset length:block out
Extract {block} at offset {offset} from {rom} into {out}.
Copy {block} of {rom}, starting at PC {offset}, to {out}.
Save {block} from {rom} as {out}; the data begins at file offset {offset}.
Dump PC offset {offset} of {rom} to {out}, {block}.
I need {block} out of {rom} from offset {offset}. Write them to {out}.
Could you cut {block} out of {rom} at {offset} (PC) and store the result in {out}?
z3ed extract: {rom}, offset {offset}, {block}, to {out}
For a diff I want the region at PC {offset} in {rom}: {block}, saved to {out}.
Take {rom}, go to file offset {offset}, and put {block} in {out}.
Rip {block} from offset {offset} of {rom}. Output file: {out}.
"""
TEMPLATES = call_templates("veran", PHRASES)
