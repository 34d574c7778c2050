"""The words that the invented catalogue is made of.

No tag is also a word of a title, so that the interests a text states and the titles it names cannot be taken for one
another.
"""

GENRES = (
    *("comedy", "drama", "thriller", "horror", "romance", "western", "fantasy", "documentary", "musical", "noir"),
    *("animation", "satire", "biography", "mystery", "adventure", "sport"),
)
THEMES = (
    *("heists", "revenge", "family", "space", "cooking", "politics", "spies", "robots", "seafaring", "courtrooms"),
    *("dragons", "espionage", "teachers", "medicine", "gardening", "pirates", "detectives", "time travel", "chess"),
    *("mountaineering", "archaeology", "street dance", "farming", "aviation"),
)
MOODS = (
    *("dark", "uplifting", "slow", "witty", "tense", "tender", "absurd", "nostalgic", "bleak", "dreamlike", "gritty"),
    "playful",
)

NAME_BEGINNINGS = (
    *(
        "Bel",
        "Cor",
        "Dra",
        "Fen",
        "Gal",
        "Hest",
        "Ith",
        "Kel",
        "Lor",
        "Mav",
        "Nor",
        "Oss",
        "Pell",
        "Quen",
        "Ras",
        "Sev",
    ),
    *("Tarv", "Ulm", "Vell", "Wend", "Yor", "Zann"),
)
NAME_MIDDLES = ("a", "e", "i", "o", "u", "ari", "eno", "ivo")
NAME_ENDINGS = ("dane", "lith", "mora", "nis", "quist", "rune", "sk", "veth", "wyn", "zar", "thal")

NOUNS = (
    *("Lantern", "Orchard", "Ferry", "Ledger", "Quarry", "Lighthouse", "Bridge", "Mirror", "Violin", "Harvest"),
    *("Window", "Harbour", "Letter", "Tunnel", "Carousel", "Bakery", "Archive", "Winter", "Stairway", "Compass"),
    *("Kitchen", "Balloon", "Fountain", "Signal", "Garden", "Parade", "Workshop", "Island", "Almanac", "Envelope"),
    *("Station", "Meadow", "Theatre", "Teapot", "Locket", "Chimney", "Causeway", "Ribbon", "Market", "Observatory"),
)
TITLE_PATTERNS = ("The {noun} of {name}", "{name}'s {noun}", "A {noun} for {name}", "The {name} {noun}")

DEVICES = ("tv", "phone", "tablet", "computer")
