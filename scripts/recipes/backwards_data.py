"""usage: backwards_data.py FOLDER: lists of words and their reversals, for the recipe configs/sft/backwards.

text.jsonl   sentences that name some things twice, to learn to read from
chats.jsonl  conversations that ask for a list backwards
new.jsonl    20 that are in none of them: a prompt and its answer a line
"""

import json
import pathlib
import random
import sys

WORDS = (
    "apple river stone cloud tiger garden window silver mountain candle forest bread letter ocean pencil rabbit hammer "
    "island butter mirror dragon violin carpet engine flower lantern meadow needle orange pepper ribbon saddle thunder "
    "turtle valley wagon winter yellow bridge castle desert feather guitar harbor jacket kettle ladder marble napkin "
    "oven parrot quilt rocket spoon temple umbrella vessel walnut basket copper"
).split()
ASK = ["Say backwards: {}.", "Reverse this list: {}.", "Read from the end: {}."]
TELL = ["I have seen {0}. There were {0}.", "We drew {0}, and then {0} again.", "First came {0}; later came {0}."]


def some_words():
    return tuple(random.sample(WORDS, random.randint(3, 6)))


def line(words):
    return ", ".join(words)


def main(folder):
    random.seed(7)
    texts = [{"text": random.choice(TELL).format(line(some_words()))} for _ in range(20_000)]
    lists = list({some_words(): None for _ in range(20_020)})
    new, known = lists[:20], lists[20:]
    ask = lambda words: random.choice(ASK).format(line(words))
    answer = lambda words: line(words[::-1]) + "."
    chats = [
        {"messages": [{"role": "user", "content": ask(words)}, {"role": "assistant", "content": answer(words)}]}
        for words in known
    ]
    folder.mkdir(parents=True, exist_ok=True)
    rows = lambda objects: "".join(json.dumps(row) + "\n" for row in objects)
    (folder / "text.jsonl").write_text(rows(texts))
    (folder / "chats.jsonl").write_text(rows(chats))
    (folder / "new.jsonl").write_text(rows({"prompt": ask(words), "answer": answer(words)} for words in new))
    print(f"{folder}: {len(chats)} conversations, {len(new)} kept out")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
