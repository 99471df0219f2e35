"""Nayru's requests for several calls; all their parameters stand in the request."""

from __future__ import annotations

from scripts.tools.generator.intents import call_templates

PHRASES = """
# two_yaze | yaze_debugger.write_memory address data | yaze_debugger.write_memory address:address2 data:byte
In YAZE, write {data} to {address} and {byte} to {address2}.
Two pokes in the YAZE debugger: {address} gets {data}, {address2} gets {byte}.
# two_mesen | mesen2.write_memory address data:byte | mesen2.write_memory address:address2 data:byte2
In Mesen, set {address} to {byte} and {address2} to {byte2}.
Emulator cheats: {byte} at {address}, then {byte2} at {address2}.
Give me a head start in Mesen2, {byte} into {address} and {byte2} into {address2}.
# both | yaze_debugger.write_memory address data | mesen2.write_memory address data
Write {data} to {address}, in YAZE first and then in Mesen.
Keep both in step: {data} goes to {address} in the YAZE debugger and after that in the emulator.
# freeze_and_set | mesen2.write_memory address data:byte freeze=true | mesen2.write_memory address:address2 data
Freeze {address} at {byte} in Mesen and write {data} to {address2}, also in Mesen.
# hook | yaze_debugger.assemble address:free code:snippet | yaze_debugger.assemble address:code code:snippet2
Assemble {snippet} at {free}, and {snippet2} at {code}.
The new routine {snippet} goes to {free}; then hook it in by assembling {snippet2} over {code}.
# assemble_flag | yaze_debugger.assemble address:free code:snippet | yaze_debugger.write_memory address data:byte
Assemble {snippet} at {free}, then set {address} to {byte} in YAZE.
Put {snippet} at {free} as code and turn it on: {byte} to {address} with the YAZE debugger.
# assemble_live | yaze_debugger.assemble address:free code:snippet | mesen2.write_memory address data:byte
Assemble {snippet} at {free}, and in the emulator set {address} to {byte}.
# nop_assemble | yaze_debugger.write_memory address:code data:nops | yaze_debugger.assemble address:free code:snippet
In YAZE put {nops} at {code}, then assemble {snippet} at {free}.
# import_validate | z3ed_cli.import rom file:gfx kind=graphics slot:sheet | z3ed_cli.validate rom
Import {gfx} as graphics sheet {sheet} of {rom} and validate the ROM.
Graphics sheet {sheet} in {rom} becomes {gfx}; check the file afterwards.
# message_validate | z3ed_cli.import rom file:text kind=message slot:line | z3ed_cli.validate rom check=pointers
Put {text} in {rom} as message {line}, then check the pointers.
# room_validate | z3ed_cli.import rom file:roomfile kind=room slot:roomslot | z3ed_cli.validate rom
Import {roomfile} as room {roomslot} of {rom}, then run the validation.
# palette_modify | z3ed_cli.import rom file:pal kind=palette slot:colours | z3ed_cli.modify rom offset data:byte
Import {pal} as palette {colours} of {rom}, then set the byte at PC {offset} to {byte}.
# two_imports | z3ed_cli.import rom file:gfx kind=graphics slot:sheet | z3ed_cli.import rom file:pal kind=palette \
slot:colours
Into {rom}: {gfx} as graphics sheet {sheet}, and {pal} as palette {colours}.
The shop redesign for {rom} has two parts, graphics {gfx} for sheet {sheet} and palette {pal} for slot {colours}. \
Import them.
# map_room | z3ed_cli.import rom file:mapfile kind=map slot:mapslot | z3ed_cli.import rom file:roomfile kind=room \
slot:roomslot
Import {mapfile} as overworld map {mapslot} and {roomfile} as room {roomslot}, both into {rom}.
# modify_validate | z3ed_cli.modify rom offset data | z3ed_cli.validate rom
Write {data} at offset {offset} of {rom} and validate it.
Patch PC {offset} in {rom} with {data}, then check the ROM.
# modify_checksum | z3ed_cli.modify rom offset data:byte | z3ed_cli.validate rom check=checksum
Change offset {offset} of {rom} to {byte} and look whether the checksum still fits.
Set PC {offset} in {rom} to {byte}; after that, verify the checksum.
# backup_validate | z3ed_cli.modify rom offset data backup=true | z3ed_cli.validate rom
Back up {rom} while writing {data} to offset {offset}, then validate the result.
# validate_modify | z3ed_cli.validate rom check=header | z3ed_cli.modify rom offset data:byte
Check the header of {rom} first, then write {byte} to PC {offset} in it.
# two_validate | z3ed_cli.validate rom | z3ed_cli.validate rom:rom2
Validate {rom} and {rom2}.
Are {rom} and {rom2} both sound? Validate one after the other.
# two_modify | z3ed_cli.modify rom offset data | z3ed_cli.modify rom offset:offset2 data:data2
Two edits in {rom}: {data} at PC {offset}, {data2} at PC {offset2}.
Hex-edit {rom}, offset {offset} to {data} and offset {offset2} to {data2}.
# same_edit | z3ed_cli.modify rom offset data | z3ed_cli.modify rom:rom2 offset data
Apply the same edit to {rom} and {rom2}: {data} at offset {offset}.
# three_edits | z3ed_cli.modify rom offset data:byte | z3ed_cli.modify rom offset:offset2 data:byte2 | \
z3ed_cli.validate rom
In {rom} set PC {offset} to {byte} and PC {offset2} to {byte2}, then validate.
Balance pass on {rom}: {byte} at offset {offset}, {byte2} at offset {offset2}; check the ROM when done.
# art_drop | z3ed_cli.import rom file:gfx kind=graphics slot:sheet | z3ed_cli.import rom file:pal kind=palette \
slot:colours | \
z3ed_cli.validate rom
New art for {rom}: graphics {gfx} to sheet {sheet}, palette {pal} to slot {colours}; then validate the ROM.
# try_then_keep | mesen2.write_memory address data:byte | z3ed_cli.modify rom offset data:byte | z3ed_cli.validate rom
Try {byte} at {address} in Mesen, make it permanent at PC {offset} of {rom}, and validate the file.
# debug_three | yaze_debugger.write_memory address data:byte | yaze_debugger.assemble address:free code:snippet | \
mesen2.write_memory address:address2 data:byte2
YAZE: {byte} to {address}. Then assemble {snippet} at {free}. Last, Mesen: {byte2} to {address2}.
First set {address} to {byte} in YAZE, next assemble {snippet} at {free}, finally write {byte2} to {address2} in Mesen.
# code_three | yaze_debugger.assemble address:free code:snippet | yaze_debugger.assemble address:code code:snippet2 | \
yaze_debugger.write_memory address data:byte verify=true
Assemble {snippet} at {free} and {snippet2} at {code}; then write {byte} to {address} in YAZE with verification.
# release_four | z3ed_cli.validate rom check=pointers | z3ed_cli.modify rom offset data backup=true | \
z3ed_cli.validate rom check=header | z3ed_cli.validate rom check=checksum
Release prep for {rom}: check pointers, write {data} at PC {offset} with a backup, check the header, check the checksum.
# content_four | z3ed_cli.import rom file:roomfile kind=room slot:roomslot | z3ed_cli.import rom file:text \
kind=message slot:line | \
z3ed_cli.modify rom offset data:byte | z3ed_cli.validate rom
For {rom}: room {roomslot} from {roomfile}, message {line} from {text}, {byte} at offset {offset}, then validate.
# all_five | yaze_debugger.write_memory address data:byte | yaze_debugger.assemble address:free code:snippet | \
mesen2.write_memory address:address2 data:byte2 freeze=true | z3ed_cli.import rom file:gfx kind=graphics slot:sheet | \
z3ed_cli.validate rom
Do this in order: YAZE {address} = {byte}; assemble {snippet} at {free}; freeze {address2} at {byte2} in Mesen; \
import {gfx} as graphics sheet {sheet} of {rom}; validate it.
"""
TEMPLATES = call_templates("nayru", PHRASES)
