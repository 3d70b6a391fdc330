"""What the labels of the three data sets are called in plain English words.

Knows nothing of pictures or tokens. A fact sheet (`Facts`) is what training lets a picture say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ITEMS = {
    "Tshirts": "t-shirt", "Shirts": "shirt", "Casual Shoes": "casual shoes", "Tops": "top",
    "Kurtas": "kurta", "Sports Shoes": "sports shoes", "Watches": "watch", "Handbags": "handbag",
    "Sunglasses": "sunglasses", "Heels": "heels", "Sweaters": "sweater", "Sandals": "sandals",
    "Wallets": "wallet", "Flip Flops": "flip flops", "Sweatshirts": "sweatshirt",
    "Belts": "belt", "Formal Shoes": "formal shoes", "Trousers": "trousers", "Socks": "socks",
    "Jeans": "jeans", "Jackets": "jacket", "Flats": "flat shoes", "Backpacks": "backpack",
    "Briefs": "briefs", "Shorts": "shorts", "Innerwear Vests": "vest", "Caps": "cap",
    "Track Pants": "track pants", "Ties": "tie", "Kurtis": "tunic", "Clutches": "clutch",
    "Accessory Gift Set": "gift set", "Dresses": "dress", "Mufflers": "scarf",
    "Skirts": "skirt", "Scarves": "scarf", "Trunk": "trunks", "Perfume and Body Mist": "perfume",
    "Cufflinks": "cufflinks", "Capris": "capri pants", "Laptop Bag": "laptop bag",
    "Tunics": "tunic", "Leggings": "leggings", "Stockings": "stockings",
    "Duffel Bag": "travel bag", "Deodorant": "deodorant", "Mobile Pouch": "phone pouch",
    "Tracksuits": "tracksuit", "Bra": "bra", "Gloves": "gloves", "Sports Sandals": "sandals",
    "Messenger Bag": "shoulder bag", "Lounge Shorts": "shorts", "Fragrance Gift Set": "perfume",
    "Dupatta": "scarf", "Stoles": "scarf", "Churidar": "trousers", "Umbrellas": "umbrella",
    "Hat": "hat", "Lounge Pants": "trousers", "Necklace and Chains": "necklace",
    "Rucksacks": "backpack", "Tights": "leggings", "Boxers": "trunks", "Bracelet": "bracelet",
}  # fmt: skip
SHADES = {
    "Black": "black", "Blue": "blue", "White": "white", "Grey": "grey", "Brown": "brown",
    "Red": "red", "Green": "green", "Navy Blue": "blue", "Purple": "purple", "Pink": "pink",
    "Beige": "brown", "Maroon": "red", "Yellow": "yellow", "Olive": "green", "Silver": "grey",
    "Steel": "grey", "Orange": "orange", "Cream": "white", "Gold": "yellow", "Tan": "brown",
    "Charcoal": "grey", "Khaki": "brown", "Magenta": "pink", "Copper": "brown",
    "Off White": "white", "Lavender": "purple", "Peach": "orange", "Teal": "green",
    "Coffee Brown": "brown", "Mustard": "yellow", "Turquoise Blue": "blue",
    "Grey Melange": "grey", "Burgundy": "red", "Bronze": "brown", "Rust": "orange",
    "Taupe": "brown", "Fluorescent Green": "green", "Sea Green": "green", "Mauve": "purple",
    "Skin": "brown", "Metallic": "grey",
}  # fmt: skip
PLAIN_SHADES = {"Grey Melange": "grey", "Mauve": "purple"}
COLOURS = (
    "black", "white", "grey", "blue", "red", "green", "brown", "purple", "pink", "yellow",
    "orange",
)  # fmt: skip
CATEGORIES = {"Apparel": "clothing", "Footwear": "footwear", "Accessories": "accessory"}
AUDIENCES = {
    "Men": "men", "Women": "women", "Unisex": "everyone", "Girls": "girls", "Boys": "boys",
}  # fmt: skip
PLACES = {
    "Topwear": "chest", "Shoes": "feet", "Bottomwear": "legs", "Bags": "shoulder",
    "Watches": "wrist", "Eyewear": "eyes", "Sandal": "feet", "Innerwear": "skin",
    "Wallets": "pocket", "Flip Flops": "feet", "Belts": "waist", "Socks": "feet",
    "Headwear": "head", "Ties": "neck", "Fragrance": "skin", "Dress": "chest",
    "Mufflers": "neck", "Scarves": "neck", "Cufflinks": "wrist", "Gloves": "hands",
    "Loungewear and Nightwear": "legs", "Stoles": "neck",
}  # fmt: skip
TEXTILES = {
    "nominal": ("good", "none"),
    "local": ("damaged", "local"),
    "global": ("wrong", "global"),
}
SOLAR = {
    "0": ("good", "none"),
    "1/3": ("fair", "small"),
    "2/3": ("poor", "large"),
    "1": ("broken", "certain"),
}


@dataclass(frozen=True)
class Facts:
    """What is true of one picture; None where nobody said."""

    item: str | None
    color: str | None
    shade: str | None
    audience: str | None
    usage: str | None
    category: str | None
    place: str | None
    condition: str
    defect: str


def of_product(row: Mapping[str, str]) -> Facts:
    """Facts of a row of products.csv."""
    colour = row["baseColour"]
    return Facts(
        item=ITEMS.get(row["articleType"]),
        color=SHADES.get(colour),
        shade=PLAIN_SHADES.get(colour, colour.lower()) if colour in SHADES else None,
        audience=AUDIENCES.get(row["gender"]),
        usage=row["usage"].lower() if row["usage"] not in ("NA", "Smart Casual") else None,
        category=CATEGORIES.get(row["masterCategory"]),
        place=PLACES.get(row["subCategory"]),
        condition="new",
        defect="none",
    )


def of_textile(label: str) -> Facts:
    """Facts of a textile photograph labelled nominal, local or global."""
    condition, defect = TEXTILES[label]
    return Facts(
        "fabric", "grey", "grey", "industry", "industrial", "material", "machine", condition, defect
    )


def of_solar(label: str, crystal: str) -> Facts:
    """Facts of a solar cell: `label` a key of SOLAR, `crystal` mono or poly."""
    condition, defect = SOLAR[label]
    return Facts(
        "solar cell", "grey", crystal, "industry", "energy", "equipment", "roof", condition, defect
    )
