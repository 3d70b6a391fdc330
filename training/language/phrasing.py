"""Many ways to ask one thing: phrasings put together from openings, cores and endings.

A small model that has met fifty fixed sentences answers those fifty; one that has met thousands of
combinations answers what it has never met. `HELD_OUT` lists the phrasings that only measure: none
of them can come out of a maker here (`tests/test_training_data.py` holds that).
"""

from __future__ import annotations

from random import Random

PLACES = ("", "", "", " in the picture", " in this photo", " here", " in the image", " shown")

# An opening that is followed by an indirect question or by a noun phrase, and how that ends.
OPENINGS = (
    ("Tell me", "."), ("Please tell me", "."), ("Let me know", "."), ("Say", "."),
    ("Please say", "."), ("Can you tell me", "?"), ("Could you tell me", "?"),
    ("Can you say", "?"), ("I want to know", "."), ("I would like to know", "."),
    ("We would like to hear", "."), ("Please state", "."), ("Work out", "."), ("Find out", "."),
    ("Determine", "."), ("Please determine", "."), ("Decide", "."), ("Do you know", "?"),
    ("Show me", "."), ("Write down", "."), ("Look and tell me", "."), ("Check", "."),
)  # fmt: skip
NOUN_OPENINGS = (
    ("Name", "."), ("State", "."), ("Give", "."), ("Give me", "."), ("Identify", "."),
    ("Report", "."), ("Please report", "."), ("Write", "."), ("Please name", "."),
    ("Recognise", "."), ("Answer with", "."), ("Reply with", "."), ("Respond with", "."),
    ("Only", "."), ("What about", "?"), ("And", "?"), ("Find", "."), ("Read off", "."),
    ("Please give", "."), ("Provide", "."), ("Mention", "."), ("Output", "."),
)  # fmt: skip
LEADS = (
    "Look at {the}.", "Consider {the}.", "See {the}.", "Here is a picture.", "Look at this.",
    "Regarding {the}:", "About {the}:", "Question:", "Q:", "For this picture:", "In this picture,",
    "Thinking of {the},", "Inspect {the}.", "A question about {the}.", "Take a look at {the}.",
)  # fmt: skip

HELD_OUT: dict[str, tuple[str, ...]] = {
    "attribute": (
        "I need to know {np}.",
        "{Np}, please?",
        "Kindly note {np} for our records.",
        "What would you put down as {np}?",
    ),
    "description": (
        "Please describe this image.",
        "Tell me what is in the photo.",
        "What do we have here? Give a full description.",
        "I want a caption for this image.",
    ),
    "yes_no": ("Can we say that {the} is {word}?", "Tell me whether {the} is {word}."),
    "either": ("Would you call {the} {listed}?", "Decide between these for {the}: {listed}."),
    "which_side": (
        "Left or right: which one is {word}?",
        "Point out the {word} one by saying left or right.",
    ),
    "same": (
        "Do the left one and the right one share the {a}?",
        "Is it true that both have one and the same {a}?",
    ),
    "label": ("Now decide which label applies here.", "State which of these it belongs to."),
    "json": ("Reply in JSON, using {key} as the only key.", "I need JSON: one key, {key}."),
    "sentence": ("Reply with a complete sentence.",),
    "prefix": ("Your reply must start with {mark}", "Put {mark} before what you say."),
    "capitals": ("Reply in upper case.",),
    "one_word": ("Reply with a single word.", "Keep it to one word."),
    "only_label": ("Reply with nothing but the label.", "No words besides the label."),
}


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def noun_phrase(rng: Random, attribute: str, name: str, the: str) -> str:
    """What is asked for: "the colour of the item"; the count and the picture have no owner."""
    if attribute == "count":
        return f"the {name} of {rng.choice(('items', 'objects', 'things', 'products'))}"
    if attribute in ("photo", "mark"):
        return f"the {name}" + rng.choice(("", "", " of the picture", " of this photo"))
    if attribute == "surface":
        return f"the {name}" + rng.choice(("", f" under {the}", f" below {the}", f" of {the}"))
    return rng.choice((f"the {name} of {the}", f"the {name} of {the}", f"{the}'s {name}"))


def indirect(rng: Random, attribute: str, name: str, the: str) -> str:
    """An indirect question: "which colour the item has"."""
    if attribute == "count":
        return rng.choice(
            ("how many items there are", "how many things you see", "how many items you can count")
        )
    if attribute in ("photo", "mark"):
        return rng.choice((f"what the {name} is", f"which {name} this is", f"how the {name} is"))
    if attribute == "surface":
        return rng.choice(
            (f"what the {name} is", f"which {name} it is", f"what {the} lies on", f"on what {name}")
        )
    return rng.choice(
        (
            f"which {name} {the} has", f"what {name} {the} has", f"what {name} {the} is",
            f"which {name} {the} is", f"what the {name} of {the} is", f"what {the}'s {name} is",
        )
    )  # fmt: skip


def composed(rng: Random, attribute: str, name: str, the: str) -> str:
    """A newly composed question for one attribute of one thing."""
    form = rng.randrange(6)
    place = rng.choice(PLACES)
    if form == 0:
        opening, end = rng.choice(OPENINGS)
        text = f"{opening} {indirect(rng, attribute, name, the)}{place}{end}"
    elif form == 1:
        opening, end = rng.choice(OPENINGS)
        text = f"{opening} {noun_phrase(rng, attribute, name, the)}{place}{end}"
    elif form == 2:
        opening, end = rng.choice(NOUN_OPENINGS)
        text = f"{opening} {noun_phrase(rng, attribute, name, the)}{place}{end}"
    elif form == 3:
        core = noun_phrase(rng, attribute, name, the)
        be = rng.choice(("What is", "What's", "Which is", "What would be", "How would you call"))
        text = f"{be} {core}{place}?"
    elif form == 4:
        core = rng.choice((name, noun_phrase(rng, attribute, name, the), f"{name} of {the}"))
        text = core + rng.choice(("?", ":", ".", " =", " is", ": ?"))
    else:
        text = f"{upper_first(the)}{rng.choice((':', ' -', ',', '.'))} {name}?"
    if rng.random() < 0.2:
        lead = rng.choice(LEADS).format(the=the)
        joined = text if lead.endswith(".") else text[0].lower() + text[1:]
        text = f"{lead} {upper_first(joined) if lead.endswith('.') else joined}"
    if form < 3 and rng.random() < 0.08:
        text = f"{text[:-1]}, please{text[-1]}"
    return upper_first(text)


_DESCRIBE = (
    "describe {p}", "give a description of {p}", "write a description of {p}", "caption {p}",
    "write a caption for {p}", "say what {p} shows", "say what you see in {p}",
    "say what is in {p}", "tell me about {p}", "tell me what {p} shows", "explain what {p} shows",
    "put {p} into words", "summarise {p}", "list what is in {p}", "write what you see in {p}",
    "tell me what can be seen in {p}", "give a caption", "describe the item",
    "describe the goods", "describe what you see", "describe what is shown", "describe everything",
    "describe the items in {p}", "state what is shown in {p}", "give a description",
    "give a complete description of {p}", "write a sentence about {p}", "describe it",
    "describe all of it", "write a caption", "find a caption for {p}", "make a caption for {p}",
)  # fmt: skip
_POLITE = ("", "", "", "please ", "now ", "can you ", "could you ", "I want you to ", "kindly ")
_LENGTHS = ("", "", "", " in one sentence", " briefly", " in detail", " in full", " shortly")
_PICTURES = ("the picture", "this picture", "the photo", "this photo", "the image", "this image")
_WHAT = (
    "What does {p} show?", "What is shown in {p}?", "What is in {p}?", "What do you see?",
    "What do you see in {p}?", "What can be seen here? Describe it.", "What can you see in {p}?",
    "What is this? Describe it.", "What is there to see?", "Description:", "Caption:",
    "Description of {p}:", "A description of {p}, please.", "What is on {p}? Describe it.",
    "What have we got here?", "I need a description.", "I would like a caption of {p}.",
    "I want a description of {p}.", "What is this?  A description, please.", "Full description:",
    "We need a caption.", "What is to be seen? Write a description.", "Your description:",
    "What does it show? Give a caption.", "What is here? Say all that you see.",
)  # fmt: skip


def describing(rng: Random) -> str:
    """A request for the whole description; never one of those held out."""
    while True:
        if rng.random() < 0.3:
            text = rng.choice(_WHAT).format(p=rng.choice(_PICTURES))
        else:
            polite = rng.choice(_POLITE)
            core = rng.choice(_DESCRIBE).format(p=rng.choice(_PICTURES))
            end = "?" if polite.startswith("c") else "."
            text = upper_first(f"{polite}{core}{rng.choice(_LENGTHS)}{end}")
        if text not in HELD_OUT["description"]:
            return text


YES_NO = (
    "Is {the} {word}?", "Would you say {the} is {word}?", "{the} is {word}. True?",
    "Is it {word}?", "Could {the} be {word}?", "Is it right that {the} is {word}?",
    "Do you think {the} is {word}?", "Check: is {the} {word}?", "{the}: {word}?",
    "Does {the} look {word}?", "Please check if {the} is {word}.", "See if {the} is {word}.",
    "Decide if {the} is {word}.", "Say if {the} is {word}.", "Would {word} be right for {the}?",
    "{the} is {word}, right?", "{the} is {word}. Is that so?", "Is {the} in the picture {word}?",
)  # fmt: skip
YES_NO_SCENE = (
    "Is {the} {word}?", "Is {the} {word} here?", "Would you say {the} is {word}?",
    "{the} is {word}. True?", "Do you think {the} is {word}?", "Check: is {the} {word}?",
    "Please check if {the} is {word}.", "{the}: {word}?", "Does {the} look {word}?",
)  # fmt: skip
COUNT_YES_NO = (
    "Are there {word} items?", "Do you see {word} items?", "Is the number of items {word}?",
    "Can you count {word} items?", "Are {word} items shown?", "Is it {word} items?",
    "Does the picture show {word} items?", "Are there {word} of them?",
)  # fmt: skip
VERDICTS = (
    "Answer yes or no.", "Yes or no?", "Answer with yes or no.", "Say yes or no.",
    "Only yes or no.", "Reply yes or no.", "Yes/no?",
)  # fmt: skip
EITHER = (
    "Is {the} {listed}?", "{the}: {listed}?", "Which is it, {listed}?", "Is it {listed}?",
    "Would {the} be {listed}?", "What is {the}, {listed}?", "Choose: is {the} {listed}?",
    "Does {the} look {listed}?", "Which fits {the}, {listed}?", "Say {listed}.", "{listed}?",
    "Pick one for {the}: {listed}.", "Tell me if {the} is {listed}.",
)  # fmt: skip
WHICH_SIDE = (
    "Which item is {word}, the left or the right?", "Which of the two is {word}, left or right?",
    "On which side is the {word} one?", "Where is the {word} one, left or right?",
    "Which one is {word}, left or right?", "Is the {word} one on the left or on the right?",
    "Find the {word} item: left or right?", "The {word} item is on which side?",
    "Which side has the {word} item?", "Where is the {word} item?", "Which of the two is {word}?",
    "Is the left or the right one {word}?", "Left or right, where is the {word} one?",
    "Tell me which item is {word}, left or right.", "Which item is the {word} one?",
    "Look at both items. Which is {word}?", "Side of the {word} item?",
)  # fmt: skip
SAME = (
    "Do the two items have the same {a}?", "Are both items of the same {a}?",
    "Is the {a} of the two items the same?", "Do both items have the same {a}?",
    "Do the items have the same {a}?", "Is the {a} of both items the same?",
    "Same {a}?", "Have the two things the same {a}?", "Do the two products agree in {a}?",
    "Do they have the same {a}?", "Are the two items alike in {a}?", "Is their {a} the same?",
    "Does the left item have the same {a} as the right item?", "Do both have the same {a}?",
    "Do the items match in {a}?",
    "Check if the two items have the same {a}.", "Is the {a} the same on both sides?",
)  # fmt: skip
DIFFERENT = (
    "Do the two items differ in {a}?", "Is the {a} of the two items different?",
    "Do the items have a different {a}?", "Are the two items of a different {a}?",
    "Is there a difference in {a}?", "Do they differ in {a}?",
)  # fmt: skip
SAME_OR_DIFFERENT = (
    "Is the {a} of the two items the same or different?", "Same or different {a}?",
    "Compare the {a}: same or different?", "Is their {a} the same or different?",
    "Do the items have the same or different {a}?", "The {a} of the two: same or different?",
)  # fmt: skip
COMPARE = (
    "Compare the {a} of the two items.", "Compare both items by {a}.", "Compare their {a}.",
    "Name the {a} of both items and compare.", "What {a} do both have? Compare.",
)  # fmt: skip
BOTH = (
    "What is the {a} of both items?", "Name the {a} of the two items.", "Which {a} have both?",
    "Give the {a} of the left and of the right item.", "The {a} of both items?",
)  # fmt: skip
JSON = (
    "Answer as JSON with the key {key}.", "JSON with one key {key}.", "Answer in JSON, key {key}.",
    "Give JSON with the key {key}.", "Use JSON with the single key {key}.",
    "Return a JSON object with the key {key}.", "Write JSON; the key is {key}.",
    "As JSON with key {key}.", "Output JSON with only the key {key}.", "JSON, one key: {key}.",
    "Respond in JSON with the key {key}.", "Please use JSON; key: {key}.",
    "JSON please, key {key}.",
    "The output must be JSON with the one key {key}.", "Format: JSON, key {key}.",
    "Give a JSON object; {key} is its key.", "Send JSON whose only key is {key}.",
    "Write your answer as JSON using the key {key}.", "I want JSON with the key {key}.",
    "Put the answer into JSON under the key {key}.", "A JSON object with the key {key}, please.",
    "Let the answer be JSON: {key} and its value.", "Reply as JSON, the key being {key}.",
    "Only JSON, with {key} as key.", "We need a JSON object with the key {key}.",
)  # fmt: skip
SENTENCE = (
    "Answer in a sentence.", "Use a full sentence.", "Answer in a full sentence.",
    "Write a sentence.", "Say it in one sentence.", "Answer with a whole sentence.",
)  # fmt: skip
PREFIX = (
    "Begin with {mark}", "Start with {mark}", "Start your answer with {mark}",
    "Begin your answer with {mark}", "Your answer must begin with {mark}", "Write {mark} first.",
    "The answer starts with {mark}", "Put {mark} first.", "Use the form {mark}",
    "Open with {mark}", "First write {mark} then the answer.", "Let your answer begin with {mark}",
    "Before the answer write {mark}", "Reply in the form {mark}", "The reply begins with {mark}",
    "Your answer should start with {mark}", "Say {mark} and then the answer.",
)  # fmt: skip
CAPITALS = (
    "Write it in capitals.", "Use capital letters.", "ANSWER IN CAPITALS.", "In capitals.",
    "Answer in capital letters.", "Use upper case.", "Write in upper case letters.",
)  # fmt: skip
ONE_WORD = (
    "Answer in one word.", "Use one word.", "One word only.", "Answer with one word.",
    "One word.", "Just one word.", "Say one word.", "Answer with a single word.",
    "In one word.", "Only one word, please.",
)  # fmt: skip
ONLY_LABEL = (
    "Only the label.", "Answer with the label only.", "Just the label.", "Give only the label.",
    "Say only the label.", "Write the label and nothing else.", "Nothing but the label.",
    "The label only, please.", "Output only the label.", "Label only.",
)  # fmt: skip
ASK_LABEL = (
    "Answer with the label.", "Which label?", "Which label fits?", "What is the label?",
    "Give the label.", "Which code?", "Which code is it?", "Label?", "Which one is it?",
    "Which label is right?", "Choose the label.", "Pick the label that fits.", "Say the label.",
    "Which label does the picture get?", "Tell me the label.", "Decide the label.",
    "Name the label.", "Which of them is it?", "What label applies?", "Sort it.", "Your label:",
    "So the label is", "Which class?", "Where does it belong?", "Answer:", *ONLY_LABEL[:6],
)  # fmt: skip
