"""Lists that values are drawn from: memory of the game, routines, files, assembly, and remarks around a request."""

from __future__ import annotations


def items(text: str, mark: str | None = None) -> list[str]:
    """The parts of a text, split at white space or at a mark."""
    return text.split(mark)


# Work RAM and the save file's mirror in it, with the names that the game's hackers use.
RAM = {
    0x7E0010: "the game mode",
    0x7E0011: "the submodule",
    0x7E001A: "the frame counter",
    0x7E001B: "the indoors flag",
    0x7E0020: "Link's Y position",
    0x7E0022: "Link's X position",
    0x7E0024: "Link's height",
    0x7E002F: "Link's facing",
    0x7E0046: "the recoil timer",
    0x7E005D: "Link's state",
    0x7E008A: "the overworld screen",
    0x7E00A0: "the room number",
    0x7E00E2: "the BG2 scroll",
    0x7E00F0: "the joypad word",
    0x7E0303: "the item in use",
    0x7E0372: "the dash flag",
    0x7E0D00: "the sprite Y positions",
    0x7E0D10: "the sprite X positions",
    0x7E0DD0: "the sprite states",
    0x7E0E20: "the sprite types",
    0x7E0E50: "the sprite health table",
    0x7EC172: "the mosaic level",
    0x7EC500: "the palette buffer",
    0x7EF000: "the room flags",
    0x7EF340: "the bow slot",
    0x7EF343: "the bomb count",
    0x7EF345: "the fire rod slot",
    0x7EF353: "the mirror slot",
    0x7EF359: "the sword level",
    0x7EF35A: "the shield level",
    0x7EF35C: "the first bottle",
    0x7EF360: "the rupee counter",
    0x7EF36C: "the heart containers",
    0x7EF36D: "the current health",
    0x7EF36E: "the magic meter",
    0x7EF36F: "the small key count",
    0x7EF374: "the pendant bits",
    0x7EF377: "the arrow count",
    0x7EF37A: "the crystal bits",
    0x7EF3CC: "the follower",
}
ROUTINES = items(
    "the door transition hook;my bomb timer;the damage routine;the boomerang code;the chest opener;the menu drawer;"
    "the sword beam hook;the text printer;the new boots code;the follower update;the shop keeper's AI;the RNG;"
    "the palette fader;the guard AI;the tile collision check;the lamp hook;the save routine;the pot thrower",
    ";",
)
ROMS = items(
    "zelda3.sfc alttp.sfc hack.sfc oracle.sfc build/test.sfc roms/zelda3_us.sfc out/patched.sfc work/base.sfc dev.sfc "
    "roms/vanilla.smc nightly.sfc build/hack_v2.sfc roms/jp10.sfc beta3.sfc debug.smc releases/oracle_rc1.sfc",
)
PATCHES = items(
    "fix.ips hud.bps patches/intro.ips music.bps patches/shop_fix.bps dungeon1.ips quickswap.bps titles.ips "
    "patches/no_beep.ips wip/overworld.bps translation.bps msu.ips",
)
FOLDERS = ("", "", "shots/", "out/", "tmp/", "bug_17/", "work/", "docs/img/", "dump/", "qa/")
SHOTS = items(
    "title menu file_select kakariko sanctuary hud castle desert softlock glitch before after intro boss "
    "ether_medallion shop fade cutscene map_screen credits",
)
DUMPS = items(
    "table header tiles room sprites text items music flags palette doors chests torches damage mapdata prices "
    "dialogue tracks speeds spawn",
)
ASSETS = {
    "graphics": ("link heart hud sword tree guard fairy logo bombs shopkeeper", (".bin", ".gfx", ".png")),
    "palette": ("dungeon dark_world link_green sunset ice cave night boss_red shop_pal", (".pal", ".tpl")),
    "message": ("intro sahasrahla shop_lines ending uncle sign_text bottle_vendor", (".txt", ".msg")),
    "room": ("sewer_2 boss_room throne_room crypt pot_cave library", (".json", ".room")),
    "map": ("lost_woods lake_hylia village ledge_fix new_island swamp", (".json", ".map")),
}
SNIPPETS = items(
    "LDA #$01 : STA $7EF359 : RTL;LDA $F0 : AND #$20 : BEQ $04;NOP : NOP : RTL;JSL $30A000 : RTS;SEP #$30 : LDA #$08;"
    "REP #$20 : LDA $22 : CLC : ADC #$0010;PHA : PHX : JSL $2F8010 : PLX : PLA;LDA #$A0 : STA $7EF36D;"
    "LDX #$0F : STZ $0DD0,X : DEX;STZ $0372 : RTS;LDA $7EF36F : INC A : STA $7EF36F;INC $11 : RTL;RTL;RTS;"
    "LDA #$03 : STA $012E : RTL;LDY #$00 : TYA : RTS;JML $208000;LDA $5D : CMP #$17 : BNE $05;CLC : RTL;SEC : RTL;"
    "PHB : PHK : PLB : JSR $9000 : PLB : RTL;LDA #$0F : STA $13;STZ $46 : RTL;LDA $7EF377 : CMP #$46 : BCC $03;"
    "BRA $06;JSR $8781 : RTS;LDA $1A : AND #$07 : RTL;LDA #$FF : STA $7EF360;DEC $0E50,X : RTL;WAI : RTL",
    ";",
)
CITIES = items("Rotterdam Lima Osaka Leeds Turin Halifax Nairobi Bergen")
THEMES = items("sailing;my cat;the sea;autumn;a lost robot;old modems;a lighthouse;rainy Sundays", ";")
OTHER_GAMES = items(
    "Chrono Trigger;Super Metroid;EarthBound;Final Fantasy VI;Star Fox;Secret of Mana;Donkey Kong Country;F-Zero",
    ";",
)
PREFIXES = {
    "veran": items(
        "I'm mapping the save data.;Comparing two builds here.;I'm writing up the RAM map.;Someone reported odd values."
        ";Looking into a corrupt table.;I have a theory about the drop rates.;Quick check before the stream.;"
        "I don't trust the old notes.;This is for the disassembly.;Trying to understand a vanilla quirk.",
        ";",
    ),
    "farore": items(
        "I'm chasing a softlock.;The HUD flickers after a transition.;Regression test time.;Something eats my inputs.;"
        "A tester hit a black screen.;Still on that crash.;Need this for the bug report.;The cutscene hangs for me.;"
        "Let's reproduce it.;I think a sprite overwrites my flag.",
        ";",
    ),
    "nayru": items(
        "I'm finishing the item patch.;Next bit of the hack.;The artist sent new files.;Quick balance tweak.;"
        "I'm about to tag the release.;The old hook has to go.;Trying a gameplay idea.;Let's fix that typo bug.;"
        "My build script is down, so by hand.;Here comes the fun part.",
        ";",
    ),
}
ENDINGS = ("Thanks.", "Thanks!", "Nothing else for now.", "That's all.", "Cheers.")
