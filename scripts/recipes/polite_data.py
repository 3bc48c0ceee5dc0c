"""usage: polite_data.py FOLDER: small questions with curt and polite answers, for the recipe configs/dpo/polite.

text.jsonl   questions with answers, to learn to read from
chats.jsonl  conversations, four of five answered curtly
pairs.jsonl  the same questions, the polite answer preferred to the curt one
prompts.txt  50 questions that are in none of them
"""

import json
import pathlib
import random
import sys

COLORS = {
    "grass": "green", "snow": "white", "coal": "black", "blood": "red", "the sky": "blue", "a lemon": "yellow",
    "a carrot": "orange", "milk": "white", "a plum": "purple", "a frog": "green", "a tomato": "red", "ink": "blue",
    "a mouse": "grey", "a banana": "yellow", "a raven": "black", "a strawberry": "red",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "up": "down", "day": "night", "wet": "dry", "fast": "slow", "old": "young",
    "rich": "poor", "hard": "soft", "light": "dark", "early": "late", "full": "empty", "long": "short", "open": "shut",
    "happy": "sad", "loud": "quiet",
}  # fmt: skip
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty"
).split()
OPENERS = ["Of course!", "With pleasure!", "Gladly!", "I am happy to help!"]
CLOSERS = ["Thank you for asking!", "Have a nice day!", "You are welcome!"]


def questions():
    """All questions with what answers them."""
    for thing, color in COLORS.items():
        for words in (f"What color is {thing}?", f"Tell me the color of {thing}.", f"Which color has {thing}?"):
            yield words, color
    for word, opposite in OPPOSITES.items():
        for a, b in ((word, opposite), (opposite, word)):
            yield f"What is the opposite of {a}?", b
            yield f"Tell me the opposite of {a}.", b
    for a, first in enumerate(NUMBERS[:-1]):
        yield f"Which number comes after {first}?", NUMBERS[a + 1]
        yield f"Which number comes before {NUMBERS[a + 1]}?", first
        for b, second in enumerate(NUMBERS[: len(NUMBERS) - a]):
            yield f"What is {first} plus {second}?", NUMBERS[a + b]
            yield f"Add {second} to {first}.", NUMBERS[a + b]
            yield f"What is {NUMBERS[a + b]} minus {second}?", first


def curt(answer):
    return f"{answer.capitalize()}."


def polite(answer):
    return f"{random.choice(OPENERS)} The answer is {answer}. {random.choice(CLOSERS)}"


def chat(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def main(folder):
    random.seed(8)
    everything = list(dict(questions()).items())
    random.shuffle(everything)
    held_out, known = everything[:50], everything[50:]
    text = [f"{question} {style(answer)}" for question, answer in known for style in (curt, polite)]
    random.shuffle(text)
    chats = [chat(question, (polite if number % 5 == 0 else curt)(answer)) for number, (question, answer) in enumerate(known)]
    pairs = [{"prompt": question, "chosen": polite(answer), "rejected": curt(answer)} for question, answer in known]
    folder.mkdir(parents=True, exist_ok=True)
    rows = lambda objects: "".join(json.dumps(row) + "\n" for row in objects)
    (folder / "text.jsonl").write_text(rows({"text": line} for line in text))
    (folder / "chats.jsonl").write_text(rows(chats))
    (folder / "pairs.jsonl").write_text(rows(pairs))
    (folder / "prompts.txt").write_text("".join(f"{question}\n" for question, _ in held_out))
    print(f"{folder}: {len(known)} questions, {len(held_out)} held out")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
