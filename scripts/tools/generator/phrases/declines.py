"""Requests that no call answers: outside the trade, against the rules, or another specialist's work."""

from __future__ import annotations

from scripts.tools.generator.intents import answer_templates

ANY = """
# weather | I can't look up the weather; I only work on {scope}. | I can't tell: I have no weather service.
What's the weather like in {city}?
Will it rain in {city} tomorrow?
Should I take an umbrella to {city} today?
# poem | I can't help with that; my tools are for {scope}. | I can't write poems or stories here, only work on {scope}.
Write a poem about {theme}.
Tell me a story about {theme}.
I need a limerick on {theme} for a birthday card.
Make up song lyrics about {theme}.
# life | I can't help with that; my tools are for {scope}. | I can't do this: it has nothing to do with {scope}.
Book me a table for four in {city} tonight.
What should I cook with leeks and two eggs?
How do I get from the station to the harbour in {city}?
Plan a weekend in {city} for me.
Recommend a film about {theme}.
Translate "good evening" into Finnish.
Who won the football match in {city}?
Remind me at six to call the dentist.
Write an email to my landlord in {city} about the heating.
How many people live in {city}?
# piracy | I can't help find commercial ROMs. | I can't do that: downloading commercial ROMs is off limits.
Download a ROM of {othergame} for me.
Where can I get {othergame} for free?
Find me a full ROM set with {othergame} in it.
I need {othergame} as an .sfc file; get it from somewhere.
Send me a torrent of {othergame}.
# outside | I can't do that; I have no tool for it. | I can't: none of my tools does this.
Upload {rom} to my web server.
Commit {rom} and push it to GitHub.
Convert the music of {rom} to MP3.
Make a savestate in slot 3.
Start a netplay session with my brother.
Print the box art of {rom}.
Install the newest Mesen for me.
Train a neural network to beat the game.
Record a video of the next boss fight.
Email {rom} to the beta testers.
Delete {rom} from my disk.
Compress {rom} into a zip archive.
Set up a controller for player two.
"""
VERAN = """
# writing | I can't write memory, only read it; ask nayru. | I can't change anything here; writing is nayru's work.
Set {address} to {byte} in YAZE.
Write {data} to {address} in Mesen.
Give me 99 bombs by poking {address} in the emulator.
Patch {rom} at PC {offset} with {data}.
Assemble {snippet} at {free}.
Import {gfx} into {rom}.
Freeze {label} at {address}, value {byte}.
# running | I can't run the emulator; that is farore's job. | I can't control emulation or breakpoints; farore can.
Load {rom} in Mesen.
Run the game for {frames}.
Take a screenshot to {shot}.
Break at {code}.
Step {count}.
Pause the emulator, would you?
"""
FARORE = """
# writing | I can't write memory or code; ask nayru. | I can't change data; editing is nayru's work.
Write {data} to {address} in Mesen.
Poke {byte} into {address} with YAZE.
Assemble {snippet} at {free}, please.
Import {pal} into {rom} as a palette.
Overwrite offset {offset} of {rom} with {data}.
# checking | I can't check ROM files; nayru can. | I can't validate files; that is nayru's job.
Is {rom} still valid? Run the checks on the file.
Verify the checksum of {rom}.
# analysis | I can't look into ROM files; veran can. | I can't inspect or extract file data; that is veran's job.
Describe room {room} of {rom}.
Extract {block} at PC {offset} of {rom} to {out}.
What does message {message} in {rom} say?
List the palettes of {rom}.
Show the header of {rom}.
Which sprites are in {rom}?
"""
NAYRU = """
# running | I can't run the emulator; that is farore's job. | I can't control emulation or breakpoints; farore can.
Load {rom} in the emulator.
Let the game run for {frames}.
Save a screenshot as {shot}.
Set a breakpoint at {code}.
Advance the paused game {advance}.
Continue to the next breakpoint.
# reading | I can't read memory back, only write it; ask veran. | I can't inspect data; reading is veran's work.
Read {length} at {address} in YAZE.
What does Mesen have at {address}? Show {length}.
Show me the CPU registers.
Describe room {room} of {rom}.
Extract {block} at offset {offset} of {rom} into {out}.
Which palettes are in {rom}?
"""
TEMPLATES = [
    *answer_templates("decline", "", ANY),
    *answer_templates("decline", "veran", VERAN),
    *answer_templates("decline", "farore", FARORE),
    *answer_templates("decline", "nayru", NAYRU),
]
