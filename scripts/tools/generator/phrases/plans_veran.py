"""Veran's requests for several calls; all their parameters stand in the request."""

from __future__ import annotations

from scripts.tools.generator.intents import call_templates

PHRASES = """
# two_yaze | yaze_debugger.read_memory address length | yaze_debugger.read_memory address:address2 length:length2
From the YAZE debugger I want two dumps: {length} at {address} and {length2} at {address2}.
In YAZE, read {length} at {address}, then {length2} at {address2}.
Compare {address} with {address2} for me: YAZE, {length} of the former, {length2} of the latter.
# two_mesen | mesen2.read_memory address length | mesen2.read_memory address:address2 length:length2
In Mesen, read {length} at {address} and after that {length2} at {address2}.
Emulator, two reads: {address}, {length}; {address2}, {length2}.
Two live values from Mesen2, please: {length} from {address}, then {length2} from {address2}.
# both_views | yaze_debugger.read_memory address length | mesen2.read_memory address length
Do YAZE and Mesen agree on {length} at {address}? Read it in YAZE first, then in Mesen.
Read {length} at {address} twice: in the YAZE debugger, then in the emulator.
I don't believe YAZE. Get {length} at {address} from it and then the same from Mesen2.
# other_views | mesen2.read_memory address length | yaze_debugger.read_memory address length
Take {length} at {address} from Mesen, then the same region from YAZE.
First the emulator, then YAZE: {length} at {address} from each.
# stop_state | yaze_debugger.get_registers | yaze_debugger.read_memory address length
Show the registers, then {length} at {address} in YAZE.
It stopped. I need the registers and, from YAZE's memory, {length} at {address}, in this order.
Registers first; afterwards read {length} from {address} with the YAZE debugger.
# stop_state_live | yaze_debugger.get_registers | mesen2.read_memory address length
Give me the registers and then {length} of Mesen's memory at {address}.
First the CPU registers, next what the emulator has at {address}: {length}.
# both_cpus | yaze_debugger.get_registers cpu=main | yaze_debugger.get_registers cpu=spc700
Registers of the main CPU, then those of the SPC700.
Show me both register sets: the main CPU, and after it the SPC700.
Did main CPU and sound chip hang together? Print the main CPU's registers first, the SPC700's second.
# ascii_then_hex | yaze_debugger.read_memory address:spot length view=ascii \
| yaze_debugger.read_memory address:spot length view=hex
In YAZE, show {length} at {spot} as ASCII and then in hex.
Twice the same {length} at {spot} in YAZE: ASCII view, then hex view.
# room_and_palette | z3ed_cli.inspect rom kind=room id:room | z3ed_cli.inspect rom kind=palette id:palette
In {rom}, describe room {room} and then palette {palette}.
What's up with room {room} and palette {palette} of {rom}? Inspect them in this order.
# two_rooms | z3ed_cli.inspect rom kind=room id:room | z3ed_cli.inspect rom kind=room id:room2
Inspect rooms {room} and {room2} of {rom}, one after the other.
How do room {room} and room {room2} in {rom} differ? Describe both, in this order.
# two_roms | z3ed_cli.inspect rom kind=room id:room | z3ed_cli.inspect rom:rom2 kind=room id:room
Show room {room} in {rom} and then in {rom2}.
Did anyone change room {room}? Inspect it in {rom}, then in {rom2}.
# two_messages | z3ed_cli.inspect rom kind=message id:message | z3ed_cli.inspect rom kind=message id:message2
Look up messages {message} and {message2} in {rom}, in that order.
# header_extract | z3ed_cli.inspect rom kind=header | z3ed_cli.extract rom offset length:block out
Show the header of {rom}, then extract {block} at PC {offset} to {out}.
Two things with {rom}: its header info, and {block} from offset {offset} saved as {out}.
# sprite_live | z3ed_cli.inspect rom kind=sprite id:sprite | mesen2.read_memory address length
Describe sprite {sprite} from {rom}; then I want {length} at {address} as Mesen sees it.
# two_extracts | z3ed_cli.extract rom offset length:block out | z3ed_cli.extract rom offset:offset2 length:block2 \
out:out2
From {rom} extract {block} at PC {offset} to {out}, and {block2} at PC {offset2} to {out2}.
Cut two pieces out of {rom}: offset {offset}, {block}, into {out}; offset {offset2}, {block2}, into {out2}.
# extract_same | z3ed_cli.extract rom offset length:block out | z3ed_cli.extract rom:rom2 offset length:block out:out2
Extract {block} at PC {offset} from {rom} to {out}, and the same region of {rom2} to {out2}.
# crash_report | yaze_debugger.get_registers | yaze_debugger.read_memory address length \
| mesen2.read_memory address:address2 length:length2
Crash report, please: registers; {length} at {address} from YAZE; {length2} at {address2} from Mesen.
In this order: CPU registers, YAZE memory at {address} ({length}), emulator memory at {address2} ({length2}).
Get me the registers, then {length} of YAZE memory from {address}, and finish with {length2} at {address2} in Mesen2.
# three_mesen | mesen2.read_memory address length | mesen2.read_memory address:address2 length:length2 \
| mesen2.read_memory address:address3 length:length3
Three reads in the emulator: {length} at {address}, {length2} at {address2}, {length3} at {address3}.
In Mesen, sample {address} ({length}), {address2} ({length2}) and finally {address3} ({length3}).
# three_yaze | yaze_debugger.read_memory address length | yaze_debugger.read_memory address:address2 length:length2 \
| yaze_debugger.read_memory address:address3 length:length3
YAZE, please read in this order: {length} at {address}, {length2} at {address2}, {length3} at {address3}.
# file_tour | z3ed_cli.inspect rom kind=header | z3ed_cli.inspect rom kind=map id:map | \
z3ed_cli.inspect rom kind=sprite id:sprite
Walk me through {rom}: header, then overworld map {map}, then sprite {sprite}.
I got {rom} from a friend. Inspect its header, overworld map {map} and sprite {sprite}, in this order.
# dump_all | z3ed_cli.inspect rom kind=room id:room | z3ed_cli.extract rom offset length:block out \
| yaze_debugger.read_memory address length
Describe room {room} of {rom}, extract {block} from its PC offset {offset} to {out}, and read {length} at {address} \
in YAZE.
# full_report | z3ed_cli.inspect rom kind=header | yaze_debugger.get_registers \
| yaze_debugger.read_memory address length | mesen2.read_memory address length
Full report on {rom}: its header, the registers, then {length} at {address}, first from YAZE and then from Mesen.
# archive | z3ed_cli.inspect rom kind=header | z3ed_cli.inspect rom kind=message | \
z3ed_cli.inspect rom kind=palette id:palette | z3ed_cli.extract rom offset length:block out
For the archive: header of {rom}, all its messages, palette {palette}, and {block} at offset {offset} saved in {out}.
# archive_five | z3ed_cli.inspect rom kind=header | z3ed_cli.inspect rom kind=room id:room | \
z3ed_cli.extract rom offset length:block out | yaze_debugger.get_registers | mesen2.read_memory address length
Five things: header of {rom}; room {room} in it; {block} at PC {offset} to {out}; registers; {length} at {address} in \
Mesen.
"""
TEMPLATES = call_templates("veran", PHRASES)
