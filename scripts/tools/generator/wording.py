"""Rationales, expected outputs and success criteria of the generated examples."""

from __future__ import annotations

# By tool: the rationale of a call, and its expected output.
WORDING = {
    "mesen2.load_rom": ("The game must be in the emulator.", "The ROM is loaded."),
    "mesen2.run": ("The game has to go on.", "The emulator runs."),
    "mesen2.screenshot": ("A picture of the screen is wanted.", "A PNG file."),
    "mesen2.pause": ("The game has to stand still.", "Emulation is paused."),
    "mesen2.step": ("The paused game moves by frames.", "The game is that many frames further."),
    "mesen2.read_memory": ("The emulator's live bytes are wanted.", "The bytes in hex."),
    "mesen2.write_memory": ("The running game's memory is to change.", "The bytes are written."),
    "yaze_debugger.read_memory": ("The bytes at that address are wanted.", "The bytes."),
    "yaze_debugger.write_memory": ("The debugger's memory is to change.", "The bytes are written."),
    "yaze_debugger.assemble": ("Code goes to that address.", "The machine code is in place."),
    "yaze_debugger.continue": ("Execution is to resume.", "The CPU runs until it is stopped."),
    "yaze_debugger.get_registers": ("The CPU's state is wanted.", "The register values."),
    "yaze_debugger.set_breakpoint": ("The CPU has to stop there.", "A breakpoint number."),
    "yaze_debugger.step": ("Execution goes on in single steps.", "The new program counter."),
    "z3ed_cli.inspect": ("A description out of the ROM file is wanted.", "The description."),
    "z3ed_cli.extract": ("A region of the file is to be saved.", "A file with the bytes."),
    "z3ed_cli.import": ("An asset goes into the ROM file.", "The asset is in the ROM."),
    "z3ed_cli.validate": ("The file's soundness is in question.", "A list of findings."),
    "z3ed_cli.modify": ("Bytes of the file are to change.", "The bytes are written."),
}
CRITERIA = {
    "calls": "Just these calls, in this order, with the values of the request.",
    "follow_up": "Each later call uses what an earlier one returned; the answer reports it.",
    "decline": "No call; the answer says briefly why not.",
    "ask": "No call; the answer asks for the missing value.",
}
SCOPE = {
    "veran": ("memory, registers and ROM data", "reading memory and ROM files", "analysis of the game's data"),
    "farore": ("the emulator and the debugger", "running and debugging the game", "emulation and breakpoints"),
    "nayru": ("patches, code and ROM edits", "editing memory and ROM files", "changes to the game"),
}
